//! Making a crate a component.

/// Exports a type as the crate's provider, with the capabilities named after it.
///
/// ```ignore
/// export_provider!(Acme);
/// export_provider!(Acme, Refresh);
/// ```
///
/// On other targets than WebAssembly it does nothing, so that the crate can be tested natively.
#[macro_export]
macro_rules! export_provider {
    ($provider:ident $(, $capability:ident)* $(,)?) => {
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::provider::export_component!($provider with_types_in $crate::bindings::provider);
        $( $crate::export_provider!(@ $capability $provider); )*
    };
    (@ Refresh $provider:ident) => {
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::refresh::export_refresh!($provider with_types_in $crate::bindings::refresh);
    };
}

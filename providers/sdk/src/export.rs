//! Making a crate a component.

/// Exports a type as the crate's provider, with the capabilities named after it.
///
/// ```text
/// export_provider!(Acme);
/// export_provider!(Acme, Refresh, Revocation);
/// ```
///
/// The capabilities are [`Refresh`](crate::Refresh), [`Revocation`](crate::Revocation), [`Account`](crate::Account),
/// [`Device`](crate::Device) and [`Minting`](crate::Minting); each must be implemented for the type.
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
    (@ Revocation $provider:ident) => {
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::revocation::export_revocation!($provider with_types_in $crate::bindings::revocation);
    };
    (@ Account $provider:ident) => {
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::account::export_account!($provider with_types_in $crate::bindings::account);
    };
    (@ Device $provider:ident) => {
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::device::export_device!($provider with_types_in $crate::bindings::device);
    };
    (@ Minting $provider:ident) => {
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::minting::export_minting!($provider with_types_in $crate::bindings::minting);
    };
}

//! The contract's Rust side, made from `wit/`.
//!
//! One world for what every component exports, and one for each optional interface: a component without an interface
//! is found out by its type, not by a call.

#![allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub, reason = "generated code")]

/// What every component exports.
pub(super) mod base {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "component",
        imports: {
            "credentials-broker:provider/host.[method]request.send": async | trappable,
            default: trappable,
        },
        exports: { default: async },
        with: {
            "credentials-broker:provider/host.secret": crate::sandbox::handles::SecretHandle,
            "credentials-broker:provider/host.request": crate::sandbox::draft::Draft,
            "credentials-broker:provider/host.response": crate::sandbox::answer::Answer,
            "credentials-broker:provider/host.tokens": crate::sandbox::handles::TokenDraft,
        },
    });
}

pub(super) use base::credentials_broker::provider::host;

/// The optional interface for refreshing.
pub(super) mod refresh {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "with-refresh",
        exports: { default: async },
        with: { "credentials-broker:provider/host": super::base::credentials_broker::provider::host },
    });
}

/// The optional interface for revoking.
pub(super) mod revocation {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "with-revocation",
        exports: { default: async },
        with: { "credentials-broker:provider/host": super::base::credentials_broker::provider::host },
    });
}

/// The optional interface that says who signed in.
pub(super) mod account {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "with-account",
        exports: { default: async },
        with: { "credentials-broker:provider/host": super::base::credentials_broker::provider::host },
    });
}

/// The optional interface for the device flow.
pub(super) mod device {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "with-device",
        exports: { default: async },
        with: { "credentials-broker:provider/host": super::base::credentials_broker::provider::host },
    });
}

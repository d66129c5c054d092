//! The contract's Rust side: one world for what every component exports, one for each capability. Made from `wit/`, this
//! crate's own copy of the contract, so that the crate is whole without the repository around it.
//!
//! Each world comes with an export macro that carries the world's description into the component. A component holds
//! the descriptions of the macros it calls and of no others: what it does not implement it does not export.

#![expect(clippy::all, reason = "generated code")]

use crate::{Account, Device, Minting, Provider, Refresh, Revocation};

use host::{Failure, Secret, Tokens};
pub use provider::credentials_broker::provider::host;

pub mod provider {
    wit_bindgen::generate!({
        path: "wit",
        world: "component",
        pub_export_macro: true,
        export_macro_name: "export_component",
        default_bindings_module: "credentials_broker_provider::bindings::provider",
    });
}

pub mod refresh {
    wit_bindgen::generate!({
        path: "wit",
        world: "with-refresh",
        with: { "credentials-broker:provider/host@0.1.0": crate::bindings::host },
        pub_export_macro: true,
        export_macro_name: "export_refresh",
        default_bindings_module: "credentials_broker_provider::bindings::refresh",
    });
}

pub mod revocation {
    wit_bindgen::generate!({
        path: "wit",
        world: "with-revocation",
        with: { "credentials-broker:provider/host@0.1.0": crate::bindings::host },
        pub_export_macro: true,
        export_macro_name: "export_revocation",
        default_bindings_module: "credentials_broker_provider::bindings::revocation",
    });
}

pub mod account {
    wit_bindgen::generate!({
        path: "wit",
        world: "with-account",
        with: { "credentials-broker:provider/host@0.1.0": crate::bindings::host },
        pub_export_macro: true,
        export_macro_name: "export_account",
        default_bindings_module: "credentials_broker_provider::bindings::account",
    });
}

pub mod device {
    wit_bindgen::generate!({
        path: "wit",
        world: "with-device",
        with: { "credentials-broker:provider/host@0.1.0": crate::bindings::host },
        pub_export_macro: true,
        export_macro_name: "export_device",
        default_bindings_module: "credentials_broker_provider::bindings::device",
    });
}

pub mod minting {
    wit_bindgen::generate!({
        path: "wit",
        world: "with-minting",
        with: { "credentials-broker:provider/host@0.1.0": crate::bindings::host },
        pub_export_macro: true,
        export_macro_name: "export_minting",
        default_bindings_module: "credentials_broker_provider::bindings::minting",
    });
}

impl<P: Provider> provider::exports::credentials_broker::provider::provider::Guest for P {
    fn describe() -> String {
        P::DESCRIPTOR.to_owned()
    }

    fn resolve() -> Result<Vec<(String, String)>, Failure> {
        <P as Provider>::resolve()
    }

    fn authorization(scopes: Vec<String>) -> Result<Vec<(String, String)>, Failure> {
        <P as Provider>::authorization(&scopes)
    }

    fn exchange(code: &Secret, verifier: &Secret, redirect_uri: String) -> Result<Tokens, Failure> {
        <P as Provider>::exchange(code, verifier, &redirect_uri)
    }
}

impl<P: Refresh> refresh::exports::credentials_broker::provider::refresh::Guest for P {
    fn refresh(token: &Secret, scopes: Vec<String>, notes: Vec<(String, String)>) -> Result<Tokens, Failure> {
        <P as Refresh>::refresh(token, &scopes, &notes)
    }
}

impl<P: Revocation> revocation::exports::credentials_broker::provider::revocation::Guest for P {
    fn revoke(token: &Secret, notes: Vec<(String, String)>) -> Result<String, Failure> {
        <P as Revocation>::revoke(token, &notes)
    }
}

impl<P: Account> account::exports::credentials_broker::provider::account::Guest for P {
    fn account(access: &Secret, notes: Vec<(String, String)>) -> Result<Vec<(String, String)>, Failure> {
        <P as Account>::account(access, &notes)
    }
}

impl<P: Device> device::exports::credentials_broker::provider::device::Guest for P {
    fn start(scopes: Vec<String>) -> Result<(Secret, Vec<(String, String)>), Failure> {
        <P as Device>::start(&scopes)
    }

    fn poll(code: &Secret) -> Result<Tokens, Failure> {
        <P as Device>::poll(code)
    }
}

impl<P: Minting> minting::exports::credentials_broker::provider::minting::Guest for P {
    fn mint(parent: Option<&Secret>, scopes: Vec<String>, parameters: Vec<(String, String)>) -> Result<Tokens, Failure> {
        <P as Minting>::mint(parent, &scopes, &parameters)
    }
}

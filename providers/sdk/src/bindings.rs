//! The contract's Rust side, made from `wit/`: one world for what every component exports, one for each capability.
//!
//! Each world comes with an export macro that carries the world's description into the component. A component holds
//! the descriptions of the macros it calls and of no others: what it does not implement it does not export.

#![expect(clippy::all, reason = "generated code")]

use crate::{Provider, Refresh};

use host::{Failure, Secret, Tokens};
pub use provider::credentials_broker::provider::host;

pub mod provider {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "component",
        pub_export_macro: true,
        export_macro_name: "export_component",
        default_bindings_module: "credentials_broker_provider::bindings::provider",
    });
}

pub mod refresh {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "with-refresh",
        with: { "credentials-broker:provider/host@0.1.0": crate::bindings::host },
        pub_export_macro: true,
        export_macro_name: "export_refresh",
        default_bindings_module: "credentials_broker_provider::bindings::refresh",
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

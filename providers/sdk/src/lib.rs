//! Write a provider for the MCP Credentials Broker.
//!
//! A provider is a WebAssembly component that speaks one identity service's dialect of OAuth 2.0. Most of that dialect
//! is the standard, which this crate speaks already: what is left is a descriptor (a JSON file that the operator reads
//! before trusting the component) and whatever the service does differently.
//!
//! ```
//! use credentials_broker_provider::{Provider, Refresh, export_provider};
//!
//! struct Acme;
//!
//! impl Provider for Acme {
//!     const DESCRIPTOR: &'static str = r#"{
//!         "name": "acme", "title": "Acme", "version": "1.0.0",
//!         "settings": [
//!             { "name": "client_id", "env": ["ACME_CLIENT_ID"], "kind": "client-id", "required": true, "about": "The client." }
//!         ],
//!         "endpoints": [
//!             { "id": "authorize", "role": "authorization", "url": "https://acme.example/authorize" },
//!             { "id": "token", "role": "token", "method": "POST", "url": "https://acme.example/token",
//!               "slots": { "form.code": ["code"], "form.code_verifier": ["verifier"], "form.refresh_token": ["refresh"] } }
//!         ],
//!         "grants": ["authorization_code", "refresh_token"],
//!         "ttl": { "default": 3600, "maximum": 28800 }
//!     }"#;
//! }
//!
//! impl Refresh for Acme {}
//!
//! export_provider!(Acme, Refresh);
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`Provider`] and its companions | what a provider does, with the standard as the default |
//! | [`standard`] | that standard, in pieces to build on: client authentication, requests, answers |
//! | [`discovery`] | reading metadata documents (RFC 8414) |
//! | [`Call`] | a request in one expression |
//! | [`Request`], [`Response`], [`Secret`], [`Tokens`] | what the broker lends a component |
//! | `testing` | a fake broker, so that a provider is tested as an ordinary Rust crate |
//!
//! A component never reads a secret: a [`Secret`] is a handle without a getter. Nothing in a component's memory
//! outlives a call, which is why the traits have no `self`.
//!
//! # Features
//!
//! `allocator` (on by default): the crate brings the component's allocator, one that is small and quick for so short a life.
//! Turn it off to name a `#[global_allocator]` of your own.

mod call;
mod capabilities;
pub mod discovery;
mod export;
mod failure;
#[cfg(all(feature = "allocator", target_arch = "wasm32", not(target_feature = "atomics")))]
mod heap;
mod provider;
pub mod standard;

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod bindings;
#[cfg(target_arch = "wasm32")]
pub use bindings::host::{Failure, Request, Response, Secret, Tokens, log, resolved, setting, setting_secret};

#[cfg(not(target_arch = "wasm32"))]
mod fake;
#[cfg(not(target_arch = "wasm32"))]
pub use fake::{Failure, Request, Response, Secret, Tokens, log, resolved, setting, setting_secret, testing};

pub use call::Call;
pub use capabilities::{Account, Device, Minting, Refresh, Revocation};
pub use provider::Provider;
pub use standard::ClientAuth;

/// Names with values, in the order given.
pub type Pairs = Vec<(String, String)>;

/// One pair, from anything that is text.
pub fn pair(name: impl Into<String>, value: impl Into<String>) -> (String, String) {
    (name.into(), value.into())
}

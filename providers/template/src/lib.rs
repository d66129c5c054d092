//! Acme for the MCP Credentials Broker.
//!
//! What Acme does differently from RFC 6749 stands here, a sentence and a method each; what it does as the RFC says, the
//! SDK does.

use credentials_broker_provider::{Failure, Provider, Refresh, Response, Revocation, export_provider};

/// Acme.
pub struct Acme;

impl Provider for Acme {
    const DESCRIPTOR: &'static str = include_str!("../descriptor.json");

    fn explain(failure: Failure, _: &Response) -> Failure {
        match failure.code.as_str() {
            "invalid_client" => failure.hint("Compare ACME_CLIENT_ID and ACME_CLIENT_SECRET with the application."),
            _ => failure,
        }
    }
}

impl Refresh for Acme {}

impl Revocation for Acme {}

export_provider!(Acme, Refresh, Revocation);

#[cfg(test)]
mod tests;

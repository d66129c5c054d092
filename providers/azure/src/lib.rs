//! Microsoft Entra ID (the v2.0 endpoints), for work, school and personal accounts.
//!
//! What Entra does differently from RFC 6749 and OpenID Connect:
//!
//! - The issuer in an id_token names the tenant by its id, whatever name was used in the address; under `common` only
//!   the token tells which. The broker compares it with the token's `tid`; where the tenant is known beforehand,
//!   `resolve` narrows it to that one.
//! - A refresh token needs the scope `offline_access`, which the answer then does not repeat. At least one scope must be
//!   asked for.
//! - Errors carry a number (AADSTS…) that says more than the error code. Decisions follow the code, as Microsoft
//!   advises; the number only chooses a hint.
//! - The parameter `resource` (RFC 8707) is an error here, so nothing sends it.
//! - No single token can be revoked, so no revocation is exported: what there is ends all sessions of the person.
//! - The device flow starts with the client id alone, and calls a refusal `authorization_declined`.

mod hints;

use credentials_broker_provider::{
    ClientAuth, Device, Failure, Pairs, Provider, Refresh, Request, Response, Secret, export_provider, pair, setting, standard,
};

/// Microsoft Entra ID.
pub struct Azure;

/// The tenant that stands for all personal Microsoft accounts.
const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

impl Provider for Azure {
    const DESCRIPTOR: &'static str = include_str!("../descriptor.json");

    fn resolve() -> Result<Pairs, Failure> {
        let tenant = setting("tenant").unwrap_or_default().to_ascii_lowercase();
        let id = if tenant == "consumers" { CONSUMERS } else { tenant.as_str() };
        Ok(if is_guid(id) { vec![pair("issuer", format!("https://login.microsoftonline.com/{id}/v2.0"))] } else { Pairs::new() })
    }

    fn authorization(scopes: &[String]) -> Result<Pairs, Failure> {
        let mut more = Vec::new();
        if scopes.is_empty() {
            more.push("openid");
        }
        if !standard::asks_for(scopes, "offline_access") {
            more.push("offline_access");
        }
        Ok(if more.is_empty() { Pairs::new() } else { vec![pair("scope", more.join(" "))] })
    }

    fn client_auth() -> Result<ClientAuth, Failure> {
        Ok(ClientAuth::Post)
    }

    fn explain(failure: Failure, answer: &Response) -> Failure {
        // the person has to do something in a browser: for the broker that is a login that has ended
        let mut failure = match failure.code.as_str() {
            "interaction_required" | "login_required" | "consent_required" => {
                failure.as_code("invalid_grant").hint("Sign in again: Microsoft wants to see the person.")
            }
            "invalid_grant" => failure.hint("Sign in again."),
            _ => failure,
        };
        for (detail, pointer) in [("subtype", "/suberror"), ("correlation_id", "/correlation_id")] {
            if let Some(value) = answer.field(pointer) {
                failure = failure.detail(detail, value);
            }
        }
        // numbers, as JSON text: [70008]
        let codes = answer.field("/error_codes").unwrap_or_default();
        match codes.split(|c: char| !c.is_ascii_digit()).find_map(hints::for_code) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl Refresh for Azure {}

impl Device for Azure {
    fn start(scopes: &[String]) -> Result<(Secret, Pairs), Failure> {
        let request = Request::new("device", &[]);
        standard::identify(&request)?;
        standard::request_device::<Self>(&request, scopes)
    }
}

fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

export_provider!(Azure, Refresh, Device);

#[cfg(test)]
mod tests;

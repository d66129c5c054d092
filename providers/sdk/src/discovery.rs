//! Metadata documents (RFC 8414, OpenID Connect Discovery 1.0).
//!
//! The broker compares a document's issuer with the address it came from, and each endpoint with the document: a
//! component only picks out what there is.

use crate::{Failure, Pairs, Request, Response, pair};

/// The members that the broker and the standard make use of.
const MEMBERS: &[&str] = &[
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "jwks_uri",
    "revocation_endpoint",
    "introspection_endpoint",
    "device_authorization_endpoint",
    "userinfo_endpoint",
    "scopes_supported",
    "token_endpoint_auth_methods_supported",
    "code_challenge_methods_supported",
    "id_token_signing_alg_values_supported",
    "authorization_response_iss_parameter_supported",
];

/// Fetches the document at an endpoint of the role `metadata`. `None`: there is none (any 4xx but 429).
///
/// # Errors
/// `temporarily_unavailable`, `malformed_answer`, or what the broker says of the connection.
pub fn fetch(endpoint: &str) -> Result<Option<Pairs>, Failure> {
    let request = Request::new(endpoint, &[]);
    let answer = request.send()?;
    match answer.status() {
        200 => metadata(&answer).map(Some),
        429 | 500.. => Err(Failure::of(
            "temporarily_unavailable",
            format!("The server answered the request for its metadata with the status {}.", answer.status()),
        )
        .hint("Try again in a while.")),
        400..=499 => Ok(None),
        status => Err(Failure::malformed(format!("The server answered the request for its metadata with the status {status}."))
            .hint("Check the address: a redirect is not followed.")),
    }
}

fn metadata(answer: &Response) -> Result<Pairs, Failure> {
    let found: Pairs =
        MEMBERS.iter().filter_map(|name| answer.field(&format!("/{name}")).map(|value| pair(*name, value))).collect();
    for needed in ["issuer", "authorization_endpoint", "token_endpoint"] {
        if !found.iter().any(|(name, _)| name == needed) {
            return Err(Failure::malformed(format!("The server's metadata has no {needed}."))
                .hint("Check the address of the issuer with whoever runs the server."));
        }
    }
    Ok(found)
}

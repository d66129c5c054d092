//! The device authorization grant (RFC 8628). Waiting between polls is the broker's.

use super::{authenticate, failure_in, send};
use crate::{Failure, Pairs, Provider, Request, Response, Secret, Tokens, pair};

/// The grant type of section 3.4.
pub const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Asks the endpoint `device` for a device code (section 3.1).
///
/// # Errors
/// What the server answered, after [`Provider::explain`].
pub fn start_device<P: Provider + ?Sized>(scopes: &[String]) -> Result<(Secret, Pairs), Failure> {
    let request = Request::new("device", &[]);
    authenticate::<P>(&request)?;
    request_device::<P>(&request, scopes)
}

/// Sends a device authorization request with these scopes, authenticated or not, and reads the answer (section 3.2).
///
/// # Errors
/// What the server answered, after [`Provider::explain`]; `malformed_answer` where something that is needed is missing.
pub fn request_device<P: Provider + ?Sized>(request: &Request, scopes: &[String]) -> Result<(Secret, Pairs), Failure> {
    if !scopes.is_empty() {
        request.form("scope", &scopes.join(" "));
    }
    P::prepare(request);
    let answer = request.send()?;
    match failure_in(&answer) {
        None => started(&answer),
        Some(failure) => Err(P::explain(failure, &answer)),
    }
}

fn started(answer: &Response) -> Result<(Secret, Pairs), Failure> {
    let missing = |what: &str| Failure::malformed(format!("The server's answer has no {what}."));
    let code = answer.secret("/device_code").ok_or_else(|| missing("device_code"))?;
    let mut pairs = Pairs::new();
    // Google's name for it is that of a draft
    let uri = answer.field("/verification_uri").or_else(|| answer.field("/verification_url"));
    pairs.push(pair("verification_uri", uri.ok_or_else(|| missing("verification_uri"))?));
    pairs.push(pair("user_code", answer.field("/user_code").ok_or_else(|| missing("user_code"))?));
    for name in ["verification_uri_complete", "expires_in", "interval"] {
        pairs.extend(answer.field(&format!("/{name}")).map(|value| pair(name, value)));
    }
    Ok((code, pairs))
}

/// Asks the endpoint `token` once whether the person has finished (section 3.4).
///
/// # Errors
/// `authorization_pending` and `slow_down` while the person has not; else what the server answered, after
/// [`Provider::explain`].
pub fn poll_device<P: Provider + ?Sized>(code: &Secret) -> Result<Tokens, Failure> {
    let request = Request::new("token", &[]);
    request.form("grant_type", DEVICE_GRANT);
    request.form_secret("device_code", code);
    send::<P>(&request)
}

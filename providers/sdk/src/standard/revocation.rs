//! Revoking a token (RFC 7009).

use super::{authenticate, failure_in};
use crate::{Failure, Provider, Request, Response, Secret};

/// Revokes a token at the endpoint `revocation`, authenticated as at the token endpoint.
///
/// # Errors
/// What the server answered, after [`Provider::explain`].
pub fn revoke<P: Provider + ?Sized>(token: &Secret) -> Result<String, Failure> {
    let request = Request::new("revocation", &[]);
    request.form_secret("token", token);
    request.form("token_type_hint", if token.kind() == "refresh" { "refresh_token" } else { "access_token" });
    authenticate::<P>(&request)?;
    P::prepare(&request);
    let answer = request.send()?;
    revoked_in(&answer).map_err(|failure| P::explain(failure, &answer))
}

/// What a revocation's answer means. A server that follows RFC 7009 answers 200 for a token that it does not know too;
/// others say `invalid_token`, or that there is no such thing.
///
/// # Errors
/// What went wrong; `temporarily_unavailable` where trying again may help.
pub fn revoked_in(answer: &Response) -> Result<String, Failure> {
    let failure = match answer.status() {
        202 | 204 => None,
        _ => failure_in(answer),
    };
    match (failure, answer.status()) {
        (None, _) => Ok("revoked".to_owned()),
        (Some(failure), _) if failure.code == "unsupported_token_type" => Ok("unsupported".to_owned()),
        (Some(failure), _) if failure.code == "invalid_token" => Ok("already-gone".to_owned()),
        (Some(failure), 404 | 410) if failure.code == "malformed_answer" => Ok("already-gone".to_owned()),
        (Some(failure), _) => Err(failure),
    }
}

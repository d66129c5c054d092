//! Asking whose token it is.

use super::failure_in;
use crate::{Failure, Pairs, Provider, Request, Secret, pair};

/// Asks an endpoint of the role `account`, with the access token as bearer, and picks out members by JSON Pointer:
/// `[("id", "/sub"), ("email", "/email")]`. The table must list those that are not public already as `readable`.
///
/// # Errors
/// What the server answered, after [`Provider::explain`]; `malformed_answer` where there is no `id`.
pub fn account<P: Provider + ?Sized>(endpoint: &str, access: &Secret, members: &[(&str, &str)]) -> Result<Pairs, Failure> {
    let request = Request::new(endpoint, &[]);
    request.authenticate("bearer", "", access);
    let answer = request.send()?;
    match answer.status() {
        200 => {}
        401 | 403 => {
            let failure = Failure::of("invalid_token", "The server does not tell with this token whose it is.");
            return Err(P::explain(failure, &answer));
        }
        status => {
            let failure = failure_in(&answer)
                .unwrap_or_else(|| Failure::malformed(format!("The server answered with the status {status}.")));
            return Err(P::explain(failure, &answer));
        }
    }
    let found: Pairs =
        members.iter().filter_map(|(name, pointer)| answer.field(pointer).map(|value| pair(*name, value))).collect();
    if found.iter().any(|(name, _)| name == "id") {
        Ok(found)
    } else {
        Err(Failure::malformed("The server's answer does not say whose token it is."))
    }
}

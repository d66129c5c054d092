//! What callers are told.

use std::time::Duration;

use super::Wanted;
use crate::broker::references;
use crate::error::{Code, Error};
use crate::secret::SecretName;
use crate::vault::Grant;

/// Only a person can help. `why` has no full stop.
pub(super) fn sign_in_again(name: &SecretName, grant: &Grant, why: &str) -> Error {
    Error::new(
        Code::SignInAgain,
        format!("The login \"{name}\" has expired, sign in again: {why}."),
        format!("Call start_oauth_flow with provider \"{}\" and secret_name \"{name}\".", grant.provider),
    )
}

/// The same, for a grant that nothing would renew.
pub(super) fn ended(wanted: &Wanted, grant: &Grant) -> Error {
    let why = match (&grant.ended, wanted.is_rejected(grant)) {
        (Some(why), _) => why.as_str(),
        (None, true) => "the service refuses its access token and there is no refresh token",
        (None, false) => "its access token has ended and there is no refresh token",
    };
    sign_in_again(&wanted.name, grant, why)
}

/// A service that refuses a token which was renewed for it a moment ago.
pub(super) fn refused_again(name: &SecretName, grant: &Grant) -> Error {
    sign_in_again(name, grant, "the service refuses its access token although it was renewed less than a minute ago")
}

/// The name stands for something else now.
pub(super) fn replaced(wanted: &Wanted) -> Error {
    references::ended(&format!("\"{}\" was replaced or deleted meanwhile.", wanted.name))
}

/// The provider is left alone for a while.
pub(super) fn later(wanted: &Wanted, grant: &Grant, pause: Duration) -> Error {
    Error::new(
        Code::Unavailable,
        format!(
            "The login \"{}\" has to be renewed, and {} could not do that at the last {} tries.",
            wanted.name,
            grant.provider,
            grant.renewal.failures.max(1)
        ),
        format!("The login is kept. Try again in {} seconds.", pause.as_secs() + 1),
    )
}

/// Another process has the turn and does not come to an end.
pub(super) fn elsewhere(wanted: &Wanted, waited: Duration) -> Error {
    Error::new(
        Code::Unavailable,
        format!(
            "Another process of the broker has been renewing the login \"{}\" for more than {} seconds; it may be suspended.",
            wanted.name,
            waited.as_secs()
        ),
        "The login is kept. Try again in a moment. If it goes on, continue or end the stopped mcp-credentials-broker process (state T in ps).",
    )
}

/// This process is at it and has no answer yet.
pub(super) fn under_way(wanted: &Wanted) -> Error {
    Error::new(
        Code::Unavailable,
        format!("The login \"{}\" is being renewed, and the provider has not answered yet.", wanted.name),
        "The login is kept. Try again in a moment.",
    )
}

//! What a component says went wrong, as an error for agents and people.

use crate::error::{Code, Error};
use crate::sandbox::{Failed, Failure};

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum During {
    /// Finding the endpoints, or putting the authorization request together.
    Preparing,
    /// Redeeming a code.
    Exchange,
    /// Refreshing.
    Refresh,
    /// Asking whose login it is.
    Account,
    /// Revoking a token.
    Revocation,
    /// Starting a device flow, or asking how it stands.
    Device,
}

/// The error for a failed call of `title`'s component.
#[must_use]
pub fn explain(title: &str, during: During, failed: Failed) -> Error {
    let said = match failed {
        // People fear for their login when it cannot be renewed.
        Failed::Fault(error) if during == During::Refresh && error.code() == Code::Unavailable => {
            let hint = format!("The login is kept. {}", error.hint());
            return Error::new(Code::Unavailable, error.message().to_owned(), hint);
        }
        Failed::Fault(error) => return error,
        Failed::Said(said) => said,
    };
    let detail = |name: &str| said.details.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let mut what = match during {
        During::Preparing => format!("{title} could not be prepared for a login"),
        During::Exchange => format!("{title} did not accept the sign-in"),
        During::Refresh => format!("{title} did not renew the login"),
        During::Account => format!("{title} did not say whose login it is"),
        During::Revocation => format!("{title} did not revoke the token"),
        During::Device => format!("{title} did not carry out the device flow"),
    };
    what.push_str(&format!(": {} ({}).", said.message, said.code));
    if let Some(id) = detail("correlation_id") {
        what.push_str(&format!(" Its correlation id: {id}."));
    }
    let (code, remedy) = remedy(during, &said);
    let hint = match detail("hint") {
        Some(hint) => format!("{title}'s component advises: {hint} {remedy}"),
        None => remedy.to_owned(),
    };
    Error::new(code, what, hint)
}

fn remedy(during: During, said: &Failure) -> (Code, &'static str) {
    match (said.code.as_str(), during) {
        (
            "invalid_grant" | "bad_refresh_token" | "interaction_required" | "login_required" | "consent_required",
            During::Refresh,
        ) => (Code::SignInAgain, "Call start_oauth_flow again; a person has to sign in."),
        ("access_denied" | "authorization_declined", _) => (Code::Denied, "Ask the person before you try again."),
        ("temporarily_unavailable" | "server_error" | "unreachable" | "timeout", During::Refresh) => {
            (Code::Unavailable, "The login is kept. Try again in a moment.")
        }
        ("temporarily_unavailable" | "server_error" | "unreachable" | "timeout", During::Revocation | During::Account) => {
            (Code::Unavailable, "It is tried again later.")
        }
        ("temporarily_unavailable" | "server_error" | "unreachable" | "timeout", _) => {
            (Code::Unavailable, "Try again in a moment, with a new start_oauth_flow.")
        }
        ("unauthorized_client" | "unsupported_grant_type", During::Device) => (
            Code::Unsupported,
            "The operator can allow the device flow in the client's registration; without it sign in with mode \"browser\".",
        ),
        ("invalid_client" | "unauthorized_client" | "incorrect_client_credentials", _) => {
            (Code::ProviderError, "The operator should check client id and client secret in the provider's settings.")
        }
        ("redirect_uri_mismatch", _) => {
            (Code::ProviderError, "The operator should register the callback URL that list_providers shows with the provider.")
        }
        ("invalid_scope", _) => (Code::ProviderError, "Ask for scopes that the provider knows and the client may have."),
        ("not_configured", _) => {
            (Code::NotConfigured, "The operator should check the provider's settings; list_providers names them.")
        }
        ("unsupported", _) => (Code::Unsupported, "Use what list_providers says that it can do."),
        (_, During::Exchange | During::Device) => (Code::ProviderError, "Nothing was stored. Start the login again."),
        (_, During::Account) => (Code::ProviderError, "The login works all the same."),
        (_, During::Revocation) => (Code::ProviderError, "It is tried again later; until then revoke it at the provider."),
        (_, During::Refresh) => (Code::ProviderError, "The login is kept. If this goes on, sign in again with start_oauth_flow."),
        (_, During::Preparing) => {
            (Code::ProviderError, "The operator should check the provider's settings; list_providers names them.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: &str) -> Failed {
        Failed::Said(Failure {
            code: code.to_owned(),
            message: "\"AADSTS700082\"".to_owned(),
            details: vec![("correlation_id".to_owned(), "\"c-1\"".to_owned()), ("hint".to_owned(), "\"Sign in.\"".to_owned())],
        })
    }

    #[test]
    fn a_dead_refresh_token_asks_for_a_new_login_and_a_bad_moment_does_not() {
        let dead = explain("Azure", During::Refresh, said("invalid_grant"));
        assert_eq!(dead.code(), Code::SignInAgain);
        assert!(dead.message().contains("c-1") && dead.hint().contains("advises"));
        assert_eq!(explain("Azure", During::Refresh, said("temporarily_unavailable")).code(), Code::Unavailable);
        assert_eq!(explain("Azure", During::Exchange, said("invalid_grant")).code(), Code::ProviderError);
    }
}

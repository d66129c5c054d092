//! Google: sign in, and call Google's APIs.
//!
//! What Google does differently from RFC 6749 and OpenID Connect:
//!
//! - A refresh token needs `access_type=offline`, not a scope. And it comes only when the person sees the consent
//!   page: by itself that is the first time an account meets the client. A login happens when the broker holds no
//!   grant that works, and a grant without refresh token would end within the hour, so the consent page is asked for.
//!   (Google keeps 100 refresh tokens an account and client and drops the oldest; who shares one client among that
//!   many brokers sets `prompt = "select_account"`.)
//! - A Workspace can demand that people sign in again after some hours: `invalid_grant` with `invalid_rapt`.
//! - People may untick scopes on the consent page: the answer's `scope` says what was granted.
//! - A desktop app's client secret is asked for although it is not secret.
//!
//! `include_granted_scopes` is not sent: a token should hold what was asked for and no more.

use credentials_broker_provider::{ClientAuth, Failure, Pairs, Provider, Refresh, Response, export_provider, pair, setting};

/// Google.
pub struct Google;

impl Provider for Google {
    const DESCRIPTOR: &'static str = include_str!("../descriptor.json");

    fn authorization(_: &[String]) -> Result<Pairs, Failure> {
        let prompt = setting("prompt").unwrap_or_else(|| "consent".to_owned());
        Ok(vec![pair("access_type", "offline"), pair("prompt", prompt)])
    }

    fn client_auth() -> Result<ClientAuth, Failure> {
        Ok(ClientAuth::Post)
    }

    fn explain(failure: Failure, answer: &Response) -> Failure {
        let failure = match answer.field("/error_subtype") {
            Some(subtype) => failure.detail("subtype", subtype),
            None => failure,
        };
        match (failure.code.as_str(), failure.get("subtype")) {
            ("invalid_grant", Some("invalid_rapt")) => {
                failure.hint("Sign in again: the organization limits how long a login lasts.")
            }
            ("invalid_grant", _) => failure.hint(
                "Sign in again. Logins end after 7 days while the app's publishing status is \"Testing\", after 6 months unused, and when access is revoked.",
            ),
            ("invalid_client" | "unauthorized_client", _) => {
                failure.hint("Compare GCP_CLIENT_ID and GCP_CLIENT_SECRET with the client's page in the Google Cloud console.")
            }
            // "client_secret is missing."
            ("invalid_request", _) if failure.message.contains("client_secret") => {
                failure.hint("Set GCP_CLIENT_SECRET: Google asks for it even of desktop apps.")
            }
            ("redirect_uri_mismatch", _) => failure
                .as_code("invalid_grant")
                .hint("Use a client of the type \"Desktop app\", or enter the broker's callback address as a redirect URI of the client."),
            _ => failure,
        }
    }
}

impl Refresh for Google {}

export_provider!(Google, Refresh);

#[cfg(test)]
mod tests;

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
//! - Revoking one token, of either kind, ends everything that the person granted to the Google Cloud project. It needs no
//!   client authentication.
//! - The device flow wants a client of the type "TVs and Limited Input devices" and knows few scopes. It starts with the
//!   client id alone.
//! - Who signed in is in the id_token; without the scope `openid`, userinfo says it if it may.
//!
//! `include_granted_scopes` is not sent: a token should hold what was asked for and no more.

use credentials_broker_provider::{
    Account, ClientAuth, Device, Failure, Pairs, Provider, Refresh, Request, Response, Revocation, Secret, export_provider, pair,
    setting, standard,
};

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
            ("invalid_scope", _) => failure.hint(
                "Check the scopes. The device flow knows only openid, email, profile, drive.file, drive.appdata and YouTube's.",
            ),
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

impl Revocation for Google {
    fn revoke(token: &Secret, _: &[(String, String)]) -> Result<String, Failure> {
        let request = Request::new("revoke", &[]);
        request.form_secret("token", token);
        let answer = request.send()?;
        standard::revoked_in(&answer).map_err(|failure| Self::explain(failure, &answer))
    }
}

impl Account for Google {
    fn account(access: &Secret, _: &[(String, String)]) -> Result<Pairs, Failure> {
        standard::account::<Self>("userinfo", access, &[("id", "/sub"), ("email", "/email")])
    }
}

impl Device for Google {
    fn start(scopes: &[String]) -> Result<(Secret, Pairs), Failure> {
        let request = Request::new("device", &[]);
        standard::identify(&request)?;
        standard::request_device::<Self>(&request, scopes)
    }
}

export_provider!(Google, Refresh, Revocation, Account, Device);

#[cfg(test)]
mod tests;

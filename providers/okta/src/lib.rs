//! Okta: the organization's own authorization server, or a custom one.
//!
//! What Okta does differently from RFC 6749 and OpenID Connect:
//!
//! - There are two kinds of authorization server. The organization's issues tokens for Okta's own API; a custom one
//!   (`authorization_server`) for a team's. Each has its issuer and its metadata.
//! - A refresh token needs the scope `offline_access`. At least one scope must be asked for.
//! - Whether a refresh token works once or many times is the app's setting; where it works once, its reuse ends the
//!   whole login. So it is always taken for one that works once.
//! - The port of a callback counts, even on loopback.
//! - Revoking a refresh token ends its access tokens; revoking an access token leaves the refresh token alone. Both are
//!   answered with 200, known or not.
//! - Some errors have the shape of Okta's API: `errorCode`, `errorSummary`, `errorId`.

use credentials_broker_provider::{
    Device, Failure, Pairs, Provider, Refresh, Response, Revocation, Secret, Tokens, discovery, export_provider, pair, resolved,
    setting, standard,
};

/// Okta.
pub struct Okta;

impl Provider for Okta {
    const DESCRIPTOR: &'static str = include_str!("../descriptor.json");

    fn resolve() -> Result<Pairs, Failure> {
        let server = setting("authorization_server");
        let endpoint = if server.is_some() { "custom-metadata" } else { "org-metadata" };
        discovery::fetch(endpoint)?.ok_or_else(|| match server {
            Some(server) => Failure::not_configured(format!("This Okta organization has no authorization server \"{server}\"."))
                .hint("Set OKTA_AUTHORIZATION_SERVER to the ID shown under Security > API; \"default\" is the usual one."),
            None => Failure::not_configured("There is no Okta organization at this domain.")
                .hint("Set OKTA_DOMAIN to the host name you sign in at, without -admin, such as dev-1234.okta.com."),
        })
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

    fn finish(answer: &Response, tokens: &Tokens) {
        if answer.secret("/refresh_token").is_some() {
            tokens.set("rotation", "strict");
        }
    }

    fn explain(mut failure: Failure, answer: &Response) -> Failure {
        if let Some(id) = answer.field("/errorId") {
            failure = failure.detail("correlation_id", id);
        }
        if let Some(code) = answer.field("/errorCode") {
            failure.message = answer.field("/errorSummary").unwrap_or(failure.message);
            failure = failure.detail("subtype", code);
        }
        match failure.code.as_str() {
            "invalid_grant" => failure.hint("Sign in again: the login has ended, or its refresh token was used before."),
            "invalid_client" => {
                failure.hint("Compare OKTA_CLIENT_ID and OKTA_CLIENT_SECRET with the app; unset the secret where client authentication is \"None\".")
            }
            "unauthorized_client" | "unsupported_grant_type" => {
                failure.hint("Switch the grant type on for the app (Admin console, Applications): \"Device Authorization\" for the device flow.")
            }
            "invalid_scope" => failure.hint(
                "Ask for scopes that this authorization server has; for offline_access the app must have the grant type \"Refresh Token\".",
            ),
            _ => failure,
        }
    }
}

impl Refresh for Okta {}

impl Revocation for Okta {
    fn revoke(token: &Secret, _: &[(String, String)]) -> Result<String, Failure> {
        if resolved("revocation_endpoint").is_none() {
            return Ok("unsupported".to_owned());
        }
        standard::revoke::<Self>(token)
    }
}

impl Device for Okta {}

export_provider!(Okta, Refresh, Revocation, Device);

#[cfg(test)]
mod tests;

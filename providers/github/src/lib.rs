//! GitHub: sign in through an OAuth App or a GitHub App.
//!
//! What GitHub does differently from RFC 6749:
//!
//! - The token endpoint answers form-encoded unless asked for JSON, with status 200 even for errors, under codes of
//!   its own.
//! - Scopes come back separated by commas. A GitHub App has no scopes at all: they come back empty.
//! - Only a GitHub App gives refresh tokens (if its "expire user tokens" is on). Each works once; using it also ends
//!   the access token before it.
//! - The web flow needs the client secret, PKCE or not.

use credentials_broker_provider::{ClientAuth, Failure, Provider, Refresh, Request, Response, Tokens, export_provider};

/// GitHub.
pub struct GitHub;

impl Provider for GitHub {
    const DESCRIPTOR: &'static str = include_str!("../descriptor.json");

    fn client_auth() -> Result<ClientAuth, Failure> {
        Ok(ClientAuth::Post)
    }

    fn prepare(request: &Request) {
        request.header("accept", "application/json");
    }

    fn finish(answer: &Response, tokens: &Tokens) {
        // empty for a GitHub App: nothing was granted by scope, whatever was asked for
        tokens.set("scope", &answer.field("/scope").unwrap_or_default().replace(',', " "));
        if answer.secret("/refresh_token").is_some() {
            tokens.set("rotation", "strict");
        }
    }

    fn explain(failure: Failure, _: &Response) -> Failure {
        let (code, hint) = match failure.code.as_str() {
            "bad_verification_code" => ("invalid_grant", "Start the login again: a code works once, for ten minutes."),
            "bad_refresh_token" => ("invalid_grant", "Sign in again: the refresh token was used before, or has expired."),
            "incorrect_client_credentials" => (
                "invalid_client",
                "Compare GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET with the app's page under \"Developer settings\" on GitHub.",
            ),
            "redirect_uri_mismatch" => (
                "invalid_grant",
                "Enter the broker's callback address as the \"Authorization callback URL\" of the app on GitHub.",
            ),
            "unverified_user_email" => {
                ("access_denied", "Verify the primary e-mail address of the GitHub account, then sign in again.")
            }
            "application_suspended" => {
                ("unauthorized_client", "GitHub has suspended the app; its owner must contact GitHub support.")
            }
            _ => return failure,
        };
        failure.as_code(code).hint(hint)
    }
}

impl Refresh for GitHub {}

export_provider!(GitHub, Refresh);

#[cfg(test)]
mod tests;

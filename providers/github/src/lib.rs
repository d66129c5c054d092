//! GitHub: sign in through an OAuth App or a GitHub App.
//!
//! What GitHub does differently from RFC 6749:
//!
//! - The token endpoint answers form-encoded unless asked for JSON, with status 200 even for errors, under codes of
//!   its own.
//! - Scopes come back separated by commas. A GitHub App has no scopes at all: they come back empty.
//! - Only a GitHub App gives refresh tokens (if its "expire user tokens" is on). Each works once; using it also ends
//!   the access token before it.
//! - The web flow needs the client secret, PKCE or not. The device flow takes the client id alone, and has to be switched
//!   on in the app's settings.
//! - There is no RFC 7009. An access token is deleted by a REST call of the app itself. A refresh token is reported as
//!   found, by a call that must not be authenticated, and that GitHub carries out a little later.
//! - There are no id_tokens: `GET /user` says who signed in.

use credentials_broker_provider::{
    Account, ClientAuth, Device, Failure, Pairs, Provider, Refresh, Request, Response, Revocation, Secret, Tokens,
    export_provider, setting, setting_secret, standard,
};

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
            "device_flow_disabled" => {
                ("unauthorized_client", "Switch on \"Enable Device Flow\" on the app's page on GitHub, or sign in without it.")
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

impl Revocation for GitHub {
    fn revoke(token: &Secret, _: &[(String, String)]) -> Result<String, Failure> {
        let (request, done) = if token.kind() == "refresh" {
            let request = Request::new(&api("report"), &[]);
            request.json("/credentials", "[]");
            request.json_secret("/credentials/0", token);
            (request, 202)
        } else {
            let request = Request::new(&api("revoke"), &[]);
            let secret = setting_secret("client_secret").ok_or_else(|| Failure::not_configured("No client secret is set."))?;
            request.authenticate("basic-raw", &standard::client_id()?, &secret);
            request.json_secret("/access_token", token);
            (request, 204)
        };
        request.header("accept", "application/vnd.github+json");
        request.header("x-github-api-version", API_VERSION);
        let answer = request.send()?;
        match answer.status() {
            status if status == done => Ok("revoked".to_owned()),
            // an Enterprise Server that does not have the call yet
            404 if done == 202 => Ok("unsupported".to_owned()),
            404 | 422 => Ok("already-gone".to_owned()),
            status => Err(match standard::failure_in(&answer) {
                Some(failure) if status == 401 => {
                    Self::explain(Failure::of("incorrect_client_credentials", failure.message), &answer)
                }
                Some(failure) => failure,
                None => Failure::malformed(format!("GitHub answered the revocation with the status {status}.")),
            }),
        }
    }
}

impl Account for GitHub {
    fn account(access: &Secret, _: &[(String, String)]) -> Result<Pairs, Failure> {
        standard::account::<Self>(&api("user"), access, &[("id", "/id"), ("name", "/login")])
    }
}

impl Device for GitHub {
    fn start(scopes: &[String]) -> Result<(Secret, Pairs), Failure> {
        let request = Request::new("device", &[]);
        standard::identify(&request)?;
        standard::request_device::<Self>(&request, scopes)
    }

    fn poll(code: &Secret) -> Result<Tokens, Failure> {
        let request = Request::new("token", &[]);
        request.form("grant_type", standard::DEVICE_GRANT);
        request.form_secret("device_code", code);
        standard::identify(&request)?;
        standard::redeem::<Self>(&request)
    }
}

/// The REST API's version.
const API_VERSION: &str = "2022-11-28";

/// The id of an endpoint of the REST API, which lies elsewhere for an Enterprise Server.
fn api(endpoint: &str) -> String {
    let public = setting("host").is_none_or(|host| host == "github.com");
    if public { endpoint.to_owned() } else { format!("{endpoint}-enterprise") }
}

export_provider!(GitHub, Refresh, Revocation, Account, Device);

#[cfg(test)]
mod tests;

//! OAuth 2.0 as the RFCs have it, and as tolerant of answers as real servers need.

mod account;
mod device;
mod revocation;

pub use account::account;
pub use device::{DEVICE_GRANT, poll_device, request_device, start_device};
pub use revocation::{revoke, revoked_in};

use crate::{Failure, Provider, Request, Response, Secret, Tokens, setting, setting_secret};

/// How a client proves at the token endpoint that it is itself (RFC 6749 section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// It does not: a public client, protected by PKCE.
    None,
    /// An `Authorization: Basic` header.
    Basic,
    /// The same for servers that do not undo the form encoding of RFC 6749 section 2.3.1.
    BasicRaw,
    /// Members of the form.
    Post,
}

/// Redeems an authorization code (RFC 6749 section 4.1.3, RFC 7636 section 4.5).
///
/// # Errors
/// What the server answered, after [`Provider::explain`].
pub fn exchange<P: Provider + ?Sized>(code: &Secret, verifier: &Secret, redirect_uri: &str) -> Result<Tokens, Failure> {
    let request = Request::new("token", &[]);
    request.form("grant_type", "authorization_code");
    request.form_secret("code", code);
    request.form("redirect_uri", redirect_uri);
    request.form_secret("code_verifier", verifier);
    send::<P>(&request)
}

/// Uses a refresh token (RFC 6749 section 6).
///
/// # Errors
/// What the server answered, after [`Provider::explain`].
pub fn refresh<P: Provider + ?Sized>(token: &Secret) -> Result<Tokens, Failure> {
    let request = Request::new("token", &[]);
    request.form("grant_type", "refresh_token");
    request.form_secret("refresh_token", token);
    send::<P>(&request)
}

/// Authenticates the client, sends a request to a token endpoint and reads the answer.
///
/// # Errors
/// What the server answered, after [`Provider::explain`].
pub fn send<P: Provider + ?Sized>(request: &Request) -> Result<Tokens, Failure> {
    authenticate::<P>(request)?;
    redeem::<P>(request)
}

/// Sends a request to a token endpoint, authenticated or not, and reads the answer.
///
/// # Errors
/// What the server answered, after [`Provider::explain`].
pub fn redeem<P: Provider + ?Sized>(request: &Request) -> Result<Tokens, Failure> {
    P::prepare(request);
    let answer = request.send()?;
    if let Some(failure) = failure_in(&answer) {
        return Err(P::explain(failure, &answer));
    }
    let tokens = tokens_in(&answer)?;
    P::finish(&answer, &tokens);
    Ok(tokens)
}

/// Says who the client is, with its secret where it has one.
///
/// # Errors
/// `not_configured` without a client id, or what [`Provider::client_auth`] gives.
pub fn authenticate<P: Provider + ?Sized>(request: &Request) -> Result<(), Failure> {
    let id = client_id()?;
    let Some(secret) = setting_secret("client_secret") else {
        request.form("client_id", &id);
        return Ok(());
    };
    match P::client_auth()? {
        ClientAuth::None => request.form("client_id", &id),
        ClientAuth::Basic => request.authenticate("basic", &id, &secret),
        ClientAuth::BasicRaw => request.authenticate("basic-raw", &id, &secret),
        ClientAuth::Post => request.authenticate("post", &id, &secret),
    }
    Ok(())
}

/// Says who the client is by its id alone.
///
/// # Errors
/// `not_configured` without a client id.
pub fn identify(request: &Request) -> Result<(), Failure> {
    request.form("client_id", &client_id()?);
    Ok(())
}

/// The client's id.
///
/// # Errors
/// `not_configured` where none is set.
pub fn client_id() -> Result<String, Failure> {
    setting("client_id").ok_or_else(|| {
        Failure::not_configured("No client id is set.").hint("Set the provider's client_id; list_providers names the variable.")
    })
}

/// What went wrong, if something did (RFC 6749 section 5.2). An `error` member counts whatever the status: some servers
/// send it with a 200.
#[must_use]
pub fn failure_in(answer: &Response) -> Option<Failure> {
    let status = answer.status();
    let error = answer.field("/error").filter(|error| is_word(error));
    if status == 429 || status >= 500 {
        let mut failure = Failure::of(
            "temporarily_unavailable",
            described(answer, || format!("The server answered with the status {status}.")),
        )
        .hint("Try again in a while.");
        if let Some(seconds) = answer.header("retry-after").filter(|value| value.parse::<u32>().is_ok()) {
            failure = failure.detail("retry_after", seconds);
        }
        return Some(match error {
            Some(error) => failure.detail("subtype", error),
            None => failure,
        });
    }
    if let Some(error) = error {
        let message = described(answer, || format!("The server answered with the error {error}."));
        let failure = Failure::of(error, message);
        // RFC 8628 section 3.5: some servers name the new interval with slow_down
        return Some(match answer.field("/interval").filter(|value| value.parse::<u32>().is_ok()) {
            Some(seconds) => failure.detail("interval", seconds),
            None => failure,
        });
    }
    match status {
        200 | 201 => None,
        401 => Some(Failure::of("invalid_client", "The server did not accept the client's authentication.")),
        _ => Some(Failure::malformed(format!("The server answered with the status {status} and without an OAuth error."))),
    }
}

/// The tokens of a successful answer (RFC 6749 section 5.1, OpenID Connect Core 1.0 section 3.1.3.3).
///
/// # Errors
/// `malformed_answer` where there is no access token.
pub fn tokens_in(answer: &Response) -> Result<Tokens, Failure> {
    let access = answer
        .secret("/access_token")
        .ok_or_else(|| Failure::malformed("The server's answer has neither an access token nor an error."))?;
    let tokens = Tokens::new(&access);
    if let Some(refresh) = answer.secret("/refresh_token") {
        tokens.set_refresh(&refresh);
    }
    if let Some(id_token) = answer.secret("/id_token") {
        tokens.set_id_token(&id_token);
    }
    for (fact, pointer) in [
        ("token_type", "/token_type"),
        ("scope", "/scope"),
        ("expires_in", "/expires_in"),
        ("refresh_expires_in", "/refresh_expires_in"),
        ("refresh_expires_in", "/refresh_token_expires_in"),
    ] {
        if let Some(value) = answer.field(pointer) {
            tokens.set(fact, &value);
        }
    }
    Ok(tokens)
}

/// Whether a scope is among them.
#[must_use]
pub fn asks_for(scopes: &[String], scope: &str) -> bool {
    scopes.iter().any(|known| known == scope)
}

fn described(answer: &Response, otherwise: impl FnOnce() -> String) -> String {
    answer.field("/error_description").filter(|text| !text.is_empty()).unwrap_or_else(otherwise)
}

/// Whether the text can be an error code: what some servers put there (an object, a sentence) is not one.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests;

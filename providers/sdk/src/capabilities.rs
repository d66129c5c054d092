//! What a provider may do besides. A capability that [`export_provider!`](crate::export_provider) does not name is not
//! exported, and the broker takes it as unsupported.

use crate::{Failure, Pairs, Provider, Secret, Tokens, standard};

/// Refreshing access tokens (RFC 6749 section 6).
pub trait Refresh: Provider {
    /// Uses a refresh token at the endpoint `token`. The standard leaves `scopes` (those of the grant) out of the
    /// request: the server then keeps what was granted. `notes` are those of [`Tokens`] at the last call.
    ///
    /// ```
    /// use credentials_broker_provider::{Provider, Refresh, testing::{self, Broker}};
    ///
    /// struct Acme;
    ///
    /// impl Provider for Acme {
    ///     const DESCRIPTOR: &'static str = r#"{ "endpoints": [
    ///         { "id": "token", "role": "token", "method": "POST", "url": "https://acme.example/token",
    ///           "slots": { "form.refresh_token": ["refresh"] } }
    ///     ] }"#;
    /// }
    ///
    /// // the standard: RFC 6749 section 6
    /// impl Refresh for Acme {}
    ///
    /// Broker::of::<Acme>().set("client_id", "me").answer("token", 200, r#"{ "access_token": "new" }"#).start();
    /// let tokens = testing::refresh::<Acme>().unwrap();
    /// // the broker keeps the old refresh token where no new one came
    /// assert!(!tokens.has_refresh());
    /// assert_eq!(testing::sent()[0].form("grant_type"), Some("refresh_token"));
    /// ```
    ///
    /// # Errors
    /// What the server answered, after [`explain`](Provider::explain). `invalid_grant` means that only a new login
    /// helps.
    fn refresh(token: &Secret, scopes: &[String], notes: &[(String, String)]) -> Result<Tokens, Failure> {
        let _ = (scopes, notes);
        standard::refresh::<Self>(token)
    }
}

/// Ending tokens at the provider.
pub trait Revocation: Provider {
    /// Revokes a refresh or access token; returns `revoked`, `already-gone`, or `unsupported` for a token of this kind.
    /// The standard is RFC 7009 at the endpoint `revocation`, which answers 200 for an unknown token too.
    ///
    /// ```
    /// use credentials_broker_provider::{Call, Failure, Provider, Revocation, Secret, testing::{self, Broker}};
    ///
    /// struct Acme;
    ///
    /// impl Provider for Acme {
    ///     const DESCRIPTOR: &'static str = r#"{ "endpoints": [
    ///         { "id": "session", "role": "revocation", "method": "DELETE", "url": "https://acme.example/session",
    ///           "slots": { "authorization.bearer": ["access"] } }
    ///     ] }"#;
    /// }
    ///
    /// // a service that ends a session, and knows nothing of RFC 7009
    /// impl Revocation for Acme {
    ///     fn revoke(token: &Secret, _: &[(String, String)]) -> Result<String, Failure> {
    ///         if token.kind() == "refresh" {
    ///             return Ok("unsupported".to_owned());
    ///         }
    ///         let answer = Call::to("session").bearer(token).send()?;
    ///         Ok(if answer.status() == 404 { "already-gone" } else { "revoked" }.to_owned())
    ///     }
    /// }
    ///
    /// Broker::of::<Acme>().answer("session", 404, "").start();
    /// assert_eq!(testing::revoke::<Acme>("access").unwrap(), "already-gone");
    /// ```
    ///
    /// # Errors
    /// What the server answered, after [`explain`](Provider::explain).
    fn revoke(token: &Secret, notes: &[(String, String)]) -> Result<String, Failure> {
        let _ = notes;
        standard::revoke::<Self>(token)
    }
}

/// Saying who signed in, where no id_token does.
pub trait Account: Provider {
    /// Pairs: `id` (stable, required), `name` (what the person types to sign in, if that is no e-mail address), `email`.
    /// The standard asks the endpoint `account` for the claims of OpenID Connect Core 1.0 section 5.3.
    ///
    /// ```
    /// use credentials_broker_provider::{Account, Failure, Pairs, Provider, Secret, pair, standard, testing::{self, Broker}};
    ///
    /// struct Acme;
    ///
    /// impl Provider for Acme {
    ///     const DESCRIPTOR: &'static str = r#"{ "endpoints": [
    ///         { "id": "me", "role": "account", "url": "https://acme.example/me",
    ///           "slots": { "authorization.bearer": ["access"] }, "readable": ["/login"] }
    ///     ] }"#;
    /// }
    ///
    /// impl Account for Acme {
    ///     fn account(access: &Secret, _: &[(String, String)]) -> Result<Pairs, Failure> {
    ///         standard::account::<Self>("me", access, &[("id", "/id"), ("name", "/login")])
    ///     }
    /// }
    ///
    /// Broker::of::<Acme>().answer("me", 200, r#"{ "id": 7, "login": "alice" }"#).start();
    /// assert_eq!(testing::account::<Acme>().unwrap(), [pair("id", "7"), pair("name", "alice")]);
    /// ```
    ///
    /// # Errors
    /// What the server answered, after [`explain`](Provider::explain).
    fn account(access: &Secret, notes: &[(String, String)]) -> Result<Pairs, Failure> {
        let _ = notes;
        standard::account::<Self>("account", access, &[("id", "/sub"), ("name", "/preferred_username"), ("email", "/email")])
    }
}

/// The device authorization grant (RFC 8628).
pub trait Device: Provider {
    /// The device code, and pairs: `user_code`, `verification_uri`, `verification_uri_complete`, `expires_in`,
    /// `interval`. The standard asks the endpoint `device`; the scopes are all that the login is to have.
    ///
    /// ```
    /// use credentials_broker_provider::{Device, Provider, testing::{self, Broker, find}};
    ///
    /// struct Acme;
    ///
    /// impl Provider for Acme {
    ///     const DESCRIPTOR: &'static str = r#"{ "endpoints": [
    ///         { "id": "device", "role": "device", "method": "POST", "url": "https://acme.example/device" },
    ///         { "id": "token", "role": "token", "method": "POST", "url": "https://acme.example/token",
    ///           "slots": { "form.device_code": ["device-code"] } }
    ///     ] }"#;
    /// }
    ///
    /// // the standard: RFC 8628
    /// impl Device for Acme {}
    ///
    /// let answer = r#"{ "device_code": "d", "user_code": "WDJB-MJHT", "verification_uri": "https://acme.example/go" }"#;
    /// Broker::of::<Acme>().set("client_id", "me").answer("device", 200, answer).start();
    /// let (kind, shown) = testing::start_device::<Acme>("read").unwrap();
    /// assert_eq!((kind.as_str(), find(&shown, "user_code")), ("device-code", Some("WDJB-MJHT")));
    /// ```
    ///
    /// # Errors
    /// What the server answered, after [`explain`](Provider::explain).
    fn start(scopes: &[String]) -> Result<(Secret, Pairs), Failure> {
        standard::start_device::<Self>(scopes)
    }

    /// One poll, at the endpoint `token`. Fails with `authorization_pending` or `slow_down` while the person has not
    /// finished.
    ///
    /// ```
    /// use credentials_broker_provider::{Device, Provider, testing::{self, Broker, find}};
    ///
    /// struct Acme;
    ///
    /// impl Provider for Acme {
    ///     const DESCRIPTOR: &'static str = r#"{ "endpoints": [
    ///         { "id": "device", "role": "device", "method": "POST", "url": "https://acme.example/device" },
    ///         { "id": "token", "role": "token", "method": "POST", "url": "https://acme.example/token",
    ///           "slots": { "form.device_code": ["device-code"] } }
    ///     ] }"#;
    /// }
    ///
    /// // the standard: RFC 8628
    /// impl Device for Acme {}
    ///
    /// let pending = r#"{ "error": "authorization_pending" }"#;
    /// let broker = Broker::of::<Acme>().set("client_id", "me").answer("token", 400, pending);
    /// broker.answer("token", 200, r#"{ "access_token": "t" }"#).start();
    /// assert_eq!(testing::poll_device::<Acme>().unwrap_err().code, "authorization_pending");
    /// assert!(testing::poll_device::<Acme>().is_ok());
    /// ```
    ///
    /// # Errors
    /// What the server answered, after [`explain`](Provider::explain).
    fn poll(code: &Secret) -> Result<Tokens, Failure> {
        standard::poll_device::<Self>(code)
    }
}

/// Making short-lived tokens out of a login or a key.
pub trait Minting: Provider {
    /// `parent` is the access token to mint from, if there is one; `parameters` are `resource`, `ttl_seconds`, and what
    /// the descriptor declares.
    ///
    /// ```
    /// use credentials_broker_provider::{Call, Failure, Minting, Provider, Secret, Tokens, standard, testing::{self, Broker}};
    ///
    /// struct Acme;
    ///
    /// impl Provider for Acme {
    ///     const DESCRIPTOR: &'static str = r#"{ "endpoints": [
    ///         { "id": "mint", "role": "mint", "method": "POST", "url": "https://acme.example/tokens",
    ///           "slots": { "authorization.bearer": ["access"] } }
    ///     ] }"#;
    /// }
    ///
    /// impl Minting for Acme {
    ///     fn mint(parent: Option<&Secret>, scopes: &[String], parameters: &[(String, String)]) -> Result<Tokens, Failure> {
    ///         let parent = parent.ok_or_else(|| Failure::not_configured("Sign in first."))?;
    ///         let life = value_of(parameters, "ttl_seconds").unwrap_or("600");
    ///         let call = Call::to("mint").bearer(parent).form("scope", &scopes.join(" ")).form("expires_in", life);
    ///         standard::tokens_in(&call.answer::<Self>()?)
    ///     }
    /// }
    ///
    /// fn value_of<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    ///     pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    /// }
    ///
    /// Broker::of::<Acme>().answer("mint", 200, r#"{ "access_token": "t", "expires_in": 60 }"#).start();
    /// let life = [("ttl_seconds".to_owned(), "60".to_owned())];
    /// Acme::mint(Some(&testing::secret("access")), &["read".to_owned()], &life).unwrap();
    /// assert_eq!(testing::sent()[0].form("expires_in"), Some("60"));
    /// ```
    ///
    /// # Errors
    /// What the server answered.
    fn mint(parent: Option<&Secret>, scopes: &[String], parameters: &[(String, String)]) -> Result<Tokens, Failure>;
}

//! What a provider may do besides. A capability that [`export_provider!`](crate::export_provider) does not name is not
//! exported, and the broker takes it as unsupported.

use crate::{Failure, Pairs, Provider, Secret, Tokens, standard};

/// Refreshing access tokens (RFC 6749 section 6).
pub trait Refresh: Provider {
    /// Uses a refresh token at the endpoint `token`. The standard leaves `scopes` (those of the grant) out of the
    /// request: the server then keeps what was granted. `notes` are those of [`Tokens`] at the last call.
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
    /// # Errors
    /// What the server answered, after [`explain`](Provider::explain).
    fn start(scopes: &[String]) -> Result<(Secret, Pairs), Failure> {
        standard::start_device::<Self>(scopes)
    }

    /// One poll, at the endpoint `token`. Fails with `authorization_pending` or `slow_down` while the person has not
    /// finished.
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
    /// # Errors
    /// What the server answered.
    fn mint(parent: Option<&Secret>, scopes: &[String], parameters: &[(String, String)]) -> Result<Tokens, Failure>;
}

//! What a provider may do besides. A capability that [`export_provider!`](crate::export_provider) does not name is not
//! exported, and the broker takes it as unsupported.

use crate::{Failure, Provider, Secret, Tokens, standard};

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

//! Whether a login may take a name that is in use: only where it is the same login again.

use crate::error::{Code, Error, Result};
use crate::providers::Provider;
use crate::secret::SecretName;
use crate::vault::{Account, Record, Stored};

/// Whose login is to take a name.
#[derive(Clone, Copy)]
pub(super) enum Whose<'a> {
    /// Nobody has signed in yet.
    NotKnownYet,
    /// No id_token says.
    Unknown,
    /// A verified id_token says.
    Known(&'a Account),
}

/// A secret of another kind, provider or account is never replaced.
pub(super) fn may_replace(
    name: &SecretName,
    old: Option<&Record>,
    provider: &Provider,
    client_id: &str,
    whose: Whose<'_>,
) -> Result<()> {
    let conflict = |what: String| {
        Err(Error::new(
            Code::Conflict,
            what,
            format!("Use another secret_name, or delete \"{name}\" first with delete_secret if it is no longer needed."),
        ))
    };
    let Some(old) = old else { return Ok(()) };
    match &old.stored {
        Stored::Static(_) => conflict(format!("\"{name}\" is a stored value; a login does not replace it.")),
        Stored::Grant(grant) if !provider.owns(&grant.lineage) => {
            conflict(format!("\"{name}\" is a login with {}.", grant.provider))
        }
        Stored::Grant(grant) if grant.client_id != client_id => {
            conflict(format!("\"{name}\" is a login of another OAuth client with {}.", grant.provider))
        }
        Stored::Grant(grant) => match (&grant.account, whose) {
            (Some(old), Whose::Known(new)) if (&old.issuer, &old.subject) != (&new.issuer, &new.subject) => {
                conflict(format!("\"{name}\" is the login of another account."))
            }
            (Some(_), Whose::Unknown) => conflict(format!(
                "\"{name}\" is the login of a known account; without an id_token, for which the scope openid asks, nobody can tell whether this is the same one."
            )),
            _ => Ok(()),
        },
    }
}

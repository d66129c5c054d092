//! Whether a login may take a name that is in use: only where it is the same login again.

use crate::error::{Code, Error, Result, foreign};
use crate::providers::Provider;
use crate::secret::SecretName;
use crate::vault::{Account, Record, Stored, Vouched};

/// Whose login is to take a name.
#[derive(Clone, Copy)]
pub(super) enum Whose<'a> {
    /// Nobody has signed in yet.
    NotKnownYet,
    /// Neither an id_token nor the component says.
    Unknown,
    /// A verified id_token says, or the component.
    Known(&'a Account),
}

/// A login that is to take a name.
#[derive(Clone, Copy)]
pub(super) struct Newcomer<'a> {
    pub(super) provider: &'a Provider,
    pub(super) client_id: &'a str,
    /// Whether a person said that it shall replace another account's login, or another client's.
    pub(super) replace: bool,
}

/// A secret of another kind or provider is never replaced; one of another account or client only where a person says so.
pub(super) fn may_replace(name: &SecretName, old: Option<&Record>, new: Newcomer<'_>, whose: Whose<'_>) -> Result<()> {
    let Some(old) = old else { return Ok(()) };
    let taken = |what: String| {
        let hint = format!("Use another secret_name, or delete \"{name}\" first with delete_secret if it is no longer needed.");
        Err(Error::new(Code::Conflict, what, hint))
    };
    let grant = match &old.stored {
        Stored::Static(_) => return taken(format!("\"{name}\" is a stored value; a login does not replace it.")),
        Stored::Grant(grant) if !new.provider.owns(&grant.lineage) => {
            return taken(format!("\"{name}\" is a login with {}.", grant.provider));
        }
        Stored::Grant(_) if new.replace => return Ok(()),
        Stored::Grant(grant) => grant,
    };
    let other = |what: String| {
        let hint = format!(
            "Use another secret_name for it. Only a person can replace the login: mcp-credentials-broker login {} --name {name} --replace.",
            grant.provider
        );
        Err(Error::new(Code::Conflict, what, hint))
    };
    if grant.client_id != new.client_id {
        return other(format!("\"{name}\" is a login of another OAuth client with {}.", grant.provider));
    }
    match (&grant.account, whose) {
        (Some(old), Whose::Known(new)) if !same(old, new) => {
            let whose = old.label.as_deref().map_or_else(String::new, |label| format!(", {}", foreign(label)));
            other(format!("\"{name}\" is the login of another account{whose}."))
        }
        (Some(old), Whose::Unknown) => {
            let ask = match old.vouched {
                Vouched::IdToken => "without an id_token, for which the scope openid asks, nobody can tell",
                Vouched::Component => "the provider did not say",
            };
            other(format!("\"{name}\" is the login of a known account; {ask} whether this is the same one."))
        }
        _ => Ok(()),
    }
}

/// Whether two accounts of one provider are one. What a component said, a verified id_token may confirm; a component's
/// word never stands for what an id_token said.
fn same(old: &Account, new: &Account) -> bool {
    // Google writes its issuer with and without the scheme
    let bare = |issuer: &str| issuer.strip_prefix("https://").unwrap_or(issuer).to_owned();
    let vouched = match (old.vouched, new.vouched) {
        (Vouched::Component, _) => true,
        (Vouched::IdToken, Vouched::IdToken) => bare(&old.issuer) == bare(&new.issuer),
        (Vouched::IdToken, Vouched::Component) => false,
    };
    vouched && old.subject == new.subject
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(issuer: &str, subject: &str, vouched: Vouched) -> Account {
        Account { issuer: issuer.to_owned(), subject: subject.to_owned(), label: None, vouched }
    }

    #[test]
    fn an_id_token_confirms_a_component_and_a_component_never_an_id_token() {
        let (token, word) = (Vouched::IdToken, Vouched::Component);
        let verified = account("https://accounts.google.com", "1", token);
        let said = account("embedded:google", "1", word);
        assert!(same(&verified, &account("accounts.google.com", "1", token)));
        assert!(same(&said, &verified) && !same(&verified, &said) && same(&said, &said.clone()));
        for other in [account("https://accounts.google.com", "2", token), account("https://evil.example", "1", token)] {
            assert!(!same(&verified, &other), "{other:?}");
        }
        assert!(!same(&said, &account("embedded:google", "2", word)));
        assert!(!same(&said, &account("https://accounts.google.com", "2", token)));
    }
}

//! Whose login it is, where no id_token says: the component's word, kept as that. And how a person who signs in again is
//! spared to name the account.

use super::failure::{During, explain};
use crate::descriptor::Descriptor;
use crate::error::is_deceptive;
use crate::sandbox::{Context, Prepared};
use crate::secret::Secret;
use crate::vault::{Account, Grant, Vouched};

/// The longest subject, in characters.
const MAX_SUBJECT: usize = 255;
/// The longest label, in characters.
const MAX_LABEL: usize = 100;
/// Parameters that a table may name for the account.
const HINTS: [&str; 2] = ["login_hint", "login"];

/// Asks the component. What it cannot tell is no reason to refuse a login: `None`.
pub(super) async fn ask(
    prepared: &Prepared,
    context: &Context,
    lineage: String,
    access: &Secret,
    notes: &[(String, String)],
) -> Option<Account> {
    match prepared.account(context, access.clone(), notes).await {
        Ok(pairs) => read(lineage, &pairs?),
        Err(failed) => {
            let provider = context.descriptor.name.as_str();
            tracing::warn!(provider, "{}", explain(&context.descriptor.title, During::Account, failed));
            None
        }
    }
}

/// The account that these pairs name, as the word of the component of that lineage.
fn read(lineage: String, pairs: &[(String, String)]) -> Option<Account> {
    let get = |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let sound = |text: &&str| {
        !text.is_empty() && text.chars().count() <= MAX_SUBJECT && !text.chars().any(|c| is_deceptive(c) || c.is_whitespace())
    };
    let subject = get("id").filter(sound)?.to_owned();
    let label = get("email").or_else(|| get("name")).map(label).filter(|label| !label.is_empty());
    Some(Account { issuer: lineage, subject, label, vouched: Vouched::Component })
}

/// Somebody's name for an account, fit to be shown.
pub(super) fn label(text: &str) -> String {
    text.chars().filter(|c| !is_deceptive(*c)).take(MAX_LABEL).collect()
}

/// The parameter that names the account of an old login, where the provider takes one and the label is what people sign
/// in with.
pub(super) fn hint(descriptor: &Descriptor, old: &Grant) -> Option<(String, String)> {
    let parameter = descriptor.login_hint.clone().filter(|name| HINTS.contains(&name.as_str()))?;
    let label = old.account.as_ref()?.label.clone()?;
    let can_be_typed = !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_graphic());
    can_be_typed.then_some((parameter, label))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pairs: &[(&str, &str)]) -> Option<Account> {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        read("embedded:github".to_owned(), &pairs)
    }

    #[test]
    fn a_component_tells_a_stable_id_and_a_name_for_people() {
        let account = told(&[("id", "583231"), ("name", "octocat")]).unwrap();
        assert_eq!((account.issuer.as_str(), account.subject.as_str()), ("embedded:github", "583231"));
        assert_eq!((account.label.as_deref(), account.vouched), (Some("octocat"), Vouched::Component));
        let account = told(&[("id", "1"), ("name", "octo\u{202e}cat"), ("email", "o@example.test")]).unwrap();
        assert_eq!(account.label.as_deref(), Some("o@example.test"));
        assert_eq!(told(&[("id", "1"), ("name", "octo\u{202e}cat")]).unwrap().label.as_deref(), Some("octocat"));
        assert!(told(&[("id", "1")]).unwrap().label.is_none());
    }

    #[test]
    fn what_names_nobody_is_no_account() {
        let long = "x".repeat(300);
        for id in ["", " ", "a b", "a\u{200b}", long.as_str()] {
            assert!(told(&[("id", id), ("name", "n")]).is_none(), "{id:?}");
        }
        assert!(told(&[("name", "n")]).is_none());
    }
}

//! The redactor of everything that this broker knows to be secret.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::broker::Broker;
use crate::descriptor::settings::Settings;
use crate::error::{Error, Result};
use crate::redaction::Redactor;
use crate::secret::{Secret, SecretName};
use crate::vault::{Record, Stored, Vault};

/// How many values are remembered that were spent and may be gone from the vault by now, such as tokens that a refresh
/// replaced.
const RECENT: usize = 64;

/// Secrets that are not in the vault, and the redactor made last.
#[derive(Debug, Default)]
pub struct Known(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Secret settings of providers, by a name for people.
    settings: BTreeMap<SecretName, Secret>,
    recent: VecDeque<(SecretName, Secret)>,
    /// Counts what was added to either.
    additions: u64,
    made: Option<Made>,
}

/// A redactor, and what it was made of: the vault after so many writes, and what was added so far.
#[derive(Debug)]
struct Made {
    writes: u64,
    additions: u64,
    redactor: Redactor,
}

impl Known {
    /// Remembers the secret settings that a provider was used with.
    pub fn add_settings(&self, provider: &str, settings: &Settings) {
        settings.named_secrets().for_each(|(setting, secret)| self.add_setting(&format!("{provider}:{setting}"), secret));
    }

    /// Remembers one secret setting, under a name for people.
    pub fn add_setting(&self, name: &str, secret: &Secret) {
        let Ok(name) = SecretName::parse(name) else { return };
        let mut inner = self.lock();
        if inner.settings.get(&name).is_none_or(|old| old.expose() != secret.expose()) {
            inner.settings.insert(name, secret.clone());
            inner.additions += 1;
        }
    }

    /// Remembers a value that is about to be spent.
    pub fn add_spent(&self, name: &SecretName, value: &Secret) {
        let mut inner = self.lock();
        if inner.recent.iter().any(|(_, known)| known.expose() == value.expose()) {
            return;
        }
        if inner.recent.len() == RECENT {
            inner.recent.pop_front();
        }
        inner.recent.push_back((name.clone(), value.clone()));
        inner.additions += 1;
    }

    /// Everything that it knows and that may not rest in the vault.
    pub(in crate::broker) fn beside_the_vault(&self) -> Vec<(SecretName, Secret)> {
        self.lock().beside().map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// With what rests in the vault; read and made anew only where something has changed.
    fn redactor(&self, vault: &dyn Vault) -> Result<Redactor> {
        // Asked first: what is written meanwhile is read again the next time.
        let writes = vault.writes()?;
        if let Some(redactor) = self.lock().made_of(writes) {
            return Ok(redactor);
        }
        // Not under the lock: whoever spends a value waits for that, and the vault may take its time.
        let records = vault.list()?;
        let mut inner = self.lock();
        let resting = records.iter().flat_map(|(name, record)| values(record).into_iter().map(move |value| (name, value)));
        let redactor = Redactor::new(resting.chain(inner.beside()));
        inner.made = Some(Made { writes, additions: inner.additions, redactor: redactor.clone() });
        Ok(redactor)
    }

    /// Without a look at the vault: what was known at the last look, and what is known beside it now.
    fn redactors_without(&self) -> Vec<Redactor> {
        let inner = self.lock();
        let last = inner.made.as_ref().map(|made| made.redactor.clone());
        last.into_iter().chain([Redactor::new(inner.beside())]).collect()
    }
}

impl Inner {
    /// The one that was made last, if nothing has changed since.
    fn made_of(&self, writes: u64) -> Option<Redactor> {
        let made = self.made.as_ref().filter(|made| made.additions == self.additions && made.writes == writes);
        made.map(|made| made.redactor.clone())
    }

    fn beside(&self) -> impl Iterator<Item = (&SecretName, &Secret)> {
        self.settings.iter().chain(self.recent.iter().map(|(name, value)| (name, value)))
    }
}

/// Every value of a record that must not be shown.
fn values(record: &Record) -> Vec<&Secret> {
    match &record.stored {
        Stored::Static(value) => vec![value],
        Stored::Grant(grant) => std::iter::once(&grant.access).chain(&grant.refresh).collect(),
    }
}

impl Broker {
    /// Takes every value that this broker knows to be secret out of text: what rests in the vault, secret settings of the
    /// providers used so far, and values spent lately.
    ///
    /// # Errors
    /// What is wrong with the vault.
    pub fn redactor(&self) -> Result<Redactor> {
        self.known.redactor(&*self.vault)
    }

    /// An error as an agent may see it: somebody else's text in it may hold a secret.
    #[must_use]
    pub fn redacted(&self, error: Error) -> Error {
        // Where the vault cannot be read, nothing can be in the text that was not known at the last look.
        let whole = if self.vault.is_ready() { self.known.redactor(&*self.vault).ok() } else { None };
        let redactors = whole.map_or_else(|| self.known.redactors_without(), |whole| vec![whole]);
        let knowing = redactors.into_iter().filter(|redactor| !redactor.is_empty());
        knowing.fold(error, |error, redactor| error.map_text(|text| redactor.redact_text(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::Memory;

    fn put(vault: &Memory, value: &str) {
        let name = SecretName::parse("a").unwrap();
        vault.put(&name, Stored::Static(Secret::from(value)), BTreeMap::new(), &mut |_| Ok(())).unwrap();
    }

    #[test]
    fn what_is_stored_spent_or_set_is_known_from_then_on() {
        let (known, vault) = (Known::default(), Memory::default());
        let shown = |text: &str| known.redactor(&vault).unwrap().redact_text(text);
        put(&vault, "old-value");
        assert_eq!(shown("old-value new-value"), "[secret:a] new-value");
        put(&vault, "new-value");
        assert_eq!(shown("old-value new-value"), "old-value [secret:a]");
        known.add_spent(&SecretName::parse("b").unwrap(), &Secret::from("old-value"));
        assert_eq!(shown("old-value new-value"), "[secret:b] [secret:a]");
        vault.delete(&SecretName::parse("a").unwrap()).unwrap();
        assert_eq!(shown("old-value new-value"), "[secret:b] new-value");

        let (known, vault) = (Known::default(), Memory::default());
        put(&vault, "old-value");
        known.redactor(&vault).unwrap();
        known.add_spent(&SecretName::parse("b").unwrap(), &Secret::from("new-value"));
        let without = |text: &str| known.redactors_without().iter().fold(text.to_owned(), |text, some| some.redact_text(&text));
        assert_eq!(without("old-value new-value"), "[secret:a] [secret:b]", "though nobody looks at the vault");
    }

    #[test]
    fn nothing_is_read_or_made_anew_where_nothing_has_changed() {
        let (known, vault) = (Known::default(), Memory::default());
        put(&vault, "a-first-value");
        let first = known.redactor(&vault).unwrap();
        assert!(known.redactor(&vault).unwrap().is_same(&first));
        put(&vault, "another-value");
        assert!(!known.redactor(&vault).unwrap().is_same(&first));
    }
}

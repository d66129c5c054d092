//! The redactor of everything that this broker knows to be secret.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::broker::Broker;
use crate::descriptor::settings::Settings;
use crate::error::{Error, Result};
use crate::redaction::Redactor;
use crate::secret::{Secret, SecretName};
use crate::vault::{Record, Revision, Stored};

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

/// A redactor, and what it was made of.
#[derive(Debug)]
struct Made {
    records: Vec<(SecretName, Revision)>,
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
        let inner = self.lock();
        let settings = inner.settings.iter().map(|(name, value)| (name.clone(), value.clone()));
        settings.chain(inner.recent.iter().cloned()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// With what rests in the vault; made anew only where something has changed.
    fn redactor(&self, records: &[(SecretName, Record)]) -> Redactor {
        let mut inner = self.lock();
        let same = |((name, revision), (other, record)): (&(SecretName, Revision), &(SecretName, Record))| {
            name == other && *revision == record.revision
        };
        let fits = |made: &&Made| {
            made.additions == inner.additions && made.records.len() == records.len() && made.records.iter().zip(records).all(same)
        };
        if let Some(made) = inner.made.as_ref().filter(fits) {
            return made.redactor.clone();
        }
        let resting = records.iter().flat_map(|(name, record)| values(record).into_iter().map(move |value| (name, value)));
        let others = inner.settings.iter().chain(inner.recent.iter().map(|(name, value)| (name, value)));
        let redactor = Redactor::new(resting.chain(others));
        let records = records.iter().map(|(name, record)| (name.clone(), record.revision)).collect();
        inner.made = Some(Made { records, additions: inner.additions, redactor: redactor.clone() });
        redactor
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
        Ok(self.known.redactor(&self.vault.list()?))
    }

    /// An error as an agent may see it: somebody else's text in it may hold a secret.
    #[must_use]
    pub fn redacted(&self, error: Error) -> Error {
        // Where the vault cannot be read, nothing of it can be in the text.
        let records = if self.vault.is_ready() { self.vault.list().unwrap_or_default() } else { Vec::new() };
        let redactor = self.known.redactor(&records);
        if redactor.is_empty() { error } else { error.map_text(|text| redactor.redact_text(text)) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::vault::Generation;

    fn record(value: &str, revision: u64) -> (SecretName, Record) {
        let record = Record {
            stored: Stored::Static(Secret::from(value)),
            tags: BTreeMap::new(),
            generation: Generation(1),
            revision: Revision(revision),
            created: SystemTime::now(),
        };
        (SecretName::parse("a").unwrap(), record)
    }

    #[test]
    fn what_is_stored_spent_or_set_is_known_from_then_on() {
        let known = Known::default();
        let shown = |records: &[_], text: &str| known.redactor(records).redact_text(text);
        assert_eq!(shown(&[record("old-value", 1)], "old-value new-value"), "[secret:a] new-value");
        assert_eq!(shown(&[record("new-value", 2)], "old-value new-value"), "old-value [secret:a]");
        known.add_spent(&SecretName::parse("b").unwrap(), &Secret::from("old-value"));
        assert_eq!(shown(&[record("new-value", 2)], "old-value new-value"), "[secret:b] [secret:a]");
    }
}

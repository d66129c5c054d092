//! Where secrets rest. In memory: nothing is on disk that nobody asked for.
//!
//! Every write gives the record a new generation number. A reference remembers the generation it was issued for, so an
//! overwrite ends it; a refresh of the same login keeps the generation.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::descriptor::Ttl;
use crate::error::{Code, Error, Result};
use crate::secret::{Secret, SecretName};

/// The most secrets that the memory holds.
pub const MAX_SECRETS: usize = 100_000;
/// The most that all values together may take, in bytes.
pub const MAX_TOTAL_BYTES: usize = 256 << 20;

/// A number that changes whenever a name gets another value or login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Generation(u64);

/// What stands behind a name.
#[derive(Debug, Clone)]
pub struct Record {
    /// The value or login.
    pub stored: Stored,
    /// What the caller wrote beside it.
    pub tags: BTreeMap<String, String>,
    /// Which value this is.
    pub generation: Generation,
    /// When it was first stored under this generation.
    pub created: SystemTime,
}

/// A value, or a login.
#[derive(Debug, Clone)]
pub enum Stored {
    /// A value that somebody handed over.
    Static(Secret),
    /// A token set that a person authorized.
    Grant(Arc<Grant>),
}

/// A token set that a person authorized.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The provider's name, for people.
    pub provider: String,
    /// Whose login it is: `embedded:github` or `plugin:acme:DIGEST`.
    pub lineage: String,
    /// The OAuth client it was issued to.
    pub client_id: String,
    /// The issuer, if the provider names one.
    pub issuer: Option<String>,
    /// What `resolve` gave when the person signed in: a refresh goes to these endpoints and no others.
    pub resolved: Arc<BTreeMap<String, String>>,
    /// The account, if an id_token that was verified says.
    pub account: Option<Account>,
    /// The access token.
    pub access: Secret,
    /// The refresh token. It never leaves the broker but to the provider.
    pub refresh: Option<Secret>,
    /// Scopes that were granted.
    pub scopes: Vec<String>,
    /// When the access token was issued.
    pub issued: SystemTime,
    /// When the access token ends; not known: none was told.
    pub expires: Option<SystemTime>,
    /// Lifetimes that the provider allows its references.
    pub ttl: Ttl,
    /// What the component asked to remember.
    pub notes: Vec<(String, String)>,
    /// Why only a new login helps, once that is known.
    pub ended: Option<String>,
}

/// An account at a provider (OpenID Connect Core 1.0 section 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The issuer.
    pub issuer: String,
    /// The subject: stable, and unique at the issuer.
    pub subject: String,
    /// A name for people: e-mail address or user name.
    pub label: Option<String>,
}

/// The memory vault.
#[derive(Debug, Default)]
pub struct Vault(Mutex<Records>);

#[derive(Debug, Default)]
struct Records {
    by_name: HashMap<SecretName, Record>,
    bytes: usize,
    generations: u64,
}

impl Vault {
    /// The record of that name.
    #[must_use]
    pub fn get(&self, name: &SecretName) -> Option<Record> {
        self.lock().by_name.get(name).cloned()
    }

    /// The generation behind a name, without copying the rest.
    #[must_use]
    pub fn generation(&self, name: &SecretName) -> Option<Generation> {
        self.lock().by_name.get(name).map(|record| record.generation)
    }

    /// Every record, in the order of the names.
    #[must_use]
    pub fn list(&self) -> Vec<(SecretName, Record)> {
        let mut all: Vec<_> = self.lock().by_name.iter().map(|(name, record)| (name.clone(), record.clone())).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().by_name.len()
    }

    /// Stores under a name, if `allowed` agrees to what stands there now. Check and write are one step.
    ///
    /// # Errors
    /// What `allowed` says; `limit` where the memory is full, and then nothing has changed.
    pub fn put(
        &self,
        name: &SecretName,
        stored: Stored,
        tags: BTreeMap<String, String>,
        allowed: impl FnOnce(Option<&Record>) -> Result<()>,
    ) -> Result<Generation> {
        let mut records = self.lock();
        let old = records.by_name.get(name);
        allowed(old)?;
        let bytes = records.bytes - old.map_or(0, Record::bytes);
        let record = Record { stored, tags, generation: Generation(records.generations + 1), created: SystemTime::now() };
        let full = (old.is_none() && records.by_name.len() >= MAX_SECRETS) || bytes + record.bytes() > MAX_TOTAL_BYTES;
        if full {
            return Err(Error::new(
                Code::Limit,
                format!("The broker holds {MAX_SECRETS} secrets or {} MiB already.", MAX_TOTAL_BYTES >> 20),
                "Delete secrets that are no longer needed with delete_secret.",
            ));
        }
        records.generations += 1;
        records.bytes = bytes + record.bytes();
        let generation = record.generation;
        records.by_name.insert(name.clone(), record);
        Ok(generation)
    }

    /// Puts a refreshed login in the place of the one of that generation; false where that is gone.
    pub fn refresh(&self, name: &SecretName, generation: Generation, grant: Arc<Grant>) -> bool {
        let mut records = self.lock();
        let Some(record) = records.by_name.get_mut(name).filter(|record| record.generation == generation) else { return false };
        let before = record.bytes();
        record.stored = Stored::Grant(grant);
        let after = record.bytes();
        records.bytes = records.bytes - before + after;
        true
    }

    /// Forgets a name; false where there was nothing.
    pub fn delete(&self, name: &SecretName) -> bool {
        let mut records = self.lock();
        let Some(record) = records.by_name.remove(name) else { return false };
        records.bytes -= record.bytes();
        true
    }

    fn lock(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn bytes(&self) -> usize {
        let value = match &self.stored {
            Stored::Static(secret) => secret.len(),
            Stored::Grant(grant) => grant.access.len() + grant.refresh.as_ref().map_or(0, Secret::len),
        };
        value + self.tags.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SecretName {
        SecretName::parse(text).unwrap()
    }

    fn put(vault: &Vault, text: &str, value: &str) -> Generation {
        vault.put(&name(text), Stored::Static(Secret::from(value)), BTreeMap::new(), |_| Ok(())).unwrap()
    }

    #[test]
    fn every_write_is_another_generation() {
        let vault = Vault::default();
        let first = put(&vault, "a", "1");
        let second = put(&vault, "a", "2");
        assert!(second > first);
        assert!(vault.delete(&name("a")) && !vault.delete(&name("a")));
        assert!(put(&vault, "a", "3") > second, "a name that comes back is no old generation");
    }

    #[test]
    fn a_refused_write_changes_nothing() {
        let vault = Vault::default();
        let first = put(&vault, "a", "1");
        let no = |_: Option<&Record>| Err(Error::new(Code::Conflict, "no", ""));
        assert!(vault.put(&name("a"), Stored::Static(Secret::from("2")), BTreeMap::new(), no).is_err());
        assert_eq!(vault.generation(&name("a")), Some(first));
    }

    #[test]
    fn a_full_memory_refuses_the_new_and_keeps_the_old() {
        let vault = Vault::default();
        let big = "x".repeat(MAX_TOTAL_BYTES - 10);
        put(&vault, "big", &big);
        let error =
            vault.put(&name("more"), Stored::Static(Secret::from("0123456789ab")), BTreeMap::new(), |_| Ok(())).unwrap_err();
        assert_eq!(error.code(), Code::Limit);
        assert!(vault.get(&name("big")).is_some());
        put(&vault, "big", "small now");
        put(&vault, "more", "0123456789ab");
    }
}

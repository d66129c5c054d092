//! The vault of one process, gone with it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::{Allowed, Generation, Grant, Record, Revision, Stored, Tombstone, Turn, Vault};
use crate::error::{Code, Error, Result};
use crate::secret::{Secret, SecretName};

/// The most secrets that the memory holds.
pub const MAX_SECRETS: usize = 100_000;
/// The most that all values together may take, in bytes.
pub const MAX_TOTAL_BYTES: usize = 256 << 20;

/// The memory vault.
#[derive(Debug, Default)]
pub struct Memory {
    records: Mutex<Records>,
    turns: Arc<Mutex<HashSet<Generation>>>,
}

#[derive(Debug, Default)]
struct Records {
    by_name: HashMap<SecretName, Record>,
    tombstones: BTreeMap<String, Tombstone>,
    bytes: usize,
    writes: u64,
}

impl Vault for Memory {
    fn get(&self, name: &SecretName) -> Result<Option<Record>> {
        Ok(self.lock().by_name.get(name).cloned())
    }

    fn generation(&self, name: &SecretName) -> Result<Option<Generation>> {
        Ok(self.lock().by_name.get(name).map(|record| record.generation))
    }

    fn list(&self) -> Result<Vec<(SecretName, Record)>> {
        let mut all: Vec<_> = self.lock().by_name.iter().map(|(name, record)| (name.clone(), record.clone())).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(all)
    }

    fn count(&self) -> Result<usize> {
        Ok(self.lock().by_name.len())
    }

    fn writes(&self) -> Result<u64> {
        Ok(self.lock().writes)
    }

    fn put(
        &self,
        name: &SecretName,
        stored: Stored,
        tags: BTreeMap<String, String>,
        allowed: Allowed<'_>,
    ) -> Result<(Generation, Revision)> {
        let mut records = self.lock();
        let old = records.by_name.get(name);
        allowed(old)?;
        let bytes = records.bytes - old.map_or(0, Record::bytes);
        let write = records.writes + 1;
        let (generation, revision) = (Generation(write), Revision(write));
        let record = Record { stored, tags, generation, revision, created: SystemTime::now() };
        let full = (old.is_none() && records.by_name.len() >= MAX_SECRETS) || bytes + record.bytes() > MAX_TOTAL_BYTES;
        if full {
            return Err(Error::new(
                Code::Limit,
                format!("The broker holds {MAX_SECRETS} secrets or {} MiB already.", MAX_TOTAL_BYTES >> 20),
                "Delete secrets that are no longer needed with delete_secret.",
            ));
        }
        records.writes = write;
        records.bytes = bytes + record.bytes();
        records.by_name.insert(name.clone(), record);
        Ok((generation, revision))
    }

    fn replace(&self, name: &SecretName, expected: Revision, grant: Arc<Grant>) -> Result<Option<Revision>> {
        let mut records = self.lock();
        let write = records.writes + 1;
        let Some(record) = records.by_name.get_mut(name).filter(|record| record.revision == expected) else { return Ok(None) };
        let before = record.bytes();
        record.stored = Stored::Grant(grant);
        record.revision = Revision(write);
        let after = record.bytes();
        records.bytes = records.bytes - before + after;
        records.writes = write;
        Ok(Some(Revision(write)))
    }

    fn delete(&self, name: &SecretName) -> Result<Option<Record>> {
        Ok(self.lock().remove(name))
    }

    fn bury(&self, name: &SecretName, expected: Revision, tombstone: Tombstone) -> Result<bool> {
        let mut records = self.lock();
        if records.by_name.get(name).is_none_or(|record| record.revision != expected) {
            return Ok(false);
        }
        records.remove(name);
        records.tombstones.insert(tombstone.id.clone(), tombstone);
        Ok(true)
    }

    fn tombstones(&self) -> Result<Vec<Tombstone>> {
        Ok(self.lock().tombstones.values().cloned().collect())
    }

    fn settle(&self, id: &str, left: Option<Tombstone>) -> Result<()> {
        let mut records = self.lock();
        records.writes += 1;
        records.tombstones.remove(id);
        if let Some(left) = left {
            records.tombstones.insert(id.to_owned(), left);
        }
        Ok(())
    }

    fn try_turn(&self, generation: Generation) -> Result<Option<Turn>> {
        let free = self.turns.lock().unwrap_or_else(PoisonError::into_inner).insert(generation);
        Ok(free.then(|| Box::new(Held { turns: Arc::clone(&self.turns), generation }) as Turn))
    }
}

struct Held {
    turns: Arc<Mutex<HashSet<Generation>>>,
    generation: Generation,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.generation);
    }
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records {
    fn remove(&mut self, name: &SecretName) -> Option<Record> {
        let record = self.by_name.remove(name)?;
        self.writes += 1;
        self.bytes -= record.bytes();
        Some(record)
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

    fn put(vault: &Memory, text: &str, value: &str) -> Generation {
        vault.put(&name(text), Stored::Static(Secret::from(value)), BTreeMap::new(), &mut |_| Ok(())).unwrap().0
    }

    #[test]
    fn every_write_is_another_generation() {
        let vault = Memory::default();
        let first = put(&vault, "a", "1");
        let second = put(&vault, "a", "2");
        assert!(second > first);
        assert!(vault.delete(&name("a")).unwrap().is_some() && vault.delete(&name("a")).unwrap().is_none());
        assert!(put(&vault, "a", "3") > second, "a name that comes back is no old generation");
    }

    #[test]
    fn a_refused_write_changes_nothing() {
        let vault = Memory::default();
        let first = put(&vault, "a", "1");
        let mut no = |_: Option<&Record>| Err(Error::new(Code::Conflict, "no", ""));
        assert!(vault.put(&name("a"), Stored::Static(Secret::from("2")), BTreeMap::new(), &mut no).is_err());
        assert_eq!(vault.generation(&name("a")).unwrap(), Some(first));
    }

    #[test]
    fn a_full_memory_refuses_the_new_and_keeps_the_old() {
        let vault = Memory::default();
        let big = "x".repeat(MAX_TOTAL_BYTES - 10);
        put(&vault, "big", &big);
        let more = Stored::Static(Secret::from("0123456789ab"));
        let error = vault.put(&name("more"), more, BTreeMap::new(), &mut |_| Ok(())).unwrap_err();
        assert_eq!(error.code(), Code::Limit);
        assert!(vault.get(&name("big")).unwrap().is_some());
        put(&vault, "big", "small now");
        put(&vault, "more", "0123456789ab");
    }

    #[test]
    fn a_turn_is_one_holders_until_it_is_dropped() {
        let vault = Memory::default();
        let held = vault.try_turn(Generation(1)).unwrap();
        assert!(held.is_some() && vault.try_turn(Generation(1)).unwrap().is_none());
        assert!(vault.try_turn(Generation(2)).unwrap().is_some());
        drop(held);
        assert!(vault.try_turn(Generation(1)).unwrap().is_some());
    }
}

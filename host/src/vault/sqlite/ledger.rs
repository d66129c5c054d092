//! Which rows the vault has, so that none can be put back or taken away.
//!
//! A sealed record proves that it was written once, not that it is the last that was written. So the vault keeps a list of
//! digests, sealed as a whole together with its counter: a row belongs to one of 4096 buckets by its keyed name, and a
//! bucket's digest is over the name, generation and revision of each of its rows. Who puts an older row into its place, or
//! takes one away, would have to make the digest anew. Only the whole file of an earlier day is consistent in itself.

use std::collections::HashMap;

use super::failure::tampered;
use crate::error::Result;
use crate::vault::key::Keys;

/// The first bits of a keyed name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Bucket(u16);

impl Bucket {
    pub(super) fn of(lookup: &[u8; 32]) -> Self {
        Self(u16::from_be_bytes([lookup[0], lookup[1]]) >> 4)
    }

    /// The keyed names from the first of this bucket to before the first of the next.
    pub(super) fn range(self) -> (Vec<u8>, Vec<u8>) {
        let bytes = |bucket: u16| (bucket << 4).to_be_bytes().to_vec();
        let end = if self.0 == 0xfff { vec![0xff; 33] } else { bytes(self.0 + 1) };
        (bytes(self.0), end)
    }
}

/// What the ledger knows of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) lookup: [u8; 32],
    pub(super) kind: i64,
    pub(super) generation: i64,
    pub(super) revision: i64,
}

/// The digest of a bucket's rows, in the order of their keyed names; none for none.
pub(super) fn digest(keys: &Keys, rows: &[Entry]) -> Option<[u8; 16]> {
    let mut bytes = Vec::with_capacity(rows.len() * 56);
    for row in rows {
        bytes.extend_from_slice(&row.lookup);
        for number in [row.kind, row.generation, row.revision] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
    }
    (!rows.is_empty()).then(|| keys.digest(&bytes))
}

/// The ledger, unsealed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    /// The vault's counter: every write gets the next number.
    pub(super) counter: i64,
    /// How many rows of each kind there are.
    pub(super) counts: [i64; 2],
    /// The audit trail's end cannot be older than this.
    pub(super) audit_floor: i64,
    buckets: HashMap<Bucket, [u8; 16]>,
}

impl Ledger {
    /// One without rows, that goes on from another.
    pub(super) fn after(other: &Self) -> Self {
        Self { counter: other.counter + 1, audit_floor: other.audit_floor, ..Self::default() }
    }

    /// Whether the bucket has exactly these rows.
    pub(super) fn agrees(&self, keys: &Keys, bucket: Bucket, rows: &[Entry]) -> bool {
        digest(keys, rows) == self.buckets.get(&bucket).copied()
    }

    pub(super) fn set(&mut self, bucket: Bucket, digest: Option<[u8; 16]>) {
        match digest {
            Some(digest) => drop(self.buckets.insert(bucket, digest)),
            None => drop(self.buckets.remove(&bucket)),
        }
    }

    /// How many buckets have rows.
    pub(super) fn filled(&self) -> usize {
        self.buckets.len()
    }

    pub(super) fn seal(&self, keys: &Keys) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(32 + self.buckets.len() * 18);
        for number in [self.counts[0], self.counts[1], self.audit_floor] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        for (bucket, digest) in &self.buckets {
            bytes.extend_from_slice(&bucket.0.to_be_bytes());
            bytes.extend_from_slice(digest);
        }
        keys.seal(&[b"ledger", &self.counter.to_be_bytes()], &bytes)
    }

    pub(super) fn unseal(keys: &Keys, counter: i64, sealed: &[u8]) -> Result<Self> {
        let wrong = || tampered("its list of records does not belong to it");
        let bytes = keys.unseal(&[b"ledger", &counter.to_be_bytes()], sealed).ok_or_else(wrong)?;
        let (numbers, rest) = bytes.split_at_checked(24).ok_or_else(wrong)?;
        let number = |at: usize| numbers[at..].first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes));
        let mut buckets = HashMap::with_capacity(rest.len() / 18);
        for entry in rest.chunks_exact(18) {
            let mut digest = [0; 16];
            digest.copy_from_slice(&entry[2..]);
            buckets.insert(Bucket(u16::from_be_bytes([entry[0], entry[1]])), digest);
        }
        Ok(Self { counter, counts: [number(0), number(8)], audit_floor: number(16), buckets })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::key::Key;

    fn keys() -> Keys {
        Keys::new(&Key::random().unwrap(), b"v", 1).unwrap()
    }

    #[test]
    fn every_keyed_name_lies_in_the_range_of_its_bucket_and_no_other() {
        for (first, second) in [(0, 0), (0, 0x0f), (0, 0x10), (0x12, 0x34), (0xff, 0xef), (0xff, 0xf0), (0xff, 0xff)] {
            for rest in [0, 0xff] {
                let mut lookup = [rest; 32];
                (lookup[0], lookup[1]) = (first, second);
                let bucket = Bucket::of(&lookup);
                let holding: Vec<u16> = (0..4096)
                    .filter(|bucket| {
                        let (from, to) = Bucket(*bucket).range();
                        lookup.as_slice() >= from.as_slice() && lookup.as_slice() < to.as_slice()
                    })
                    .collect();
                assert_eq!(holding, [bucket.0], "{lookup:?}");
            }
        }
    }

    #[test]
    fn the_ledger_comes_back_as_it_went_and_under_its_counter_only() {
        let keys = keys();
        let mut ledger = Ledger { counter: 9, counts: [3, 1], audit_floor: 5, ..Ledger::default() };
        let row = Entry { lookup: [7; 32], kind: 0, generation: 1, revision: 2 };
        ledger.set(Bucket::of(&row.lookup), digest(&keys, &[row]));
        let sealed = ledger.seal(&keys).unwrap();
        assert_eq!(Ledger::unseal(&keys, 9, &sealed).unwrap(), ledger);
        assert!(Ledger::unseal(&keys, 8, &sealed).is_err());
    }

    #[test]
    fn a_bucket_agrees_with_its_very_rows_only() {
        let keys = keys();
        let mut ledger = Ledger::default();
        let row = Entry { lookup: [7; 32], kind: 0, generation: 1, revision: 2 };
        let bucket = Bucket::of(&row.lookup);
        ledger.set(bucket, digest(&keys, &[row]));
        assert!(ledger.agrees(&keys, bucket, &[row]));
        for rows in [vec![], vec![row, row], vec![Entry { revision: 1, ..row }], vec![Entry { kind: 1, ..row }]] {
            assert!(!ledger.agrees(&keys, bucket, &rows), "{rows:?}");
        }
        ledger.set(bucket, None);
        assert!(ledger.agrees(&keys, bucket, &[]) && !ledger.agrees(&keys, bucket, &[row]));
    }
}

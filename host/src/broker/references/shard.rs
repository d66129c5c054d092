//! A part of all references: those whose ids begin with the same byte.
//!
//! A table that grows is moved as a whole, which for a million entries is a pause that somebody waits through. So there
//! are many small tables, and what one call moves is a part of a percent.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use uuid::Uuid;

use super::Reference;
use super::shared::{NONE, Number, Shared};
use crate::broker::spending::limits::Limits;
use crate::broker::ttl::{Deadline, Packed};
use crate::secret::SecretName;
use crate::vault::Generation;

/// The bytes of an id: they need no alignment.
type Id = [u8; 16];

/// A reference as it is kept.
#[derive(Debug)]
struct Entry {
    name: Number,
    purpose: Number,
    /// `NONE`: unlimited.
    limits: Number,
    uses: u32,
    generation: Generation,
    deadline: Packed,
}

#[derive(Debug, Default)]
pub(super) struct Shard {
    by_id: HashMap<Id, Entry>,
    /// The end of each, in nanoseconds since the table began: the soonest first.
    by_end: BinaryHeap<Reverse<(u64, Id)>>,
    names: Shared<str>,
    purposes: Shared<str>,
    limits: Shared<Limits>,
}

impl Shard {
    /// Keeps a reference, and says how many bytes came with it that were not here yet.
    pub(super) fn insert(&mut self, id: Uuid, reference: &Reference, began: Instant) -> usize {
        let (name, _) = self.names.add(reference.name.shared());
        let (purpose, new) = self.purposes.add(&reference.purpose);
        let mut bytes = if new { reference.purpose.len() } else { 0 };
        let mut limits = NONE;
        if *reference.limits != Limits::default() {
            let (number, new) = self.limits.add(&reference.limits);
            limits = number;
            bytes += if new { reference.limits.bytes() } else { 0 };
        }
        let deadline = reference.deadline.packed(began);
        let uses = u32::try_from(reference.uses).unwrap_or(u32::MAX);
        let entry = Entry { name, purpose, limits, uses, generation: reference.generation, deadline };
        self.by_end.push(Reverse((deadline.steady, id.into_bytes())));
        self.by_id.insert(id.into_bytes(), entry);
        bytes
    }

    pub(super) fn get(&self, id: Uuid, began: Instant, unlimited: &Arc<Limits>) -> Option<Reference> {
        self.unfolded(self.by_id.get(id.as_bytes())?, began, unlimited)
    }

    /// Counts one use, and says how many there were with it; how many there may be, where that is over.
    pub(super) fn use_up(&mut self, id: Uuid) -> Option<Result<u64, u64>> {
        let entry = self.by_id.get_mut(id.as_bytes())?;
        let most = self.limits.get(entry.limits).and_then(|limits| limits.max_uses);
        Some(match most {
            Some(most) if u64::from(entry.uses) >= most => Err(most),
            _ => {
                entry.uses = entry.uses.saturating_add(1);
                Ok(u64::from(entry.uses))
            }
        })
    }

    /// Lets go of those that ended before then, `most` at a time. Says how many those were, and how many bytes went with them.
    pub(super) fn sweep(&mut self, ended_before: u64, most: usize) -> (usize, usize) {
        let (mut count, mut bytes) = (0, 0);
        while let Some(Reverse((end, id))) = self.by_end.peek() {
            if *end > ended_before || count == most {
                break;
            }
            if let Some(entry) = self.by_id.remove(id) {
                self.names.remove(entry.name);
                bytes += self.purposes.remove(entry.purpose).map_or(0, |purpose| purpose.len());
                bytes += self.limits.remove(entry.limits).map_or(0, |limits| limits.bytes());
                count += 1;
            }
            self.by_end.pop();
        }
        (count, bytes)
    }

    pub(super) fn all(&self, began: Instant, unlimited: &Arc<Limits>) -> impl Iterator<Item = Reference> {
        self.by_id.values().filter_map(move |entry| self.unfolded(entry, began, unlimited))
    }

    fn unfolded(&self, entry: &Entry, began: Instant, unlimited: &Arc<Limits>) -> Option<Reference> {
        Some(Reference {
            name: SecretName::of_shared(self.names.get(entry.name)?),
            generation: entry.generation,
            deadline: Deadline::unpacked(entry.deadline, began),
            purpose: Arc::clone(self.purposes.get(entry.purpose)?),
            limits: Arc::clone(self.limits.get(entry.limits).unwrap_or(unlimited)),
            uses: u64::from(entry.uses),
        })
    }
}

/// What a hash table of that capacity has allocated: a power of two of places, one in eight of which stays empty.
#[cfg(test)]
pub(super) fn table(capacity: usize, entry: usize) -> usize {
    if capacity == 0 { 0 } else { (capacity * 8 / 7).next_power_of_two() * (entry + 1) + 16 }
}

#[cfg(test)]
impl Shard {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// How many entries are moved where the largest of its tables grows.
    pub(super) fn largest(&self) -> usize {
        self.by_id.capacity().max(self.by_end.capacity())
    }

    /// What it has allocated, in bytes.
    pub(super) fn allocated(&self) -> usize {
        // an `Arc` has two counts before the value
        let texts = self.names.values().chain(self.purposes.values()).map(|text| (text.len() + 16).next_multiple_of(16));
        table(self.by_id.capacity(), size_of::<(Id, Entry)>())
            + self.by_end.capacity() * size_of::<Reverse<(u64, Id)>>()
            + self.names.allocated()
            + self.purposes.allocated()
            + self.limits.allocated()
            + texts.sum::<usize>()
    }
}

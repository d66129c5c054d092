//! References: short-lived ids that stand for a secret.
//!
//! A reference is bound to the generation of what it stands for: a refresh keeps it, an overwrite, a new login or a
//! deletion ends it. There is no timer: what has expired is swept out when new ones come, a few at a time, so that no call
//! does the work of all. What each of them keeps is small, and what it has in common with others is kept once.

mod shard;
mod shared;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::spending::limits::Limits;
use super::ttl::Deadline;
use crate::error::{Code, Error, Result};
use crate::secret::SecretName;
use crate::vault::Generation;
use shard::Shard;

/// The most references that are alive at once.
pub const MAX: usize = 1_000_000;
/// What the purposes and limits of all of them may take, in bytes.
const MAX_BYTES: usize = 256 << 20;
/// How long an expired reference is remembered, so that the answer can say that it expired.
const REMEMBERED: Duration = Duration::from_secs(600);
/// In how many parts they are kept.
const SHARDS: usize = 256;
/// How many of a part are swept out by one call: more than come, so that they do not pile up.
const SWEPT: usize = 4;

/// A live reference.
#[derive(Debug, Clone)]
pub struct Reference {
    /// What it stands for.
    pub name: SecretName,
    /// Which value or login of that name.
    pub generation: Generation,
    /// When it ends.
    pub deadline: Deadline,
    /// What it was asked for.
    pub purpose: Arc<str>,
    /// How it may be used.
    pub limits: Arc<Limits>,
    /// How many times it has been used.
    pub uses: u64,
}

/// All references of this process.
#[derive(Debug)]
pub struct References {
    /// By the first byte of the id. None before the first reference.
    shards: Vec<Shard>,
    /// What moments are counted from.
    began: Instant,
    count: usize,
    /// Of purposes and limits.
    bytes: usize,
    unlimited: Arc<Limits>,
}

impl Default for References {
    fn default() -> Self {
        Self { shards: Vec::new(), began: Instant::now(), count: 0, bytes: 0, unlimited: Arc::default() }
    }
}

impl References {
    /// Issues a reference.
    ///
    /// # Errors
    /// `limit` where too many are alive; none of those is given up for a new one.
    pub fn issue(&mut self, reference: &Reference) -> Result<Uuid> {
        let id = Uuid::new_v4();
        self.sweep(id, Instant::now());
        if self.is_full() {
            return Err(Error::new(
                Code::Limit,
                format!("There are {MAX} live references, or their purposes take {} MiB.", MAX_BYTES >> 20),
                "Use the ones you have, ask for shorter lifetimes, or wait until some have ended.",
            ));
        }
        if self.shards.is_empty() {
            self.shards.resize_with(SHARDS, Shard::default);
        }
        self.bytes += self.shards[part(id)].insert(id, reference, self.began);
        self.count += 1;
        Ok(id)
    }

    /// The reference of that id, alive by the clock.
    ///
    /// # Errors
    /// `unknown_reference`, saying whether it expired.
    pub fn get(&self, id: &str) -> Result<Reference> {
        let found = written(id).and_then(|id| self.shards.get(part(id))?.get(id, self.began, &self.unlimited));
        match found {
            Some(reference) if !reference.deadline.is_over() => Ok(reference),
            Some(reference) => Err(ended(&format!("This reference to \"{}\" has expired.", reference.name))),
            None => Err(ended("Secret reference not found or expired.")),
        }
    }

    /// Counts one use, and says how many there were with it.
    ///
    /// # Errors
    /// `unknown_reference` where it has ended, or been used as often as it may be.
    pub fn use_up(&mut self, id: &str) -> Result<u64> {
        self.get(id)?;
        match written(id).and_then(|id| self.shards.get_mut(part(id))?.use_up(id)) {
            Some(Ok(uses)) => Ok(uses),
            Some(Err(most)) => Err(ended(&format!(
                "This reference was for {} and has been used up.",
                if most == 1 { "one use".to_owned() } else { format!("{most} uses") }
            ))),
            None => Err(ended("Secret reference not found or expired.")),
        }
    }

    /// How many are alive: by the clock, and because `stands` says that what they stand for is still there. It is asked
    /// once for each secret.
    #[must_use]
    pub fn count(&self, stands: impl Fn(&Reference) -> bool) -> usize {
        let mut known: HashMap<(SecretName, Generation), bool> = HashMap::new();
        self.shards
            .iter()
            .flat_map(|shard| shard.all(self.began, &self.unlimited))
            .filter(|reference| !reference.deadline.is_over())
            .filter(|reference| *known.entry((reference.name.clone(), reference.generation)).or_insert_with(|| stands(reference)))
            .count()
    }

    fn is_full(&self) -> bool {
        self.count >= MAX || self.bytes >= MAX_BYTES
    }

    /// Lets go of a few that ended long ago, of the part that the new one comes to. Where there is no room left, a few of
    /// every part go that have ended at all.
    fn sweep(&mut self, newcomer: Uuid, now: Instant) {
        let now = now.saturating_duration_since(self.began);
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let (parts, before) = if self.is_full() {
            (0..self.shards.len(), nanos(now))
        } else if let Some(before) = now.checked_sub(REMEMBERED) {
            (part(newcomer)..self.shards.len().min(part(newcomer) + 1), nanos(before))
        } else {
            return;
        };
        for shard in self.shards.get_mut(parts).into_iter().flatten() {
            let (count, bytes) = shard.sweep(before, SWEPT);
            self.count -= count;
            self.bytes -= bytes;
        }
    }
}

/// Which part an id belongs to.
fn part(id: Uuid) -> usize {
    usize::from(id.as_bytes()[0])
}

/// Only the writing that was handed out: one id, one text.
fn written(id: &str) -> Option<Uuid> {
    let mut buffer = Uuid::encode_buffer();
    Uuid::try_parse(id).ok().filter(|uuid| uuid.as_hyphenated().encode_lower(&mut buffer) == id)
}

/// A reference that no longer stands for anything.
#[must_use]
pub fn ended(what: &str) -> Error {
    Error::new(Code::UnknownReference, what.to_owned(), "Call get_secret for a new one.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(seconds: u64) -> Reference {
        Reference {
            name: SecretName::parse("a").unwrap(),
            generation: Generation(1),
            deadline: Deadline::after(seconds),
            purpose: "a test".into(),
            limits: Arc::default(),
            uses: 0,
        }
    }

    fn with_purpose(seconds: u64, purpose: &str) -> Reference {
        Reference { purpose: purpose.into(), ..reference(seconds) }
    }

    fn len(references: &References) -> usize {
        assert_eq!(references.count, references.shards.iter().map(Shard::len).sum::<usize>());
        references.count
    }

    /// As if the calls of that time had come: of ids by chance, more may lie in one part than a single call lets go.
    fn swept_at(references: &mut References, later: Duration) {
        for first in 0..=255 {
            let mut before = None;
            while before.replace(references.count) != Some(references.count) {
                references.sweep(Uuid::from_bytes([first; 16]), Instant::now() + later);
            }
        }
    }

    const LATER: Duration = Duration::from_secs(601);

    #[test]
    fn a_reference_is_used_as_often_as_it_may_be() {
        let mut references = References::default();
        let free = references.issue(&reference(60)).unwrap().to_string();
        assert_eq!((1..=3).map(|_| references.use_up(&free).unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
        let limits = Arc::new(Limits { max_uses: Some(2), ..Limits::default() });
        let twice = references.issue(&Reference { limits, ..reference(60) }).unwrap().to_string();
        assert_eq!((references.use_up(&twice).unwrap(), references.use_up(&twice).unwrap()), (1, 2));
        assert!(references.use_up(&twice).unwrap_err().message().contains("2 uses and has been used up"));
        let over = references.issue(&reference(0)).unwrap().to_string();
        assert!(references.use_up(&over).is_err() && references.use_up("x").is_err());
    }

    #[test]
    fn a_reference_comes_back_as_it_was_issued() {
        let mut references = References::default();
        let limits = Limits { max_uses: Some(3), hosts: Some(vec!["api.github.com".to_owned()]), methods: None };
        let issued = Reference { limits: Arc::new(limits), uses: 0, ..with_purpose(60, "list my repositories") };
        let others: Vec<_> = (0..1000).map(|_| references.issue(&reference(60)).unwrap()).collect();
        let id = references.issue(&issued).unwrap().to_string();
        let found = references.get(&id).unwrap();
        assert_eq!((&found.name, found.generation, &found.purpose), (&issued.name, issued.generation, &issued.purpose));
        assert_eq!((found.deadline.wall(), found.deadline.steady()), (issued.deadline.wall(), issued.deadline.steady()));
        assert_eq!((found.limits, found.uses), (issued.limits, 0));
        let other = references.get(&others[500].to_string()).unwrap();
        assert_eq!((&*other.purpose, &*other.limits), ("a test", &Limits::default()));
    }

    #[test]
    fn what_references_remember_is_bounded_and_the_ended_give_way() {
        let mut references = References::default();
        let mut issue = |seconds, number: usize| {
            let purpose = format!("{number}{}", "x".repeat(MAX_BYTES / 4));
            references.issue(&with_purpose(seconds, &purpose))
        };
        assert!((0..4).all(|number| issue(3600, number).is_ok()));
        assert_eq!(issue(60, 4).unwrap_err().code(), Code::Limit);
        let mut references = References::default();
        for number in 0..6 {
            let purpose = format!("{number}{}", "x".repeat(MAX_BYTES / 4));
            references.issue(&with_purpose(0, &purpose)).unwrap();
        }
        swept_at(&mut references, LATER);
        assert_eq!((references.bytes, len(&references)), (0, 0));
    }

    #[test]
    fn a_reference_is_found_until_it_ends() {
        let mut references = References::default();
        let id = references.issue(&reference(60)).unwrap();
        assert!(references.get(&id.to_string()).is_ok());
        assert_eq!(id.get_version_num(), 4);
        let over = references.issue(&reference(0)).unwrap();
        assert!(references.get(&over.to_string()).unwrap_err().message().contains("expired"));
        assert_eq!(references.count(|_| true), 1);
        assert_eq!(references.count(|_| false), 0);
    }

    #[test]
    fn other_writings_of_an_id_are_not_it() {
        let mut references = References::default();
        let id = references.issue(&reference(60)).unwrap().to_string();
        for other in [
            id.to_uppercase(),
            id.replace('-', ""),
            format!("{{{id}}}"),
            format!("urn:uuid:{id}"),
            format!(" {id}"),
            String::new(),
            "x".repeat(1 << 20),
        ] {
            assert_eq!(references.get(&other).unwrap_err().code(), Code::UnknownReference);
        }
        assert!(References::default().get(&id).is_err(), "of another process");
    }

    #[test]
    fn the_expired_are_swept_out_and_the_living_stay() {
        let mut references = References::default();
        for _ in 0..100 {
            references.issue(&reference(0)).unwrap();
        }
        let alive = references.issue(&reference(3600)).unwrap();
        swept_at(&mut references, Duration::from_secs(590));
        assert_eq!(len(&references), 101, "for a while it can be said that they expired");
        swept_at(&mut references, LATER);
        assert_eq!(len(&references), 1);
        assert!(references.get(&alive.to_string()).is_ok());
    }

    #[test]
    fn a_hundred_thousand_take_less_than_200_bytes_each() {
        let mut references = References::default();
        for number in 0..100_000 {
            let name = SecretName::parse(&format!("service/account-{}", number % 10)).unwrap();
            references.issue(&Reference { name, ..with_purpose(600, "list my repositories") }).unwrap();
        }
        let each = |references: &References| references.shards.iter().map(Shard::allocated).sum::<usize>() / len(references);
        assert!(each(&references) < 140, "{} bytes", each(&references));
        let mut references = References::default();
        for number in 0..100_000 {
            references.issue(&with_purpose(600, &format!("look at issue number {number}"))).unwrap();
        }
        assert!(each(&references) < 240, "{} bytes where no two purposes are the same", each(&references));
    }

    /// Counted, not timed: how many entries the next call may have to move or to look at, however many there are.
    #[test]
    fn a_million_references_do_not_slow_the_next() {
        let mut references = References::default();
        let (ended, lives) = (reference(0), reference(3600));
        for number in 0..MAX {
            references.issue(if number % 2 == 0 { &ended } else { &lives }).unwrap();
        }
        let largest = references.shards.iter().map(Shard::largest).max().unwrap();
        assert!(largest <= MAX / 100, "a table of {largest} entries may be moved at once");

        // half a million have ended at the same moment: each call takes its share of them
        let id = Uuid::from_bytes([7; 16]);
        for _ in 0..10 {
            let before = len(&references);
            references.sweep(id, Instant::now() + LATER);
            let swept = before - len(&references);
            assert!((1..=SWEPT * SHARDS).contains(&swept), "{swept} at once");
        }
        for _ in 0..1000 {
            references.issue(&lives).unwrap();
        }
        assert_eq!(references.count(|_| true), MAX / 2 + 1000, "none that lives went with them");
    }
}

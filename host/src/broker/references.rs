//! References: short-lived ids that stand for a secret.
//!
//! A reference is bound to the generation of what it stands for: a refresh keeps it, an overwrite, a new login or a
//! deletion ends it. There is no timer: what has expired is swept out when new ones come.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::spending::limits::Limits;
use super::ttl::Deadline;
use crate::error::{Code, Error, Result};
use crate::secret::SecretName;
use crate::vault::Generation;

/// The most references that are alive at once.
pub const MAX: usize = 1_000_000;
/// What the purposes and limits of all of them may take, in bytes.
const MAX_BYTES: usize = 256 << 20;
/// How long an expired reference is remembered, so that the answer can say that it expired.
const REMEMBERED: Duration = Duration::from_secs(600);

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

impl Reference {
    /// What it takes beside a fixed size.
    fn bytes(&self) -> usize {
        let lists = [&self.limits.hosts, &self.limits.methods];
        self.purpose.len() + lists.into_iter().flatten().flatten().map(|text| text.len() + size_of::<String>()).sum::<usize>()
    }
}

/// All references of this process.
#[derive(Debug, Default)]
pub struct References {
    by_id: HashMap<Uuid, Reference>,
    by_end: BinaryHeap<Reverse<(Instant, Uuid)>>,
    bytes: usize,
}

impl References {
    /// Issues a reference.
    ///
    /// # Errors
    /// `limit` where too many are alive; none of those is given up for a new one.
    pub fn issue(&mut self, reference: Reference) -> Result<Uuid> {
        self.sweep(Instant::now());
        if self.by_id.len() >= MAX || self.bytes + reference.bytes() > MAX_BYTES {
            return Err(Error::new(
                Code::Limit,
                format!("There are {MAX} live references."),
                "Use the ones you have, ask for shorter lifetimes, or wait until some have ended.",
            ));
        }
        let id = Uuid::new_v4();
        self.bytes += reference.bytes();
        self.by_end.push(Reverse((reference.deadline.steady(), id)));
        self.by_id.insert(id, reference);
        Ok(id)
    }

    /// The reference of that id, alive by the clock.
    ///
    /// # Errors
    /// `unknown_reference`, saying whether it expired.
    pub fn get(&self, id: &str) -> Result<Reference> {
        // Only the writing that was handed out: one id, one text.
        let found =
            Uuid::try_parse(id).ok().filter(|uuid| uuid.as_hyphenated().to_string() == id).and_then(|uuid| self.by_id.get(&uuid));
        match found {
            Some(reference) if !reference.deadline.is_over() => Ok(reference.clone()),
            Some(reference) => Err(ended(&format!("This reference to \"{}\" has expired.", reference.name))),
            None => Err(ended("Secret reference not found or expired.")),
        }
    }

    /// Counts one use, and says how many there were with it.
    ///
    /// # Errors
    /// `unknown_reference` where it has ended, or been used as often as it may be.
    pub fn use_up(&mut self, id: &str) -> Result<u64> {
        let used_up = |uses| {
            ended(&format!(
                "This reference was for {} and has been used up.",
                if uses == 1 { "one use".to_owned() } else { format!("{uses} uses") }
            ))
        };
        self.get(id)?;
        let Some(reference) = Uuid::try_parse(id).ok().and_then(|uuid| self.by_id.get_mut(&uuid)) else {
            return Err(ended("Secret reference not found or expired."));
        };
        match reference.limits.max_uses {
            Some(most) if reference.uses >= most => Err(used_up(most)),
            _ => {
                reference.uses += 1;
                Ok(reference.uses)
            }
        }
    }

    /// How many are alive: by the clock, and because `stands` says that what they stand for is still there.
    #[must_use]
    pub fn count(&self, stands: impl Fn(&Reference) -> bool) -> usize {
        self.by_id.values().filter(|reference| !reference.deadline.is_over() && stands(reference)).count()
    }

    fn sweep(&mut self, now: Instant) {
        while let Some(Reverse((end, id))) = self.by_end.peek() {
            if *end + REMEMBERED > now && self.by_id.len() < MAX || *end > now {
                return;
            }
            self.bytes -= self.by_id.remove(id).map_or(0, |reference| reference.bytes());
            self.by_end.pop();
        }
    }
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

    #[test]
    fn a_reference_is_used_as_often_as_it_may_be() {
        let mut references = References::default();
        let free = references.issue(reference(60)).unwrap().to_string();
        assert_eq!((1..=3).map(|_| references.use_up(&free).unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
        let limits = Arc::new(Limits { max_uses: Some(2), ..Limits::default() });
        let twice = references.issue(Reference { limits, ..reference(60) }).unwrap().to_string();
        assert_eq!((references.use_up(&twice).unwrap(), references.use_up(&twice).unwrap()), (1, 2));
        assert!(references.use_up(&twice).unwrap_err().message().contains("2 uses and has been used up"));
        let over = references.issue(reference(0)).unwrap().to_string();
        assert!(references.use_up(&over).is_err() && references.use_up("x").is_err());
    }

    #[test]
    fn what_references_remember_is_bounded() {
        let mut references = References::default();
        let purpose: Arc<str> = "x".repeat(MAX_BYTES / 4).into();
        let mut issue = |seconds| references.issue(Reference { purpose: Arc::clone(&purpose), ..reference(seconds) });
        assert!((0..4).all(|_| issue(0).is_ok()));
        assert_eq!(issue(60).unwrap_err().code(), Code::Limit);
        references.sweep(Instant::now() + REMEMBERED + Duration::from_secs(1));
        assert_eq!(references.bytes, 0);
    }

    #[test]
    fn a_reference_is_found_until_it_ends() {
        let mut references = References::default();
        let id = references.issue(reference(60)).unwrap();
        assert!(references.get(&id.to_string()).is_ok());
        assert_eq!(id.get_version_num(), 4);
        let over = references.issue(reference(0)).unwrap();
        assert!(references.get(&over.to_string()).unwrap_err().message().contains("expired"));
        assert_eq!(references.count(|_| true), 1);
        assert_eq!(references.count(|_| false), 0);
    }

    #[test]
    fn other_writings_of_an_id_are_not_it() {
        let mut references = References::default();
        let id = references.issue(reference(60)).unwrap().to_string();
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
    }

    #[test]
    fn the_expired_are_swept_out_and_the_living_stay() {
        let mut references = References::default();
        for _ in 0..100 {
            references.issue(reference(0)).unwrap();
        }
        let alive = references.issue(reference(3600)).unwrap();
        references.sweep(Instant::now() + REMEMBERED + Duration::from_secs(1));
        assert_eq!(references.by_id.len(), 1);
        assert!(references.get(&alive.to_string()).is_ok());
    }
}

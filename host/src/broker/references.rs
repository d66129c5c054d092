//! References: short-lived ids that stand for a secret.
//!
//! A reference is bound to the generation of what it stands for: a refresh keeps it, an overwrite, a new login or a
//! deletion ends it. There is no timer: what has expired is swept out when new ones come.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::ttl::Deadline;
use crate::error::{Code, Error, Result};
use crate::secret::SecretName;
use crate::vault::Generation;

/// The most references that are alive at once.
pub const MAX: usize = 1_000_000;
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
}

/// All references of this process.
#[derive(Debug, Default)]
pub struct References {
    by_id: HashMap<Uuid, Reference>,
    by_end: BinaryHeap<Reverse<(Instant, Uuid)>>,
}

impl References {
    /// Issues a reference.
    ///
    /// # Errors
    /// `limit` where too many are alive; none of those is given up for a new one.
    pub fn issue(&mut self, reference: Reference) -> Result<Uuid> {
        self.sweep(Instant::now());
        if self.by_id.len() >= MAX {
            return Err(Error::new(
                Code::Limit,
                format!("There are {MAX} live references."),
                "Use the ones you have, ask for shorter lifetimes, or wait until some have ended.",
            ));
        }
        let id = Uuid::new_v4();
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
            self.by_id.remove(id);
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
        Reference { name: SecretName::parse("a").unwrap(), generation: Generation(1), deadline: Deadline::after(seconds) }
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

//! What the server remembers: sign-ins under way, codes, tokens. Bounded, short-lived, and never the tokens themselves
//! but their digests.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::authorize::Asked;

/// How long a person may look at the sign-in page.
pub(super) const TICKET_LIFE: Duration = Duration::from_secs(10 * 60);
/// How long a code can be redeemed (RFC 6749 section 4.1.2 recommends at most ten minutes).
pub(super) const CODE_LIFE: Duration = Duration::from_secs(60);
/// How long an access token opens the resource.
pub(super) const ACCESS_LIFE: Duration = Duration::from_secs(15 * 60);
/// How long a login can be refreshed.
pub(super) const GRANT_LIFE: Duration = Duration::from_secs(8 * 3600);

/// Every table holds at most this many entries.
const CAPACITY: usize = 256;

/// All tables.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Sign-in pages that were shown, by the ticket in their form.
    pub(super) tickets: Table<Asked>,
    /// Codes, also those already redeemed: coming back, they end what they gave.
    pub(super) codes: Table<Code>,
    /// Logins, by their id. Access and refresh tokens live only as long as theirs.
    pub(super) grants: Table<Grant>,
    /// Access tokens.
    pub(super) access: Table<Access>,
}

#[derive(Debug)]
pub(super) struct Code {
    pub(super) asked: Asked,
    /// The grant that it was redeemed for.
    pub(super) redeemed: Option<String>,
}

#[derive(Debug)]
pub(super) struct Grant {
    pub(super) scopes: Vec<&'static str>,
    /// The one refresh token that works now.
    pub(super) refresh: Option<Digest>,
}

#[derive(Debug)]
pub(super) struct Access {
    pub(super) grant: String,
    pub(super) scopes: Vec<&'static str>,
}

/// What is kept of a token. Looking up a digest tells nobody by its timing how much of a guess was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    pub(super) fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

/// Entries that end by themselves.
#[derive(Debug)]
pub(super) struct Table<T>(HashMap<Digest, (Instant, T)>);

/// The table is full of entries that are still alive.
#[derive(Debug)]
pub(super) struct Full;

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Table<T> {
    /// Puts an entry in, for `life` from `now` on. A full table refuses and never evicts a live entry.
    pub(super) fn insert(&mut self, key: &str, value: T, now: Instant, life: Duration) -> Result<(), Full> {
        if self.0.len() >= CAPACITY {
            self.0.retain(|_, (until, _)| *until > now);
        }
        if self.0.len() >= CAPACITY {
            return Err(Full);
        }
        self.0.insert(Digest::of(key), (now + life, value));
        Ok(())
    }

    pub(super) fn get(&mut self, key: &str, now: Instant) -> Option<&mut T> {
        self.0.get_mut(&Digest::of(key)).filter(|(until, _)| *until > now).map(|(_, value)| value)
    }

    pub(super) fn take(&mut self, key: &str, now: Instant) -> Option<T> {
        self.0.remove(&Digest::of(key)).filter(|(until, _)| *until > now).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn an_entry_ends_by_itself() {
        let now = Instant::now();
        let mut table = Table::default();
        table.insert("a", 1, now, MINUTE).unwrap();
        assert_eq!(table.get("a", now + MINUTE / 2), Some(&mut 1));
        assert_eq!(table.get("a", now + MINUTE), None);
        assert_eq!(table.take("a", now + MINUTE), None);
    }

    #[test]
    fn a_full_table_refuses_until_something_has_ended() {
        let now = Instant::now();
        let mut table = Table::default();
        for number in 0..CAPACITY {
            table.insert(&number.to_string(), number, now, MINUTE).unwrap();
        }
        assert!(table.insert("more", 0, now, MINUTE).is_err());
        assert_eq!(table.get("0", now), Some(&mut 0), "nothing alive was evicted");
        assert!(table.insert("more", 0, now + MINUTE, MINUTE).is_ok());
    }
}

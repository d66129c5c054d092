//! Taking up revocations that did not work, or whose process died in between.
//!
//! There is no timer: an idle process sleeps. A process looks when it was greeted and when it is called, not more often than it
//! must, and whoever has the right to renew a buried login is the one who revokes it, among all processes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::super::Broker;
use super::{generation_of, step};
use crate::audit::{Event, Outcome};
use crate::vault::Tombstone;

/// How long nobody looks again, unless a try of this process is due before: another process may have left something.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// When this process looks next.
#[derive(Debug, Default)]
pub struct CatchingUp {
    next: Mutex<Option<Instant>>,
    busy: AtomicBool,
}

impl CatchingUp {
    /// Whether it is time to look; the next time is a minute later then.
    fn is_time(&self, now: Instant) -> bool {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let time = next.is_none_or(|next| next <= now);
        if time {
            *next = Some(now + LOOK_AGAIN);
        }
        time
    }

    /// Looks again by then.
    pub(super) fn expect(&self, by: SystemTime) {
        let by = Instant::now() + by.duration_since(SystemTime::now()).unwrap_or_default();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = Some(next.map_or(by, |next| next.min(by)));
    }
}

impl Broker {
    /// Takes up what is due of unfinished revocations, beside whatever else is done. Cheap where nothing is.
    pub fn catch_up(self: &Arc<Self>) {
        if !self.catching_up.is_time(Instant::now()) || self.catching_up.busy.load(Ordering::Relaxed) {
            return;
        }
        let tombstones = match self.vault.tombstones() {
            Ok(tombstones) => tombstones,
            Err(error) => {
                tracing::debug!("unfinished revocations cannot be looked at: {error}");
                return;
            }
        };
        let now = SystemTime::now();
        let (due, later): (Vec<_>, Vec<_>) = tombstones.into_iter().partition(|tombstone| step::is_due(tombstone, now));
        later.iter().for_each(|tombstone| self.catching_up.expect(tombstone.not_before));
        if due.is_empty() {
            return;
        }
        self.catching_up.busy.store(true, Ordering::Relaxed);
        let broker = Arc::clone(self);
        tokio::spawn(async move {
            for tombstone in due {
                broker.try_again(tombstone).await;
            }
            broker.catching_up.busy.store(false, Ordering::Relaxed);
        });
    }

    async fn try_again(&self, tombstone: Tombstone) {
        let name = tombstone.name.clone();
        let done = match generation_of(&tombstone.id).map(|generation| self.vault.try_turn(generation)) {
            None => return,
            // Somebody else is at it, or has died a moment ago: who waits for the turn finds what that one left, if anything.
            Some(Ok(None)) => self.carry_out(tombstone, None).await.map(drop),
            Some(Ok(Some(turn))) if step::is_hopeless(&tombstone, SystemTime::now()) => {
                self.audit.record(Event {
                    event: "revocation_given_up",
                    outcome: Outcome::Failed,
                    secret: Some(name.as_str()),
                    provider: Some(&tombstone.grant.provider),
                    ..Event::default()
                });
                let settled = self.vault.settle(&tombstone.id, None);
                drop(turn);
                settled
            }
            Some(Ok(Some(turn))) => self.carry_out(tombstone, Some(turn)).await.map(drop),
            Some(Err(error)) => Err(error),
        };
        if let Err(error) = done {
            tracing::debug!(secret = name.as_str(), "a revocation could not be taken up: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_looks_once_a_minute_or_when_a_try_is_due() {
        let catching_up = CatchingUp::default();
        let now = Instant::now();
        assert!(catching_up.is_time(now) && !catching_up.is_time(now));
        assert!(!catching_up.is_time(now + Duration::from_secs(59)) && catching_up.is_time(now + LOOK_AGAIN));
        catching_up.expect(SystemTime::now() + Duration::from_secs(5));
        assert!(!catching_up.is_time(Instant::now()) && catching_up.is_time(Instant::now() + Duration::from_secs(6)));
        catching_up.expect(SystemTime::now() + Duration::from_secs(5));
        catching_up.expect(SystemTime::now() + Duration::from_secs(3600));
        assert!(catching_up.is_time(Instant::now() + Duration::from_secs(6)), "the nearest counts");
    }
}

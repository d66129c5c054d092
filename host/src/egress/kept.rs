//! Clients that keep their connections open for the next request to the same place: a handshake takes longer than most
//! requests.
//!
//! A place is everything that was judged: scheme, name, port, and the very addresses that the connection may go to, or the
//! proxy. Whoever resolves to others now gets another client. Only requests that may be sent twice come here, since a
//! server may close a kept connection at the moment in which a request is on its way.
//!
//! There is no timer: what nobody has used for a while is closed when somebody comes, and the server closes it sooner.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::client::Way;

/// How many places are remembered.
const PLACES: usize = 16;
/// How many idle connections each has.
pub(super) const CONNECTIONS: usize = 2;
/// After so long nobody counts on a connection any more.
const IDLE: Duration = Duration::from_secs(30);

/// Where connections lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) https: bool,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) way: Way,
}

/// The clients by their places.
pub(super) struct Kept<C>(Mutex<Vec<(Place, C, Instant)>>);

impl<C> Default for Kept<C> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<C: Clone> Kept<C> {
    /// A client for that place that was used a moment ago.
    pub(super) fn get(&self, place: &Place, now: Instant) -> Option<C> {
        let mut kept = self.lock();
        kept.retain(|(.., used)| now.saturating_duration_since(*used) < IDLE);
        let (_, client, used) = kept.iter_mut().find(|(known, ..)| known == place)?;
        *used = now;
        Some(client.clone())
    }

    /// Keeps a client, in place of the one that was used the longest ago.
    pub(super) fn keep(&self, place: Place, client: C, now: Instant) {
        let mut kept = self.lock();
        kept.retain(|(known, ..)| *known != place);
        if kept.len() == PLACES
            && let Some(oldest) = kept.iter().enumerate().min_by_key(|(_, (.., used))| *used).map(|(number, _)| number)
        {
            kept.swap_remove(oldest);
        }
        kept.push((place, client, now));
    }

    /// Closes the connections to a place.
    pub(super) fn forget(&self, place: &Place) {
        self.lock().retain(|(known, ..)| known != place);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Place, C, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(host: &str, addresses: &[&str]) -> Place {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Place { https: true, host: host.to_owned(), port: 443, way: Way::Pinned(addresses) }
    }

    #[test]
    fn a_connection_is_for_the_same_name_and_addresses_only() {
        let kept = Kept::default();
        let now = Instant::now();
        kept.keep(place("a.example", &["192.0.2.1:443"]), 1, now);
        assert_eq!(kept.get(&place("a.example", &["192.0.2.1:443"]), now), Some(1));
        for other in [
            place("b.example", &["192.0.2.1:443"]),
            place("a.example", &["192.0.2.2:443"]),
            place("a.example", &["192.0.2.1:443", "192.0.2.2:443"]),
            Place { https: false, ..place("a.example", &["192.0.2.1:443"]) },
            Place { port: 444, ..place("a.example", &["192.0.2.1:443"]) },
            Place { way: Way::Literal, ..place("a.example", &["192.0.2.1:443"]) },
        ] {
            assert_eq!(kept.get(&other, now), None, "{other:?}");
        }
        kept.forget(&place("a.example", &["192.0.2.1:443"]));
        assert_eq!(kept.get(&place("a.example", &["192.0.2.1:443"]), now), None);
    }

    #[test]
    fn what_nobody_used_for_long_is_closed_and_the_oldest_gives_way() {
        let kept = Kept::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        kept.keep(place("a.example", &[]), 0, at(0));
        assert_eq!(kept.get(&place("a.example", &[]), at(29)), Some(0));
        assert_eq!(kept.get(&place("a.example", &[]), at(58)), Some(0), "it was used meanwhile");
        assert_eq!(kept.get(&place("a.example", &[]), at(88)), None);
        for number in 0..=PLACES {
            kept.keep(place(&format!("{number}.example"), &[]), number, at(100 + number as u64));
        }
        assert_eq!(kept.get(&place("0.example", &[]), at(120)), None);
        assert_eq!(kept.get(&place("1.example", &[]), at(120)), Some(1));
    }
}

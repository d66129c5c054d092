//! What time it is for a token: clocks are set, and machines sleep.
//!
//! The wall clock alone would keep a token alive whose end it was set back from; the steady clock alone would stand still
//! while a machine sleeps. Whichever is further along counts, from the moment in which this process first saw the token.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::vault::{Generation, Grant};

/// More are not remembered; they are judged by the wall clock alone until they are seen again.
const MAX: usize = 10_000;

/// A moment, by two clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// The wall clock.
    pub(super) wall: SystemTime,
    /// The later of the wall clock and what it would show had nobody set it since the token was first seen.
    pub(super) reckoned: SystemTime,
}

/// When each token was first seen.
#[derive(Default)]
pub(super) struct Clocks(Mutex<HashMap<Generation, Seen>>);

#[derive(Clone, Copy)]
struct Seen {
    issued: SystemTime,
    wall: SystemTime,
    steady: Instant,
}

impl Clocks {
    /// Now, for that login's present token.
    pub(super) fn moment(&self, generation: Generation, grant: &Grant) -> Moment {
        let (wall, steady) = (SystemTime::now(), Instant::now());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX && !all.contains_key(&generation) {
            all.clear();
        }
        let new = Seen { issued: grant.issued, wall, steady };
        let seen = all.entry(generation).or_insert(new);
        if seen.issued != grant.issued {
            *seen = new;
        }
        Moment { wall, reckoned: reckoned(wall, seen.wall, steady.saturating_duration_since(seen.steady)) }
    }
}

fn reckoned(wall: SystemTime, first: SystemTime, since: Duration) -> SystemTime {
    first.checked_add(since).map_or(wall, |steady| wall.max(steady))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::grant::sample;

    #[test]
    fn a_clock_that_is_set_back_gains_a_token_no_time_and_a_machine_that_slept_loses_it_what_it_slept() {
        let first = SystemTime::now();
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
        assert_eq!(reckoned(first + minute, first, minute), first + minute);
        assert_eq!(reckoned(first - hour, first, minute), first + minute, "set back by an hour");
        assert_eq!(reckoned(first + hour, first, minute), first + hour, "slept, or set forward");
    }

    #[test]
    fn each_token_of_a_login_is_seen_anew() {
        let (clocks, mut grant) = (Clocks::default(), sample());
        clocks.moment(Generation(1), &grant);
        let ahead = SystemTime::now() + Duration::from_secs(7200);
        clocks.0.lock().unwrap().get_mut(&Generation(1)).unwrap().wall = ahead;
        assert!(clocks.moment(Generation(1), &grant).reckoned >= ahead);
        grant.issued += Duration::from_secs(1);
        assert!(clocks.moment(Generation(1), &grant).reckoned < ahead);
    }
}

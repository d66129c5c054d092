//! How long lines come together before they are written.
//!
//! A batch ends with a write to the vault, after which every broker that uses it has to read it anew. So brokers that are
//! busy at once take turns more slowly: all together they write about as often as one would alone.

use std::time::{Duration, Instant};

/// So that a busy broker does not write the head for each line.
const ALONE: Duration = Duration::from_millis(100);
/// However many others there are: so much is lost when a process is killed.
const LONGEST: Duration = Duration::from_millis(500);

/// What was so long ago says nothing of who is busy now.
const STALE: Duration = Duration::from_secs(2);

/// Of one broker.
pub(super) struct Pace {
    gather: Duration,
    last: Option<Batch>,
}

/// Its last one.
struct Batch {
    /// Which it was, of all that any broker ever wrote.
    number: u64,
    at: Instant,
}

impl Pace {
    pub(super) const fn new() -> Self {
        Self { gather: ALONE, last: None }
    }

    /// How long the next batch comes together, whose first line came just now.
    pub(super) fn gather(&self, now: Instant) -> Duration {
        let known = self.last.as_ref().is_some_and(|last| now - last.at < STALE);
        if known { self.gather } else { ALONE }
    }

    /// It wrote the batch of that number.
    pub(super) fn wrote(&mut self, number: u64, at: Instant) {
        if let Some(last) = &self.last {
            let others = number.saturating_sub(last.number + 1);
            // As many of them write while lines come together here, however long it was quiet here before that.
            let busy = others as f64 * self.gather.div_duration_f64((at - last.at).max(self.gather));
            self.gather = ALONE.mul_f64(1.0 + busy).min(LONGEST);
        }
        self.last = Some(Batch { number, at });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A broker that wrote so often, one batch every `pause`, while others wrote `others` in between; and when it is then.
    fn after(rounds: u64, others: u64, pause: impl Fn(&Pace, Instant) -> Duration) -> (Pace, Instant) {
        let (mut pace, mut now) = (Pace::new(), Instant::now());
        for round in 0..rounds {
            now += pause(&pace, now);
            pace.wrote(1000 + round * (others + 1), now);
        }
        (pace, now)
    }

    #[test]
    fn brokers_that_write_at_once_write_together_as_often_as_one_alone() {
        for (others, times) in [(0, 1), (1, 2), (2, 3), (4, 5), (15, 5)] {
            let (pace, now) = after(5, others, Pace::gather);
            assert_eq!(pace.gather(now), ALONE * times, "{others} others");
        }
    }

    #[test]
    fn alone_again_it_is_as_before() {
        let (mut pace, now) = after(5, 15, Pace::gather);
        assert_eq!(pace.gather(now + STALE), ALONE, "it was quiet meanwhile");
        let number = pace.last.as_ref().unwrap().number;
        pace.wrote(number + 1, now + LONGEST);
        assert_eq!(pace.gather(now + LONGEST), ALONE);
    }

    #[test]
    fn what_others_wrote_while_it_was_quiet_does_not_count() {
        // one other broker, which writes ten times a second, and an hour
        let (pace, now) = after(2, 36_000, |_, _| Duration::from_secs(3600));
        assert_eq!(pace.gather(now), ALONE * 2);
        // a vault that was put back
        let (mut pace, now) = after(3, 0, Pace::gather);
        pace.wrote(1, now + LONGEST);
        assert_eq!(pace.gather(now + LONGEST), ALONE);
    }
}

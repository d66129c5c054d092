//! How often to ask (RFC 8628 section 3.5): a state without a clock, and the loop that waits by it.

use std::time::{Duration, Instant};

/// Where the server names no interval.
const DEFAULT: Duration = Duration::from_secs(5);
/// What `slow_down` adds for good.
const SLOWER: Duration = Duration::from_secs(5);
/// Bounds of what a server may name.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// When to ask next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Polling {
    interval: Duration,
    /// How many times in a row nobody answered.
    silent: u32,
}

/// What a poll heard that is not the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// The person has not finished.
    Pending,
    /// Asked too often; some servers name the new interval.
    SlowDown(Option<Duration>),
    /// No answer, or that of a server in trouble, which may say how long it takes.
    Silence(Option<Duration>),
}

/// What a poll comes to.
#[derive(Debug)]
pub(super) enum Asked<T> {
    /// Ask again.
    Again(Heard),
    /// That was it, well or not.
    Over(T),
}

impl Polling {
    pub(super) fn every(interval: Option<Duration>) -> Self {
        let interval = interval.filter(|interval| !interval.is_zero()).unwrap_or(DEFAULT);
        Self { interval: interval.clamp(SHORTEST, LONGEST), silent: 0 }
    }

    /// How long to wait before the next poll. Twice as long for each time that nobody answered.
    const fn wait(&self) -> Duration {
        let doubled = self.interval.saturating_mul(1 << if self.silent < 8 { self.silent } else { 8 });
        if doubled.as_secs() > LONGEST.as_secs() { LONGEST } else { doubled }
    }

    /// Takes in what was heard; returns how long to wait now.
    pub(super) fn after(&mut self, heard: Heard) -> Duration {
        match heard {
            Heard::Pending => self.silent = 0,
            Heard::SlowDown(named) => {
                self.silent = 0;
                // never faster than before, whatever is named
                let slower = named.filter(|named| *named > self.interval).unwrap_or(self.interval + SLOWER);
                self.interval = slower.min(LONGEST);
            }
            Heard::Silence(named) => {
                self.silent = self.silent.saturating_add(1);
                return self.wait().max(named.unwrap_or_default().min(LONGEST));
            }
        }
        self.wait()
    }
}

/// What the loop waits by.
pub(super) trait Clock {
    /// How long it has run.
    fn elapsed(&self) -> Duration;
    /// Waits.
    fn sleep(&self, wait: Duration) -> impl Future<Output = ()> + Send;
}

/// The real one.
impl Clock for Instant {
    fn elapsed(&self) -> Duration {
        Self::elapsed(self)
    }

    fn sleep(&self, wait: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(wait)
    }
}

/// Asks until it is over; `None` where the time ran out. One question at a time, the first after one interval.
pub(super) async fn until_over<T, F: Future<Output = Asked<T>>>(
    clock: &impl Clock,
    mut polling: Polling,
    within: Duration,
    mut ask: impl FnMut() -> F,
) -> Option<T> {
    let mut wait = polling.wait();
    loop {
        let left = within.saturating_sub(clock.elapsed());
        if wait >= left {
            clock.sleep(left).await;
            return None;
        }
        clock.sleep(wait).await;
        match ask().await {
            Asked::Over(done) => return Some(done),
            Asked::Again(heard) => wait = polling.after(heard),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// Time passes only by sleeping.
    #[derive(Default)]
    struct Virtual(AtomicU64);

    impl Clock for Virtual {
        fn elapsed(&self) -> Duration {
            Duration::from_secs(self.0.load(Ordering::Relaxed))
        }

        fn sleep(&self, wait: Duration) -> impl Future<Output = ()> + Send {
            self.0.fetch_add(wait.as_secs(), Ordering::Relaxed);
            std::future::ready(())
        }
    }

    /// The seconds between polls that hear this, one after the other, and how long it took; `None` is the end.
    async fn waits(interval: Option<u64>, within: u64, heard: Vec<Option<Heard>>) -> (Option<()>, Vec<u64>, u64) {
        let clock = Virtual::default();
        let mut answers = heard.into_iter();
        let (mut last, mut waits) = (0, Vec::new());
        let polling = Polling::every(interval.map(Duration::from_secs));
        let outcome = until_over(&clock, polling, Duration::from_secs(within), || {
            let now = clock.elapsed().as_secs();
            waits.push(now - last);
            last = now;
            std::future::ready(match answers.next() {
                Some(Some(heard)) => Asked::Again(heard),
                Some(None) => Asked::Over(()),
                None => Asked::Again(Heard::Pending),
            })
        })
        .await;
        (outcome, waits, clock.elapsed().as_secs())
    }

    const PENDING: Option<Heard> = Some(Heard::Pending);

    #[tokio::test]
    async fn t30_the_intervals_are_5_5_10_10() {
        let heard = vec![PENDING, Some(Heard::SlowDown(None)), PENDING, None];
        assert_eq!(waits(None, 900, heard).await, (Some(()), vec![5, 5, 10, 10], 30));
    }

    #[tokio::test]
    async fn a_server_names_the_interval_and_a_slower_one_and_never_a_faster() {
        let slow = |seconds| Some(Heard::SlowDown(Some(Duration::from_secs(seconds))));
        let heard = vec![PENDING, slow(12), PENDING, slow(1), PENDING, None];
        assert_eq!(waits(Some(7), 900, heard).await.1, [7, 7, 12, 12, 17, 17]);
        assert_eq!(waits(Some(0), 900, vec![None]).await.1, [5]);
        assert_eq!(waits(Some(1), 900, vec![PENDING, None]).await.1, [1, 1]);
    }

    #[tokio::test]
    async fn silence_doubles_the_wait_until_somebody_answers() {
        let silence = Some(Heard::Silence(None));
        let heard = vec![silence, silence, silence, PENDING, silence, None];
        assert_eq!(waits(None, 900, heard).await.1, [5, 10, 20, 40, 5, 10]);
        let later = Some(Heard::Silence(Some(Duration::from_secs(90))));
        assert_eq!(waits(None, 900, vec![later, None]).await.1, [5, 90]);
    }

    #[tokio::test]
    async fn it_ends_when_the_code_does_and_no_poll_comes_after() {
        assert_eq!(waits(None, 22, Vec::new()).await, (None, vec![5, 5, 5, 5], 22));
    }
}

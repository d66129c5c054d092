//! A deadline for work that waits for somebody else.

use std::time::{Duration, Instant};

/// A deadline that is noticed later than this was slept through: the process was suspended, or had no processor.
const LATE: Duration = Duration::from_millis(50);
/// What such a process gets to take in the answer that has been lying there.
const GRACE: Duration = Duration::from_secs(5);
/// What everybody gets: who was woken up just at the deadline cannot tell. Who was awake has taken in what was there.
const MOMENT: Duration = Duration::from_millis(250);

/// The work's result, if it comes in time. A process that was suspended may wake up after the deadline with the answer in
/// its hands, and a rotated token in it: then it gets a moment more.
pub async fn within<F: Future>(limit: Duration, work: F) -> Option<F::Output> {
    let start = Instant::now();
    tokio::pin!(work);
    if let Ok(result) = tokio::time::timeout(limit, &mut work).await {
        return Some(result);
    }
    let slept = start.elapsed() >= limit + LATE;
    tokio::time::timeout(if slept { GRACE } else { MOMENT }, work).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_takes_too_long_is_given_up_and_who_slept_through_the_deadline_gets_a_moment_more() {
        let limit = Duration::from_millis(50);
        assert!(within(limit, std::future::pending::<()>()).await.is_none());
        // long, and until just after the deadline
        for until in [limit + LATE + Duration::from_millis(100), limit - Duration::from_millis(5)] {
            let slept = async {
                tokio::time::sleep(Duration::from_millis(10)).await;
                // nothing of this process runs, as if it were suspended
                std::thread::sleep(until);
                tokio::task::yield_now().await;
                tokio::time::sleep(Duration::from_millis(10)).await;
                "the answer"
            };
            assert_eq!(within(limit, slept).await, Some("the answer"));
        }
    }
}

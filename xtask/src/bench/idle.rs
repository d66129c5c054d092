//! How often a process wakes up that nobody asks for anything.

use std::time::Duration;

use anyhow::Result;

use super::contestants::Contestant;
use super::driver::Session;
use super::figures::Turn;
use super::metrics::Metric;
use super::turn::{stored, wanted};

/// How long it is left alone before it is looked at.
const SETTLE: Duration = Duration::from_secs(1);
/// How long it is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// After some calls, as an agent leaves it.
pub(super) fn watch(contestant: &Contestant) -> Result<Turn> {
    let mut session = Session::start(contestant)?;
    session.call("store_secret", &stored("bench"))?;
    for _ in 0..100 {
        session.call("get_secret", &wanted())?;
    }
    std::thread::sleep(SETTLE);
    let before = session.sleeps();
    std::thread::sleep(LOOK);
    let woken = session.sleeps().zip(before).map(|(after, before)| (after - before) as f64 / LOOK.as_secs_f64());
    Ok(woken.map(|woken| (Metric::WakeUps, woken)).into_iter().collect())
}

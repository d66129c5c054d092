//! `cargo xtask bench`: the broker beside its predecessor and beside the least that a server can do, in one run on one
//! machine. Seconds differ from machine to machine and from minute to minute; ratios taken side by side do not, much.
//!
//! The contestants take turns, so that whatever else the machine does falls on all of them. Nothing here is a test: no
//! figure makes a build fail.

#![expect(clippy::print_stdout, reason = "a command for developers: its output is what it is for")]

mod contestants;
mod driver;
mod figures;
mod plugins;
mod report;
mod vault;

use anyhow::{Context as _, Result};

use contestants::Contestant;
use driver::Session;
use figures::{Figures, Round};

/// How often everybody has a turn.
const ROUNDS: usize = 5;
/// How often a process is started in a turn.
const STARTS: usize = 5;
/// How many times `get_secret` is called in a turn.
const CALLS: usize = 2000;

/// Builds, installs, measures, and writes the figures down.
pub(crate) fn run() -> Result<()> {
    let contestants = contestants::all()?;
    let mut figures: Vec<Figures> = contestants.iter().map(|contestant| Figures::new(contestant.name)).collect();
    for round in 0..ROUNDS {
        println!("round {} of {ROUNDS}", round + 1);
        for turn in 0..contestants.len() {
            // Another one begins in every round.
            let which = (turn + round) % contestants.len();
            let contestant = &contestants[which];
            let measured = measure(contestant).with_context(|| format!("{} could not be measured", contestant.name))?;
            figures[which].rounds.push(measured);
        }
    }
    println!("plugins");
    let plugins = plugins::measure(&contestants[0])?;
    let vault = vault::measure(&contestants[0])?;
    report::write(
        &figures,
        &[plugins.section(), vault.section()],
        &serde_json::json!({ "plugins": plugins.json(), "vault": vault.json() }),
    )
}

fn measure(contestant: &Contestant) -> Result<Round> {
    let mut starts = Vec::new();
    for _ in 1..STARTS {
        starts.push(Session::start(contestant)?.started_in);
    }
    let mut session = Session::start(contestant)?;
    starts.push(session.started_in);
    let resident_kib = session.resident_kib();
    session.call("store_secret", &serde_json::json!({ "name": "bench", "value": "a value of usual length, 36 chars." }))?;
    let wanted = serde_json::json!({ "name": "bench", "purpose": "measuring", "ttl_seconds": 600 });
    let calls = (0..CALLS).map(|_| session.call("get_secret", &wanted)).collect::<Result<_>>()?;
    Ok(Round { starts, resident_kib, calls })
}

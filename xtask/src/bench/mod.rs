//! `cargo xtask bench`: the broker beside its predecessor and beside the least that a server can do, in one run on one
//! machine. Seconds differ from machine to machine and from minute to minute; ratios taken side by side do not, much.
//!
//! The contestants take turns, so that whatever else the machine does falls on all of them. Nothing here is a test: no
//! figure makes a build fail.

#![expect(clippy::print_stdout, reason = "a command for developers: its output is what it is for")]

mod clients;
mod compiling;
mod contestants;
mod driver;
mod example;
mod figures;
mod pairs;
mod plugins;
mod redaction;
mod references;
mod report;
mod spend;
mod vault;
mod wrap;

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
    println!("wrap");
    let mut pairs = wrap::measure(&contestants[0])?;
    println!("inside");
    pairs.extend(spend::measure(&contestants[0])?);
    let redaction = redaction::measure(&contestants[0])?;
    let references = references::measure(&contestants[0])?;
    let compiling = compiling::measure(&contestants[0])?;
    let clients = clients::measure(&contestants[0])?;
    let told: Vec<_> = pairs.iter().map(pairs::Pair::json).collect();
    report::write(
        &figures,
        &[
            plugins.section(),
            compiling.section(),
            vault.section(),
            clients.section(),
            references.section(),
            redaction.section(),
            pairs::section(&pairs),
        ],
        &serde_json::json!({
            "plugins": plugins.json(), "vault": vault.json(), "pairs": told, "compiling": compiling.json(), "clients": clients.json(),
            "references": references.json(), "redaction": redaction.json(),
        }),
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

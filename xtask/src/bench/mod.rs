//! `cargo xtask bench`: the broker beside its predecessor, beside a bare server of the MCP SDK and beside the least that a
//! server can do, in one run on one machine. Seconds differ from machine to machine and from minute to minute; ratios
//! taken side by side do not, much.
//!
//! The contestants take turns, so that whatever else the machine does falls on all of them. Nothing here is a test: no
//! figure makes a build fail.

#![expect(clippy::print_stdout, reason = "a command for developers: its output is what it is for")]

mod clients;
mod compiling;
mod contestants;
mod counted;
mod driver;
mod example;
mod figures;
mod idle;
mod login;
mod metrics;
mod pairs;
mod picture;
mod plugins;
mod redaction;
mod references;
mod report;
mod spend;
mod turn;
mod vault;
mod wrap;

use anyhow::{Context as _, Result};

use crate::needs;
use contestants::{BROKER, Contestant, ECHO, NAMES};
use figures::{Figures, Turn};
use metrics::Metric;

/// How often everybody has a turn.
const ROUNDS: usize = 5;
/// How many components lie in the broker's plugin folder, beside the embedded ones.
const PLUGINS: usize = 20;

/// Builds, installs, measures, and writes the figures down.
pub(crate) fn run() -> Result<()> {
    needs::valgrind()?;
    let contestants = contestants::all()?;
    let plain = &contestants[0];
    let broker = with_plugins(plain)?;
    let mut figures = Figures::default();
    take_turns(&contestants, &broker, &mut figures)?;
    println!("idle, counted, signed in");
    for (name, contestant) in NAMES.into_iter().zip([&broker, &contestants[1], &contestants[2], &contestants[3]]) {
        figures.add(name, idle::watch(contestant)?);
        if name == BROKER || name == ECHO {
            figures.add(name, counted::count(contestant)?);
        }
    }
    figures.add(BROKER, login::measure(plain)?);
    let bytes = std::fs::metadata(plain.program())?.len();
    figures.add(BROKER, Turn::from([(Metric::Binary, bytes as f64 / 1e6)]));
    println!("plugins");
    let plugins = plugins::measure(plain)?;
    let vault = vault::measure(plain)?;
    println!("wrap");
    let mut pairs = wrap::measure(plain)?;
    println!("inside");
    pairs.extend(spend::measure(plain)?);
    let redaction = redaction::measure(plain)?;
    let references = references::measure(plain)?;
    let compiling = compiling::measure(plain)?;
    let clients = clients::measure(plain)?;
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

/// The first table alone, on the terminal alone: while something is being made faster.
pub(crate) fn quick() -> Result<()> {
    let contestants = contestants::all()?;
    let broker = with_plugins(&contestants[0])?;
    let mut figures = Figures::default();
    take_turns(&contestants, &broker, &mut figures)?;
    println!("\n{}", report::table(&figures));
    Ok(())
}

/// The broker as an MCP client starts it, without options, where somebody has plugins in the folder for them.
fn with_plugins(broker: &Contestant) -> Result<Contestant> {
    let data = contestants::folder().join("twenty");
    plugins::make(&data.join("mcp-credentials-broker/plugins"), PLUGINS)?;
    Ok(broker.with(&[], &contestants::folder().join("cache")).env("XDG_DATA_HOME", &data.to_string_lossy()))
}

fn take_turns(contestants: &[Contestant], broker: &Contestant, figures: &mut Figures) -> Result<()> {
    for round in 0..ROUNDS {
        println!("round {} of {ROUNDS}", round + 1);
        for turn in 0..contestants.len() {
            // Another one begins in every round.
            let which = (turn + round) % contestants.len();
            let contestant = if which == 0 { broker } else { &contestants[which] };
            let turn = turn::take(contestant).with_context(|| format!("{} could not be measured", contestant.name))?;
            figures.add(NAMES[which], turn);
        }
    }
    Ok(())
}

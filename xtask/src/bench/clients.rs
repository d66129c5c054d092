//! Many clients at once on one vault: each has a broker of its own, as MCP clients start them.

use std::fmt::Write as _;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::contestants::{Contestant, folder};
use super::driver::Session;
use super::example::verdict;
use super::figures::median;
use super::vault;

/// How many clients; the last against the best of the others.
const CLIENTS: [usize; 4] = [1, 2, 4, 16];
const ROUNDS: usize = 5;
/// How many calls all of them make together.
const CALLS: usize = 4800;
/// Where they store too, one call in so many does.
const STORES: usize = 20;
/// What sixteen must come to of the best.
const GOAL: f64 = 0.7;

/// Calls a second, of all clients together.
pub(super) struct Figures {
    reading: Vec<f64>,
    storing: Vec<f64>,
}

pub(super) fn measure(broker: &Contestant) -> Result<Figures> {
    let vault = vault::made(broker, 1_000)?;
    let broker = broker.with(&["--vault".into(), vault], &folder().join("cache"));
    let mut figures = [vec![Vec::new(); CLIENTS.len()], vec![Vec::new(); CLIENTS.len()]];
    for round in 0..ROUNDS {
        println!("clients, round {} of {ROUNDS}", round + 1);
        for turn in 0..CLIENTS.len() {
            let which = (turn + round) % CLIENTS.len();
            for (storing, figures) in figures.iter_mut().enumerate() {
                figures[which].push(together(&broker, CLIENTS[which], storing == 1)?);
            }
        }
    }
    let [reading, storing] =
        figures.map(|all| all.into_iter().map(|rounds| median(rounds.into_iter()).unwrap_or_default()).collect());
    Ok(Figures { reading, storing })
}

/// Calls a second where so many call at once.
fn together(broker: &Contestant, clients: usize, storing: bool) -> Result<f64> {
    let mut sessions = Vec::new();
    for _ in 0..clients {
        let mut session = Session::start(broker)?;
        // the vault is opened, and its key fetched
        session.call("get_secret", &wanted(0))?;
        sessions.push(session);
    }
    let begin = Barrier::new(clients + 1);
    let took: Result<Duration> = std::thread::scope(|scope| {
        let begin = &begin;
        let each = CALLS / clients;
        let threads: Vec<_> = sessions
            .iter_mut()
            .enumerate()
            .map(|(number, session)| {
                scope.spawn(move || -> Result<()> {
                    begin.wait();
                    for call in 0..each {
                        if storing && call % STORES == 0 {
                            let name = format!("client-{number}-{}", call % 100);
                            session
                                .call("store_secret", &json!({ "name": name, "value": "a value of usual length, 36 chars." }))?;
                        } else {
                            session.call("get_secret", &wanted(number * 31 + call * 7919))?;
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        begin.wait();
        let begun = Instant::now();
        for thread in threads {
            match thread.join() {
                Ok(done) => done?,
                Err(_) => bail!("a client broke down"),
            }
        }
        Ok(begun.elapsed())
    });
    let took = took.with_context(|| format!("{clients} clients at once"))?;
    Ok((CALLS / clients * clients) as f64 / took.as_secs_f64())
}

fn wanted(number: usize) -> Value {
    json!({ "name": vault::name(number % 1_000), "purpose": "measuring", "ttl_seconds": 600 })
}

/// The last against the best of the others.
fn ratio(figures: &[f64]) -> f64 {
    match figures {
        [few @ .., many] => many / few.iter().copied().fold(0.0, f64::max),
        [] => 0.0,
    }
}

impl Figures {
    pub(super) fn section(&self) -> String {
        let mut text = String::from(
            "## Many clients\n\n| clients at once on one vault | `get_secret`, all together, a second | one in twenty a `store_secret` |\n|--:|--:|--:|\n",
        );
        for ((clients, reading), storing) in CLIENTS.iter().zip(&self.reading).zip(&self.storing) {
            let _ = writeln!(text, "| {clients} | {reading:.0} | {storing:.0} |");
        }
        let (reading, storing) = (ratio(&self.reading), ratio(&self.storing));
        let _ = writeln!(
            text,
            "\nSixteen come to {reading:.2} of the best of the others where they read (goal: at least {GOAL}, {}), and to {storing:.2} where they\n\
             store too (goal: at least {GOAL}, {}). Each client has a broker process of its own and waits for each answer. What is stored\n\
             is on the disk when it is answered. Medians of {ROUNDS} rounds in turn, {CALLS} calls each.",
            verdict(reading >= GOAL),
            verdict(storing >= GOAL),
        );
        text
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "clients": CLIENTS, "reading_per_second": self.reading, "storing_per_second": self.storing,
            "reading_ratio": ratio(&self.reading), "storing_ratio": ratio(&self.storing), "goal": GOAL,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_are_held_against_the_best_of_the_others() {
        assert!((ratio(&[100.0, 200.0, 150.0, 140.0]) - 0.7).abs() < 1e-9);
        let figures = Figures { reading: vec![100.0, 200.0, 150.0, 141.0], storing: vec![1.0, 1.0, 1.0, 0.5] };
        assert!(figures.section().contains("0.70 of the best") && figures.section().contains("**missed**"));
    }
}

//! `audit`: reads the trail beside the vault, and proves it.

use std::time::{Duration, SystemTime};

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::Options;
use super::output::{count, print, print_json, say, table};

use super::session::no_vault;
use crate::audit::{self, Report, Wanted};
use crate::error::{Code, Error, Result};
use crate::vault;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Shows who asked for what, why, and what came of it.
    Show {
        /// Only what concerns this secret.
        #[arg(long, value_name = "NAME")]
        secret: Option<String>,
        /// Only what is not older, such as 1d, 12h or 30min.
        #[arg(long, value_name = "TIME", value_parser = lasting)]
        since: Option<Duration>,
        /// As JSON, one entry a line, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Finds lines that somebody edited, removed, moved, inserted or cut off.
    Verify {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(command: Command, options: &Options) -> Result<()> {
    let vault = vault::open(&options.load()?.vault)?;
    let file = vault.file().ok_or_else(no_vault)?;
    match command {
        Command::Show { secret, since, json } => {
            let since = since.map(|since| SystemTime::now().checked_sub(since).unwrap_or(SystemTime::UNIX_EPOCH));
            show(&audit::entries(file, &Wanted { secret, since })?, json)
        }
        Command::Verify { json } => {
            vault.ready()?;
            verdict(&audit::verify(file, &vault)?, json)
        }
    }
}

fn lasting(text: &str) -> std::result::Result<Duration, &'static str> {
    humantime::parse_duration(text).map_err(|_| "write it like --since 1d, --since 12h or --since 30min")
}

fn show(entries: &[Map<String, Value>], json: bool) -> Result<()> {
    if json {
        print(&entries.iter().map(|entry| format!("{}\n", Value::Object(entry.clone()))).collect::<String>())
    } else if entries.is_empty() {
        say("There is no such entry.")
    } else {
        let heading = ["TIME", "EVENT", "OUTCOME", "SECRET", "WHO", "WHAT FOR"].map(str::to_owned).to_vec();
        let rows: Vec<Vec<String>> = std::iter::once(heading).chain(entries.iter().map(row)).collect();
        print(&table(&rows))
    }
}

fn row(entry: &Map<String, Value>) -> Vec<String> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
    let outcome = match entry.get("code").and_then(Value::as_str) {
        Some(code) => format!("{} ({code})", text("outcome")),
        None => text("outcome"),
    };
    let who = match entry.get("pid").and_then(Value::as_u64) {
        Some(pid) => format!("{} [{pid}]", text("client")),
        None => text("client"),
    };
    let purpose = entry.get("purpose").and_then(Value::as_str).map(str::to_owned);
    let spent = |name: &str| entry.get(name).and_then(Value::as_str).map(|place| format!("-> {place}"));
    let what_for: Vec<String> = [purpose, spent("destination"), spent("process")].into_iter().flatten().collect();
    vec![text("time"), text("event"), outcome, text("secret"), who, what_for.join(" ")]
}

fn verdict(report: &Report, json: bool) -> Result<()> {
    if json {
        print_json(&json!(report))?;
    } else {
        for finding in &report.findings {
            say(&finding.sentence())?;
        }
        say(&summary(report))?;
    }
    match report.findings.len() {
        0 => Ok(()),
        places => Err(Error::new(
            Code::VaultTampered,
            format!("The audit trail was changed by something other than the broker, in {}.", count(places as u64, "place")),
            "Keep a copy of the files for whoever looks into it. Who could: programs of this user. Then revoke what the trail no longer accounts for.",
        )),
    }
}

fn summary(report: &Report) -> String {
    let whole = format!("{} in {}", count(report.lines, "line"), count(report.files as u64, "file"));
    let what = if report.findings.is_empty() { "As written" } else { "Of the rest, as written" };
    let mut text = format!("{what} and where it belongs: {whole}.");
    if report.rotated_away > 0 {
        text.push_str(&format!(" Let go with old files, as the trail grew: {}.", count(report.rotated_away, "line")));
    }
    if report.unfinished {
        text.push_str(" The last line was not finished by the process that wrote it.");
    }
    text
}

//! Where the figures go: the terminal, docs/benchmarks.md, and JSON under target/.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use super::contestants::folder;
use super::figures::{Figures, Row, rows};
use super::{CALLS, ROUNDS, STARTS};
use crate::{paths, run};

/// `sections` stand below the table, `more` beside it in the JSON.
pub(super) fn write(figures: &[Figures], sections: &[String], more: &Value) -> Result<()> {
    let (rows, machine) = (rows(figures), machine());
    let table = table(&rows);
    let sections: String = sections.iter().map(|section| format!("{}\n\n", section.trim())).collect();
    println!("\n{table}\n{sections}");
    let document = paths::root().join("docs").join("benchmarks.md");
    std::fs::create_dir_all(paths::root().join("docs"))?;
    std::fs::write(&document, page(&table, &sections, &machine))
        .with_context(|| format!("{} cannot be written", document.display()))?;
    let measured = figures.iter().map(Figures::json).collect::<Vec<_>>();
    let machine: Map<String, Value> = machine.into_iter().map(|(what, value)| (what.to_owned(), value.into())).collect();
    let everything = json!({
        "machine": machine, "table": rows.iter().map(Row::json).collect::<Vec<_>>(), "contestants": measured, "more": more,
    });
    let raw = folder().join("results.json");
    std::fs::write(&raw, format!("{everything:#}\n")).with_context(|| format!("{} cannot be written", raw.display()))?;
    println!("written: {}, {}", document.display(), raw.display());
    Ok(())
}

fn table(rows: &[Row]) -> String {
    let mut table = String::from(
        "| median | broker | npm predecessor | bare echo | predecessor ÷ broker | broker ÷ echo | goal | |\n\
         |---|--:|--:|--:|--:|--:|---|---|\n",
    );
    for row in rows {
        let (broker, npm, echo) = (told(row.broker), told(row.npm), told(row.echo));
        let met = if row.is_met() { "met" } else { "**missed**" };
        let _ = writeln!(
            table,
            "| {}, {} | {broker} | {npm} | {echo} | {}× | {}× | {} | {met} |",
            row.what,
            row.unit,
            told(row.times_less()),
            told(row.times_echo()),
            row.goal(),
        );
    }
    table
}

/// Three digits say all that a median knows.
fn told(value: f64) -> String {
    match value {
        large if large >= 100.0 => format!("{large:.0}"),
        middle if middle >= 10.0 => format!("{middle:.1}"),
        small => format!("{small:.2}"),
    }
}

fn page(table: &str, sections: &str, machine: &[(&str, String)]) -> String {
    let mut page = format!(
        "# Benchmarks\n\n\
         Written by `cargo xtask bench`, which runs the broker, its predecessor (npm `mcp-credentials-broker` 1.0.4) and a\n\
         bare JSON-RPC echo in Rust (`xtask/examples/echo.rs`) under the same driver, taking turns: {ROUNDS} rounds of {STARTS} starts and\n\
         {CALLS} calls each. The ratios are what counts; the seconds belong to the machine and the moment.\n\n\
         {table}\n\
         - *Start*: from before the process is spawned until its answer to `initialize` is read. The predecessor is run by\n  \
           `node` directly; through `npx` it takes longer.\n\
         - *Resident memory*: `VmRSS` right after that answer.\n\
         - *`get_secret`*: from before the request is written until the answer is read; every answer is checked. Standard\n  \
           error, where the broker writes its audit trail, is read all the while.\n\n\
         {sections}\
         The machine of these figures:\n\n"
    );
    for (what, value) in machine {
        let _ = writeln!(page, "- {what}: {value}");
    }
    page
}

/// What the figures depend on, as far as it is to be had.
fn machine() -> Vec<(&'static str, String)> {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(": ")?.1.to_owned())
    });
    let cores = std::thread::available_parallelism().ok().map(|cores| cores.to_string());
    let memory = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let kib: u64 = text.lines().next()?.split_whitespace().nth(1)?.parse().ok()?;
        Some(format!("{:.1} GiB", kib as f64 / 1024.0 / 1024.0))
    });
    [
        ("processor", cpu),
        ("cores", cores),
        ("memory", memory),
        ("system", run::probe("uname", &["-srm"])),
        ("Rust", run::probe("rustc", &["--version"])),
        ("Node.js", run::probe("node", &["--version"])),
        ("commit", run::probe("git", &["rev-parse", "--short", "HEAD"])),
        ("date", run::probe("date", &["-u", "+%F"])),
    ]
    .into_iter()
    .filter_map(|(what, value)| Some((what, value?)))
    .collect()
}

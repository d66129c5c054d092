//! Where the figures go: the terminal, and docs/ as Markdown, JSON and a picture.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use super::contestants::{ECHO, NAMES, NPM};
use super::figures::Figures;
use super::metrics::ALL;
use super::picture;
use super::turn::{CALLS, MANY, STARTS};
use super::{PLUGINS, ROUNDS};
use crate::{paths, run};

/// `sections` stand below the table, `more` beside it in the JSON.
pub(super) fn write(figures: &Figures, sections: &[String], more: &Value) -> Result<()> {
    let machine = machine();
    let table = table(figures);
    let sections: String = sections.iter().map(|section| format!("{}\n\n", section.trim())).collect();
    println!("\n{table}\n{sections}");
    let told: Map<String, Value> = machine.iter().map(|(what, value)| ((*what).to_owned(), value.as_str().into())).collect();
    let everything = json!({ "machine": told, "table": figures.json(), "more": more });
    let docs = paths::root().join("docs");
    for (name, text) in [
        ("benchmarks.md", page(&table, &sections, &machine)),
        ("benchmarks.json", format!("{everything:#}\n")),
        ("benchmarks.svg", picture::draw(figures)),
    ] {
        let file = docs.join(name);
        std::fs::write(&file, text).with_context(|| format!("{} cannot be written", file.display()))?;
        println!("written: {}", file.display());
    }
    Ok(())
}

pub(super) fn table(figures: &Figures) -> String {
    let mut table =
        format!("| | {} | ÷ predecessor | ÷ echo | goal | |\n|---|--:|--:|--:|--:|--:|--:|---|---|\n", NAMES.join(" | "));
    for about in &ALL {
        let _ =
            write!(table, "| {}{}", about.what, if about.unit.is_empty() { String::new() } else { format!(", {}", about.unit) });
        for name in NAMES {
            let _ = write!(table, " | {}", figures.of(name, about.metric).map(told).unwrap_or_default());
        }
        for other in [NPM, ECHO] {
            let ratio = figures.ratio(about.metric, other).map(|ratio| format!("{}×", told(ratio)));
            let _ = write!(table, " | {}", ratio.unwrap_or_default());
        }
        let met = match figures.is_met(about) {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "",
        };
        let _ = writeln!(table, " | {} | {met} |", about.goal.told());
    }
    table
}

/// Three digits say all that a median knows.
pub(super) fn told(value: f64) -> String {
    match value {
        large if large >= 100.0 => in_groups(&format!("{large:.0}")),
        middle if middle >= 10.0 => format!("{middle:.1}"),
        small => format!("{small:.2}"),
    }
}

/// 1234567 as 1,234,567.
fn in_groups(digits: &str) -> String {
    let first = digits.len() % 3;
    let groups = std::iter::once(&digits[..first])
        .chain(digits.as_bytes()[first..].chunks(3).map(|group| std::str::from_utf8(group).unwrap_or_default()));
    groups.filter(|group| !group.is_empty()).collect::<Vec<_>>().join(",")
}

fn page(table: &str, sections: &str, machine: &[(&str, String)]) -> String {
    let mut page = format!(
        "# Benchmarks\n\n\
         Written by `cargo xtask bench`, which runs the broker, its predecessor (npm `mcp-credentials-broker` 1.0.4), a bare\n\
         server of the MCP SDK for Rust over its `stdio()` (`xtask/bare-rmcp`), and a bare JSON-RPC echo in Rust\n\
         (`xtask/examples/echo.rs`) under the same driver, taking turns: {ROUNDS} rounds of {STARTS} starts, {CALLS} calls of each kind one\n\
         at a time, and {MANY} at once. The ratios are what counts; the seconds belong to the machine and the moment. All that\n\
         was measured is in [benchmarks.json](benchmarks.json); where the time goes in [performance.md](performance.md).\n\n\
         ![The first figures as bars](benchmarks.svg)\n\n\
         {table}\n\
         - *Figures* are medians over the rounds, *ratios* the median of the rounds' ratios.\n\
         - *Start*: from before the process is spawned until its answer to `initialize` is read. The programs are copies,\n  \
           as installing makes them. The broker is started as MCP clients do it, without options or a file of the operator's, with\n  \
           {PLUGINS} plugins in its folder beside the embedded six. The predecessor is run by `node` directly; through `npx` it takes\n  \
           longer.\n\
         - *Resident*: `VmRSS` right after that answer, or as the row says. *First login*: with GitHub's component, warm in the\n  \
           compile cache, over TLS (`host/examples/stage.rs` plays GitHub).\n\
         - *One at a time*: from before the request is written until the answer is read; every answer is checked. Standard\n  \
           error, where the broker writes its audit trail, is read all the while. The echo is sent the same lines. Before it sleeps, the\n  \
           broker looks for a moment whether the next line comes, which the echo does not: where waking up is slow, it is quicker.\n  \
           No vault is on disk here; with one see *A vault as it grows*.\n\
         - *Wake-ups*: voluntary context switches of all threads, after some calls.\n\
         - *Instructions, allocations*: of all threads, counted by valgrind.\n\n\
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_written_in_groups() {
        let shown: Vec<String> = [0.5, 42.25, 123.4, 1234.0, 850_000.0, 12_345_678.0].into_iter().map(told).collect();
        assert_eq!(shown, ["0.50", "42.2", "123", "1,234", "850,000", "12,345,678"]);
    }
}

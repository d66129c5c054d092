//! What a vault costs as it grows: `get_secret`, the start, and the disk.
//!
//! Filled as a person would fill it, by `vault import` of an age file, which this makes.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use age::secrecy::ExposeSecret as _;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::contestants::{Contestant, folder};
use super::driver::Session;
use super::figures::median;
use crate::run;

/// How many secrets; the first is what the others are held against.
const SIZES: [usize; 3] = [10, 1_000, 100_000];
const ROUNDS: usize = 5;
const STARTS: usize = 20;
const CALLS: usize = 1000;
/// How much more the largest may take than the smallest, and a start with it than with an empty one.
const GOAL: f64 = 1.5;

/// What was measured.
pub(super) struct Figures {
    sizes: Vec<Size>,
    /// Starts with an empty vault, in milliseconds.
    empty_start_ms: f64,
    /// `get_secret` with the largest against the smallest, and a start with it against one with an empty vault: the median
    /// of the rounds' ratios, so that what else the machine did in one of them does not count.
    call_ratio: f64,
    start_ratio: f64,
}

struct Size {
    secrets: usize,
    call_us: f64,
    start_ms: f64,
    bytes_each: f64,
}

/// Makes the vaults and takes turns between them, so that whatever else the machine does falls on all.
pub(super) fn measure(broker: &Contestant) -> Result<Figures> {
    let mut vaults = vec![(0, made(broker, 0)?)];
    for secrets in SIZES {
        vaults.push((secrets, made(broker, secrets)?));
    }
    // by vault and round
    let mut starts: Vec<Vec<Vec<Duration>>> = vaults.iter().map(|_| Vec::new()).collect();
    let mut calls = starts.clone();
    for round in 0..ROUNDS {
        println!("vaults, round {} of {ROUNDS}", round + 1);
        for turn in 0..vaults.len() {
            let which = (turn + round) % vaults.len();
            let (secrets, vault) = &vaults[which];
            let contestant = broker.with(&["--vault".into(), vault.clone()], &folder().join("cache"));
            let started = (0..STARTS).map(|_| Ok(Session::start(&contestant)?.started_in));
            starts[which].push(started.collect::<Result<_>>()?);
            let mut session = Session::start(&contestant)?;
            let mut called = Vec::new();
            for call in 0..if *secrets == 0 { 0 } else { CALLS } {
                // Others each time, in no order that the disk would like.
                let name = name(call * 7919 % secrets);
                let wanted = json!({ "name": name, "purpose": "measuring", "ttl_seconds": 600 });
                called.push(session.call("get_secret", &wanted)?);
            }
            calls[which].push(called);
        }
    }
    let nothing = "nothing was measured";
    let millis = |rounds: &[Vec<Duration>]| median(rounds.iter().flatten().map(|time| time.as_secs_f64() * 1e3)).context(nothing);
    let mut sizes = Vec::new();
    for (which, (secrets, vault)) in vaults.iter().enumerate().skip(1) {
        let empty = std::fs::metadata(&vaults[0].1)?.len();
        let bytes = std::fs::metadata(vault)?.len() - empty;
        sizes.push(Size {
            secrets: *secrets,
            call_us: millis(&calls[which])? * 1e3,
            start_ms: millis(&starts[which])?,
            bytes_each: bytes as f64 / *secrets as f64,
        });
    }
    let empty_start_ms = millis(&starts[0])?;
    // nothing is asked of the empty one
    let (call_ratio, start_ratio) = (growth(&calls[1..]).context(nothing)?, growth(&starts).context(nothing)?);
    Ok(Figures { sizes, empty_start_ms, call_ratio, start_ratio })
}

/// How much longer it took with the last vault than with the first: the median of the rounds' ratios.
fn growth(vaults: &[Vec<Vec<Duration>>]) -> Option<f64> {
    let middle = |round: &Vec<Duration>| median(round.iter().map(Duration::as_secs_f64));
    let (first, last) = (vaults.first()?, vaults.last()?);
    median(last.iter().zip(first).filter_map(|(last, first)| Some(middle(last)? / middle(first)?)))
}

/// The name of one of the secrets.
pub(super) fn name(number: usize) -> String {
    format!("service/account-{number}")
}

/// A vault with so many secrets, whose key is a file.
pub(super) fn made(broker: &Contestant, secrets: usize) -> Result<PathBuf> {
    let folder = folder().join(format!("vault-{secrets}"));
    let _ = std::fs::remove_dir_all(&folder);
    private(&folder)?;
    let vault = folder.join("vault.db");
    let key = folder.join("vault.key");
    let command = |arguments: &[&Path]| -> Command {
        let mut command = broker.with(&[], &self::folder().join("cache")).command();
        command.args(arguments).arg("--vault").arg(&vault);
        command
    };
    run::show(&mut command(&["vault".as_ref(), "init".as_ref(), "--key-file".as_ref(), &key]))?;
    if secrets > 0 {
        let (archive, identity) = (folder.join("archive.age"), folder.join("identity"));
        write_archive(&archive, &identity, secrets)?;
        run::show(&mut command(&["vault".as_ref(), "import".as_ref(), &archive, "--identity".as_ref(), &identity]))?;
    }
    Ok(vault)
}

fn private(folder: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).with_context(|| format!("{} cannot be made", folder.display()))
}

/// What `vault export` writes: values of a usual length.
fn write_archive(archive: &Path, identity: &Path, secrets: usize) -> Result<()> {
    let records = (0..secrets).map(|number| {
        json!({ "name": name(number), "stored": { "static": format!("a value of usual length, {number:08}.") }, "tags": {}, "created": 1 })
    });
    let document = json!({ "format": 1, "secrets": records.collect::<Vec<Value>>(), "tombstones": [] });
    let key = age::x25519::Identity::generate();
    let recipient = key.to_public();
    let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))?;
    let mut writer = encryptor.wrap_output(std::fs::File::create(archive)?)?;
    writer.write_all(document.to_string().as_bytes())?;
    writer.finish()?;
    Ok(std::fs::write(identity, format!("{}\n", key.to_string().expose_secret()))?)
}

impl Figures {
    pub(super) fn section(&self) -> String {
        let mut text = String::from(
            "\n## A vault as it grows\n\n| secrets | `get_secret`, µs | start until `initialize` is answered, ms | bytes on disk for each |\n|--:|--:|--:|--:|\n",
        );
        let _ = writeln!(text, "| 0 | | {:.2} | |", self.empty_start_ms);
        for size in &self.sizes {
            let _ = writeln!(text, "| {} | {:.1} | {:.2} | {:.0} |", size.secrets, size.call_us, size.start_ms, size.bytes_each);
        }
        let verdict = |ratio: f64| if ratio < GOAL { "met" } else { "**missed**" };
        let (calls, start) = (self.call_ratio, self.start_ratio);
        let _ = writeln!(
            text,
            "\nThe largest takes {calls:.2} times as long for `get_secret` as the smallest (goal: less than {GOAL}, {}), and a start with it\n\
             {start:.2} times as long as with an empty one (goal: less than {GOAL}, {}). Medians of {ROUNDS} rounds in turn, {CALLS} calls and {STARTS} starts each;\n\
             the ratios are the median of the rounds' ratios.",
            verdict(calls),
            verdict(start),
        );
        text
    }

    pub(super) fn json(&self) -> Value {
        let size = |size: &Size| json!({ "secrets": size.secrets, "call_us": size.call_us, "start_ms": size.start_ms, "bytes_each": size.bytes_each });
        json!({
            "empty_start_ms": self.empty_start_ms, "sizes": self.sizes.iter().map(size).collect::<Vec<_>>(),
            "call_ratio": self.call_ratio, "start_ratio": self.start_ratio, "goal": GOAL,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_vault_is_held_against_the_smallest_round_by_round() {
        let rounds = |times: [u64; 3]| times.map(|millis| vec![Duration::from_millis(millis); 3]).to_vec();
        let ratio = growth(&[rounds([10, 20, 30]), rounds([900, 900, 900]), rounds([12, 60, 30])]).unwrap();
        assert!((ratio - 1.2).abs() < 1e-9, "{ratio}");
        assert!(growth(&[Vec::new(), Vec::new()]).is_none());
    }

    #[test]
    fn a_goal_is_met_below_it() {
        let figures = |ratio| Figures { sizes: Vec::new(), empty_start_ms: 2.0, call_ratio: ratio, start_ratio: ratio };
        let met = figures(1.49);
        assert!(met.section().matches(", met").count() == 2, "{}", met.section());
        assert_eq!(figures(1.5).section().matches("**missed**").count(), 2);
    }
}

//! Numbers that do not depend on the machine's mood: instructions and allocations of a call, counted by valgrind in the
//! program as it is released. Two runs, the second with more calls: what they differ by is the calls'.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::contestants::{Contestant, folder};
use super::driver::Session;
use super::figures::Turn;
use super::metrics::Metric;
use super::turn::{stored, wanted};

const FEW: usize = 100;
const MORE: usize = 1100;

/// Counts.
pub(super) fn count(contestant: &Contestant) -> Result<Turn> {
    let each = |of: fn(&Contestant, usize) -> Result<f64>| -> Result<f64> {
        Ok((of(contestant, MORE)? - of(contestant, FEW)?) / (MORE - FEW) as f64)
    };
    Ok(Turn::from([(Metric::Instructions, each(instructions)? / 1e3), (Metric::Allocations, each(allocations)?)]))
}

fn instructions(contestant: &Contestant, calls: usize) -> Result<f64> {
    let out = folder().join("callgrind.out");
    let option = format!("--callgrind-out-file={}", out.display());
    let written = under(contestant, &["--tool=callgrind", &option], &out, calls)?;
    after(&written, "summary:").or_else(|| after(&written, "totals:")).context("callgrind counted nothing")
}

fn allocations(contestant: &Contestant, calls: usize) -> Result<f64> {
    let out = folder().join("memcheck.out");
    let option = format!("--log-file={}", out.display());
    let written = under(contestant, &["--tool=memcheck", "--leak-check=no", "--undef-value-errors=no", &option], &out, calls)?;
    after(&written, "total heap usage:").context("memcheck counted nothing")
}

/// Runs so many calls under valgrind, and returns what it wrote.
fn under(contestant: &Contestant, options: &[&str], out: &Path, calls: usize) -> Result<String> {
    let _ = std::fs::remove_file(out);
    let mut session = Session::start(&contestant.under("valgrind", options))?;
    session.call("store_secret", &stored("bench"))?;
    for _ in 0..calls {
        session.call("get_secret", &wanted())?;
    }
    ensure!(session.leave()?.success(), "valgrind failed; {} may say why", out.display());
    std::fs::read_to_string(out).with_context(|| format!("valgrind wrote no {}", out.display()))
}

/// The first number after these words.
fn after(text: &str, words: &str) -> Option<f64> {
    let (_, rest) = text.split_once(words)?;
    rest.split_whitespace().next()?.replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_valgrind_writes_is_read() {
        assert_eq!(after("events: Ir\nsummary: 1234567\n", "summary:"), Some(1_234_567.0));
        let heap = "==7==   total heap usage: 12,345 allocs, 12,300 frees, 9,999,999 bytes allocated";
        assert_eq!(after(heap, "total heap usage:"), Some(12345.0));
        assert_eq!(after("nothing", "summary:"), None);
    }
}

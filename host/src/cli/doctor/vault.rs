//! Vault, clock, audit trail, and values that redaction cannot look for.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Check, State};
use crate::audit;
use crate::cli::output::{count, time};
use crate::error::Code;
use crate::vault::{self, Record, Stored, Vault};

/// Shorter values are found everywhere by chance, so nobody looks for them in what goes out.
const SHORTEST_SEARCHED: usize = 8;
/// Clocks of one machine may differ by this much without harm.
const LEEWAY: Duration = Duration::from_secs(300);

pub(super) fn checks(vault: &Arc<dyn Vault>) -> Vec<Check> {
    let now = SystemTime::now();
    let keychain = keychain();
    let Some(file) = vault.file() else {
        let none = Check::warning(
            "vault",
            "There is none: each broker keeps its logins in its own memory, until it ends.",
            "mcp-credentials-broker vault init",
        );
        return vec![none, keychain, clock(now, None)];
    };
    let found = vault.ready().and_then(|()| vault.list());
    let records = match found {
        Ok(records) => records,
        Err(error) => {
            // Locked is a state that the person chose.
            let state = if error.code() == Code::VaultLocked { State::Warning } else { State::Problem };
            return vec![Check::of("vault", state, &error), keychain, clock(now, None)];
        }
    };
    let opens = format!("{} opens, with {} as written.", file.display(), count(records.len() as u64, "record"));
    let newest = records.iter().map(|(_, record)| written(record)).max();
    let mut checks = vec![Check::ok("vault", opens), keychain, clock(now, newest), trail(file, vault)];
    let short = |record: &Record| match &record.stored {
        Stored::Static(value) => value.len() < SHORTEST_SEARCHED,
        Stored::Grant(grant) => grant.access.len() < SHORTEST_SEARCHED,
    };
    let short: Vec<&str> = records.iter().filter(|(_, record)| short(record)).map(|(name, _)| name.as_str()).collect();
    checks.push(if short.is_empty() {
        Check::ok(
            "redaction",
            format!(
                "Every value has {SHORTEST_SEARCHED} bytes or more. Shorter ones are not searched for in answers and output."
            ),
        )
    } else {
        Check::warning(
            "redaction",
            format!(
                "Shorter than {SHORTEST_SEARCHED} bytes, and so not searched for in answers and output: {}.",
                some_of(&short)
            ),
            "Replace each by a longer one at its issuer, then: mcp-credentials-broker secrets set NAME",
        )
    });
    checks
}

/// Nobody needs one: a vault may have a passphrase or a key file. One whose key is in there does not open without, and
/// says so itself.
fn keychain() -> Check {
    match vault::keychain_answers() {
        Ok(()) => Check::ok("keychain", "The operating system's keychain answers."),
        Err(error) => Check::of("keychain", State::Warning, &error),
    }
}

fn some_of(names: &[&str]) -> String {
    const SHOWN: usize = 10;
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    format!("{}{more}", names[..names.len().min(SHOWN)].join(", "))
}

fn written(record: &Record) -> SystemTime {
    match &record.stored {
        Stored::Static(_) => record.created,
        Stored::Grant(grant) => grant.issued.max(record.created),
    }
}

/// A clock that is wrong makes tokens look fresh that have ended, or ended that are fresh.
fn clock(now: SystemTime, newest: Option<SystemTime>) -> Check {
    /// Earlier than this program: 2026-01-01.
    const BEGINNING: Duration = Duration::from_secs(1_767_225_600);
    let remedy = "timedatectl set-ntp true";
    if now < SystemTime::UNIX_EPOCH + BEGINNING {
        return Check::warning("clock", format!("It says {}, which is before this program was made.", time(now)), remedy);
    }
    match newest {
        Some(newest) if newest > now + LEEWAY => Check::warning(
            "clock",
            format!("It says {}, but the vault was written at {}: one of the two was wrong.", time(now), time(newest)),
            remedy,
        ),
        _ => Check::ok("clock", "It is not behind the vault's newest record."),
    }
}

fn trail(file: &Path, vault: &Arc<dyn Vault>) -> Check {
    match audit::verify(file, vault) {
        Err(error) => Check::of("audit", State::Problem, &error),
        Ok(report) if report.findings.is_empty() => Check::ok("audit", format!("{}, as written.", count(report.lines, "line"))),
        Ok(report) => Check {
            check: "audit",
            state: State::Problem,
            message: format!(
                "The trail was changed by something other than the broker, in {}.",
                count(report.findings.len() as u64, "place")
            ),
            remedy: Some("mcp-credentials-broker audit verify".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_judged_by_what_was_written_last() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let now = at(1_800_000_000);
        assert_eq!(clock(now, None).state, State::Ok);
        assert_eq!(clock(now, Some(at(1_800_000_200))).state, State::Ok, "clocks differ a little");
        assert_eq!(clock(now, Some(at(1_800_001_000))).state, State::Warning);
        assert_eq!(clock(at(1_000), None).state, State::Warning);
    }
}

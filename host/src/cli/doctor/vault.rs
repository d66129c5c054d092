//! Vault, clock, audit trail, and values that redaction cannot look for.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Check, State};
use crate::audit;
use crate::cli::output::{count, time};
use crate::config;
use crate::error::Code;
use crate::redaction::MIN;
use crate::vault::{self, OpenedBy, Record, Sqlite, Stored, Vault};

/// Clocks of one machine may differ by this much without harm.
const LEEWAY: Duration = Duration::from_secs(300);

pub(super) fn checks(vault: &Arc<dyn Vault>, config: &config::Vault, given: &str) -> Vec<Check> {
    let now = SystemTime::now();
    let Some(file) = vault.file() else {
        let none = Check::warning(
            "vault",
            "There is none: each broker keeps its logins in its own memory, until it ends.",
            format!("mcp-credentials-broker vault init{given}"),
        );
        return [none, keychain()].into_iter().chain(clock(now, None)).collect();
    };
    // Only a vault whose key is in there needs one.
    let opened_by = Sqlite::find(config).and_then(|vault| vault.opened_by());
    let keychain = matches!(opened_by, Ok(OpenedBy::Keychain)).then(keychain);
    let found = vault.ready().and_then(|()| vault.list());
    let records = match found {
        Ok(records) => records,
        Err(error) => {
            // Locked is a state that the person chose, unless a file has the key.
            let chosen = error.code() == Code::VaultLocked && !matches!(opened_by, Ok(OpenedBy::KeyFile(_)));
            let state = if chosen { State::Warning } else { State::Problem };
            return [Check::of("vault", state, &error)].into_iter().chain(keychain).chain(clock(now, None)).collect();
        }
    };
    let opens = format!("{} opens, with {} as written.", file.display(), count(records.len() as u64, "record"));
    let newest = records.iter().map(|(_, record)| written(record)).max();
    let mut checks = vec![Check::ok("vault", opens)];
    checks.extend(keychain.into_iter().chain(clock(now, newest)).chain([trail(file, vault, given)]));
    let short = |record: &Record| match &record.stored {
        Stored::Static(value) => value.len() < MIN,
        Stored::Grant(grant) => grant.access.len() < MIN,
    };
    let short: Vec<&str> = records.iter().filter(|(_, record)| short(record)).map(|(name, _)| name.as_str()).collect();
    checks.push(if short.is_empty() {
        Check::ok(
            "redaction",
            format!("Every value has {MIN} bytes or more. Shorter ones are not searched for in answers and output."),
        )
    } else {
        Check::warning(
            "redaction",
            format!("Shorter than {MIN} bytes, and so not searched for in answers and output: {}.", some_of(&short)),
            format!("Replace each by a longer one at its issuer, then: mcp-credentials-broker secrets set NAME{given}"),
        )
    });
    checks
}

/// Nobody needs one: a vault may have a passphrase or a key file.
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

/// A clock that is wrong makes tokens look fresh that have ended, or ended that are fresh. Nothing is said where there is
/// nothing to judge it by.
fn clock(now: SystemTime, newest: Option<SystemTime>) -> Option<Check> {
    /// Earlier than this program: 2026-01-01.
    const BEGINNING: Duration = Duration::from_secs(1_767_225_600);
    let remedy = "timedatectl set-ntp true";
    if now < SystemTime::UNIX_EPOCH + BEGINNING {
        let message = format!("It says {}, which is before this program was made.", time(now));
        return Some(Check::warning("clock", message, remedy));
    }
    Some(match newest? {
        newest if newest > now + LEEWAY => Check::warning(
            "clock",
            format!("It says {}, but the vault was written at {}: one of the two was wrong.", time(now), time(newest)),
            remedy,
        ),
        _ => Check::ok("clock", "It is not behind the vault's newest record."),
    })
}

fn trail(file: &Path, vault: &Arc<dyn Vault>, given: &str) -> Check {
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
            remedy: Some(format!("mcp-credentials-broker audit verify{given}")),
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
        let state = |now, newest| clock(now, newest).map(|check| check.state);
        assert_eq!(state(now, None), None);
        assert_eq!(state(now, Some(at(1_800_000_200))), Some(State::Ok), "clocks differ a little");
        assert_eq!(state(now, Some(at(1_800_001_000))), Some(State::Warning));
        assert_eq!(state(at(1_000), None), Some(State::Warning));
    }
}

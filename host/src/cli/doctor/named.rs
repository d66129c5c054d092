//! What the operator's file names, and whether it is there: files and secrets that providers' settings come from, secrets
//! for the doors, programs. Nothing is run for it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Check, Patient, State};
use crate::broker::doors::exec::does_what_it_is_told;
use crate::config::doors::Program;
use crate::config::{self, Elsewhere, Source};
use crate::process;
use crate::secret::SecretName;
use crate::vault;

/// The names in the vault.
pub(super) enum Stored {
    /// There is no vault.
    NoVault,
    /// It is locked, or cannot be read; that is said elsewhere.
    NotKnown,
    /// Each with whether it is a value, and no login.
    Names(BTreeMap<String, bool>),
}

impl Stored {
    pub(super) fn of(patient: &Patient) -> Self {
        if patient.vault.file().is_none() {
            return Self::NoVault;
        }
        let list = if patient.vault.is_ready() { patient.vault.list().ok() } else { None };
        let is_value = |stored| matches!(stored, vault::Stored::Static(_));
        let names = |list: Vec<(SecretName, vault::Record)>| {
            list.into_iter().map(|(name, record)| (name.to_string(), is_value(record.stored))).collect()
        };
        list.map_or(Self::NotKnown, |list| Self::Names(names(list)))
    }

    /// Whether it is known that there is none of that name.
    pub(super) fn lacks(&self, name: &str) -> bool {
        matches!(self, Self::Names(names) if !names.contains_key(name))
    }
}

/// What stands in the way of a provider's settings.
pub(super) fn settings(patient: &Patient, provider: &str, settings: &BTreeMap<String, Source>, stored: &Stored) -> Vec<Check> {
    let fault = |(setting, source): (&String, &Source)| {
        let (message, remedy) = fault(patient, source, stored)?;
        Some(Check::warning("provider", format!("[providers.{provider}] {setting}: {message}"), remedy))
    };
    settings.iter().filter_map(fault).collect()
}

/// What is wrong, and what to do.
fn fault(patient: &Patient, source: &Source, stored: &Stored) -> Option<(String, String)> {
    match source {
        // What a pipe gives, it gives once.
        Source::Elsewhere(Elsewhere::File(file)) if file.is_file() || !file.exists() => {
            let error = config::source::read(source).err()?;
            Some((error.message().to_owned(), error.hint().to_owned()))
        }
        Source::Elsewhere(Elsewhere::Secret(name)) => {
            let set = || patient.command(&format!("secrets set {name}"));
            match stored {
                Stored::NoVault => {
                    Some(("It is to come from the vault, and there is none.".to_owned(), patient.command("vault init")))
                }
                Stored::Names(names) => match names.get(name) {
                    Some(true) => None,
                    Some(false) => Some((format!("The secret \"{name}\" is a login, and a stored value is needed."), set())),
                    None => Some((format!("There is no secret \"{name}\" in the vault."), set())),
                },
                Stored::NotKnown => None,
            }
        }
        _ => None,
    }
}

/// What `[exec]`, `[wrap]`, `[git]` and `[token_command]` name and is not there.
pub(super) fn doors(patient: &Patient, stored: &Stored) -> Vec<Check> {
    let doors = &patient.config.doors;
    let mut checks = Vec::new();
    let mut look = |check, place: String, program: Option<&Program>, secrets: BTreeSet<&SecretName>| {
        checks.extend(program.and_then(|program| no_program(check, &place, program)));
        let hidden = || secrets.iter().copied().find(|name| patient.broker.is_hidden(name));
        checks
            .extend(program.filter(|program| is_open(program)).and_then(|program| printable(check, &place, program, hidden()?)));
        let missing = secrets.into_iter().filter(|name| stored.lacks(name.as_str()));
        checks.extend(missing.map(|name| no_secret(patient, check, &place, name)));
    };
    for (name, exec) in &doors.exec {
        look("exec", format!("[exec.\"{name}\"]"), Some(&exec.program), exec.secrets.iter().collect());
    }
    for (name, wrap) in &doors.wrap {
        let secrets = wrap.allow.iter().map(|place| &place.secret).collect();
        look("wrap", format!("[wrap.\"{name}\"]"), wrap.program.as_ref(), secrets);
    }
    for (host, git) in &doors.git {
        look("git", format!("[git] \"{host}\""), None, [&git.secret].into());
    }
    look("token-command", "[token_command]".to_owned(), None, doors.token_command.iter().collect());
    checks
}

fn no_program(check: &'static str, place: &str, program: &Program) -> Option<Check> {
    let error = process::find(program.path.as_os_str()).err()?.error;
    let remedy = "Install it, or correct program there.".to_owned();
    Some(Check { check, state: State::Warning, message: format!("{place}: {}", error.message()), remedy: Some(remedy) })
}

/// Whether nothing says what it is to do.
fn is_open(program: &Program) -> bool {
    program.arguments.is_empty() && does_what_it_is_told(&program.path)
}

fn printable(check: &'static str, place: &str, program: &Program, secret: &SecretName) -> Option<Check> {
    let short = program.path.file_name()?.to_string_lossy();
    let message =
        format!("{place}: {short} does whatever its arguments say, so whoever starts it can have \"{secret}\" printed.");
    Some(Check::warning(check, message, "Add there: arguments = [\"/WHOLE/PATH/OF/ITS/SCRIPT\"]"))
}

fn no_secret(patient: &Patient, check: &'static str, place: &str, name: &SecretName) -> Check {
    let (set, login) = (format!("secrets set {name}"), format!("login PROVIDER --name {name}"));
    Check::warning(
        check,
        format!("{place}: There is no secret \"{name}\" in the vault."),
        format!("Store it: {}; or sign in: {}", patient.command(&set), patient.command(&login)),
    )
}

//! `doctor`: looks whether everything is as it should be. Each line says ok, warning or problem, and the remedy as a
//! command where there is one.
//!
//! It changes nothing, and asks each room in that room's own words: what stands in the way of a tool stands here.

mod git;
mod ground;
mod named;
mod providers;
mod reach;
mod vault;

use std::sync::Arc;

use serde::Serialize;
use serde_json::json;

use super::Options;
use super::failure::for_people;
use super::output::{print, print_json};
use super::serve;
use crate::audit::Audit;
use crate::broker::Broker;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::vault::Vault;

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    /// It works, and may not do what was meant.
    Warning,
    /// Something does not work.
    Problem,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    check: &'static str,
    state: State,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Check {
    fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, state: State::Ok, message: message.into(), remedy: None }
    }

    fn warning(check: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, state: State::Warning, message: message.into(), remedy: Some(remedy.into()) }
    }

    /// What another room says is wrong.
    fn of(check: &'static str, state: State, error: &Error) -> Self {
        let remedy = Some(for_people(error.hint())).filter(|hint| !hint.is_empty());
        Self { check, state, message: error.message().to_owned(), remedy }
    }
}

/// What the checks look at.
struct Patient {
    config: Config,
    broker: Arc<Broker>,
    vault: Arc<dyn Vault>,
    /// The options that name this configuration and this vault, for a command that the person is to type.
    given: String,
}

impl Patient {
    /// A command for the very same vault.
    fn command(&self, command: &str) -> String {
        format!("mcp-credentials-broker {command}{}", self.given)
    }
}

pub(super) fn run(options: &Options, json: bool) -> Result<()> {
    let runtime = serve::runtime()?;
    let mut checks = Vec::new();
    let mut within = Vec::new();
    match admit(options) {
        Ok(patient) => {
            checks.push(ground::configuration(options));
            checks.extend(runtime.block_on(examine(&patient)));
            within = runtime.block_on(reach::reach(&patient, options));
        }
        // Without a configuration nothing else can be judged.
        Err(error) => checks.push(Check::of("configuration", State::Problem, &error)),
    }
    let count = |state| checks.iter().filter(|check| check.state == state).count();
    let (problems, warnings) = (count(State::Problem), count(State::Warning));
    if json {
        print_json(&json!({ "problems": problems, "warnings": warnings, "checks": checks, "withinReach": within }))?;
    } else {
        print(&text(&checks, &within))?;
    }
    runtime.shutdown_timeout(std::time::Duration::from_millis(50));
    if problems == 0 {
        return Ok(());
    }
    let found = if problems == 1 { "1 problem was found.".to_owned() } else { format!("{problems} problems were found.") };
    Err(Error::new(Code::Internal, found, "Do what stands below each, then run this again."))
}

fn admit(options: &Options) -> Result<Patient> {
    let (broker, vault) = serve::build(options, Audit::to(std::io::sink()))?;
    Ok(Patient { config: options.load()?, broker, vault, given: options.repeated() })
}

async fn examine(patient: &Patient) -> Vec<Check> {
    let mut checks = vec![ground::callback(patient).await, ground::reveal(patient)];
    let (vault, config, given) = (Arc::clone(&patient.vault), patient.config.vault.clone(), patient.given.clone());
    // A keychain may ask the person first.
    checks.extend(tokio::task::spawn_blocking(move || vault::checks(&vault, &config, &given)).await.unwrap_or_default());
    let stored = named::Stored::of(patient);
    checks.extend(providers::checks(patient, &stored).await);
    checks.extend(named::doors(patient, &stored));
    checks.extend(git::checks(patient, &stored).await);
    checks
}

fn text(checks: &[Check], within: &[String]) -> String {
    let mut text = String::new();
    for Check { check, state, message, remedy } in checks {
        let state = match state {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Problem => "problem",
        };
        text.push_str(&format!("{state:8} {check:14} {message}\n"));
        if let Some(remedy) = remedy {
            text.push_str(&format!("{:23} {remedy}\n", ""));
        }
    }
    if !within.is_empty() {
        text.push_str("\nA program that runs as you, such as an agent with a shell, can reach:\n");
        within.iter().for_each(|place| text.push_str(&format!("- {place}\n")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_stands_below_its_line() {
        let checks = [Check::ok("clock", "It is sane."), Check::warning("vault", "There is none.", "Run: x vault init")];
        let expected = "\
ok       clock          It is sane.
warning  vault          There is none.
                        Run: x vault init

A program that runs as you, such as an agent with a shell, can reach:
- the vault
";
        assert_eq!(text(&checks, &["the vault".to_owned()]), expected);
    }
}

//! `secrets`: what is stored. A value comes in by standard input or a hidden prompt, and never goes out.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;

use clap::Subcommand;

use super::Options;
use super::output::{print, print_json, say, table, time};
use super::session::Session;
use super::terminal;
use crate::broker::secrets::{MAX_VALUE, Overview};
use crate::error::{Code, Error, Result};
use crate::mcp;
use crate::redaction;
use crate::secret::Secret;
use crate::vault::Stored;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Lists what is stored: names, never values. A kind is value or login; in JSON static or oauth, as agents have it.
    List {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Stores a value under a name. It is read from standard input, or from a prompt that does not show it.
    ///
    /// One line break at the end of standard input is left out, as editors and `echo` add it; --exact keeps it.
    Set {
        /// The name.
        name: String,
        /// Keeps a line break at the end.
        #[arg(long)]
        exact: bool,
        /// Something to find it by; may be given more than once.
        #[arg(long = "tag", value_name = "KEY=TEXT", value_parser = tag)]
        tags: Vec<(String, String)>,
        /// Not a way to give the value.
        #[arg(hide = true, value_name = "VALUE")]
        value: Vec<String>,
    },
    /// Forgets a secret. Revokes nothing at the provider: for a login, see logout.
    Delete {
        /// The name.
        name: String,
    },
}

pub(super) fn run(command: Command, options: &Options) -> Result<()> {
    match command {
        Command::List { json } => list(options, json),
        Command::Set { name, exact, tags, value } => {
            if !value.is_empty() {
                return Err(argument());
            }
            set(options, &name, exact, tags.into_iter().collect())
        }
        Command::Delete { name } => Session::open(options, "secrets delete")?.run(async |broker| {
            let name = broker.delete_secret(&name)?;
            say(&format!("\"{name}\" is forgotten. Nothing was revoked at a provider."))
        }),
    }
}

fn tag(text: &str) -> std::result::Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    pair.map(|(key, value)| (key.to_owned(), value.to_owned())).ok_or_else(|| "write it like --tag team=lab".to_owned())
}

/// Clap would repeat the value in its own words.
fn argument() -> Error {
    Error::new(
        Code::InvalidArgument,
        "A value is not taken from the command line: every program of this machine can read that, and the shell keeps it.",
        "Type it where it is not shown: mcp-credentials-broker secrets set NAME. Or pipe it in: pass show openai | mcp-credentials-broker secrets set NAME. If this one is in your shell's history, replace it at its issuer.",
    )
}

fn set(options: &Options, name: &str, exact: bool, tags: BTreeMap<String, String>) -> Result<()> {
    let session = Session::open(options, "secrets set")?;
    let value = if std::io::stdin().is_terminal() {
        terminal::hidden_line(&format!("Value of {}, not shown: ", crate::error::foreign(name)), "the value")?
    } else {
        // Two bytes for a line break that is left out.
        let text = terminal::input(MAX_VALUE + 2)?;
        Secret::from(if exact { &text } else { without_line_break(&text) })
    };
    let short = value.len() < redaction::MIN;
    session.run(async |broker| {
        let name = broker.store_secret(name, value, tags)?;
        say(&format!("\"{name}\" is stored.{}", if short { redaction::TOO_SHORT } else { "" }))
    })
}

fn without_line_break(text: &str) -> &str {
    text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(text)
}

fn list(options: &Options, json: bool) -> Result<()> {
    Session::open(options, "secrets list")?.run(async |broker| {
        let all = broker.list_secrets()?;
        if json {
            print_json(&serde_json::json!({ "secrets": all.iter().map(mcp::shown_secret).collect::<Vec<_>>() }))
        } else if all.is_empty() {
            say("Nothing is stored. To sign in: mcp-credentials-broker login PROVIDER")
        } else {
            let heading = ["NAME", "KIND", "PROVIDER", "ACCOUNT", "STATE", "TOKEN ENDS"].map(str::to_owned).to_vec();
            let rows: Vec<Vec<String>> = std::iter::once(heading).chain(all.iter().map(row)).collect();
            print(&table(&rows))
        }
    })
}

fn row(overview: &Overview) -> Vec<String> {
    let state = overview.state.replace('_', " ");
    let name = overview.name.to_string();
    match &overview.record.stored {
        Stored::Static(_) => vec![name, "value".to_owned(), "-".to_owned(), "-".to_owned(), state, "-".to_owned()],
        Stored::Grant(grant) => {
            let account = grant.account.as_ref().map(|account| account.label.as_ref().unwrap_or(&account.subject));
            let account = account.map_or_else(|| "not known".to_owned(), |text| text.replace(crate::error::is_deceptive, " "));
            let ends = grant.expires.map_or_else(|| "not told".to_owned(), time);
            vec![name, "login".to_owned(), grant.provider.clone(), account, state, ends]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_break_is_left_out_and_no_more() {
        for (given, stored) in [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a"), ("a\r", "a\r"), ("\n", "")] {
            assert_eq!(without_line_break(given), stored, "{given:?}");
        }
    }

    #[test]
    fn a_tag_is_a_key_and_a_text() {
        assert_eq!(tag("team=a=b").unwrap(), ("team".to_owned(), "a=b".to_owned()));
        assert!(tag("team").is_err() && tag("=x").is_err());
    }
}

//! `providers update`: approves other bytes in the place of those that were approved, after showing what changes.

use std::path::PathBuf;

use clap::Args;

use super::add::record;
use super::ask::confirm;
use super::inspect::{is_file, summary};
use super::{print, providers};
use crate::cli::Options;
use crate::error::{Code, Error, Result};
use crate::providers::capabilities::{Difference, Line};

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The new file; or the name of a component whose file was replaced where it lies.
    #[arg(value_name = "FILE|NAME")]
    subject: String,
    /// The digest that the new file must have. Another one is refused before anything is compiled.
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,
    /// Approve without asking.
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(arguments: &Arguments, options: &Options) -> Result<()> {
    let providers = providers(options)?;
    let file = if is_file(&arguments.subject) {
        PathBuf::from(&arguments.subject)
    } else {
        providers.update_of(&arguments.subject).await?
    };
    let proposal = providers.propose(&file, arguments.sha256.as_deref()).await?;
    let name = &proposal.inspection.descriptor.name;
    let (Some(previous), Some(difference)) = (&proposal.previous, proposal.difference()) else {
        return Err(Error::new(
            Code::Conflict,
            format!("Nothing is approved under the name {name} yet."),
            format!("Approve it: mcp-credentials-broker providers add '{}'", proposal.path.display()),
        ));
    };
    if proposal.is_approved() {
        return print(&format!("{name} is up to date: these bytes are the approved ones, sha256 {}.\n", previous.sha256));
    }
    print(&format!("{}\n  before    sha256 {}\n\n{}\n", summary(&proposal.inspection), previous.sha256, told(&difference)))?;
    let question = if difference.asks_for_more() { "It asks for something else than before. Approve it" } else { "Approve it" };
    confirm(&format!("{question} in the place of what was approved for {name}?"), arguments.yes)?;
    record(&providers, &proposal).await
}

/// What changes, one fact a line.
fn told(difference: &Difference) -> String {
    let mut out = String::new();
    let mut add = |sign: char, lines: &[Line]| {
        for line in lines {
            out.push_str(&format!("  {sign} {}: {}\n", line.heading, line.text));
        }
    };
    add('-', &difference.gone);
    add('+', &difference.added);
    if out.is_empty() {
        out.push_str("  It says and asks for the same as before; only its code is another one.\n");
    } else if !difference.asks_for_more() {
        out.push_str("  It asks for nothing more than before.\n");
    }
    out
}

//! `providers add`: approves exactly these bytes under the component's name.

use std::path::PathBuf;

use clap::Args;

use super::ask::confirm;
use super::inspect::{summary, table};
use super::{print, providers};
use crate::cli::Options;
use crate::error::{Code, Error, Result};
use crate::providers::Providers;
use crate::providers::approve::Proposal;
use crate::providers::capabilities::lines;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The component's file.
    file: PathBuf,
    /// The digest that the file must have. Another one is refused before anything is compiled.
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,
    /// Approve without asking.
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(arguments: &Arguments, options: &Options) -> Result<()> {
    let providers = providers(options)?;
    let proposal = providers.propose(&arguments.file, arguments.sha256.as_deref()).await?;
    let inspection = &proposal.inspection;
    let name = &inspection.descriptor.name;
    if let Some(previous) = proposal.previous.as_ref().filter(|_| !proposal.is_approved()) {
        return Err(Error::new(
            Code::Conflict,
            format!(
                "Other bytes are approved for {name}. Approved: sha256 {}. Found: sha256 {}.",
                previous.sha256, inspection.sha256
            ),
            format!("See what changes, and approve it: mcp-credentials-broker providers update '{}'", proposal.path.display()),
        ));
    }
    print(&format!("{}\n{}\n", summary(inspection), table(&lines(&inspection.make, &inspection.descriptor))))?;
    if !proposal.is_approved() {
        confirm(&format!("Approve these bytes as the provider {name}?"), arguments.yes)?;
    }
    record(&providers, &proposal).await
}

/// Writes the approval down, and says where the component is from now on.
pub(super) async fn record(providers: &Providers, proposal: &Proposal) -> Result<()> {
    let kept = providers.approve(proposal).await?;
    let name = &proposal.inspection.descriptor.name;
    print(&format!("{name} is approved: {}\nOther bytes under this name are refused from now on.\n", kept.display()))
}

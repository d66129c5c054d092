//! `providers check`: a rehearsal of everything that a component claims.

use std::path::PathBuf;

use clap::Args;

use crate::author::check::{self, Verdict};
use crate::error::{Code, Error, Result};

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The component.
    file: PathBuf,
    /// How the service answers. Default: NAME.fixtures.json beside NAME.wasm, if it is there; else as the RFCs say.
    #[arg(long, value_name = "FILE")]
    fixtures: Option<PathBuf>,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &Arguments) -> Result<()> {
    let report = check::check(&arguments.file, arguments.fixtures.as_deref(), crate::cli::serve::workshop()).await?;
    if arguments.json {
        let mut document = serde_json::json!(report);
        document["passed"] = report.passed().into();
        super::print(&format!("{document:#}\n"))?;
    } else {
        super::print(&report.text())?;
    }
    if report.passed() {
        return Ok(());
    }
    Err(Error::new(
        Code::ComponentFault,
        format!("{} of {} parts of the check failed.", report.count(Verdict::Failed), report.findings.len()),
        "The report says of each what to change.",
    ))
}

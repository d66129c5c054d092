//! `wrap`: an MCP server behind the broker.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::Options;
use super::exec::{Given, cannot_start, prepare, whole};
use super::session::Session;
use crate::broker::Broker;
use crate::broker::doors::exec::Started;
use crate::error::Result;
use crate::process;
use crate::wrap::{Wrapping, run as wrap};

#[derive(Debug, clap::Args)]
pub(super) struct Wrap {
    #[command(flatten)]
    given: Given,
    /// Which [wrap."NAME"] of the operator's file applies. Default: the name of the command's file.
    #[arg(long)]
    name: Option<String>,
    /// Prints, on standard error, the line that would allow a call that is refused.
    #[arg(long)]
    learn: bool,
    /// The MCP server and its arguments, after `--`.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(super) fn run(options: &Options, arguments: &Wrap) -> Result<ExitCode> {
    let (broker, runtime) = Session::open(options, "wrap")?.parts();
    // Also what was refused.
    start(&broker, runtime, arguments).inspect_err(|_| broker.audit().end())
}

fn start(broker: &Arc<Broker>, runtime: Runtime, arguments: &Wrap) -> Result<ExitCode> {
    let (plan, handed) = match runtime.block_on(prepare(broker, "wrap", &arguments.given, &[], &arguments.command))? {
        Ok(prepared) => prepared,
        Err(error) => return Ok(cannot_start(&error)),
    };
    let name = arguments.name.clone().unwrap_or_else(|| file_name(&plan.program.path));
    let path = whole(&plan.program.path)?;
    let started = Started { path: &path, file: &plan.program.canonical, arguments: &plan.arguments, loose: &process::loose };
    let (places, pinned) = broker.places(&name, &started)?;
    let pinned = plan.pinned.or(pinned);
    let ready = match (process::Plan { pinned, ..plan }).ready() {
        Ok(ready) => ready,
        Err(error) => return Ok(cannot_start(&error)),
    };
    let tables = broker.wrap_tables();
    if !tables.contains(&name.as_str()) {
        let there = if tables.is_empty() { String::new() } else { format!(" There are: {}.", tables.join(", ")) };
        eprintln!("broker.toml has no [wrap.\"{name}\"], so no tool call may carry a secret.{there}");
    }
    let wrapping = Wrapping { broker: Arc::clone(broker), name, places, handed, learn: arguments.learn };
    let done = runtime.block_on(wrap(wrapping, ready, std::io::stdin(), std::io::stdout()));
    runtime.block_on(broker.close());
    runtime.shutdown_timeout(Duration::from_millis(50));
    Ok(done.map_or_else(|error| cannot_start(&error), ExitCode::from))
}

/// `/usr/bin/github-mcp-server.exe` is called `github-mcp-server`.
fn file_name(path: &Path) -> String {
    let name = if cfg!(windows) { path.file_stem() } else { path.file_name() };
    name.unwrap_or_default().to_string_lossy().into_owned()
}

//! `providers`: looks at components without trusting them. One file a subcommand.

mod check;
mod inspect;
mod new;

use std::io::Write as _;

use clap::Subcommand;

use crate::descriptor;
use crate::error::{Code, Error, Result};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Shows what a component says of itself: endpoints, settings, lifetimes.
    Inspect(inspect::Options),
    /// Writes a provider to begin with: a crate that builds at once.
    New(new::Arguments),
    /// Puts a component through every flow that it claims and every fault that happens in practice, on this machine alone.
    Check(check::Arguments),
    /// Prints the JSON Schema of a descriptor.
    Schema,
}

pub(super) fn run(command: Command) -> Result<()> {
    match command {
        Command::Inspect(options) => block_on(inspect::run(&options)),
        Command::New(arguments) => new::run(&arguments),
        Command::Check(arguments) => block_on(check::run(&arguments)),
        Command::Schema => print(&descriptor::schema()),
    }
}

/// Runs one subcommand on a runtime of its own.
fn block_on(work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(Code::Internal, error.to_string(), "Try again."))?;
    runtime.block_on(work)
}

/// Standard output may be a closed pipe: that is the reader's business, not an error.
fn print(text: &str) -> Result<()> {
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

//! `providers`: looks at components without trusting them, and takes down which of them the operator trusts. One file a
//! subcommand.

mod add;
mod ask;
mod check;
mod inspect;
mod list;
mod new;
mod remove;
mod update;

use clap::Subcommand;

use super::Options;
use super::terminal::telling;
use crate::config;
use crate::descriptor;
use crate::error::{Code, Error, Result};
use crate::providers::Providers;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Lists every provider, whose word it is that it may be used, and what cannot be used.
    List(list::Arguments),
    /// Shows what a component is and asks for: endpoints, secrets, settings, lifetimes, imports, digest.
    Inspect(inspect::Arguments),
    /// Shows what a component asks for, asks, and approves exactly these bytes under its name.
    Add(add::Arguments),
    /// Shows what other bytes of an approved component change, asks, and approves them in its place.
    Update(update::Arguments),
    /// Takes an approval back.
    Remove(remove::Arguments),
    /// Writes a provider to begin with: a crate that builds at once.
    New(new::Arguments),
    /// Puts a component through every flow that it claims and every fault that happens in practice, on this machine alone.
    Check(check::Arguments),
    /// Prints the JSON Schema of a descriptor.
    Schema,
}

pub(super) fn run(command: Command, options: &Options) -> Result<()> {
    match command {
        Command::List(arguments) => block_on(list::run(&arguments, options)),
        Command::Inspect(arguments) => block_on(inspect::run(&arguments, options)),
        Command::Add(arguments) => block_on(add::run(&arguments, options)),
        Command::Update(arguments) => block_on(update::run(&arguments, options)),
        Command::Remove(arguments) => block_on(remove::run(&arguments, options)),
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
    runtime.block_on(telling(super::serve::workshop().compiling(), work))
}

/// The same providers that the server would have.
fn providers(options: &Options) -> Result<Providers> {
    super::serve::providers(&config::load(options.config.as_deref())?, &options.plugins)
}

/// As every command does.
fn print(text: &str) -> Result<()> {
    super::output::print(text)
}

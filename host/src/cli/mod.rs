//! The face to people: one file a command. Decides nothing; what it does, the broker does.

mod demo;
mod providers;
mod request;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::{Code, Error};

/// Signs people in with OAuth providers for AI agents and hands the agents short-lived references: an MCP server over
/// standard input and output.
#[derive(Debug, Parser)]
#[command(name = "mcp-credentials-broker", version, disable_help_subcommand = true)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What every command takes, before its name or after it.
#[derive(Debug, clap::Args)]
struct Options {
    /// The operator's file. Default: $MCP_CREDENTIALS_BROKER_CONFIG, else broker.toml in the configuration folder.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// A folder of provider components; may be given more than once. Naming it approves what lies in it.
    #[arg(long, value_name = "DIR", global = true)]
    plugins: Vec<PathBuf>,
    /// Do not open a browser for a login; only tell the URL.
    #[arg(long, global = true)]
    no_browser: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows the main job on this machine alone: a login, a reference, a token spent.
    Demo {
        /// Signs in by itself instead of opening a browser.
        #[arg(long)]
        headless: bool,
    },
    /// Looks at provider components.
    #[command(subcommand)]
    Providers(providers::Command),
    /// Sends a request with a secret and prints the answer, without the secret.
    Request(request::Options),
}

/// Reads the command line and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    crate::telemetry::init();
    let done = match arguments.command {
        None => serve::run(&arguments.options),
        Some(Command::Demo { headless }) => demo::run(headless),
        Some(Command::Providers(command)) => providers::run(command, &arguments.options),
        Some(Command::Request(request)) => request::run(&arguments.options, &request),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {}", error.message());
            if !error.hint().is_empty() {
                eprintln!("Hint: {}", error.hint());
            }
            ExitCode::from(exit_code(&error))
        }
    }
}

/// Exit codes by kind: 2 for what was typed or configured, 3 for what the operator does not allow, 4 for a login that
/// is needed or failed, 5 for a provider or component at fault, 6 for a vault that cannot be used as it is, 1 for the
/// rest.
fn exit_code(error: &Error) -> u8 {
    match error.code() {
        Code::InvalidArgument
        | Code::InvalidTtl
        | Code::InvalidConfiguration
        | Code::UnknownProvider
        | Code::UnknownSecret
        | Code::NotConfigured => 2,
        Code::NotAllowed | Code::Conflict | Code::Unsupported => 3,
        Code::Denied | Code::Expired | Code::SignInAgain | Code::Cancelled => 4,
        Code::Unavailable | Code::ProviderError | Code::ComponentFault | Code::ComponentRejected => 5,
        Code::VaultLocked
        | Code::VaultMissing
        | Code::WrongKey
        | Code::VaultTampered
        | Code::VaultDamaged
        | Code::VaultBusy
        | Code::VaultUnwritable
        | Code::VaultNewer
        | Code::KeychainUnavailable => 6,
        _ => 1,
    }
}

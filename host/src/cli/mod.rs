//! The face to people: one file a command. Decides nothing; what it does, the broker does.

mod audit;
mod completions;
mod demo;
mod doctor;
mod exec;
mod failure;
mod git_credential;
mod login;
mod logout;
mod output;
mod providers;
mod request;
mod secrets;
mod serve;
mod session;
mod terminal;
mod token_command;
mod vault;
mod wrap;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::config::{self, Browser, Config};
use crate::error::Result;

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

/// What an MCP client starts, with options. Every start of a server waits for this, and to read a command line that may be
/// any command takes a quarter of such a start.
#[derive(Debug, Parser)]
struct Serve {
    #[command(flatten)]
    options: Options,
}

/// What every command takes, before its name or after it.
#[derive(Debug, Default, clap::Args)]
struct Options {
    /// The operator's file. Default: $MCP_CREDENTIALS_BROKER_CONFIG, else broker.toml in the configuration folder.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The vault's file. Default: [vault] path of the operator's file, else vault.db in the data folder if there is one.
    #[arg(long, value_name = "FILE", global = true)]
    vault: Option<PathBuf>,
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
    /// Signs you in with a provider, and keeps the login in the vault for all agents.
    Login(login::Login),
    /// Ends a login at the provider, where that can be done, and forgets it.
    Logout(logout::Logout),
    /// Looks at what is stored, stores values, forgets.
    #[command(subcommand)]
    Secrets(secrets::Command),
    /// Runs a program with credentials in its environment or in a private file.
    Exec(exec::Exec),
    /// Stands before an MCP server: puts secrets into the tool arguments that the operator listed, and takes them out of
    /// what the server says.
    Wrap(wrap::Wrap),
    /// A credential helper for git: `git config --global credential.https://github.com.helper …`.
    GitCredential {
        /// What git asks for.
        operation: git_credential::Operation,
    },
    /// Prints a fresh token, of a secret that the operator listed for this.
    #[command(name = "token-command")]
    Token {
        /// The secret's name.
        name: String,
    },
    /// Looks at provider components.
    #[command(subcommand)]
    Providers(providers::Command),
    /// Sends a request with a secret and prints the answer, without the secret.
    Request(request::Options),
    /// Keeps logins and secrets in an encrypted file instead of in memory.
    #[command(subcommand)]
    Vault(vault::Command),
    /// Shows and proves the audit trail that is kept beside the vault.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Looks whether everything is as it should be, and says what to do.
    Doctor {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Compiles a component for a broker that started this.
    #[command(hide = true)]
    CompileComponent {
        /// A folder of this user's own.
        #[arg(long)]
        into: PathBuf,
        /// How long it may take.
        #[arg(long)]
        seconds: u64,
    },
    /// Prints what a shell needs to complete commands and options.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

impl Options {
    /// The operator's file, narrowed by what the command line says.
    fn load(&self) -> Result<Config> {
        let mut config = config::load(self.config.as_deref())?;
        if let Some(file) = &self.vault {
            config.vault.path = Some(file.clone());
        }
        if self.no_browser {
            config.browser = Browser::None;
        }
        Ok(config)
    }

    /// What a command has to be given to mean the same files as this one, to be pasted into a shell: ` --config …`,
    /// ` --vault …`, or nothing.
    fn repeated(&self) -> String {
        let given = [("--config", &self.config), ("--vault", &self.vault)];
        let given = given.into_iter().filter_map(|(option, file)| Some((option, file.as_deref()?)));
        given.map(|(option, file)| format!(" {option} {}", quoted(&whole(file)))).collect()
    }
}

/// Wherever the command is typed.
fn whole(file: &Path) -> PathBuf {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned())
}

/// As a POSIX shell takes it for one word; quoted only where it has to be.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// What an MCP client starts, and most do so without a word. What is anything else, or wrong, is read by who knows all of it.
fn for_a_client() -> Option<Options> {
    if std::env::args_os().len() == 1 {
        return Some(Options::default());
    }
    Serve::try_parse().ok().map(|Serve { options }| options)
}

/// Reads the command line and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    if let Some(options) = for_a_client() {
        crate::telemetry::init();
        return ended(serve::run(&options).map(|()| ExitCode::SUCCESS), false);
    }
    let read = Arguments::command().try_get_matches();
    let (arguments, json) = match read.and_then(|read| Ok((Arguments::from_arg_matches(&read)?, wants_json(&read)))) {
        Ok(read) => read,
        Err(error) => return failure::misread(&error),
    };
    if let Some(Command::CompileComponent { into, seconds }) = &arguments.command {
        return ExitCode::from(crate::sandbox::compile_as_child(into, *seconds));
    }
    crate::telemetry::init();
    let options = &arguments.options;
    let done = match arguments.command {
        None => serve::run(options),
        Some(Command::Exec(exec)) => return ended(exec::run(options, &exec), json),
        Some(Command::Wrap(wrap)) => return ended(wrap::run(options, &wrap), json),
        Some(Command::GitCredential { operation }) => return ended(git_credential::run(options, operation), json),
        Some(Command::Token { name }) => token_command::run(options, &name),
        Some(Command::Demo { headless }) => demo::run(headless),
        Some(Command::Login(login)) => login::run(login, options),
        Some(Command::Logout(logout)) => logout::run(&logout, options),
        Some(Command::Secrets(command)) => secrets::run(command, options),
        Some(Command::Providers(command)) => providers::run(command, options),
        Some(Command::Request(request)) => request::run(request, options),
        Some(Command::Vault(command)) => vault::run(command, options),
        Some(Command::Audit(command)) => audit::run(command, options),
        Some(Command::Doctor { json }) => doctor::run(options, json),
        // It is done already.
        Some(Command::CompileComponent { .. }) => Ok(()),
        Some(Command::Completions { shell }) => completions::run(shell),
    };
    ended(done.map(|()| ExitCode::SUCCESS), json)
}

/// Whether the command was given `--json`, whichever it is.
fn wants_json(read: &ArgMatches) -> bool {
    match read.subcommand() {
        Some((_, below)) => wants_json(below),
        None => read.try_get_one::<bool>("json").is_ok_and(|json| json.is_some_and(|json| *json)),
    }
}

/// The exit code; an error is told first.
fn ended(done: Result<ExitCode>, json: bool) -> ExitCode {
    crate::telemetry::flush();
    done.unwrap_or_else(|error| failure::told(&error, json))
}

//! Without a command: the MCP server on standard input and output.

use std::env::VarError;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::Options;
use crate::audit::{Audit, Trail};
use crate::broker::Broker;
use crate::config::{self, Config};
use crate::error::{Code, Error, Result};
use crate::mcp;
use crate::process::{TERMINATED, at_sigterm};
use crate::providers::Providers;
use crate::providers::lock::Approvals;
use crate::sandbox::Workshop;
use crate::secret::Secret;
use crate::vault::{self, Vault};

/// How long a server that is told to end may take: longer than it waits for refreshes that were sent, and for the trail's file.
const PATIENCE: Duration = Duration::from_secs(10);

/// Told to a person who typed the name to see what happens.
const GREETING: &str = "\
mcp-credentials-broker is an MCP server: an agent starts it and talks to it over standard input and output.
To see what it does:        mcp-credentials-broker demo
To put it into an agent:    claude mcp add credentials-broker -- mcp-credentials-broker
All commands and options:   mcp-credentials-broker --help
It is waiting for MCP messages now; Ctrl-C ends it.
";

pub(super) fn run(options: &Options) -> Result<()> {
    if std::io::stdin().is_terminal() {
        eprint!("{GREETING}");
    }
    // The protocol has standard output, and nobody else is here to write to standard error.
    crate::telemetry::Lines::stderr().alone();
    let broker = assemble(options)?;
    // One thread: a message costs two switches fewer, and nothing here computes for long. A component that does is
    // interrupted every ten milliseconds, and compiling has a thread of its own.
    let runtime = started(tokio::runtime::Builder::new_current_thread().enable_all().build())?;
    // A client writes its first message as soon as the process is there. Until it has, there is nothing else to do.
    let mut input = mcp::standard_input();
    let mut end = mcp::End::ClientLeft;
    if !input.fill_buf().is_ok_and(<[u8]>::is_empty) {
        let audit = broker.audit().clone();
        // Many clients end a server so.
        let arm = |server: mcp::Stop| {
            at_sigterm(move || {
                server.tell();
                // It ends by itself then. Where something holds it up, at least what was done is written down.
                std::thread::sleep(PATIENCE);
                audit.end();
                crate::telemetry::flush();
            });
        };
        end = runtime.block_on(mcp::serve(Arc::clone(&broker), input, std::io::stdout(), arm));
    }
    // A command that a setting runs, or a read of a pipe, must not hold the process up.
    runtime.shutdown_timeout(Duration::from_millis(50));
    broker.shut();
    if end == mcp::End::Told {
        crate::telemetry::flush();
        std::process::exit(TERMINATED);
    }
    Ok(())
}

/// A broker for an agent.
pub(super) fn assemble(options: &Options) -> Result<Arc<Broker>> {
    build(options, Audit::stderr()).map(|(broker, _)| broker)
}

/// A broker from the operator's file, the environment and the command line. What it does is kept beside a vault on disk,
/// whatever else `audit` does with it.
pub(super) fn build(options: &Options, audit: Audit) -> Result<(Arc<Broker>, Arc<dyn Vault>)> {
    let config = options.load()?;
    let providers = providers(&config, &options.plugins)?;
    let jwt_secret = jwt_secret(std::env::var("JWT_SECRET"))?;
    let vault = vault::open(&config.vault)?;
    let audit = match vault.file() {
        Some(file) => audit.kept(Trail::beside(file, Arc::clone(&vault))),
        None => audit,
    };
    let broker = Broker::new(&config, Arc::clone(&vault), providers, audit, jwt_secret.as_ref())?;
    if let Some(problem) = broker.mint_problem() {
        tracing::warn!("mint_token will refuse: {problem}");
    }
    Ok((broker, vault))
}

/// The providers of this user: what the configuration and the command line name, and what is in the lock.
pub(super) fn providers(config: &Config, plugins: &[PathBuf]) -> Result<Providers> {
    let providers = Providers::new(config, plugins, workshop().clone())?;
    Ok(match config::folders() {
        Some(folders) => providers.with_approvals(Approvals::at(folders.data_dir().to_owned())),
        None => providers,
    })
}

/// `JWT_SECRET`: never another key in its place because it could not be read.
fn jwt_secret(variable: std::result::Result<String, VarError>) -> Result<Option<Secret>> {
    match variable {
        Ok(secret) => Ok(Some(secret).filter(|secret| !secret.is_empty()).map(Secret::new)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(Error::new(
            Code::InvalidConfiguration,
            "JWT_SECRET is not UTF-8.",
            "Set a text, such as the output of `openssl rand -base64 48`, or unset it.",
        )),
    }
}

/// Where compiled components rest; its content is executed, so it is a folder of this user alone. A child of this program
/// compiles them.
pub(super) fn workshop() -> &'static Workshop {
    static WORKSHOP: LazyLock<Workshop> = LazyLock::new(|| {
        let Some(folders) = config::folders() else {
            return Workshop::here();
        };
        let workshop = Workshop::keeping(folders.cache_dir().join("components"));
        // On Linux the name of what runs, even where another version lies in its place by now.
        let program = Some(PathBuf::from("/proc/self/exe")).filter(|link| link.exists());
        match program.or_else(|| std::env::current_exe().ok()) {
            Some(program) => workshop.compiled_by(program),
            None => workshop,
        }
    });
    &WORKSHOP
}

fn started(runtime: std::io::Result<tokio::runtime::Runtime>) -> Result<tokio::runtime::Runtime> {
    runtime.map_err(|error| Error::new(Code::Internal, format!("The runtime does not start: {error}."), "Try again."))
}

/// For a command in which two sides talk to each other.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime> {
    started(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build())
}

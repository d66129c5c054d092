//! A broker for one command of a person: the same as an agent's, with the same checks and the same audit trail.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::Options;
use super::serve::{self, build, runtime};
use super::terminal::telling;
use crate::audit::Audit;
use crate::broker::Broker;
use crate::error::{Code, Error, Result};

/// A broker that shares a vault with all others.
pub(super) struct Session {
    broker: Arc<Broker>,
    runtime: Runtime,
}

impl Session {
    /// Opens the vault and puts a broker beside it. `command` is what the audit trail calls the person's doing.
    ///
    /// # Errors
    /// `vault_missing` where secrets would only be in this process's memory, and so gone when it ends.
    pub(super) fn open(options: &Options, command: &str) -> Result<Self> {
        let (broker, vault) = build(options, Audit::quiet())?;
        broker.audit().name_command(command);
        if vault.file().is_none() {
            return Err(no_vault());
        }
        broker.act_for_operator();
        // Before anybody types a value or signs in for nothing.
        vault.ready()?;
        Ok(Self { broker, runtime: runtime()? })
    }

    /// The parts, for a command that ends in another way: it closes the broker itself.
    pub(super) fn parts(self) -> (Arc<Broker>, Runtime) {
        (self.broker, self.runtime)
    }

    /// Does what the command says, and writes the trail out whatever came of it.
    pub(super) fn run<T>(self, act: impl AsyncFnOnce(&Arc<Broker>) -> Result<T>) -> Result<T> {
        let done = self.runtime.block_on(async {
            let done = telling(serve::workshop().compiling(), act(&self.broker)).await;
            self.broker.close().await;
            done
        });
        // A prompt that nobody answers must not hold the process up.
        self.runtime.shutdown_timeout(Duration::from_millis(50));
        done
    }
}

/// There is none on disk.
pub(super) fn no_vault() -> Error {
    Error::new(
        Code::VaultMissing,
        "There is no vault: each broker keeps its secrets in its own memory, where no command finds or leaves any.",
        "Make a vault that all brokers share: mcp-credentials-broker vault init",
    )
}

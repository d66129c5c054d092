//! `token-command`: prints a fresh token, for tools that call a command to get theirs.

use std::io::Write as _;

use super::Options;
use super::serve::{assemble, runtime};
use crate::broker::doors::Door;
use crate::error::Result;
use crate::secret::SecretName;

pub(super) fn run(options: &Options, name: &str) -> Result<()> {
    let name = SecretName::parse(name)?;
    let broker = assemble(options)?;
    broker.needs_shared_vault()?;
    let door = Door { event: "token_command", ..Door::default() };
    if let Err(error) = broker.may_be_printed(&name) {
        broker.refused(&name, door, &error);
        broker.audit().flush();
        return Err(error);
    }
    let spendable = runtime()?.block_on(broker.spendable(&name, door));
    broker.audit().flush();
    let value = spendable?.value;
    // A reader that has gone is its own business.
    let _ = writeln!(std::io::stdout(), "{}", value.expose());
    Ok(())
}

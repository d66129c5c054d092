//! `token-command`: prints a fresh token, for tools that call a command to get theirs.

use std::io::Write as _;

use super::Options;
use super::session::Session;
use crate::broker::doors::Door;
use crate::error::Result;
use crate::secret::SecretName;

pub(super) fn run(options: &Options, name: &str) -> Result<()> {
    let name = SecretName::parse(name)?;
    let (broker, runtime) = Session::open(options, "token-command")?.parts();
    let door = Door { event: "token_command", ..Door::default() };
    if let Err(error) = broker.may_be_printed(&name) {
        broker.refused(&name, door, &error);
        broker.audit().flush();
        return Err(error);
    }
    let spendable = runtime.block_on(broker.spendable(&name, door));
    runtime.block_on(broker.close());
    let value = spendable?.value;
    // A reader that has gone is its own business.
    let _ = writeln!(std::io::stdout(), "{}", value.expose());
    Ok(())
}

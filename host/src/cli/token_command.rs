//! `token-command`: prints a fresh token, for tools that call a command to get theirs.

use zeroize::Zeroizing;

use super::Options;
use super::output::put;
use super::session::Session;
use crate::broker::doors::Door;
use crate::error::Result;
use crate::secret::SecretName;

pub(super) fn run(options: &Options, name: &str) -> Result<()> {
    let name = SecretName::parse(name)?;
    let (broker, runtime) = Session::open(options, "token-command")?.parts();
    let door = Door { event: "token_command", ..Door::default() };
    if let Err(error) = broker.may_be_printed(&name) {
        broker.refused(Some(name.as_str()), door, &error);
        broker.audit().end();
        return Err(error);
    }
    let spendable = runtime.block_on(broker.spendable(&name, door));
    runtime.block_on(broker.close());
    let value = spendable?.value;
    let mut line = Zeroizing::new(Vec::with_capacity(value.len() + 1));
    line.extend_from_slice(value.expose().as_bytes());
    line.push(b'\n');
    put(&line)
}

//! `completions`: what a shell has to know to complete this program's commands and options.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::Arguments;
use super::output::put;
use crate::error::Result;

pub(super) fn run(shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "mcp-credentials-broker", &mut script);
    put(&script)
}

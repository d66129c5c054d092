//! `completions`: what a shell has to know to complete this program's commands and options.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::Arguments;
use super::output::print;

pub(super) fn run(shell: Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "mcp-credentials-broker", &mut script);
    print(&String::from_utf8_lossy(&script));
}

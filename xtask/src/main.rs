//! What a developer runs besides cargo itself: `cargo xtask COMMAND`.
//!
//! | command | what it does |
//! |---|---|
//! | `wasm-toolchain` | makes this machine able to compile provider components |
//! | `plugins` | rebuilds `plugins/`, the lock, the descriptor schema and the test components |
//! | `plugins --check` | proves that what is committed is what the sources give |
//! | `author` | does what an author of a provider does: a new one and the one of the documentation, built and checked |
//! | `test` | sees to what the tests need, then runs all of them |
//! | `bench` | measures the broker beside its predecessor, a bare server of the MCP SDK and a bare echo |
//! | `bench quick` | the first table of that, on the terminal alone |
//! | `start-order` | writes down which functions a start uses, for the linker |

mod author;
mod bench;
mod component;
mod contract;
mod digest;
mod host;
mod lock;
mod needs;
mod paths;
mod plugins;
mod run;
mod start_order;
mod test;
mod toolchain;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  wasm-toolchain     make this machine able to compile provider components
  plugins            rebuild plugins/, its lock, the descriptor schema and the test components
  plugins --check    prove that what is committed is what the sources give
  author             build and check a new provider, and the one of docs/writing-a-provider.md
  test               see to what the tests need, then run all of them
  bench              measure the broker beside its predecessor and others, for docs/ (needs Node.js, npm and valgrind)
  bench quick        the first table of that, on the terminal alone
  start-order        write down which functions a start uses, for the linker (needs valgrind)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match carry_out(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(words: &[&str]) -> Result<()> {
    match words {
        ["wasm-toolchain"] => plugins::toolchain(),
        ["plugins"] => plugins::refresh(),
        ["plugins", "--check"] => plugins::check(),
        ["author"] => author::run(),
        ["test"] => test::run(),
        ["bench"] => bench::run(),
        ["bench", "quick"] => bench::quick(),
        ["start-order"] => start_order::write(),
        _ => bail!("{USAGE}"),
    }
}

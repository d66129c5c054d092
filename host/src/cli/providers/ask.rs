//! Asking the person at the terminal.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use crate::error::{Code, Error, Result};

/// Goes on only with a yes: typed at a terminal, or said on the command line before.
///
/// # Errors
/// `denied` without it; `not_allowed` where nobody is there to be asked.
pub(super) fn confirm(question: &str, yes: bool) -> Result<()> {
    if yes {
        return Ok(());
    }
    let stdin = std::io::stdin();
    if !stdin.is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Error::new(
            Code::NotAllowed,
            "Nothing was approved: there is no terminal at which you could be asked.",
            "Run it in a terminal; or add --yes, after reading what it shows.",
        ));
    }
    eprint!("{question} [y/N] ");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let read = stdin.lock().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Error::new(Code::Denied, "Nothing was approved.", ""))
}

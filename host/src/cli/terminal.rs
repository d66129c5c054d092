//! The person's terminal: hidden input, progress, Ctrl-C.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};

use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::error::{Code, Error, Result};
use crate::secret::Secret;

/// Reads a line that is not shown from the terminal; from standard input where that is none. `what` it is for stands in
/// the error. Call it where blocking is allowed.
///
/// # Errors
/// `cancelled` where the input ends; `internal` where there is no terminal after all.
pub(super) fn hidden_line(prompt: &str, what: &str) -> Result<Secret> {
    if std::io::stdin().is_terminal() {
        let _shown_again = Echo::keep();
        return rpassword::prompt_password(prompt).map(Secret::new).map_err(|error| unreadable(&error));
    }
    let mut line = Zeroizing::new(String::new());
    let most = std::io::stdin().lock().take(LONGEST_LINE).read_line(&mut line).map_err(|error| unreadable(&error))?;
    if most == 0 {
        let hint = "Give it on standard input, as one line, or type it on a terminal.";
        return Err(Error::new(Code::Cancelled, format!("Standard input ended before {what} came."), hint));
    }
    Ok(Secret::from(line.trim_end_matches(['\r', '\n'])))
}

/// A redirect URL or a passphrase is shorter.
const LONGEST_LINE: u64 = 64 << 10;

/// All of standard input, at most `limit` bytes.
///
/// # Errors
/// `invalid_argument` where it is longer or no UTF-8 text.
pub(super) fn input(limit: usize) -> Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit.min(64 << 10)));
    let read = std::io::stdin().lock().take(limit as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(&error))?;
    if bytes.len() > limit {
        return Err(Error::new(
            Code::InvalidArgument,
            format!("The value has more than {limit} bytes."),
            "Store something shorter, such as the name of a file.",
        ));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| {
        Error::new(Code::InvalidArgument, "The value is not UTF-8 text.", "Encode it first, for example with base64.")
    })?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn unreadable(error: &std::io::Error) -> Error {
    let code = if error.kind() == std::io::ErrorKind::UnexpectedEof { Code::Cancelled } else { Code::Internal };
    Error::new(code, format!("Nothing could be read: {error}."), "Type it on a terminal, or give it on standard input.")
}

/// Waits for Ctrl-C, or for being told to end.
pub(super) async fn interrupted() {
    #[cfg(unix)]
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = terminate.recv() => return,
            _ = tokio::signal::ctrl_c() => return,
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// Puts the terminal back as it was: whoever is interrupted while typing unseen would go on unseen in the shell.
pub(super) struct Echo {
    #[cfg(unix)]
    before: Option<rustix::termios::Termios>,
}

impl Echo {
    pub(super) fn keep() -> Self {
        Self {
            #[cfg(unix)]
            before: rustix::termios::tcgetattr(std::io::stdin()).ok(),
        }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(before) = &self.before {
            let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, before);
        }
    }
}

/// A line that is written over while somebody waits. On a terminal only; elsewhere nothing is said.
pub(super) struct Progress {
    shown: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { shown: std::io::stderr().is_terminal() }
    }

    pub(super) fn show(&self, text: &str) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r{text}\u{1b}[K");
        }
    }
}

/// Does it, and says meanwhile whether a component is being compiled: that may take as long as a person gets impatient.
pub(super) async fn telling<T>(mut compiling: watch::Receiver<usize>, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let mut line: Option<Progress> = None;
    loop {
        tokio::select! {
            done = &mut work => return done,
            Ok(()) = compiling.changed() => {
                // what was shown goes
                line.take();
                if *compiling.borrow_and_update() > 0 {
                    line.insert(Progress::new()).show("Compiling a component. What comes of it is kept, so this happens once.");
                }
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.show("");
        if self.shown {
            let _ = write!(std::io::stderr(), "\r");
        }
    }
}

//! A program between whose pipes the broker stands.

use std::io::{PipeReader, PipeWriter};
use std::process::ExitStatus;

use super::signals::Signal;
use super::start::{CannotStart, Ready};

/// A running program, with this side of its pipes.
pub struct Piped {
    /// The program.
    pub child: Child,
    /// Its standard input.
    pub input: PipeWriter,
    /// Its standard output.
    pub output: PipeReader,
    /// Its standard error.
    pub errors: PipeReader,
}

/// The program, in a process group of its own, so that what it starts can be ended with it.
pub struct Child {
    child: tokio::process::Child,
    /// Its private files, which go with it.
    _files: Ready,
}

/// Starts a program with pipes for all three. Needs a runtime.
///
/// # Errors
/// Why it did not start.
pub fn piped(mut ready: Ready) -> Result<Piped, CannotStart> {
    let pipes = (|| Ok((std::io::pipe()?, std::io::pipe()?, std::io::pipe()?)))();
    let ((theirs, input), (output, to_output), (errors, to_errors)) = pipes.map_err(|error| ready.cannot_start(&error))?;
    let placeholder = std::process::Command::new("");
    let mut command = std::mem::replace(&mut ready.command, placeholder);
    command.stdin(theirs).stdout(to_output).stderr(to_errors);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    // The command holds the pipes' other ends: it goes here.
    let child = tokio::process::Command::from(command).spawn().map_err(|error| ready.cannot_start(&error))?;
    Ok(Piped { child: Child { child, _files: ready }, input, output, errors })
}

impl Child {
    /// Waits for its end. May be dropped and called again.
    pub async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Sends a signal to it and to what it started, unless it has ended.
    #[cfg(unix)]
    pub fn signal(&self, signal: Signal) {
        let group = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(group) = group {
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }

    /// There is only one way to end a program here.
    #[cfg(not(unix))]
    pub fn signal(&mut self, _: Signal) {
        let _ = self.child.start_kill();
    }

    /// Asks it to end.
    pub fn ask_to_end(&mut self) {
        #[cfg(unix)]
        self.signal(Signal::TERM);
        #[cfg(not(unix))]
        self.signal(Signal);
    }

    /// Ends it.
    pub fn end(&mut self) {
        #[cfg(unix)]
        self.signal(Signal::KILL);
        #[cfg(not(unix))]
        self.signal(Signal);
    }
}

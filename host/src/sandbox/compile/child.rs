//! The server's side of compiling: starts the child, hands it the bytes, waits, and ends it where it takes too long.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::compiler::{NOT_KEPT, REJECTED};

/// The command of the program that compiles.
pub(super) const COMMAND: &str = "compile-component";
/// The most that is read of what it says, in bytes.
const SAID: u64 = 16 << 10;

/// Why a child compiled nothing.
pub(super) enum Unable {
    /// It is no component, or a damaged one: the compiler's word.
    Rejected(String),
    /// Children cannot do it here, so this process has to.
    Here(String),
    /// It came to an end without a result, or was ended; how.
    Ended(String),
}

/// Has a component compiled into a folder. Blocks for `life` at most.
pub(super) fn compile(program: &Path, into: &Path, bytes: &[u8], life: Duration) -> Result<(), Unable> {
    let mut command = Command::new(program);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::arg0(&mut command, "mcp-credentials-broker");
    command.arg(COMMAND).arg("--into").arg(into).arg("--seconds").arg(life.as_secs().max(1).to_string());
    // Nothing of this process's environment is the compiler's business.
    command.env_clear();
    #[cfg(windows)]
    command.envs(std::env::vars_os().filter(|(name, _)| name == "SystemRoot"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = Ended(command.spawn().map_err(|error| Unable::Here(error.to_string()))?);
    let (Some(mut input), Some(output)) = (child.0.stdin.take(), child.0.stdout.take()) else {
        return Err(Unable::Here("it has no pipes".to_owned()));
    };
    std::thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        // A child that does not read, or does not write, holds up only these.
        let (of_writer, of_reader) = (std::thread::Builder::new(), std::thread::Builder::new());
        let writer = of_writer.spawn_scoped(scope, || {
            // It stays open: its end tells the child that nobody waits any more.
            let _ = input.write_all(&(bytes.len() as u64).to_le_bytes()).and_then(|()| input.write_all(bytes));
        });
        let reader = of_reader.spawn_scoped(scope, move || {
            let mut said = Vec::new();
            let _ = output.take(SAID).read_to_end(&mut said);
            let _ = tell.send(said);
        });
        if let Err(error) = writer.and(reader) {
            child.end();
            return Err(Unable::Here(error.to_string()));
        }
        let Ok(said) = told.recv_timeout(life) else {
            child.end();
            return Err(Unable::Ended(format!("was ended after {} seconds", life.as_secs())));
        };
        match child.0.wait() {
            Ok(status) => judged(status, &said),
            Err(error) => Err(Unable::Ended(format!("cannot be waited for: {error}"))),
        }
    })
}

fn judged(status: ExitStatus, said: &[u8]) -> Result<(), Unable> {
    let said = String::from_utf8_lossy(said).trim().to_owned();
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return Err(Unable::Ended(format!("was ended by signal {signal}")));
    }
    match status.code() {
        Some(0) => Ok(()),
        Some(code) if code == i32::from(REJECTED) => Err(Unable::Rejected(said)),
        Some(code) if code == i32::from(NOT_KEPT) => Err(Unable::Here(said)),
        Some(code) => Err(Unable::Ended(format!("failed with exit code {code}"))),
        None => Err(Unable::Ended("failed".to_owned())),
    }
}

/// A child that does not outlive its use.
struct Ended(Child);

impl Ended {
    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.end();
    }
}

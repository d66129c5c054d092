//! Stays behind while a program runs: passes signals on, masks its output, and ends as it ends.

use std::io::{PipeReader, Read as _, Write};
use std::process::ExitStatus;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::signals::{Signal, Signals};
use super::start::{CannotStart, Ready};
use crate::redaction::Redactor;

/// How long output may still come from what the program left running.
const REST: Duration = Duration::from_secs(2);

/// Runs a program to its end and returns its exit code. Where there is a mask, standard output and standard error go
/// through it; `meanwhile` runs as long as the program does.
///
/// # Errors
/// Why it did not start.
pub async fn supervise(
    mut ready: Ready,
    mask: Option<watch::Receiver<Redactor>>,
    meanwhile: impl Future<Output = ()>,
) -> Result<u8, CannotStart> {
    let mut masked = Vec::new();
    if let Some(mask) = mask {
        let pipe = || std::io::pipe();
        let (output, to_output) = pipe().map_err(|error| ready.cannot_start(&error))?;
        let (errors, to_errors) = pipe().map_err(|error| ready.cannot_start(&error))?;
        ready.command.stdout(to_output).stderr(to_errors);
        masked.push((output, mask.clone(), Box::new(std::io::stdout()) as Box<dyn Write + Send>));
        masked.push((errors, mask, Box::new(std::io::stderr())));
    }
    let mut signals = Signals::new();
    let placeholder = std::process::Command::new("");
    let command = std::mem::replace(&mut ready.command, placeholder);
    // The command holds the pipes' other ends: it goes before anybody reads.
    let spawned = tokio::process::Command::from(command).spawn();
    let mut child = spawned.map_err(|error| ready.cannot_start(&error))?;
    let done: Vec<_> = masked.into_iter().filter_map(|(from, mask, to)| copying(from, mask, to)).collect();
    tokio::pin!(meanwhile);
    let mut busy = true;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            signal = signals.next() => pass_on(&child, signal),
            () = &mut meanwhile, if busy => busy = false,
        }
    };
    let _ = tokio::time::timeout(REST, async {
        for copied in done {
            let _ = copied.await;
        }
    })
    .await;
    status.map(exit_code).map_err(|error| ready.cannot_start(&error))
}

/// As a shell has it: the program's own code, or 128 and the number of the signal that ended it.
#[must_use]
pub fn exit_code(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return u8::try_from(128 + signal).unwrap_or(255);
    }
    status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

#[cfg(unix)]
fn pass_on(child: &tokio::process::Child, signal: Signal) {
    let from_keyboard = matches!(signal, Signal::INT | Signal::QUIT);
    if from_keyboard && super::signals::terminal_tells_both() {
        return;
    }
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// The console tells both.
#[cfg(not(unix))]
fn pass_on(_: &tokio::process::Child, _: Signal) {}

/// A thread that masks one output; told when it is done.
fn copying(from: PipeReader, mask: watch::Receiver<Redactor>, to: Box<dyn Write + Send>) -> Option<oneshot::Receiver<()>> {
    let (told, done) = oneshot::channel();
    let copy = move || {
        copy(from, mask, to);
        let _ = told.send(());
    };
    std::thread::Builder::new().name("mask".to_owned()).spawn(copy).ok().map(|_| done)
}

/// Ends where there is no more, or where nobody reads: then the program is told by its broken pipe.
fn copy(mut from: PipeReader, mut mask: watch::Receiver<Redactor>, mut to: Box<dyn Write + Send>) {
    let mut stream = mask.borrow_and_update().stream();
    let mut chunk = vec![0; 64 * 1024];
    let mut put = |text: &[u8]| to.write_all(text).and_then(|()| to.flush());
    while let Ok(length @ 1..) = from.read(&mut chunk) {
        if mask.has_changed().unwrap_or(false) {
            stream.learn(mask.borrow_and_update().clone());
        }
        let text = stream.push(chunk.get(..length).unwrap_or_default());
        if put(&text).is_err() {
            return;
        }
    }
    let _ = put(&stream.finish());
}

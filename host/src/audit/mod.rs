//! The audit trail: who asked for what, why, and what came of it, as one JSON line each on standard error, and beside a
//! vault on disk in a file that shows when somebody touched it.
//!
//! It names secrets and never holds one. The id of a reference works like a key for whoever has it, so only a short
//! digest is written: enough to see which lines belong together, and to recognise an id that one already has. What
//! comes from the agent is bounded.
//!
//! Recording never waits. When nobody reads standard error, lines are dropped, and the next one that fits says how many, or
//! a last one.
//!
//! | file | what it is |
//! |---|---|
//! | `entry` | what an entry says, and how it becomes JSON |
//! | `chain` | lines that prove themselves and their place: pure |
//! | `head` | what the vault remembers of the trail |
//! | `files` | which files there are, who may write, when one is full |
//! | `append` | one batch: lock, write, new head |
//! | `trail` | the queue and the thread that appends |
//! | `pace` | how often it does |
//! | `verify` | which line was edited, removed, moved, inserted or cut off |
//! | `show` | reads entries back |

mod append;
mod chain;
mod entry;
mod files;
mod head;
mod pace;
mod show;
mod trail;
mod verify;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use crate::pipe::Output;
use crate::telemetry::Lines;

use entry::{By, Client, bounded, note};
pub use entry::{Entry, Event, Outcome, digest};
pub use head::Ledger;
pub use show::{Wanted, entries};
pub use trail::Trail;
pub use verify::{Change, Finding, Report, verify};

/// How long [`Audit::flush`] waits for a reader.
const FLUSH: Duration = Duration::from_millis(200);
/// How long it waits for the file. Another process may be busy appending, and one that is suspended holds everybody up.
const FLUSH_FILE: Duration = Duration::from_secs(3);

/// The trail. Cheap to clone; all clones write to the same place.
#[derive(Clone)]
pub struct Audit(Arc<Inner>);

struct Inner {
    lines: Lines,
    dropped: AtomicU64,
    client: OnceLock<Client>,
    trail: Option<Trail>,
    /// On standard error is written only what could not be kept beside the vault.
    quiet: bool,
    held: Mutex<Held>,
}

/// Entries that are written when somebody settles them, not when they are recorded, each with its time.
#[derive(Default)]
struct Held {
    holding: bool,
    /// The process is about to end, and who recorded something may never settle it.
    over: bool,
    entries: Vec<(SystemTime, Entry<Box<str>>)>,
}

impl Audit {
    /// The trail on standard error.
    #[must_use]
    pub fn stderr() -> Self {
        Self::on(Lines::stderr())
    }

    /// The trail into `writer`.
    #[must_use]
    pub fn to(writer: impl Output) -> Self {
        Self::on(Lines::to(writer))
    }

    /// The trail of a command, whose person sees what comes of it: beside the vault, and on standard error what could not be
    /// written there.
    #[must_use]
    pub fn quiet() -> Self {
        Self::of(Lines::stderr(), None, true)
    }

    fn on(lines: Lines) -> Self {
        Self::of(lines, None, false)
    }

    fn of(lines: Lines, trail: Option<Trail>, quiet: bool) -> Self {
        let (dropped, client, held) = (AtomicU64::new(0), OnceLock::new(), Mutex::default());
        Self(Arc::new(Inner { lines, dropped, client, trail, quiet, held }))
    }

    /// The same, kept beside a vault as well. Said before anything is recorded.
    #[must_use]
    pub fn kept(self, trail: Trail) -> Self {
        Self::of(self.0.lines.clone(), Some(trail), self.0.quiet)
    }

    /// Tells who is at the other end of the pipe, by their own word. Every later line names them; the first word counts,
    /// since one process serves one client.
    pub fn name_client(&self, name: &str, version: &str) {
        self.name(By::Agent, name, version);
    }

    /// Tells which of this program's commands does what is recorded. Nobody else can say so of themselves.
    pub fn name_command(&self, command: &str) {
        self.name(By::Command, &format!("mcp-credentials-broker {command}"), env!("CARGO_PKG_VERSION"));
    }

    fn name(&self, by: By, name: &str, version: &str) {
        let name = bounded(&format!("{} {}", bounded(name, 96), bounded(version, 32)), 128).into_owned();
        let _ = self.0.client.set(Client { by, name });
    }

    /// Writes one entry, without waiting.
    pub fn record(&self, event: Event<'_>) {
        let now = SystemTime::now();
        let mut held = self.0.held();
        if held.holding {
            held.entries.push((now, event.with(|text| Box::from(*text))));
        } else {
            // Nothing waits to be written before it; and writing may have to wait.
            drop(held);
            self.0.write(now, event);
        }
    }

    /// Until [`Audit::settle`], entries are kept as they are: somebody waits for an answer that has to be given first.
    pub fn hold(&self) {
        let mut held = self.0.held();
        held.holding = !held.over;
    }

    /// Writes down what was kept. On standard error here, where that takes it without waiting, else by a thread.
    pub fn settle(&self) {
        let mut held = self.0.held();
        held.holding = false;
        self.0.lines.hold();
        for (time, entry) in held.entries.drain(..) {
            self.0.write(time, entry.with(|text| &**text));
        }
        // In the queue they are in order. What may have to wait is done without the lock.
        drop(held);
        self.0.lines.settle();
    }

    /// Waits until the trail is written, but not for long. From now on nothing is held.
    pub fn flush(&self) {
        self.write_out();
        self.0.lines.flush(FLUSH);
    }

    /// The same as the last thing that this process does, which says what could not be written.
    pub fn end(&self) {
        self.write_out();
        let mut lost = self.0.dropped.swap(0, Ordering::Relaxed);
        if !self.0.lines.flush(FLUSH) {
            // Nobody reads them, or not fast enough: what is said last has room at least.
            lost += entry::counted(&self.0.lines.take_back());
        }
        let unwritten = self.0.trail.as_ref().map(Trail::left).unwrap_or_default();
        if self.0.quiet {
            unwritten.iter().for_each(|line| _ = self.0.lines.push(line));
        }
        if lost > 0 {
            let _ = self.0.lines.push(&note("audit_lines_lost", lost));
        }
        self.0.lines.flush(FLUSH);
    }

    fn write_out(&self) {
        self.0.held().over = true;
        self.settle();
        if let Some(trail) = &self.0.trail {
            trail.flush(FLUSH_FILE);
        }
    }
}

impl Inner {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, time: SystemTime, event: Event<'_>) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        let client = self.client.get();
        let line = event.line(time, client, 0);
        let written = if self.quiet {
            true
        } else if dropped == 0 {
            line.as_deref().is_some_and(|line| self.lines.push(line))
        } else {
            event.line(time, client, dropped).is_some_and(|line| self.lines.push(&line))
        };
        if let (Some(trail), Some(line)) = (&self.trail, line) {
            trail.push(line);
        }
        if !written {
            self.dropped.fetch_add(dropped + 1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;

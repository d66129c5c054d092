//! The trail beside a vault: who records waits for nobody, and a thread appends what has come together.
//!
//! While the vault is locked, lines wait, as many as fit. What does not fit is counted, and the count is written with the
//! lines that did. What still waits when the process ends is not on disk; it is on standard error, and so is the
//! fact.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::append::append;
use super::entry::note;
use super::files::Files;
use super::head::Ledger;
use super::pace::Pace;
use crate::error::{Code, Error};

/// At most this many bytes wait to be written: some thousand lines.
const CAPACITY: usize = 1 << 20;
/// With so many bytes they are written without coming together any longer.
const ENOUGH: usize = CAPACITY / 2;
/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// The trail beside a vault. Cheap to clone.
#[derive(Clone)]
pub struct Trail(Arc<Shared>);

struct Shared {
    files: Files,
    ledger: Box<dyn Ledger>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<String>,
    bytes: usize,
    /// How many did not fit.
    lost: u64,
    /// A batch was taken out and is being written.
    writing: bool,
    /// What is in it.
    taken: Arc<Vec<String>>,
    /// How many that did not fit are told of in it.
    taken_lost: u64,
    /// Somebody waits for the end: no gathering, no pause.
    hurry: bool,
    /// How often a batch was tried.
    tries: u64,
    /// What stood in the way the last time.
    trouble: Option<Error>,
    /// Until the first line there is no thread: a process that says nothing pays nothing.
    started: bool,
}

impl Trail {
    /// The trail beside that vault's file.
    #[must_use]
    pub fn beside(vault: &Path, ledger: impl Ledger + 'static) -> Self {
        Self::new(Files::beside(vault), ledger)
    }

    pub(super) fn new(files: Files, ledger: impl Ledger + 'static) -> Self {
        Self(Arc::new(Shared { files, ledger: Box::new(ledger), queue: Mutex::default(), changed: Condvar::new() }))
    }

    /// Takes an entry and returns at once.
    pub(super) fn push(&self, entry: String) {
        let mut queue = self.0.queue();
        if queue.bytes + entry.len() > CAPACITY || !self.0.start(&mut queue) {
            queue.lost += 1;
            return;
        }
        let before = queue.bytes;
        queue.bytes += entry.len();
        let enough = before < ENOUGH && queue.bytes >= ENOUGH;
        queue.waiting.push_back(entry);
        // A thread that writes looks for more by itself, and so does one that gathers.
        if queue.unwritten() == 1 || enough {
            self.0.changed.notify_all();
        }
    }

    /// Waits until everything is written, also what comes meanwhile, at most for `limit`; where something stands in the way,
    /// for one more try. How many lines are not written.
    pub(super) fn flush(&self, limit: Duration) -> u64 {
        let mut queue = self.0.queue();
        if queue.started {
            queue.hurry = true;
            // a try that is under way may have begun before the last line came
            let enough = queue.tries + if queue.writing { 2 } else { 1 };
            self.0.changed.notify_all();
            let busy = |queue: &mut Queue| queue.unwritten() > 0 && (queue.tries < enough || queue.trouble.is_none());
            queue = self.0.changed.wait_timeout_while(queue, limit, busy).unwrap_or_else(PoisonError::into_inner).0;
            queue.hurry = false;
        }
        queue.unwritten()
    }

    /// What is not written at the end of the process, as far as it fitted; says how much that is.
    pub(super) fn left(&self) -> Vec<String> {
        let queue = self.0.queue();
        let left = queue.unwritten();
        if left > 0 {
            let why = queue.trouble.as_ref().map_or_else(|| "It was not done in time.".to_owned(), ToString::to_string);
            tracing::warn!("lines of the audit trail that are on standard error only: {left}. {why}");
        }
        queue.taken.iter().chain(&queue.waiting).cloned().collect()
    }
}

impl Queue {
    fn unwritten(&self) -> u64 {
        (self.waiting.len() + self.taken.len()) as u64 + self.lost + self.taken_lost
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the thread if there is none; whether there is one.
    fn start(self: &Arc<Self>, queue: &mut Queue) -> bool {
        if !queue.started {
            let shared = Arc::clone(self);
            let thread = std::thread::Builder::new().name("audit".to_owned());
            queue.started = thread
                .spawn(move || {
                    let mut pace = Pace::new();
                    loop {
                        shared.write_batch(&mut pace);
                    }
                })
                .is_ok();
        }
        queue.started
    }

    fn write_batch(&self, pace: &mut Pace) {
        let waited = self.changed.wait_while(self.queue(), |queue| queue.unwritten() == 0);
        let mut queue = waited.unwrap_or_else(PoisonError::into_inner);
        if !queue.hurry {
            let gathering =
                self.changed.wait_timeout_while(queue, pace.gather(Instant::now()), |queue| !queue.hurry && queue.bytes < ENOUGH);
            queue = gathering.unwrap_or_else(PoisonError::into_inner).0;
        }
        let batch: Arc<Vec<String>> = Arc::new(queue.waiting.drain(..).collect());
        let lost = std::mem::take(&mut queue.lost);
        let gap = (lost > 0).then(|| note("audit_lines_lost", lost));
        queue.writing = true;
        queue.taken = Arc::clone(&batch);
        queue.taken_lost = lost;
        drop(queue);
        let entries: Vec<&str> = batch.iter().chain(&gap).map(String::as_str).collect();
        let written = append(&self.files, &*self.ledger, &entries);
        let mut queue = self.queue();
        queue.writing = false;
        queue.taken = Arc::default();
        queue.taken_lost = 0;
        queue.tries += 1;
        match written {
            Ok(number) => {
                pace.wrote(number, Instant::now());
                queue.bytes = queue.waiting.iter().map(String::len).sum();
                queue.trouble = None;
                self.changed.notify_all();
            }
            Err(error) => {
                queue.lost += lost;
                for entry in Arc::unwrap_or_clone(batch).into_iter().rev() {
                    queue.waiting.push_front(entry);
                }
                // Locked is no news: every tool says so.
                if queue.trouble.as_ref().map(Error::code) != Some(error.code()) && error.code() != Code::VaultLocked {
                    tracing::warn!("the audit trail waits to be written: {error}");
                }
                queue.trouble = Some(error);
                self.changed.notify_all();
                let until = Instant::now() + AGAIN;
                let pause = |queue: &mut Queue| !queue.hurry && Instant::now() < until;
                drop(self.changed.wait_timeout_while(queue, AGAIN, pause));
            }
        }
    }
}

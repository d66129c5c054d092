//! Lines that nobody waits for: a thread of their own writes whatever would have to wait.
//!
//! Clients often start a server and never read its standard error. A full pipe then blocks who writes to it, for ever.
//! So lines are put into a bounded queue, and what does not fit is dropped and counted by whoever wanted to say it. Log
//! and audit trail share the one queue, so their lines never mix. A server, which has standard error to itself,
//! writes its lines where they are said if standard error takes them without waiting, and the thread is for the rest. What is
//! said of calls comes together first: who reads it wakes up for each piece, and then the client waits for a processor.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::error::is_deceptive;
use crate::pipe::{Output, SOME};

/// At most this many bytes wait to be written.
const CAPACITY: usize = 256 * 1024;

/// How long lines come together that were held and settled.
const GATHER: Duration = Duration::from_millis(30);

/// With so many bytes they are written before: about what a pipe holds.
const ENOUGH: usize = 64 * 1024;

/// A line longer than this is cut. On Linux below what a pipe takes in one piece, so that lines of several brokers with the
/// same standard error do not mix either.
const LONGEST: usize = 4000;

/// A queue of lines and the thread that writes them. Cheap to clone.
#[derive(Clone)]
pub struct Lines(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    /// Held while something is written, and by nobody else.
    writer: Mutex<Box<dyn Output>>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Something was taken out and is being written.
    writing: bool,
    /// The first that waits went in part: this is the rest of it.
    torn: bool,
    /// Nobody will read what is put in any more.
    closed: bool,
    /// Somebody will settle what comes in now, and the thread sleeps on.
    held: bool,
    /// The thread lets lines come together, and then writes them.
    gathering: bool,
    /// Nothing else of this process writes there.
    alone: bool,
    /// Until there is something that may have to wait there is no thread.
    started: bool,
}

impl Lines {
    /// Lines on standard error. All of the process share them.
    #[must_use]
    pub fn stderr() -> Self {
        static STDERR: OnceLock<Lines> = OnceLock::new();
        STDERR.get_or_init(|| Self::to(io::stderr())).clone()
    }

    /// Lines into `writer`.
    #[must_use]
    pub fn to(writer: impl Output) -> Self {
        Self(Arc::new(Shared { queue: Mutex::default(), changed: Condvar::new(), writer: Mutex::new(Box::new(writer)) }))
    }

    /// Puts a line into the queue and returns at once: whether it fitted. Control characters and others that deceive
    /// become spaces, so that one line stays one line.
    #[must_use]
    pub fn push(&self, line: &str) -> bool {
        let line = one_line(line).into_bytes();
        let mut queue = self.0.queue();
        if queue.closed || queue.bytes + line.len() > CAPACITY {
            return false;
        }
        queue.bytes += line.len();
        queue.waiting.push_back(line);
        if queue.held {
            return true;
        }
        if queue.alone {
            return self.0.write_now(queue);
        }
        self.0.wake(&mut queue);
        !queue.closed
    }

    /// Says that nothing else of this process writes there: what can be written without waiting need not wake the thread.
    /// With another writer, the room that was there may be gone when the line is written.
    pub fn alone(&self) {
        self.0.queue().alone = true;
    }

    /// Until [`Lines::settle`], lines come together in the queue and nobody wakes up for them.
    pub fn hold(&self) {
        self.0.queue().held = true;
    }

    /// Writes what has come together if that is enough, here where that waits for nobody. What is less is written soon.
    pub fn settle(&self) {
        let mut queue = self.0.queue();
        queue.held = false;
        let enough = queue.bytes >= ENOUGH;
        if !queue.has_work() || (queue.gathering && !enough) {
            return;
        }
        if enough || !self.0.has_thread(&mut queue) {
            self.0.write_now(queue);
        } else {
            self.0.wake(&mut queue);
            queue.gathering = true;
        }
    }

    /// Takes back what waits and nobody is writing: whole lines, with their line breaks.
    pub fn take_back(&self) -> Vec<u8> {
        let mut queue = self.0.queue();
        let kept = usize::from(queue.torn);
        let taken: Vec<u8> = queue.waiting.drain(kept..).flatten().collect();
        queue.bytes -= taken.len();
        taken
    }

    /// Waits until everything is written, at most for `limit`. Whether it was.
    pub fn flush(&self, limit: Duration) -> bool {
        let mut queue = self.0.queue();
        queue.held = false;
        self.0.write_now(queue);
        let busy = |queue: &mut Queue| !queue.closed && (queue.writing || !queue.waiting.is_empty());
        let waited = self.0.changed.wait_timeout_while(self.0.queue(), limit, busy);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing under this lock panics; and a log that ends a process because another thread panicked helps nobody.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what waits, here where that waits for nobody, and leaves the rest to the thread. False when nobody can ever
    /// read it.
    fn write_now<'a>(self: &'a Arc<Self>, mut queue: MutexGuard<'a, Queue>) -> bool {
        let mut goes_on = true;
        while goes_on && queue.has_work() && !queue.closed {
            (queue, goes_on) =
                self.write_some(queue, |writer, piece| Ok(if piece.len() <= SOME { writer.write_now(piece) } else { 0 }));
        }
        if queue.has_work() && !queue.closed {
            self.wake(&mut queue);
        }
        !queue.closed
    }

    /// Sees to it that the thread writes what waits, now. One that is writing, or was woken for an earlier line, looks for more
    /// by itself.
    fn wake(self: &Arc<Self>, queue: &mut Queue) {
        queue.gathering = false;
        if !self.has_thread(queue) {
            queue.closed = true;
        } else if !queue.writing {
            self.changed.notify_all();
        }
    }

    /// Starts the thread if there is none; whether there is one.
    fn has_thread(self: &Arc<Self>, queue: &mut Queue) -> bool {
        if !queue.started {
            let shared = Arc::clone(self);
            let thread = std::thread::Builder::new().name("lines".to_owned()).stack_size(64 * 1024);
            queue.started = thread.spawn(move || while shared.write_next() {}).is_ok();
        }
        queue.started
    }

    /// Writes what waits, when there is something. False when nobody can ever read it.
    fn write_next(&self) -> bool {
        let idle = |queue: &mut Queue| !queue.gathering && (!queue.has_work() || queue.held);
        let waited = self.changed.wait_while(self.queue(), idle);
        let gathered =
            self.changed.wait_timeout_while(waited.unwrap_or_else(PoisonError::into_inner), GATHER, |queue| queue.gathering);
        let mut queue = gathered.unwrap_or_else(PoisonError::into_inner).0;
        queue.gathering = false;
        // What came together may have been taken by somebody else, who writes it now: nothing may overtake it.
        if !queue.has_work() {
            return !queue.closed;
        }
        let (queue, _) = self.write_some(queue, |writer, piece| writer.write_whole(piece).map(|()| piece.len()));
        !queue.closed
    }

    /// Writes the next lines, as many as a pipe takes in one piece. Whether it took them.
    fn write_some<'a>(
        &'a self,
        mut queue: MutexGuard<'a, Queue>,
        write: impl FnOnce(&mut dyn Output, &[u8]) -> io::Result<usize>,
    ) -> (MutexGuard<'a, Queue>, bool) {
        let Some(mut piece) = queue.waiting.pop_front() else { return (queue, false) };
        while let Some(next) = queue.waiting.pop_front_if(|next| piece.len() + next.len() <= SOME) {
            piece.extend_from_slice(&next);
        }
        queue.writing = true;
        let torn = std::mem::take(&mut queue.torn);
        drop(queue);
        // In one piece and without the queue's lock: this is the call that may block for ever.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let written = write(&mut **writer, &piece);
        drop(writer);
        let mut queue = self.queue();
        queue.writing = false;
        queue.closed |= written.is_err();
        let taken = written.unwrap_or(piece.len());
        queue.bytes -= taken;
        let rest = piece.split_off(taken);
        let took_all = rest.is_empty();
        if !took_all {
            queue.torn = torn || taken > 0;
            queue.waiting.push_front(rest);
        }
        self.changed.notify_all();
        (queue, took_all)
    }
}

impl Queue {
    /// Whether something waits that nobody is writing.
    fn has_work(&self) -> bool {
        !self.waiting.is_empty() && !self.writing
    }
}

/// The text as one bounded line with its line break.
fn one_line(text: &str) -> String {
    // Nearly every line is plain.
    if text.len() <= LONGEST && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return format!("{text}\n");
    }
    let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= LONGEST).last().unwrap_or(0);
    let (kept, cut) = if text.len() <= LONGEST { (text, "") } else { (&text[..end], "…") };
    let mut line: String = kept.chars().map(|c| if is_deceptive(c) { ' ' } else { c }).collect();
    line.push_str(cut);
    line.push('\n');
    line
}

#[cfg(test)]
pub(super) mod tests;

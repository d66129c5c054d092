//! Lines that are written by a thread of their own.
//!
//! Clients often start a server and never read its standard error. A full pipe then blocks who writes to it, for ever.
//! So nobody writes to it directly: lines are put into a bounded queue, and what does not fit is dropped and counted
//! by whoever wanted to say it. Log and audit trail share the one queue, so their lines never mix.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// At most this many bytes wait to be written.
const CAPACITY: usize = 256 * 1024;

/// A line longer than this is cut. Below what a pipe takes in one piece (`PIPE_BUF`, 4096), so that lines of several
/// brokers with the same standard error do not mix either.
const LONGEST: usize = 4000;

/// A queue of lines and the thread that writes them. Cheap to clone.
#[derive(Clone)]
pub struct Lines(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct Queue {
    waiting: VecDeque<String>,
    bytes: usize,
    /// A line was taken out and is being written.
    writing: bool,
    /// Nobody but the thread itself will put anything in any more.
    closed: bool,
    /// Until the first line there is no thread: a process that says nothing pays nothing.
    unused: Option<Box<dyn Write + Send>>,
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
    pub fn to(writer: impl Write + Send + 'static) -> Self {
        let queue = Queue { waiting: VecDeque::new(), bytes: 0, writing: false, closed: false, unused: Some(Box::new(writer)) };
        Self(Arc::new(Shared { queue: Mutex::new(queue), changed: Condvar::new() }))
    }

    /// Puts a line into the queue and returns at once: whether it fitted. Control characters become spaces, so that one
    /// line stays one line.
    #[must_use]
    pub fn push(&self, line: &str) -> bool {
        let line = one_line(line);
        let mut queue = self.0.queue();
        if queue.bytes + line.len() > CAPACITY {
            return false;
        }
        if let Some(writer) = queue.unused.take()
            && !self.0.start(writer)
        {
            queue.closed = true;
        }
        if queue.closed {
            return false;
        }
        queue.bytes += line.len();
        queue.waiting.push_back(line);
        // A thread that is writing, or was woken for an earlier line, looks for more by itself.
        if queue.waiting.len() == 1 && !queue.writing {
            self.0.changed.notify_all();
        }
        true
    }

    /// Waits until everything is written, at most for `limit`. Whether it was.
    pub fn flush(&self, limit: Duration) -> bool {
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

    /// Starts the thread; whether there is one.
    fn start(self: &Arc<Self>, mut writer: Box<dyn Write + Send>) -> bool {
        let shared = Arc::clone(self);
        let thread = std::thread::Builder::new().name("lines".to_owned()).stack_size(64 * 1024);
        thread.spawn(move || while shared.write_next(&mut *writer) {}).is_ok()
    }

    /// Writes the next line when there is one. False when there will be none, or nobody can ever read them.
    fn write_next(&self, writer: &mut dyn Write) -> bool {
        let waited = self.changed.wait_while(self.queue(), |queue| queue.waiting.is_empty());
        let mut queue = waited.unwrap_or_else(PoisonError::into_inner);
        let Some(line) = queue.waiting.pop_front() else { return true };
        queue.writing = true;
        drop(queue);
        // In one piece and without the lock: this is the call that may block for ever.
        let written = writer.write_all(line.as_bytes()).and_then(|()| writer.flush());
        let mut queue = self.queue();
        queue.bytes -= line.len();
        queue.writing = false;
        queue.closed = written.is_err();
        self.changed.notify_all();
        !queue.closed
    }
}

/// The text as one bounded line with its line break.
fn one_line(text: &str) -> String {
    let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= LONGEST).last().unwrap_or(0);
    let (kept, cut) = if text.len() <= LONGEST { (text, "") } else { (&text[..end], "…") };
    let mut line: String = kept.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.push_str(cut);
    line.push('\n');
    line
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    /// A writer that remembers.
    #[derive(Clone, Default)]
    pub(crate) struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Memory {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Memory {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A pipe that nobody reads, until the test lets go of the other end.
    struct Stuck(mpsc::Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_come_out_whole_and_in_order() {
        let memory = Memory::default();
        let lines = Lines::to(memory.clone());
        for number in 0..100 {
            assert!(lines.push(&format!("line {number}")));
        }
        assert!(lines.flush(Duration::from_secs(5)));
        let expected: String = (0..100).map(|number| format!("line {number}\n")).collect();
        assert_eq!(memory.text(), expected);
    }

    #[test]
    fn who_writes_is_not_held_up_when_nobody_reads() {
        let (reader, unread) = mpsc::channel();
        let lines = Lines::to(Stuck(unread));
        let begun = Instant::now();
        let fitted = (0..10_000).filter(|_| lines.push(&"x".repeat(99))).count();
        assert!((1000..10_000).contains(&fitted), "bounded, not endless: {fitted}");
        assert!(!lines.flush(Duration::from_millis(50)));
        assert!(begun.elapsed() < Duration::from_secs(30), "it blocked");
        drop(reader);
        assert!(lines.flush(Duration::from_secs(5)), "it goes on as soon as somebody reads");
        assert!(lines.push("again"));
    }

    #[test]
    fn a_closed_standard_error_is_no_reason_to_wait() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let lines = Lines::to(Closed);
        let _ = lines.push("one");
        let _ = lines.push("two");
        assert!(lines.flush(Duration::from_secs(5)));
        assert!(!lines.push("three"));
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let line = one_line(&"ä".repeat(LONGEST));
        assert!(line.len() < 4096 && line.ends_with("ä…\n"), "{}", line.len());
        assert_eq!(one_line("a\nb\u{7}c"), "a b c\n");
        assert_eq!(one_line(""), "\n");
    }
}

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

use crate::pipe::{Output, SOME};

/// At most this many bytes wait to be written.
const CAPACITY: usize = 256 * 1024;

/// How long lines come together that were held and settled.
const GATHER: Duration = Duration::from_millis(10);

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

    /// Puts a line into the queue and returns at once: whether it fitted. Control characters become spaces, so that one
    /// line stays one line.
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
        let (queue, _) =
            self.write_some(queue, |writer, piece| writer.write_all(piece).and_then(|()| writer.flush()).map(|()| piece.len()));
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
    let mut line: String = kept.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.push_str(cut);
    line.push('\n');
    line
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    /// A writer that remembers each piece.
    #[derive(Clone, Default)]
    pub(crate) struct Memory(Arc<Mutex<Vec<Vec<u8>>>>);

    impl Memory {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().concat()).unwrap()
        }

        fn pieces(&self) -> usize {
            self.0.lock().unwrap().len()
        }
    }

    impl Write for Memory {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push(text.to_owned());
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

    impl Output for Memory {}
    impl Output for Stuck {}

    /// Takes so much at once.
    struct Free(Memory, usize);

    impl Write for Free {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.write(text)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Output for Free {
        fn write_now(&mut self, text: &[u8]) -> usize {
            self.0.write(&text[..text.len().min(self.1)]).unwrap()
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
        impl Output for Closed {}
        let lines = Lines::to(Closed);
        let _ = lines.push("one");
        let _ = lines.push("two");
        assert!(lines.flush(Duration::from_secs(5)));
        assert!(!lines.push("three"));
    }

    #[test]
    fn what_is_held_is_written_by_who_settles_it_if_that_waits_for_nobody() {
        let memory = Memory::default();
        let lines = Lines::to(Free(memory.clone(), SOME));
        lines.hold();
        for number in 0..1000 {
            assert!(lines.push(&format!("line {number} {}", "x".repeat(100))));
        }
        assert_eq!(memory.text(), "");
        lines.settle();
        let expected: String = (0..1000).map(|number| format!("line {number} {}\n", "x".repeat(100))).collect();
        assert_eq!(memory.text(), expected, "written when it returns");
        assert!(!lines.0.queue().started, "and no thread was needed");

        for takes in [0, 7] {
            let memory = Memory::default();
            let lines = Lines::to(Free(memory.clone(), takes));
            lines.hold();
            assert!(lines.push("waits, or its second half does: é"));
            lines.settle();
            assert!(lines.flush(Duration::from_secs(5)));
            assert_eq!(memory.text(), "waits, or its second half does: é\n");
        }
    }

    #[test]
    fn what_is_not_enough_comes_together_and_is_written_soon() {
        let memory = Memory::default();
        let lines = Lines::to(Free(memory.clone(), SOME));
        lines.alone();
        let numbers = || (0..100).map(|number| number.to_string());
        for number in numbers() {
            lines.hold();
            assert!(lines.push(&number));
            lines.settle();
        }
        let expected: String = numbers().map(|number| number + "\n").collect();
        let begun = Instant::now();
        while memory.text() != expected {
            assert!(begun.elapsed() < Duration::from_secs(5), "nobody writes {:?}", memory.text());
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(memory.pieces() < 50, "each by itself: {}", memory.pieces());

        // What nobody holds back takes with it what was.
        lines.hold();
        assert!(lines.push("a call"));
        lines.settle();
        assert!(lines.push("a warning"));
        assert!(lines.flush(Duration::from_secs(5)));
        assert!(memory.text().ends_with("99\na call\na warning\n"), "{}", memory.text());
    }

    #[test]
    fn the_thread_takes_nothing_while_somebody_else_writes() {
        /// Takes nothing before it is allowed to.
        struct Waiting(Memory, mpsc::Receiver<()>);
        impl Write for Waiting {
            fn write(&mut self, text: &[u8]) -> io::Result<usize> {
                self.0.write(text)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        impl Output for Waiting {
            fn write_now(&mut self, text: &[u8]) -> usize {
                let _ = self.1.recv_timeout(Duration::from_secs(1));
                self.0.write(text).unwrap()
            }
        }

        let memory = Memory::default();
        let (go_on, allowed) = mpsc::channel();
        let lines = Lines::to(Waiting(memory.clone(), allowed));
        lines.alone();
        lines.hold();
        assert!(lines.push("of a call"));
        lines.settle();
        std::thread::scope(|threads| {
            threads.spawn(|| lines.push("a warning"));
            while !lines.0.queue().writing && memory.text().is_empty() {
                std::thread::yield_now();
            }
            assert!(lines.push("another"));
            std::thread::sleep(10 * GATHER);
            let queue = lines.0.queue();
            assert!(!queue.writing || queue.waiting.len() == 1, "the thread took what comes after");
            drop(queue);
            let _ = go_on.send(());
            let _ = go_on.send(());
        });
        assert!(lines.flush(Duration::from_secs(5)));
        assert_eq!(memory.text(), "of a call\na warning\nanother\n");
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let line = one_line(&"ä".repeat(LONGEST));
        assert!(line.len() < 4096 && line.ends_with("ä…\n"), "{}", line.len());
        assert_eq!(one_line("a\nb\u{7}c"), "a b c\n");
        assert_eq!(one_line(""), "\n");
    }
}

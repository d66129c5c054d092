//! Lines on their way out.
//!
//! Nobody waits for a pipe that nobody reads: a thread does, and writes whatever has gathered. But to wake it takes longer
//! than to answer most calls, so what is short is written by whoever has it, where that is sure not to wait.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::service::TxJsonRpcMessage;
use tokio::sync::{Notify, mpsc};
use zeroize::Zeroize as _;

use crate::pipe::{Output, SOME};

/// Bytes of answers that wait to be written before no more is read.
const BACKLOG: usize = 1 << 20;
/// The most that the thread takes on at once.
const PIECE: usize = 64 * 1024;
/// The most that it writes at once: who reads that much in [`DRAIN`] reads.
const PART: usize = 16 * 1024;
/// How long nobody may read before the last answers are given up.
const DRAIN: Duration = Duration::from_millis(300);

/// The way out. Cheap to clone.
#[derive(Clone)]
pub(super) struct Outgoing {
    lines: mpsc::UnboundedSender<Vec<u8>>,
    way: Arc<Way>,
}

struct Way {
    output: Mutex<Out>,
    backlog: Backlog,
    /// What the thread will read from; until something has to wait there is none.
    unread: Mutex<Option<mpsc::UnboundedReceiver<Vec<u8>>>>,
    /// Told when nobody reads.
    ended: Arc<Notify>,
}

struct Out {
    output: Box<dyn Output>,
    /// What is left of lines that went in part: it goes before everything else.
    rest: Vec<u8>,
}

/// How much waits to be written. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Backlog(Arc<Waiting>);

#[derive(Default)]
struct Waiting {
    /// Counted until they are written.
    bytes: AtomicUsize,
    /// Nobody reads any longer, or nothing more may leave.
    broken: AtomicBool,
    written: Notify,
    /// The same for threads.
    changed: (Mutex<()>, Condvar),
}

impl Outgoing {
    /// `ended` is told when nobody reads.
    pub(super) fn new(output: impl Output, ended: Arc<Notify>) -> Self {
        let (lines, unread) = mpsc::unbounded_channel();
        let unread = Mutex::new(Some(unread));
        let output = Mutex::new(Out { output: Box::new(output), rest: Vec::new() });
        let way = Way { output, backlog: Backlog::default(), unread, ended };
        Self { lines, way: Arc::new(way) }
    }

    pub(super) fn backlog(&self) -> Backlog {
        self.way.backlog.clone()
    }

    /// Writes a message, or leaves it to the thread.
    pub(super) fn message(&self, message: &TxJsonRpcMessage<RoleServer>) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.write(&mut line)
    }

    /// Writes whole lines here where that waits for nobody, else leaves them to the thread. None are left in `lines`.
    pub(super) fn write(&self, lines: &mut Vec<u8>) -> io::Result<()> {
        if self.way.backlog.is_broken() {
            return Err(broken());
        }
        if lines.len() <= SOME
            && let Ok(mut out) = self.way.output.try_lock()
            // Looked at under the lock: what comes later than this is written later.
            && self.way.backlog.is_empty()
        {
            let count = out.output.write_now(lines);
            if count > 0 {
                // Few outputs take a part.
                let rest = lines.split_off(count);
                lines.zeroize();
                if rest.is_empty() {
                    return Ok(());
                }
                self.way.backlog.0.bytes.fetch_add(rest.len(), Ordering::AcqRel);
                out.rest = rest;
                drop(out);
                return self.leave(Vec::new());
            }
        }
        self.leave(std::mem::take(lines))
    }

    /// Leaves whole lines to the thread, and what is left of others before them.
    fn leave(&self, lines: Vec<u8>) -> io::Result<()> {
        let unread = self.way.unread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(unread) = unread {
            let way = Arc::clone(&self.way);
            let thread = std::thread::Builder::new().name("stdout".to_owned()).stack_size(64 * 1024);
            thread.spawn(move || way.write_on(unread)).inspect_err(|_| self.way.give_up())?;
        }
        self.way.backlog.0.bytes.fetch_add(lines.len(), Ordering::AcqRel);
        self.lines.send(lines).map_err(|_| broken())
    }

    /// Waits until not too much waits.
    pub(super) async fn room(&self) {
        loop {
            let written = self.way.backlog.0.written.notified();
            if self.has_room() {
                return;
            }
            written.await;
        }
    }

    /// The same for a thread; an error where nobody reads any longer.
    pub(super) fn wait_for_room(&self) -> io::Result<()> {
        let (lock, changed) = &self.way.backlog.0.changed;
        if !self.has_room() {
            let mut guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
            while !self.has_room() {
                guard = changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
            }
        }
        if self.way.backlog.is_broken() { Err(broken()) } else { Ok(()) }
    }

    pub(super) fn has_room(&self) -> bool {
        self.way.backlog.0.bytes.load(Ordering::Acquire) < BACKLOG || self.way.backlog.is_broken()
    }
}

impl Backlog {
    fn is_broken(&self) -> bool {
        self.0.broken.load(Ordering::SeqCst)
    }

    /// Nothing more leaves, and who waits for room need not.
    pub(super) fn shut(&self) {
        self.0.broken.store(true, Ordering::SeqCst);
        self.tell();
    }

    fn is_empty(&self) -> bool {
        self.0.bytes.load(Ordering::Acquire) == 0
    }

    fn tell(&self) {
        self.0.written.notify_one();
        let (lock, changed) = &self.0.changed;
        let _guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        changed.notify_all();
    }

    /// Waits for everything to be written, as long as somebody reads.
    pub(super) async fn written(&self) {
        loop {
            let before = self.0.bytes.load(Ordering::Acquire);
            if before == 0 {
                return;
            }
            let told = tokio::time::timeout(DRAIN, self.0.written.notified()).await.is_ok();
            if !told && self.0.bytes.load(Ordering::Acquire) == before {
                return;
            }
        }
    }
}

fn broken() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

impl Way {
    /// Nobody reads: whoever waits for that need not wait any longer.
    fn give_up(&self) {
        self.backlog.shut();
        self.ended.notify_one();
    }

    /// Writes whatever has gathered at once; ends when nobody reads or nothing more can come.
    fn write_on(&self, mut lines: mpsc::UnboundedReceiver<Vec<u8>>) {
        while let Some(mut piece) = lines.blocking_recv() {
            while piece.len() < PIECE {
                match lines.try_recv() {
                    Ok(mut next) => {
                        piece.extend_from_slice(&next);
                        next.zeroize();
                    }
                    Err(_) => break,
                }
            }
            let mut out = self.output.lock().unwrap_or_else(PoisonError::into_inner);
            let Out { output, rest } = &mut *out;
            for part in rest.chunks(PART).chain(piece.chunks(PART)) {
                if output.write_whole(part).is_err() {
                    return self.give_up();
                }
                self.backlog.0.bytes.fetch_sub(part.len(), Ordering::AcqRel);
                self.backlog.tell();
            }
            rest.zeroize();
            drop(out);
            // an answer may have held a value
            piece.zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write};

    use super::*;

    fn piped() -> (Outgoing, io::PipeReader) {
        let (reader, writer) = io::pipe().unwrap();
        (Outgoing::new(writer, Arc::default()), reader)
    }

    /// Takes everything at once, and remembers it.
    struct Free(Arc<Mutex<Vec<u8>>>);

    impl Write for Free {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Output for Free {
        fn write_now(&mut self, text: &[u8]) -> usize {
            // in part only, once in a while
            let count = if text.len().is_multiple_of(5) { text.len() / 2 } else { text.len() };
            self.write(&text[..count]).unwrap()
        }
    }

    #[test]
    fn what_is_short_is_written_here_and_what_is_long_by_the_thread_in_the_same_order() {
        let memory = Arc::<Mutex<Vec<u8>>>::default();
        let outgoing = Outgoing::new(Free(Arc::clone(&memory)), Arc::default());
        outgoing.write(&mut b"a\n".to_vec()).unwrap();
        assert_eq!(*memory.lock().unwrap(), b"a\n", "written when it returns");
        assert!(outgoing.way.unread.lock().unwrap().is_some(), "and no thread was needed");
        let mut expected = b"a\n".to_vec();
        for number in 0..2000 {
            let line = format!("{number}{}\n", "x".repeat(if number % 3 == 0 { SOME } else { 1 }));
            expected.extend_from_slice(line.as_bytes());
            let mut line = line.into_bytes();
            outgoing.write(&mut line).unwrap();
            assert!(line.is_empty());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(outgoing.backlog().written());
        assert!(*memory.lock().unwrap() == expected);
    }

    /// Takes a part, and the rest once somebody reads.
    struct Narrow(Arc<Mutex<Vec<u8>>>, std::sync::mpsc::Receiver<()>);

    impl Write for Narrow {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.1.recv().unwrap();
            self.0.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Output for Narrow {
        fn write_now(&mut self, text: &[u8]) -> usize {
            self.0.lock().unwrap().extend_from_slice(&text[..2]);
            2
        }
    }

    #[test]
    fn what_went_in_part_is_finished_first_and_nobody_waits_for_that() {
        let memory = Arc::<Mutex<Vec<u8>>>::default();
        let (read, reads) = std::sync::mpsc::channel();
        let outgoing = Outgoing::new(Narrow(Arc::clone(&memory), reads), Arc::default());
        outgoing.write(&mut b"a line\n".to_vec()).unwrap();
        outgoing.write(&mut b"another\n".to_vec()).unwrap();
        assert_eq!(*memory.lock().unwrap(), b"a ", "nobody reads the rest");
        for _ in 0..2 {
            read.send(()).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(outgoing.backlog().written());
        assert_eq!(*memory.lock().unwrap(), b"a line\nanother\n");
    }

    #[test]
    fn whoever_reads_slowly_gets_everything() {
        let (outgoing, mut reader) = piped();
        outgoing.write(&mut vec![b'x'; 4 * PIECE]).unwrap();
        let reading = std::thread::spawn(move || {
            let (mut all, mut some) = (0, [0; 1900]);
            while all < 4 * PIECE {
                all += reader.read(&mut some).unwrap();
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(outgoing.backlog().written());
        assert!(outgoing.way.backlog.is_empty(), "given up");
        reading.join().unwrap();
    }

    #[test]
    fn nothing_leaves_once_it_is_shut() {
        let memory = Arc::<Mutex<Vec<u8>>>::default();
        let outgoing = Outgoing::new(Free(Arc::clone(&memory)), Arc::default());
        outgoing.write(&mut b"before\n".to_vec()).unwrap();
        outgoing.backlog().shut();
        for mut late in [b"late\n".to_vec(), vec![b'x'; 4 * SOME]] {
            assert_eq!(outgoing.write(&mut late).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        }
        assert_eq!(*memory.lock().unwrap(), b"before\n");
    }

    #[test]
    fn a_reader_that_does_not_read_stops_who_writes_and_one_that_left_ends_it() {
        let (outgoing, mut reader) = piped();
        while outgoing.has_room() {
            outgoing.write(&mut vec![b'x'; PIECE]).unwrap();
        }
        let waiting = std::thread::spawn({
            let outgoing = outgoing.clone();
            move || outgoing.wait_for_room()
        });
        let mut some = vec![0; 4 * PIECE];
        reader.read_exact(&mut some).unwrap();
        waiting.join().unwrap().unwrap();
        while outgoing.has_room() {
            outgoing.write(&mut vec![b'x'; PIECE]).unwrap();
        }
        drop(reader);
        let failed = loop {
            if let Err(error) = outgoing.wait_for_room().and_then(|()| outgoing.write(&mut vec![b'x'; PIECE])) {
                break error;
            }
        };
        assert_eq!(failed.kind(), io::ErrorKind::BrokenPipe);
    }
}

//! Writing without waiting for whoever reads, and reading without sleeping too soon.
//!
//! Nobody in the broker may wait for who does not read its output, so a thread stands by to do so. To wake it takes longer
//! than most of what there is to say; where a pipe has room, whoever has something short may write it.

use std::io::{self, Read, Write};
#[cfg(unix)]
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
#[cfg(unix)]
use std::time::Instant;

/// The most that is written in one piece without waiting, in bytes: what a pipe with room for anything takes whole (`PIPE_BUF`),
/// and less than what a socket has room for when it says so.
pub const SOME: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

/// How long after a refused write the next is tried, where the platform does not tell when.
const AGAIN: Duration = Duration::from_millis(5);

/// Somewhere to write to.
pub trait Output: Write + Send + 'static {
    /// Writes as much of at most [`SOME`] bytes as goes without waiting for a reader, mostly all or nothing, and says how
    /// much. Where the platform does not tell, or something is wrong: nothing, and an ordinary write will find out.
    fn write_now(&mut self, _: &[u8]) -> usize {
        0
    }

    /// Waits until it takes something again. Whoever shares it with the broker may have said that no write to it waits.
    fn wait(&self) {
        std::thread::sleep(AGAIN);
    }

    /// Writes all of it, however long nobody reads.
    ///
    /// # Errors
    /// That nobody can ever read it, or what else is wrong.
    fn write_whole(&mut self, text: &[u8]) -> io::Result<()> {
        let mut rest = text;
        while !rest.is_empty() {
            match self.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => rest = &rest[count..],
                Err(error) => self.after(error)?,
            }
        }
        while let Err(error) = self.flush() {
            self.after(error)?;
        }
        Ok(())
    }

    /// Waits where that is what a failed write asks for.
    ///
    /// # Errors
    /// Any other.
    fn after(&self, error: io::Error) -> io::Result<()> {
        match error.kind() {
            io::ErrorKind::WouldBlock => self.wait(),
            io::ErrorKind::Interrupted => {}
            _ => return Err(error),
        }
        Ok(())
    }
}

#[cfg(unix)]
impl Output for io::Stdout {
    fn write_now(&mut self, text: &[u8]) -> usize {
        static CANNOT_TELL: AtomicBool = AtomicBool::new(false);
        write_now(self, text, &CANNOT_TELL)
    }

    fn wait(&self) {
        wait(self);
    }
}

#[cfg(unix)]
impl Output for io::Stderr {
    fn write_now(&mut self, text: &[u8]) -> usize {
        static CANNOT_TELL: AtomicBool = AtomicBool::new(false);
        write_now(self, text, &CANNOT_TELL)
    }

    fn wait(&self) {
        wait(self);
    }
}

#[cfg(not(unix))]
impl Output for io::Stdout {}

#[cfg(not(unix))]
impl Output for io::Stderr {}

impl Output for io::PipeWriter {}

impl Output for io::Sink {
    fn write_now(&mut self, text: &[u8]) -> usize {
        text.len()
    }
}

/// `cannot_tell` remembers that the system does not know of such writes, or not to this kind of file: pipes and sockets before
/// Linux 6.4, files on many file systems, sandboxes that do not let the call through.
#[cfg(unix)]
fn write_now(file: &impl std::os::fd::AsFd, text: &[u8], cannot_tell: &AtomicBool) -> usize {
    #[cfg(target_os = "linux")]
    if !cannot_tell.load(Ordering::Relaxed) {
        use rustix::io::{Errno, ReadWriteFlags, pwritev2};
        // at the file's own position
        match pwritev2(file, &[io::IoSlice::new(text)], u64::MAX, ReadWriteFlags::NOWAIT) {
            Ok(count) => return count,
            Err(Errno::AGAIN | Errno::INTR | Errno::PIPE) => return 0,
            Err(_) => cannot_tell.store(true, Ordering::Relaxed),
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = cannot_tell;
    if takes_some_now(file) { rustix::io::write(file, text).unwrap_or(0) } else { 0 }
}

/// Waits until it takes something, or never will.
#[cfg(unix)]
fn wait(file: &impl std::os::fd::AsFd) {
    use rustix::event::{PollFd, PollFlags, poll};
    let _ = poll(&mut [PollFd::new(file, PollFlags::OUT)], None);
}

/// Whether [`SOME`] bytes can be written to it now without waiting, unless somebody else writes there first.
#[cfg(unix)]
fn takes_some_now(file: &impl std::os::fd::AsFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::new(file, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok_and(|ready| ready == 1) && fds[0].revents() == PollFlags::OUT
}

/// Reads, and looks for a moment whether something comes before it sleeps: a client that asks one thing after the other writes
/// again some ten to fifty microseconds after the answer, and to be woken then takes ten more.
pub struct Alert<R>(pub R);

/// How long it looks.
#[cfg(unix)]
const MOMENT: Duration = Duration::from_micros(60);

/// Who gives way and is back later than that, has given the processor to somebody who needs it.
#[cfg(unix)]
const AWAY: Duration = Duration::from_micros(5);

#[cfg(unix)]
impl<R: Read + std::os::fd::AsFd> Read for Alert<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let (begun, mut before) = (Instant::now(), Instant::now());
        while poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&at_once)).is_ok_and(|ready| ready == 0) {
            std::thread::yield_now();
            let now = Instant::now();
            if now - begun > MOMENT || now - before > AWAY {
                break;
            }
            before = now;
        }
        loop {
            match self.0.read(buffer) {
                // Whoever shares it with the broker does not want to wait there.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let _ = poll(&mut [PollFd::new(&self.0, PollFlags::IN)], None);
                }
                read => return read,
            }
        }
    }
}

#[cfg(not(unix))]
impl<R: Read> Read for Alert<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn what_is_read_is_the_same_at_once_and_later() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut reader = Alert(reader);
        let mut told = [0; 8];
        writer.write_all(b"at once").unwrap();
        assert_eq!(reader.read(&mut told).unwrap(), 7);
        let later = std::thread::spawn(move || {
            std::thread::sleep(100 * MOMENT);
            writer.write_all(b"later").unwrap();
        });
        assert_eq!((reader.read(&mut told).unwrap(), &told[..5]), (5, &b"later"[..]));
        later.join().unwrap();
        assert_eq!(reader.read(&mut told).unwrap(), 0, "nobody writes any more");
    }

    type Way = fn(&io::PipeWriter, &[u8]) -> usize;

    /// Both ways: the second is what other platforms and old kernels have.
    const WAYS: [Way; 2] =
        [|pipe, text| write_now(pipe, text, &AtomicBool::new(false)), |pipe, text| write_now(pipe, text, &AtomicBool::new(true))];

    #[test]
    fn a_pipe_takes_some_until_it_is_full_and_again_when_it_was_read() {
        for way in WAYS {
            let (mut reader, writer) = io::pipe().unwrap();
            let mut written = 0;
            // would wait for ever, were it not asked first
            while way(&writer, &[b'x'; SOME]) == SOME {
                written += SOME;
            }
            assert!(written >= SOME, "an empty pipe takes something");
            let mut all = vec![0; written];
            reader.read_exact(&mut all).unwrap();
            assert_eq!(way(&writer, b"again"), 5);
            drop(reader);
            assert_eq!(way(&writer, b"x"), 0, "nobody is there to read it");
        }
    }

    #[test]
    fn a_file_takes_it_at_its_end() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"before ").unwrap();
        for word in [&b"after"[..], b" that"] {
            assert_eq!(write_now(&file, word, &AtomicBool::new(false)), 5);
        }
        std::io::Seek::rewind(&mut file).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "before after that");
    }

    #[test]
    fn what_cannot_be_written_to_takes_nothing() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(write_now(&file, b"x", &AtomicBool::new(false)), 0);
    }
}

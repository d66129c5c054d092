//! Writing without waiting for whoever reads.
//!
//! Nobody in the broker may wait for who does not read its output, so a thread stands by to do so. To wake it takes longer
//! than most of what there is to say; where a pipe has room, whoever has something short may write it.

use std::io::{self, Write};

/// The most that is written in one piece without waiting, in bytes: what a pipe with room for anything takes whole
/// (`PIPE_BUF` on Linux), and less than what a socket has room for when it says so.
pub const SOME: usize = 4096;

/// Somewhere to write to.
pub trait Output: Write + Send + 'static {
    /// Writes as much of at most [`SOME`] bytes as goes without waiting for a reader, mostly all or nothing, and says how
    /// much. Where the platform does not tell: nothing.
    ///
    /// # Errors
    /// Nobody will ever read it.
    fn write_now(&mut self, _: &[u8]) -> io::Result<usize> {
        Ok(0)
    }
}

#[cfg(unix)]
impl Output for io::Stdout {
    fn write_now(&mut self, text: &[u8]) -> io::Result<usize> {
        write_now(self, text)
    }
}

#[cfg(unix)]
impl Output for io::Stderr {
    fn write_now(&mut self, text: &[u8]) -> io::Result<usize> {
        write_now(self, text)
    }
}

#[cfg(not(unix))]
impl Output for io::Stdout {}

#[cfg(not(unix))]
impl Output for io::Stderr {}

impl Output for io::PipeWriter {}

impl Output for io::Sink {
    fn write_now(&mut self, text: &[u8]) -> io::Result<usize> {
        self.write(text)
    }
}

#[cfg(unix)]
fn write_now(file: &impl std::os::fd::AsFd, text: &[u8]) -> io::Result<usize> {
    #[cfg(target_os = "linux")]
    {
        use rustix::io::{Errno, ReadWriteFlags, pwritev2};
        // At the file's own position, and only if that need not wait. Files on many file systems cannot tell, nor old kernels.
        match pwritev2(file, &[io::IoSlice::new(text)], u64::MAX, ReadWriteFlags::NOWAIT) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::SPIPE) => {}
            Err(Errno::AGAIN | Errno::INTR) => return Ok(0),
            written => return Ok(written?),
        }
    }
    if takes_some_now(file) { Ok(rustix::io::write(file, text)?) } else { Ok(0) }
}

/// Whether [`SOME`] bytes can be written to it now without waiting, unless somebody else writes there first.
#[cfg(unix)]
fn takes_some_now(file: &impl std::os::fd::AsFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::new(file, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok_and(|ready| ready == 1) && fds[0].revents() == PollFlags::OUT
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    type Way = fn(&io::PipeWriter, &[u8]) -> io::Result<usize>;

    /// Both ways: the second is what other platforms and old kernels have.
    const WAYS: [Way; 2] =
        [|pipe, text| write_now(pipe, text), |mut pipe, text| if takes_some_now(pipe) { pipe.write(text) } else { Ok(0) }];

    #[test]
    fn a_pipe_takes_some_until_it_is_full_and_again_when_it_was_read() {
        for way in WAYS {
            let (mut reader, writer) = io::pipe().unwrap();
            let mut written = 0;
            // would wait for ever, were it not asked first
            while way(&writer, &[b'x'; SOME]).unwrap() == SOME {
                written += SOME;
            }
            assert!(written >= SOME, "an empty pipe takes something");
            let mut all = vec![0; written];
            reader.read_exact(&mut all).unwrap();
            assert_eq!(way(&writer, b"again").unwrap(), 5);
            drop(reader);
            assert!(!matches!(way(&writer, b"x"), Ok(1)), "nobody is there to read it");
        }
    }

    #[test]
    fn a_file_takes_it_at_its_end() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"before ").unwrap();
        assert_eq!(write_now(&file, b"after").unwrap(), 5);
        std::io::Seek::rewind(&mut file).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "before after");
    }
}

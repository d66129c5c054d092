//! Whether a write would wait for a reader, asked before it is made.
//!
//! Nobody in the broker may wait for who does not read its output, so a thread stands by to do so. To wake it takes longer
//! than most of what there is to say; where a pipe has room, whoever has something short may write it.

/// The most that may be written in one piece where [`takes_some_now`] says yes, in bytes: what a pipe with room for
/// anything takes whole (`PIPE_BUF` on Linux), and less than what a socket has room for when it says so.
pub const SOME: usize = 4096;

/// Whether [`SOME`] bytes can be written to it now without waiting. Where the platform does not tell: no.
#[cfg(unix)]
#[must_use]
pub fn takes_some_now(file: &impl std::os::fd::AsFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::new(file, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok_and(|ready| ready == 1) && fds[0].revents() == PollFlags::OUT
}

/// Whether [`SOME`] bytes can be written to it now without waiting. Where the platform does not tell: no.
#[cfg(not(unix))]
#[must_use]
pub fn takes_some_now<T>(_: &T) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn a_pipe_takes_some_until_it_is_full_and_again_when_it_was_read() {
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        let mut written = 0;
        while takes_some_now(&writer) {
            // would wait for ever, were the answer wrong
            writer.write_all(&[b'x'; SOME]).unwrap();
            written += SOME;
        }
        assert!(written >= SOME, "an empty pipe takes something");
        let mut all = vec![0; written];
        reader.read_exact(&mut all).unwrap();
        assert!(takes_some_now(&writer));
        drop(reader);
        assert!(!takes_some_now(&writer), "nobody is there to read it");
    }
}

//! Lines of a pipe, one at a time, of bounded length.

use std::io::{BufRead, BufReader, Read};

/// The longest message in either direction, in bytes.
pub(super) const MAX_LINE: usize = 32 << 20;
/// How much room stays for the next line.
const KEPT: usize = 1 << 20;

/// Reads lines.
pub(super) struct Lines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    longest: usize,
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    /// A line, with its line break if it has one.
    Line(&'a [u8]),
    /// The beginning of a line that is too long; the rest was skipped.
    TooLong(&'a [u8]),
    /// There is no more.
    End,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self::with_longest(input, MAX_LINE)
    }

    fn with_longest(input: R, longest: usize) -> Self {
        Self { input: BufReader::with_capacity(64 * 1024, input), line: Vec::new(), longest }
    }

    /// The next line. An error of the pipe is its end.
    pub(super) fn next(&mut self) -> Next<'_> {
        self.line.clear();
        // One huge message does not keep its room for ever.
        if self.line.capacity() > KEPT {
            self.line = Vec::new();
        }
        let limit = self.longest as u64 + 1;
        match self.input.by_ref().take(limit).read_until(b'\n', &mut self.line) {
            Ok(0) | Err(_) => Next::End,
            Ok(_) if self.line.len() <= self.longest || self.line.ends_with(b"\n") => Next::Line(&self.line),
            Ok(_) => {
                self.skip();
                Next::TooLong(self.line.get(..KEPT.min(self.longest)).unwrap_or_default())
            }
        }
    }

    fn skip(&mut self) {
        loop {
            let Ok(buffer) = self.input.fill_buf() else { return };
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let length = end.map_or(buffer.len(), |end| end + 1);
            if length == 0 {
                return;
            }
            self.input.consume(length);
            if end.is_some() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_as_they_are_and_long_ones_are_skipped() {
        let mut lines = Lines::with_longest(&b"a\r\n\n0123456789\n01234567890\nb"[..], 10);
        assert_eq!(lines.next(), Next::Line(b"a\r\n"));
        assert_eq!(lines.next(), Next::Line(b"\n"));
        assert_eq!(lines.next(), Next::Line(b"0123456789\n"));
        assert_eq!(lines.next(), Next::TooLong(b"0123456789"));
        assert_eq!(lines.next(), Next::Line(b"b"));
        assert_eq!(lines.next(), Next::End);
    }
}

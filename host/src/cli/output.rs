//! What commands print.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use serde_json::Value;

use crate::error::{Code, Error, Result};

/// Whether anything went to standard output: what comes after a document would spoil it.
static PRINTED: AtomicBool = AtomicBool::new(false);

/// Puts bytes out as they are. Standard output may be a closed pipe: that is the reader's business, not an error.
///
/// # Errors
/// `internal` where they do not arrive otherwise, as on a full disk.
pub(super) fn put(bytes: &[u8]) -> Result<()> {
    PRINTED.store(true, Ordering::Relaxed);
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::new(
            Code::Internal,
            format!("Standard output cannot be written: {error}."),
            "Make room there, or write elsewhere.",
        )),
        _ => Ok(()),
    }
}

/// Whether [`put`] was called.
pub(super) fn was_anything_printed() -> bool {
    PRINTED.load(Ordering::Relaxed)
}

/// A text.
///
/// # Errors
/// As [`put`].
pub(super) fn print(text: &str) -> Result<()> {
    put(text.as_bytes())
}

/// One line.
///
/// # Errors
/// As [`put`].
pub(super) fn say(text: &str) -> Result<()> {
    print(&format!("{text}\n"))
}

/// For programs.
///
/// # Errors
/// As [`put`].
pub(super) fn print_json(value: &Value) -> Result<()> {
    print(&format!("{value:#}\n"))
}

/// Columns as wide as what stands in them, two spaces between; the first row is the heading.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// So many of something that takes an s.
pub(super) fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// The same as the subject of a sentence.
pub(super) fn there_are(number: u64, what: &str) -> String {
    format!("{} {}", count(number, what), if number == 1 { "is" } else { "are" })
}

/// A time for people: UTC, to the second.
pub(super) fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string().replace('T', " ").replace('Z', " UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_have_no_spaces_at_their_end() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        assert_eq!(table(&[row(["NAME", "KIND"]), row(["long-name", ""])]), "NAME       KIND\nlong-name\n");
    }

    #[test]
    fn a_time_is_read_by_people() {
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_764_000_000);
        assert_eq!(time(at), "2025-11-24 16:00:00 UTC");
    }
}

//! Appends a batch: one lock, one write, one new head.
//!
//! The head may lag behind the file by what was written when a process died. Such lines prove themselves, and the chain
//! goes on after them. Everything else that does not fit is left as it is for `audit verify` to report, and the chain
//! goes on after the last line that the vault knows: a trail that was tampered with is still a trail from then on.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

use super::chain::{Key, Line, Link, seal};
use super::entry::note;
use super::files::{Files, failed, open};
use super::head::{self, Head, Ledger};
use crate::error::Result;

/// Writes the entries down. The number of this batch, of all that were ever written.
///
/// # Errors
/// `vault_locked` and others of the vault; what is wrong with the file. Then nothing was written.
pub(super) fn append(files: &Files, ledger: &dyn Ledger, entries: &[&str]) -> Result<u64> {
    let key = head::key(ledger)?;
    let _lock = files.lock(true)?;
    let path = files.current();
    let mut head = match head::load(ledger)? {
        Some(head) => catch_up(files, head),
        None => {
            if std::fs::metadata(&path).is_ok_and(|file| file.len() > 0) {
                // Of an earlier vault of this name.
                files.set_aside(&path)?;
            }
            Head::start()
        }
    };
    let file = open(&path, true).map_err(|error| failed(&path, &error))?;
    let end = find_end(&file, &key, &head).map_err(|error| failed(&path, &error))?;
    head.last = end.last;

    let mut text = String::new();
    if end.unfinished {
        text.push('\n');
    }
    for entry in end.remark.as_deref().into_iter().chain(entries.iter().copied()) {
        let (line, link) = seal(&key, &head.last, entry);
        text.push_str(&line);
        text.push('\n');
        head.last = link;
    }
    if let Err(error) = (&file).write_all(text.as_bytes()) {
        // Half a line would only look like somebody's work.
        let _ = file.set_len(end.length);
        return Err(failed(&path, &error));
    }
    head.length = end.length + text.len() as u64;
    head.batches += 1;
    let number = head.batches;
    finish(files, ledger, head);
    Ok(number)
}

/// Remembers the new end, and begins another file where this one is full. The lines are written: a failure from here on
/// leaves a head that lags, which the next batch makes good.
fn finish(files: &Files, ledger: &dyn Ledger, mut head: Head) {
    if let Err(error) = head::store(ledger, &head) {
        tracing::warn!("the audit trail's end could not be remembered: {error}");
        return;
    }
    if head.length < files.limits.full {
        return;
    }
    let (path, full) = (files.current(), files.full(head.current()));
    let free = if full.exists() { files.set_aside(&full) } else { Ok(()) };
    if let Err(error) = free.and_then(|()| std::fs::rename(&path, &full).map_err(|error| failed(&path, &error))) {
        tracing::warn!("the audit trail goes on in a full file: {error}");
        return;
    }
    let oldest = head.files.first().map_or(1, |begun| begun.file);
    head.rotate(files.limits.kept);
    let stored = head::store(ledger, &head);
    let still_kept = head.files.first().map_or(1, |begun| begun.file);
    if stored.is_ok() && still_kept > oldest {
        let _ = std::fs::remove_file(files.full(oldest));
    }
}

/// A process may have died between giving a full file its number and remembering that.
fn catch_up(files: &Files, mut head: Head) -> Head {
    if !files.current().exists() && files.full(head.current()).exists() {
        head.rotate(files.limits.kept);
    }
    head
}

/// Where the next line goes.
struct End {
    /// The line before it.
    last: Link,
    /// The length of the file, in bytes.
    length: u64,
    /// The file ends within a line that is left as it is.
    unfinished: bool,
    /// What has to be said first.
    remark: Option<String>,
}

fn find_end(mut file: &File, key: &Key, head: &Head) -> io::Result<End> {
    let length = file.metadata()?.len();
    let known = length >= head.length && ends_with(file, head)?;
    let mut beyond = Vec::new();
    if known {
        file.seek(SeekFrom::Start(head.length))?;
        file.take(length - head.length).read_to_end(&mut beyond)?;
    }
    let mut last = head.last;
    let mut proven = 0;
    for line in beyond.split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
        match text.and_then(Line::read).filter(|line| line.is_genuine(key) && line.follows(&last)) {
            Some(read) => last = read.link,
            None => break,
        }
        proven += line.len();
    }
    let rest = &beyond[proven..];
    if known && !rest.contains(&b'\n') {
        if rest.is_empty() {
            return Ok(End { last, length, unfinished: false, remark: None });
        }
        // A process died while it wrote this line, which nobody was told is there.
        let whole = head.length + proven as u64;
        file.set_len(whole)?;
        return Ok(End { last, length: whole, unfinished: false, remark: Some(note("audit_torn_line_removed", 1)) });
    }
    let mut final_byte = [b'\n'];
    if length > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut final_byte)?;
    }
    Ok(End { last, length, unfinished: final_byte != *b"\n", remark: Some(note("audit_file_was_changed", 1)) })
}

/// Whether the line that the head remembers ends where the head says.
fn ends_with(mut file: &File, head: &Head) -> io::Result<bool> {
    if head.length == 0 {
        return Ok(true);
    }
    let ending = format!("\"{}\"}}\n", String::from(head.last.code));
    let Some(start) = head.length.checked_sub(ending.len() as u64) else { return Ok(false) };
    file.seek(SeekFrom::Start(start))?;
    let mut found = vec![0; ending.len()];
    file.read_exact(&mut found)?;
    Ok(found == ending.as_bytes())
}

//! Reads the whole trail and says what does not belong: which line was edited, taken out, put in, moved or cut off.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

use serde::Serialize;

use super::chain::{Key, Line, Link};
use super::files::{Files, failed, open};
use super::head::{self, Head, Ledger};
use crate::error::Result;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// How many lines are as they were written and where they belong.
    pub lines: u64,
    /// In how many files.
    pub files: usize,
    /// How many older lines were let go with their files, as the trail grew.
    pub rotated_away: u64,
    /// Whether the last file ends within a line: the process that wrote it died, or is still writing.
    pub unfinished: bool,
    /// What does not belong: first the lines that are there, then those that are not.
    pub findings: Vec<Finding>,
}

/// Something that does not belong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was done.
    pub what: Change,
    /// The file's name.
    pub file: String,
    /// The line in that file, from 1; not for a line that is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The first number concerned, as in a line's `n`, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// The last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<u64>,
}

/// What was done to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It stands where a line of that number stood and says something else.
    Edited,
    /// It is gone, and later ones are there.
    Removed,
    /// It is genuine and stands in another place than it was written.
    Moved,
    /// The broker did not write it.
    Inserted,
    /// It is genuine and stands there once more.
    Repeated,
    /// The last ones are gone.
    CutOff,
}

impl Finding {
    /// One sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let number = match (self.first, self.last) {
            (Some(first), Some(last)) if first != last => format!("lines {first} to {last}"),
            (Some(first), _) => format!("line number {first}"),
            _ => "line".to_owned(),
        };
        let place = self.line.map_or_else(|| self.file.clone(), |line| format!("{}:{line}", self.file));
        match self.what {
            Change::Edited => format!("{place}: edited: {number}."),
            Change::Removed => format!("{place}: removed: {number}."),
            Change::Moved => format!("{place}: moved here from another place: {number}."),
            Change::Inserted => format!("{place}: inserted: a line that the broker did not write."),
            Change::Repeated => format!("{place}: repeated: {number}."),
            Change::CutOff => format!("{place}: cut off at the end: {number}."),
        }
    }
}

/// Verifies the trail beside a vault. Waits until nobody appends.
///
/// # Errors
/// `vault_locked` and others of the vault; what is wrong with the files.
pub fn verify(vault: &Path, ledger: &dyn Ledger) -> Result<Report> {
    verify_files(&Files::beside(vault), ledger)
}

pub(super) fn verify_files(files: &Files, ledger: &dyn Ledger) -> Result<Report> {
    let key = head::key(ledger)?;
    let _lock = files.lock(false)?;
    let head = head::load(ledger)?.unwrap_or_else(Head::start);
    let mut walk = Walk::from(head.files.first().map_or(Link::START, |begun| begun.after));
    let rotated_away = walk.last.number;
    for begun in &head.files {
        let path = files.existing(begun.file, begun.file == head.current());
        let text = read(&path)?;
        walk.file(&name(&path), &text, &key);
    }
    let report = walk.end(&head.last, &name(&files.current()));
    Ok(Report { files: head.files.len(), rotated_away, ..report })
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The bytes of a file; none of one that is not there. One that somebody blew up is not read to its end.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    const MOST: u64 = 64 << 20;
    let mut bytes = Vec::new();
    match open(path, false) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        opened => {
            let read = opened.and_then(|file| file.take(MOST).read_to_end(&mut bytes));
            read.map_err(|error| failed(path, &error))?;
        }
    }
    Ok(bytes)
}

/// Goes through the lines in the order in which they stand.
struct Walk {
    /// The last genuine line in its place.
    last: Link,
    lines: u64,
    findings: Vec<Finding>,
    /// Numbers that were passed over.
    missing: BTreeMap<u64, Missing>,
    /// Lines that nobody with the key wrote.
    forged: Vec<Forged>,
    seen: BTreeSet<u64>,
    /// The file ends within a line.
    unfinished: bool,
}

/// A number without a line.
struct Missing {
    /// Where it should be.
    file: String,
    /// The first number of this gap.
    gap: u64,
}

/// A line that nobody with the key wrote.
struct Forged {
    /// Its place among the findings.
    finding: usize,
    /// The number that it claims.
    claimed: Option<u64>,
    /// The gap that it may stand in.
    gap: u64,
}

impl Walk {
    const fn from(last: Link) -> Self {
        Self {
            last,
            lines: 0,
            findings: Vec::new(),
            missing: BTreeMap::new(),
            forged: Vec::new(),
            seen: BTreeSet::new(),
            unfinished: false,
        }
    }

    fn file(&mut self, name: &str, bytes: &[u8], key: &Key) {
        for (at, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            self.unfinished = !line.ends_with(b"\n");
            if !self.unfinished {
                let read = std::str::from_utf8(line).ok().and_then(|line| Line::read(line.trim_end_matches('\n')));
                self.line(name, at + 1, read.filter(|line| line.is_genuine(key)), read.map(|line| line.link.number));
            }
        }
    }

    fn line(&mut self, file: &str, at: usize, genuine: Option<Line<'_>>, claimed: Option<u64>) {
        let finding = |what, number| Finding { what, file: file.to_owned(), line: Some(at), first: number, last: number };
        let expected = self.last.number + 1;
        let Some(line) = genuine else {
            self.forged.push(Forged { finding: self.findings.len(), claimed, gap: expected });
            self.findings.push(finding(Change::Inserted, claimed));
            return;
        };
        let number = line.link.number;
        if number > expected {
            self.missing.extend((expected..number).map(|number| (number, Missing { file: file.to_owned(), gap: expected })));
        } else if !line.follows(&self.last) {
            let was_missing = self.missing.remove(&number).is_some();
            let what = if was_missing && self.seen.insert(number) { Change::Moved } else { Change::Repeated };
            self.findings.push(finding(what, Some(number)));
            return;
        }
        self.lines += 1;
        self.seen.insert(number);
        self.last = line.link;
    }

    fn end(mut self, head: &Link, current: &str) -> Report {
        let cut = self.last.number + 1;
        self.missing.extend((cut..=head.number).map(|number| (number, Missing { file: current.to_owned(), gap: cut })));
        // A forged line in the place of a missing one is that one, edited.
        for forged in &self.forged {
            let claimed = forged.claimed.filter(|number| self.missing.contains_key(number));
            let in_its_gap = || self.missing.iter().find(|(_, missing)| missing.gap == forged.gap).map(|(number, _)| *number);
            if let Some(number) = claimed.or_else(in_its_gap) {
                self.missing.remove(&number);
                let finding = &mut self.findings[forged.finding];
                (finding.what, finding.first, finding.last) = (Change::Edited, Some(number), Some(number));
            }
        }
        let mut gaps: Vec<Finding> = Vec::new();
        for (number, Missing { file, .. }) in self.missing {
            let what = if number >= cut { Change::CutOff } else { Change::Removed };
            match gaps.last_mut() {
                Some(gap) if gap.last == Some(number - 1) && gap.file == file && gap.what == what => gap.last = Some(number),
                _ => gaps.push(Finding { what, file, line: None, first: Some(number), last: Some(number) }),
            }
        }
        self.findings.extend(gaps);
        let unfinished = self.unfinished;
        Report { lines: self.lines, files: 0, rotated_away: 0, unfinished, findings: self.findings }
    }
}

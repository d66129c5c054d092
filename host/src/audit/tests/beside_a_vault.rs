//! The trail beside a vault, with a ledger in memory in the vault's place.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::audit::append::append;
use crate::audit::files::Files;
use crate::audit::head::Ledger;
use crate::audit::show::{Wanted, entries};
use crate::audit::trail::Trail;
use crate::audit::verify::{Change, Report, verify_files};
use crate::audit::*;
use crate::error::{Code, Error, Result};

/// The vault's part: a key, the head, and a lock.
#[derive(Clone, Default)]
struct Book {
    head: Arc<Mutex<Option<Vec<u8>>>>,
    locked: Arc<AtomicBool>,
}

impl Book {
    fn open(&self) -> Result<()> {
        match self.locked.load(Ordering::Relaxed) {
            true => Err(Error::new(Code::VaultLocked, "The vault is locked.", "Unlock it.")),
            false => Ok(()),
        }
    }
}

impl Ledger for Book {
    fn key(&self) -> Result<Zeroizing<[u8; 32]>> {
        self.open().map(|()| Zeroizing::new([9; 32]))
    }
    fn head(&self) -> Result<Option<Vec<u8>>> {
        self.open().map(|()| self.head.lock().unwrap().clone())
    }
    fn set_head(&self, head: &[u8]) -> Result<()> {
        *self.head.lock().unwrap() = Some(head.to_vec());
        self.open()
    }
}

struct World {
    folder: TempDir,
    book: Book,
    files: Files,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let files = Files::beside(&folder.path().join("vault.db"));
        Self { folder, book: Book::default(), files }
    }

    /// With ten lines in it.
    fn with_ten() -> Self {
        let world = Self::new();
        (1..=10).for_each(|number| world.write(number, 1));
        world
    }

    fn vault(&self) -> PathBuf {
        self.folder.path().join("vault.db")
    }

    fn write(&self, from: usize, count: usize) {
        let batch: Vec<String> =
            (from..from + count).map(|number| format!(r#"{{"event":"e{number}","secret":"s{number}"}}"#)).collect();
        append(&self.files, &self.book, &batch.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    }

    fn head(&self) -> Value {
        serde_json::from_slice(self.book.head.lock().unwrap().as_ref().unwrap()).unwrap()
    }

    fn set_head(&self, head: &Value) {
        *self.book.head.lock().unwrap() = Some(head.to_string().into_bytes());
    }

    fn verify(&self) -> Report {
        verify_files(&self.files, &self.book).unwrap()
    }

    /// What is found once the lines were changed, as kind and number.
    fn after(&self, change: impl FnOnce(&mut Vec<String>)) -> Vec<(Change, Option<u64>, Option<u64>)> {
        let path = self.files.current();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        change(&mut lines);
        std::fs::write(&path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        self.verify().findings.into_iter().map(|finding| (finding.what, finding.first, finding.last)).collect()
    }
}

#[test]
fn an_untouched_trail_is_whole_and_says_what_was_written() {
    let world = World::with_ten();
    let report = world.verify();
    assert_eq!((report.lines, report.files, report.rotated_away, report.findings.len()), (10, 1, 0, 0));
    let shown = entries(&world.vault(), &Wanted::default()).unwrap();
    assert_eq!(shown.len(), 10);
    assert_eq!((&shown[9]["event"], &shown[9]["n"]), (&Value::from("e10"), &Value::from(10)));
    let one = Wanted { secret: Some("s3".to_owned()), since: None };
    assert_eq!(entries(&world.vault(), &one).unwrap()[0]["event"], "e3");
}

#[test]
fn an_edited_line_is_named() {
    let edit = |at: usize| World::with_ten().after(|lines| lines[at] = lines[at].replace("\"s", "\"x"));
    for at in [0, 4, 9] {
        let number = Some(at as u64 + 1);
        assert_eq!(edit(at), [(Change::Edited, number, number)]);
    }
    let garbage = World::with_ten().after(|lines| lines[4] = "\u{1b}[2J{}".to_owned());
    assert_eq!(garbage, [(Change::Edited, Some(5), Some(5))], "whatever stands there now");
    let renumbered = World::with_ten().after(|lines| lines[4] = lines[4].replace("\"n\":5", "\"n\":77"));
    assert_eq!(renumbered, [(Change::Edited, Some(5), Some(5))]);
}

#[test]
fn removed_lines_are_named() {
    assert_eq!(World::with_ten().after(|lines| drop(lines.remove(4))), [(Change::Removed, Some(5), Some(5))]);
    assert_eq!(World::with_ten().after(|lines| drop(lines.drain(0..3))), [(Change::Removed, Some(1), Some(3))]);
    let two = World::with_ten().after(|lines| {
        lines.remove(7);
        lines.remove(2);
    });
    assert_eq!(two, [(Change::Removed, Some(3), Some(3)), (Change::Removed, Some(8), Some(8))]);
}

#[test]
fn lines_that_were_cut_off_are_counted() {
    assert_eq!(World::with_ten().after(|lines| lines.truncate(7)), [(Change::CutOff, Some(8), Some(10))]);
    assert_eq!(World::with_ten().after(Vec::clear), [(Change::CutOff, Some(1), Some(10))]);
    let world = World::with_ten();
    std::fs::remove_file(world.files.current()).unwrap();
    assert_eq!(world.verify().findings[0].what, Change::CutOff);
}

#[test]
fn reordered_lines_are_named() {
    assert_eq!(World::with_ten().after(|lines| lines.swap(4, 5)), [(Change::Moved, Some(5), Some(5))]);
    let to_the_end = World::with_ten().after(|lines| {
        let line = lines.remove(2);
        lines.push(line);
    });
    assert_eq!(to_the_end, [(Change::Moved, Some(3), Some(3))]);
}

#[test]
fn inserted_and_repeated_lines_are_named() {
    let forged = World::with_ten().after(|lines| lines.insert(3, lines[3].replace("\"s4\"", "\"s0\"")));
    assert_eq!(forged, [(Change::Inserted, Some(4), Some(4))]);
    let garbage = World::with_ten().after(|lines| lines.push("hello".to_owned()));
    assert_eq!(garbage, [(Change::Inserted, None, None)]);
    let again = World::with_ten().after(|lines| lines.insert(8, lines[1].clone()));
    assert_eq!(again, [(Change::Repeated, Some(2), Some(2))]);
}

#[test]
fn a_trail_of_another_vault_proves_nothing_here() {
    let other = World::with_ten();
    let mut text = std::fs::read_to_string(other.files.current()).unwrap();
    text = text.replace("\"s5\"", "\"x5\"");
    let world = World::with_ten();
    std::fs::write(world.files.current(), text).unwrap();
    // the same key on purpose: only what differs is found
    assert_eq!(world.verify().findings.len(), 1);
}

#[test]
fn tampering_stays_to_be_seen_after_more_was_written() {
    let cut = World::with_ten();
    cut.after(|lines| lines.truncate(7));
    cut.write(11, 2);
    let report = cut.verify();
    assert_eq!((report.findings.len(), report.findings[0].what), (1, Change::Removed));
    assert_eq!((report.findings[0].first, report.findings[0].last), (Some(8), Some(10)));
    let shown = entries(&cut.vault(), &Wanted::default()).unwrap();
    assert!(shown.iter().any(|entry| entry["event"] == "audit_file_was_changed"), "{shown:?}");

    let forged = World::with_ten();
    forged.after(|lines| lines.push("hello".to_owned()));
    forged.write(11, 2);
    assert_eq!(forged.verify().findings.iter().map(|finding| finding.what).collect::<Vec<_>>(), [Change::Inserted]);
}

#[test]
fn a_head_that_lags_is_made_good_and_a_torn_line_is_taken_away() {
    let world = World::with_ten();
    let lagging = world.book.head.lock().unwrap().clone();
    world.write(11, 3);
    *world.book.head.lock().unwrap() = lagging;
    assert_eq!((world.verify().lines, world.verify().findings.len()), (13, 0), "the chain proves them");

    let path = world.files.current();
    let whole = std::fs::read(&path).unwrap();
    let torn = whole.len() - 20;
    std::fs::write(&path, &whole[..torn]).unwrap();
    let report = world.verify();
    assert!(report.findings.is_empty() && report.unfinished, "{report:?}");
    world.write(14, 1);
    let report = world.verify();
    assert_eq!((report.lines, report.findings.len(), report.unfinished), (14, 0, false), "12, a remark, and the new one");
    let shown = entries(&world.vault(), &Wanted::default()).unwrap();
    assert_eq!(shown[12]["event"], "audit_torn_line_removed");
}

#[test]
fn a_line_that_the_head_knows_is_never_taken_for_torn() {
    let world = World::with_ten();
    let path = world.files.current();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 20]).unwrap();
    assert_eq!(world.verify().findings[0].what, Change::CutOff);
    world.write(11, 1);
    let found: Vec<Change> = world.verify().findings.iter().map(|finding| finding.what).collect();
    assert_eq!(found, [Change::Edited], "what is left of it stays where it is");
}

#[test]
fn files_are_full_at_a_size_and_the_oldest_go() {
    let mut world = World::new();
    world.files.limits.full = 1000;
    world.files.limits.kept = 3;
    for number in 1..=100 {
        world.write(number, 1);
        let report = world.verify();
        assert!(report.findings.is_empty(), "{report:?}");
        assert_eq!(report.lines + report.rotated_away, number as u64);
    }
    let report = world.verify();
    assert!(report.rotated_away > 50 && report.files == 4, "{report:?}");
    let names: BTreeSet<String> = std::fs::read_dir(world.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".jsonl"))
        .collect();
    assert!(names.len() <= 4, "{names:?}");

    // a whole file that somebody took away is no file that was let go
    let kept = world.files.all();
    std::fs::remove_file(&kept[1]).unwrap();
    let findings = world.verify().findings;
    assert!(findings.len() == 1 && findings[0].what == Change::Removed, "{findings:?}");
}

#[test]
fn a_process_that_died_while_a_file_got_its_number_is_made_good() {
    let mut world = World::with_ten();
    std::fs::rename(world.files.current(), world.files.full(1)).unwrap();
    assert!(world.verify().findings.is_empty());
    world.write(11, 2);
    let report = world.verify();
    assert_eq!((report.lines, report.files, report.findings.len()), (12, 2, 0));

    // and a file that has the number already is not overwritten
    std::fs::write(world.files.full(2), "somebody's").unwrap();
    world.files.limits.full = 100;
    world.write(13, 1);
    assert!(world.verify().findings.is_empty());
    assert!(world.folder.path().join("vault.audit.aside-1.jsonl").exists());
}

#[test]
fn a_new_vault_leaves_the_trail_of_an_old_one_aside() {
    let world = World::with_ten();
    *world.book.head.lock().unwrap() = None;
    world.write(1, 2);
    assert_eq!((world.verify().lines, world.verify().findings.len()), (2, 0));
    let aside = std::fs::read_to_string(world.folder.path().join("vault.audit.aside-1.jsonl")).unwrap();
    assert_eq!(aside.lines().count(), 10);
}

#[test]
fn many_writers_at_once_leave_one_chain() {
    let mut world = World::new();
    world.files.limits.full = 20_000;
    world.files.limits.kept = 100;
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..25).for_each(|number| world.write(number, 4)));
        }
    });
    let report = world.verify();
    assert_eq!((report.lines, report.findings.len()), (800, 0));
    assert!(report.files > 5, "{report:?}");
}

#[cfg(unix)]
#[test]
fn the_file_is_closed_to_others_and_is_no_link() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::with_ten();
    let mode = |world: &World| std::fs::metadata(world.files.current()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&world), 0o600);
    std::fs::set_permissions(world.files.current(), std::fs::Permissions::from_mode(0o644)).unwrap();
    world.write(11, 1);
    assert_eq!(mode(&world), 0o600);

    let world = World::new();
    let elsewhere = world.folder.path().join("elsewhere");
    std::fs::write(&elsewhere, "").unwrap();
    std::os::unix::fs::symlink(&elsewhere, world.files.current()).unwrap();
    assert!(append(&world.files, &world.book, &["{\"event\":\"a\"}"]).is_err());
    assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "");
}

#[test]
fn while_the_vault_is_locked_lines_wait_and_what_does_not_fit_is_counted() {
    let world = World::new();
    world.book.locked.store(true, Ordering::Relaxed);
    let trail = Trail::new(world.files.clone(), world.book.clone());
    let audit = Audit::to(std::io::sink()).kept(trail.clone());
    let purpose = "p".repeat(200);
    for _ in 0..10_000 {
        audit.record(Event { event: "get_secret", purpose: Some(&purpose), ..Event::default() });
    }
    assert_eq!(trail.flush(Duration::from_secs(20)), 10_000, "none is written");
    world.book.locked.store(false, Ordering::Relaxed);
    assert_eq!(trail.flush(Duration::from_secs(20)), 0);
    let shown = entries(&world.vault(), &Wanted::default()).unwrap();
    let gap = shown.iter().find(|entry| entry["event"] == "audit_lines_lost").unwrap();
    let lost = gap["lines"].as_u64().unwrap();
    assert_eq!(shown.len() as u64 - 1 + lost, 10_000);
    assert!((1000..9000).contains(&lost), "bounded, and not nothing: {lost}");
    assert!(world.verify().findings.is_empty());
}

#[test]
fn what_makes_a_terminal_lie_is_not_shown() {
    let world = World::with_ten();
    world.after(|lines| lines.push("{\"event\":\"a\\u001b[2Jb\\u202e\"}".to_owned()));
    let shown = entries(&world.vault(), &Wanted::default()).unwrap();
    assert_eq!(shown.last().unwrap()["event"], "a [2Jb ");
}

#[test]
fn a_head_of_an_older_broker_does_not_number_batches() {
    let world = World::with_ten();
    let mut head = world.head();
    assert_eq!(head["batches"], 10);
    head.as_object_mut().unwrap().remove("batches");
    world.set_head(&head);
    world.write(11, 2);
    assert_eq!(world.head()["batches"], 1);
    assert_eq!((world.verify().lines, world.verify().findings.len()), (12, 0));
}

#[test]
fn who_shares_the_vault_with_others_that_write_loses_no_line_by_waiting() {
    let world = World::new();
    let trail = Trail::new(world.files.clone(), world.book.clone());
    let push = |bytes: usize| trail.push(format!(r#"{{"event":"a","purpose":"{}"}}"#, "p".repeat(bytes)));
    let written = |lines| {
        while world.verify().lines < lines {
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    push(1);
    written(1);
    // as fifteen others would have left it
    let mut head = world.head();
    head["batches"] = 100.into();
    world.set_head(&head);
    push(1);
    written(2);
    // More than fits, in less time than lines come together now.
    for _ in 0..5 {
        (0..70).for_each(|_| push(4096));
        std::thread::sleep(Duration::from_millis(60));
    }
    assert_eq!(trail.flush(Duration::from_secs(20)), 0);
    let report = world.verify();
    assert_eq!((report.lines, report.findings.len()), (352, 0), "and none that says how many were lost");
}

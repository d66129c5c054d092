//! The vault on disk does what the memory does, and sees through whatever is done to its file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::params;
use tempfile::TempDir;

use super::*;
use crate::secret::{Kind, Secret};
use crate::vault::{Memory, Renewal};

/// A vault with a key file, in a folder of its own.
struct Lab {
    folder: TempDir,
    config: config::Vault,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = config::Vault { path: Some(folder.path().join("own/vault.db")), ..config::Vault::default() };
        init(&config, &NewKey::KeyFile(folder.path().join("key"))).unwrap();
        Self { folder, config }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("own/vault.db")
    }

    /// As another process would open it.
    fn open(&self) -> Sqlite {
        Sqlite::find(&self.config).unwrap()
    }

    /// Somebody else with the file.
    fn sql(&self) -> Connection {
        Connection::open(self.file()).unwrap()
    }

    fn rows(&self) -> i64 {
        self.sql().query_row("SELECT count(*) FROM record", [], |row| row.get(0)).unwrap()
    }
}

fn name(text: &str) -> SecretName {
    SecretName::parse(text).unwrap()
}

fn put(vault: &dyn Vault, text: &str, value: &str) -> (Generation, Revision) {
    vault.put(&name(text), Stored::Static(Secret::from(value)), BTreeMap::new(), &mut |_| Ok(())).unwrap()
}

fn value(vault: &dyn Vault, text: &str) -> Result<Option<String>> {
    Ok(vault.get(&name(text))?.map(|record| match record.stored {
        Stored::Static(value) => value.expose().to_owned(),
        Stored::Grant(grant) => grant.access.expose().to_owned(),
    }))
}

fn grant(access: &str) -> Arc<Grant> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    Arc::new(Grant {
        provider: "okta".to_owned(),
        lineage: "embedded:okta".to_owned(),
        client_id: "client".to_owned(),
        issuer: None,
        resolved: Arc::default(),
        settings: Arc::default(),
        account: None,
        access: Secret::from(access),
        refresh: Some(Secret::from("refresh")),
        scopes: vec![],
        issued: now,
        expires: Some(now),
        ttl: crate::descriptor::Ttl { default: 1, maximum: 1 },
        notes: vec![],
        ended: None,
        strict_rotation: true,
        renewal: Renewal::default(),
    })
}

fn tombstone(id: &str) -> Tombstone {
    Tombstone {
        id: id.to_owned(),
        name: name("gone"),
        grant: grant("access"),
        pending: vec![Kind::Refresh],
        attempts: 0,
        not_before: SystemTime::UNIX_EPOCH,
        buried: SystemTime::UNIX_EPOCH,
    }
}

/// What is promised of every vault, memory or file.
fn keeps_the_promises(vault: &dyn Vault) {
    let (first, _) = put(vault, "a", "1");
    let (second, at) = put(vault, "a", "2");
    assert!(second > first, "every write is another generation");
    assert_eq!(value(vault, "a").unwrap().as_deref(), Some("2"));
    assert_eq!(vault.generation(&name("a")).unwrap(), Some(second));
    assert_eq!((value(vault, "b").unwrap(), vault.generation(&name("b")).unwrap()), (None, None));

    let mut no = |old: Option<&Record>| {
        assert_eq!(old.map(|old| old.revision), Some(at));
        Err(Error::new(Code::Conflict, "no", ""))
    };
    assert!(vault.put(&name("a"), Stored::Static(Secret::from("3")), BTreeMap::new(), &mut no).is_err());
    assert_eq!(value(vault, "a").unwrap().as_deref(), Some("2"), "a refused write changes nothing");

    let tags = BTreeMap::from([("team".to_owned(), "x".to_owned())]);
    let (generation, revision) = vault
        .put(&name("login"), Stored::Grant(grant("old")), tags.clone(), &mut |old| {
            assert!(old.is_none());
            Ok(())
        })
        .unwrap();
    let next = vault.replace(&name("login"), revision, grant("new")).unwrap().unwrap();
    assert!(next > revision);
    let record = vault.get(&name("login")).unwrap().unwrap();
    assert_eq!((record.generation, record.revision, record.tags), (generation, next, tags), "a refresh keeps the rest");
    assert_eq!(vault.replace(&name("login"), revision, grant("lost")).unwrap(), None);
    assert_eq!(vault.replace(&name("none"), revision, grant("lost")).unwrap(), None);
    assert_eq!(value(vault, "login").unwrap().as_deref(), Some("new"));

    let names: Vec<String> = vault.list().unwrap().into_iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!((names, vault.count().unwrap()), (vec!["a".to_owned(), "login".to_owned()], 2));

    assert!(!vault.bury(&name("login"), revision, tombstone("1")).unwrap(), "not over another revision");
    assert!(vault.bury(&name("login"), next, tombstone("1")).unwrap());
    assert_eq!(value(vault, "login").unwrap(), None);
    assert_eq!(vault.tombstones().unwrap().len(), 1);
    vault.settle("1", Some(Tombstone { attempts: 3, ..tombstone("1") })).unwrap();
    assert_eq!(vault.tombstones().unwrap()[0].attempts, 3);
    vault.settle("1", None).unwrap();
    vault.settle("1", None).unwrap();
    assert!(vault.tombstones().unwrap().is_empty());

    assert!(vault.delete(&name("a")).unwrap().is_some() && vault.delete(&name("a")).unwrap().is_none());
    assert!(put(vault, "a", "4").0 > second, "a name that comes back is no old generation");
    let turn = vault.try_turn(generation).unwrap();
    assert!(turn.is_some() && vault.try_turn(generation).unwrap().is_none());
}

/// Whoever has seen the number, and sees it again, has missed nothing.
fn counts_its_writes(vault: &dyn Vault) {
    let mut seen = vec![vault.writes().unwrap()];
    let mut next = || {
        let now = vault.writes().unwrap();
        assert!(!seen.contains(&now), "the number of another state");
        seen.push(now);
        assert_eq!(vault.writes().unwrap(), now);
    };
    put(vault, "a", "1");
    next();
    put(vault, "a", "2");
    next();
    let (_, revision) = vault.put(&name("b"), Stored::Grant(grant("old")), BTreeMap::new(), &mut |_| Ok(())).unwrap();
    next();
    let revision = vault.replace(&name("b"), revision, grant("new")).unwrap().unwrap();
    next();
    assert!(vault.bury(&name("b"), revision, tombstone("1")).unwrap());
    next();
    vault.settle("1", None).unwrap();
    next();
    vault.delete(&name("a")).unwrap();
    next();
}

#[test]
fn memory_and_file_keep_the_same_promises() {
    keeps_the_promises(&Memory::default());
    keeps_the_promises(&Lab::new().open());
    counts_its_writes(&Memory::default());
    counts_its_writes(&Lab::new().open());
}

#[test]
fn what_one_process_writes_the_others_read_and_the_next_start_finds() {
    let lab = Lab::new();
    let (one, other) = (lab.open(), lab.open());
    put(&one, "a", "1");
    assert_eq!(value(&other, "a").unwrap().as_deref(), Some("1"));
    let writes = one.writes().unwrap();
    put(&other, "a", "2");
    assert_eq!(value(&one, "a").unwrap().as_deref(), Some("2"));
    assert_ne!(one.writes().unwrap(), writes);
    drop((one, other));
    assert_eq!(value(&lab.open(), "a").unwrap().as_deref(), Some("2"));
}

#[test]
fn a_check_and_its_write_are_one_step_for_all() {
    let lab = Lab::new();
    let winners: usize = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut free = |old: Option<&Record>| match old {
                        Some(_) => Err(Error::new(Code::Conflict, "taken", "")),
                        None => Ok(()),
                    };
                    let vault = lab.open();
                    vault.put(&name("one"), Stored::Static(Secret::from("x")), BTreeMap::new(), &mut free).is_ok()
                })
            })
            .collect();
        tries.into_iter().filter(|_| true).map(|done| usize::from(done.join().unwrap())).sum()
    });
    assert_eq!(winners, 1);
}

/// Runs `damage` on a vault with `a`, `b` and a tombstone, and wants `vault_tampered` of each of the reads, by a process
/// that knew the vault before and by a new one.
fn is_seen(what: &str, reads: &[&str], damage: impl Fn(&Lab, &Connection)) {
    let lab = Lab::new();
    let before = lab.open();
    put(&before, "a", "old");
    put(&before, "b", "b");
    before.settle("t", Some(tombstone("t"))).unwrap();
    damage(&lab, &lab.sql());
    for (whose, vault) in [("a process that knew it", &before), ("a new process", &lab.open())] {
        for read in reads {
            let outcome = match *read {
                "list" => vault.list().map(drop),
                "tombstones" => vault.tombstones().map(drop),
                "delete a" => vault.delete(&name("a")).map(drop),
                "put a" => vault.put(&name("a"), Stored::Static(Secret::from("x")), BTreeMap::new(), &mut |_| Ok(())).map(drop),
                secret => vault.get(&name(secret)).map(drop),
            };
            let error = outcome.err().unwrap_or_else(|| panic!("{what}: {read} by {whose} went well"));
            assert_eq!(error.code(), Code::VaultTampered, "{what}: {read} by {whose}: {error}");
        }
    }
}

/// The keyed name of a row, found by whose value is longest or shortest.
fn lookups(lab: &Lab) -> (Vec<u8>, Vec<u8>) {
    let vault = lab.open();
    vault.ready().unwrap();
    let keys = Arc::clone(&vault.lock().held.as_ref().unwrap().keys);
    (keys.index("secret", "a").to_vec(), keys.index("secret", "b").to_vec())
}

#[test]
fn an_edited_row_is_seen() {
    for column in ["name", "value"] {
        is_seen(column, &["a", "put a", "list"], |lab, sql| {
            let mut bytes: Vec<u8> = sql
                .query_row(&format!("SELECT {column} FROM record WHERE lookup = ?1"), [lookups(lab).0], |row| row.get(0))
                .unwrap();
            bytes[30] ^= 1;
            sql.execute(&format!("UPDATE record SET {column} = ?2 WHERE lookup = ?1"), params![lookups(lab).0, bytes]).unwrap();
        });
    }
    for column in ["generation", "revision", "kind"] {
        is_seen(column, &["a", "put a", "delete a", "list"], |lab, sql| {
            let change = format!("UPDATE record SET {column} = {column} + 1 WHERE lookup = ?1");
            sql.execute(&change, [lookups(lab).0]).unwrap();
        });
    }
}

#[test]
fn values_swapped_between_rows_are_seen() {
    is_seen("swap", &["a", "b", "list"], |lab, sql| {
        let (a, b) = lookups(lab);
        let value = |lookup: &[u8]| -> Vec<u8> {
            sql.query_row("SELECT value FROM record WHERE lookup = ?1", [lookup], |row| row.get(0)).unwrap()
        };
        let (of_a, of_b) = (value(&a), value(&b));
        sql.execute("UPDATE record SET value = ?2 WHERE lookup = ?1", params![a, of_b]).unwrap();
        sql.execute("UPDATE record SET value = ?2 WHERE lookup = ?1", params![b, of_a]).unwrap();
    });
}

#[test]
fn a_row_that_was_taken_away_is_not_simply_unknown() {
    is_seen("delete", &["a", "put a", "delete a", "list"], |lab, sql| {
        sql.execute("DELETE FROM record WHERE lookup = ?1", [lookups(lab).0]).unwrap();
    });
    is_seen("delete a tombstone", &["tombstones", "list"], |_, sql| {
        sql.execute("DELETE FROM record WHERE kind = 1", []).unwrap();
    });
    is_seen("delete all", &["a", "list", "tombstones"], |_, sql| {
        sql.execute("DELETE FROM record", []).unwrap();
    });
}

const COPY: &str = "ATTACH ?1 AS kept";

#[test]
fn an_old_row_put_back_whole_is_seen() {
    is_seen("an old row", &["a", "put a", "list"], |lab, sql| {
        let kept = lab.folder.path().join("kept.db");
        sql.execute("VACUUM INTO ?1", [kept.to_str().unwrap()]).unwrap();
        put(&lab.open(), "a", "new");
        sql.execute(COPY, [kept.to_str().unwrap()]).unwrap();
        let a = lookups(lab).0;
        sql.execute("DELETE FROM record WHERE lookup = ?1", [&a]).unwrap();
        sql.execute("INSERT INTO record SELECT * FROM kept.record WHERE lookup = ?1", [&a]).unwrap();
    });
}

#[test]
fn a_deleted_row_put_back_is_seen() {
    is_seen("a deleted row", &["a", "list"], |lab, sql| {
        let kept = lab.folder.path().join("kept.db");
        sql.execute("VACUUM INTO ?1", [kept.to_str().unwrap()]).unwrap();
        lab.open().delete(&name("a")).unwrap();
        sql.execute(COPY, [kept.to_str().unwrap()]).unwrap();
        sql.execute("INSERT INTO record SELECT * FROM kept.record WHERE lookup = ?1", [lookups(lab).0]).unwrap();
    });
}

#[test]
fn an_old_ledger_put_back_beside_its_rows_is_seen_by_whoever_saw_the_newer() {
    let lab = Lab::new();
    let before = lab.open();
    put(&before, "a", "old");
    let kept = lab.folder.path().join("kept.db");
    let sql = lab.sql();
    sql.execute("VACUUM INTO ?1", [kept.to_str().unwrap()]).unwrap();
    put(&before, "a", "new");
    sql.execute(COPY, [kept.to_str().unwrap()]).unwrap();
    sql.execute_batch("DELETE FROM record; INSERT INTO record SELECT * FROM kept.record; DELETE FROM ledger; INSERT INTO ledger SELECT * FROM kept.ledger;")
        .unwrap();
    assert_eq!(value(&before, "a").unwrap_err().code(), Code::VaultTampered);
    // What the documents say: a whole vault of an earlier day is consistent in itself.
    assert_eq!(value(&lab.open(), "a").unwrap().as_deref(), Some("old"));
}

#[test]
fn another_vaults_row_is_seen() {
    is_seen("another vault's row", &["a", "list"], |lab, sql| {
        let other = Lab::new();
        put(&other.open(), "a", "theirs");
        sql.execute(COPY, [other.file().to_str().unwrap()]).unwrap();
        sql.execute(
            "UPDATE record SET (name, value) = (SELECT name, value FROM kept.record) WHERE lookup = ?1",
            [lookups(lab).0],
        )
        .unwrap();
    });
}

#[test]
fn a_forged_or_missing_ledger_is_seen() {
    let lab = Lab::new();
    put(&lab.open(), "a", "1");
    lab.sql().execute("UPDATE ledger SET counter = counter + 1", []).unwrap();
    assert_eq!(value(&lab.open(), "a").unwrap_err().code(), Code::VaultTampered);
    lab.sql().execute("DELETE FROM ledger", []).unwrap();
    assert_eq!(value(&lab.open(), "a").unwrap_err().code(), Code::VaultDamaged);
}

#[test]
fn what_was_tampered_with_is_left_as_it_is() {
    let lab = Lab::new();
    put(&lab.open(), "a", "1");
    lab.sql().execute("UPDATE record SET revision = 99", []).unwrap();
    let before: Vec<u8> = lab.sql().query_row("SELECT sealed FROM ledger", [], |row| row.get(0)).unwrap();
    let vault = lab.open();
    assert!(vault.put(&name("a"), Stored::Static(Secret::from("2")), BTreeMap::new(), &mut |_| Ok(())).is_err());
    assert!(vault.delete(&name("a")).is_err() && vault.list().is_err());
    let after: Vec<u8> = lab.sql().query_row("SELECT sealed FROM ledger", [], |row| row.get(0)).unwrap();
    assert_eq!((before, lab.rows()), (after, 1));
}

#[test]
fn the_audit_trails_end_is_kept_and_an_older_one_is_seen() {
    let lab = Lab::new();
    let vault = lab.open();
    assert_eq!(vault.audit_head().unwrap(), None);
    vault.set_audit_head(b"one").unwrap();
    let old: (i64, Vec<u8>) =
        lab.sql().query_row("SELECT sequence, sealed FROM audit", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    vault.set_audit_head(b"two").unwrap();
    assert_eq!(lab.open().audit_head().unwrap().as_deref(), Some(b"two".as_slice()));
    put(&vault, "a", "1");
    lab.sql().execute("UPDATE audit SET sequence = ?1, sealed = ?2", params![old.0, old.1]).unwrap();
    assert_eq!(vault.audit_head().unwrap_err().code(), Code::VaultTampered);
    lab.sql().execute("DELETE FROM audit", []).unwrap();
    assert_eq!(lab.open().audit_head().unwrap_err().code(), Code::VaultTampered);
}

#[test]
fn a_new_key_opens_everything_and_the_old_one_nothing() {
    let lab = Lab::new();
    let (vault, other) = (lab.open(), lab.open());
    let (generation, revision) = put(&vault, "a", "1");
    vault.settle("t", Some(tombstone("t"))).unwrap();
    vault.set_audit_head(b"head").unwrap();
    let audit = *vault.audit_key().unwrap().unwrap().bytes();
    put(&other, "b", "2");
    let kept = lab.sql().query_row("SELECT value FROM record LIMIT 1", [], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let second = lab.folder.path().join("second");
    vault.rekey(&NewKey::KeyFile(second)).unwrap();
    for vault in [&vault, &other, &lab.open()] {
        let record = vault.get(&name("a")).unwrap().unwrap();
        assert_eq!((record.generation, record.revision), (generation, revision), "references live on");
        assert_eq!((value(vault, "b").unwrap().as_deref(), vault.count().unwrap()), (Some("2"), 2));
        assert_eq!(vault.tombstones().unwrap().len(), 1);
        assert_eq!(vault.audit_head().unwrap().as_deref(), Some(b"head".as_slice()));
        assert_eq!(*vault.audit_key().unwrap().unwrap().bytes(), audit, "old lines of the trail can still be checked");
    }
    put(&other, "c", "3");
    let first = config::Vault { key_file: Some(lab.folder.path().join("key")), ..lab.config.clone() };
    assert_eq!(Sqlite::find(&first).unwrap().ready().unwrap_err().code(), Code::WrongKey);
    let bytes =
        [std::fs::read(lab.file()).unwrap(), std::fs::read(lab.file().with_extension("db-wal")).unwrap_or_default()].concat();
    assert!(!bytes.windows(40).any(|window| window == &kept[..40]), "what the old key sealed is gone");
}

#[test]
fn the_keys_of_a_wrong_file_open_nothing_and_change_nothing() {
    let lab = Lab::new();
    put(&lab.open(), "a", "1");
    let wrong = lab.folder.path().join("wrong");
    std::fs::write(&wrong, "x".repeat(64)).unwrap();
    closed(&wrong);
    let config = config::Vault { key_file: Some(wrong), ..lab.config.clone() };
    let before = std::fs::read(lab.file()).unwrap();
    let vault = Sqlite::find(&config).unwrap();
    for _ in 0..2 {
        assert_eq!(value(&vault, "a").unwrap_err().code(), Code::WrongKey);
        assert!(!vault.is_ready());
    }
    assert_eq!(std::fs::read(lab.file()).unwrap(), before);
    assert_eq!(value(&lab.open(), "a").unwrap().as_deref(), Some("1"));
}

#[test]
fn nobody_waits_for_who_waits_to_write_the_trails_end() {
    let lab = Lab::new();
    let vault = lab.open();
    put(&vault, "a", "1");
    let other = lab.sql();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    std::thread::scope(|threads| {
        let writing = threads.spawn(|| vault.set_audit_head(b"head"));
        // it has met the other's lock by then, and meets it again and again
        std::thread::sleep(Duration::from_millis(50));
        for _ in 0..50 {
            assert!(vault.is_ready());
            assert_eq!(value(&vault, "a").unwrap().as_deref(), Some("1"));
        }
        assert!(!writing.is_finished());
        other.execute_batch("COMMIT").unwrap();
        writing.join().unwrap().unwrap();
    });
    assert_eq!(vault.audit_head().unwrap().as_deref(), Some(b"head".as_slice()));
}

#[test]
fn a_vault_that_another_thread_is_at_is_no_less_ready() {
    let lab = Lab::new();
    let vault = lab.open();
    put(&vault, "a", "1");
    let busy = vault.lock();
    std::thread::scope(|threads| {
        let asking = threads.spawn(|| vault.is_ready());
        std::thread::sleep(Duration::from_millis(20));
        assert!(!asking.is_finished(), "it waits for that");
        drop(busy);
        assert!(asking.join().unwrap());
    });
    vault.close();
    let _opening = vault.lock();
    assert!(!vault.is_ready(), "without keys it waits for nobody");
}

fn closed(_path: &Path) {
    #[cfg(unix)]
    std::fs::set_permissions(_path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

#[cfg(unix)]
#[test]
fn a_file_that_is_replaced_under_a_process_is_not_written_to() {
    let (lab, other) = (Lab::new(), Lab::new());
    let vault = lab.open();
    put(&vault, "a", "1");
    put(&other.open(), "a", "theirs");
    let away = lab.folder.path().join("own/away.db");
    std::fs::rename(lab.file(), &away).unwrap();
    assert_eq!(value(&vault, "a").unwrap_err().code(), Code::VaultMissing);
    assert_eq!(init(&lab.config, &NewKey::KeyFile(lab.folder.path().join("key"))).unwrap_err().code(), Code::Conflict);
    std::fs::copy(other.file(), lab.file()).unwrap();
    closed(&lab.file());
    let before = std::fs::read(lab.file()).unwrap();
    assert_eq!(value(&vault, "a").unwrap_err().code(), Code::VaultTampered);
    assert!(!vault.is_ready());
    assert_eq!(std::fs::read(lab.file()).unwrap(), before);
    std::fs::rename(&away, lab.file()).unwrap();
    assert_eq!(value(&vault, "a").unwrap().as_deref(), Some("1"));
}

#[test]
fn a_full_disk_is_said_to_be_one_and_what_was_there_stays() {
    let lab = Lab::new();
    let vault = lab.open();
    put(&vault, "a", "1");
    {
        let inner = vault.lock();
        let connection = &inner.database.as_ref().unwrap().connection;
        let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        connection.pragma_update(None, "max_page_count", pages + 2).unwrap();
    }
    let big = || Stored::Static(Secret::new("x".repeat(50_000)));
    let error = vault.put(&name("big"), big(), BTreeMap::new(), &mut |_| Ok(())).unwrap_err();
    assert_eq!(error.code(), Code::VaultUnwritable, "{error}");
    assert!(error.message().contains("full"), "{error}");
    assert_eq!((value(&vault, "a").unwrap().as_deref(), value(&vault, "big").unwrap()), (Some("1"), None));
    assert_eq!(value(&lab.open(), "a").unwrap().as_deref(), Some("1"));
    assert!(lab.open().put(&name("big"), big(), BTreeMap::new(), &mut |_| Ok(())).is_ok(), "there is room again");
}

//! The vault on disk, which all processes of a user share: an SQLite file with sealed rows.
//!
//! | module | what it is |
//! |---|---|
//! | `database` | the open file |
//! | `schema` | its tables, and how older ones become newer |
//! | `session` | the rows of one transaction, each held against the ledger |
//! | `ledger` | which rows there are, so that none can be put back or taken away |
//! | `opening` | how the keys get here, and when they are forgotten |
//! | `making` | how a vault comes to be |
//! | `keeping` | look at it, lock, unlock, rekey |
//! | `turns` | who may renew a grant |
//! | `failure` | what SQLite's errors mean |
//!
//! Nothing is opened before the first call.

mod database;
mod failure;
mod keeping;
mod ledger;
mod making;
mod opening;
mod schema;
mod session;
mod turns;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use zeroize::Zeroizing;

use super::archive::Contents;
use super::codec::{Body, Grave, decode, encode};
use super::key::Keys;
use super::place::Place;
use super::{Allowed, AuditKey, Generation, Grant, Record, Revision, Stored, Tombstone, Turn, Vault};
use crate::config;
use crate::error::{Code, Error, Result};
use crate::secret::SecretName;
use database::Database;
use failure::{failed, tampered};
use ledger::Ledger;
use opening::Held;
use session::{Opened, Session, Table};

pub use keeping::{OpenedBy, Status};
pub use making::{NewKey, check_free, init};

/// The most rows that a vault holds.
pub const MAX_RECORDS: usize = 1_000_000;

/// The vault on disk.
pub struct Sqlite {
    place: Place,
    key_file: Option<PathBuf>,
    key_command: Option<Vec<String>>,
    inner: Mutex<Inner>,
    /// Held while the keys are being fetched, which may take long: not with `inner`.
    opening: Mutex<()>,
    /// Keys that are held have a clone of it: whether there are any is to be seen without `inner`.
    holds_keys: Arc<()>,
}

#[derive(Default)]
struct Inner {
    database: Option<Database>,
    held: Option<Held>,
    ledger: Option<Ledger>,
    /// The highest counter that this process saw, and in which vault: it never goes back.
    seen: Option<(Vec<u8>, i64)>,
}

impl Sqlite {
    /// The vault at a place, not opened yet.
    pub(super) fn new(place: Place, config: &config::Vault) -> Self {
        Self {
            place,
            key_file: config.key_file.clone(),
            key_command: config.key_command.clone(),
            inner: Mutex::default(),
            opening: Mutex::default(),
            holds_keys: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, act: impl FnOnce(&mut Session<'_>) -> Result<T>) -> Result<T> {
        self.transact(Mode::Read, act)
    }

    /// What `act` did is on the disk when this returns; an error of `act` undoes it.
    fn write<T>(&self, act: impl FnOnce(&mut Session<'_>) -> Result<T>) -> Result<T> {
        self.transact(Mode::Write, act)
    }

    fn transact<T>(&self, mode: Mode, act: impl FnOnce(&mut Session<'_>) -> Result<T>) -> Result<T> {
        // The keys may be taken away, or others be given, between fetching and using them.
        for _ in 0..5 {
            {
                let mut inner = self.lock();
                inner.open(&self.place)?;
                let Inner { database, held, ledger, seen } = &mut *inner;
                if let (Some(database), Some(keys)) = (database, held.as_ref().map(|held| Arc::clone(&held.keys))) {
                    let transaction = mode.begin(database)?;
                    let (stamp, counter) = database::stamp(&transaction)?;
                    if held.as_ref().is_some_and(|held| held.is_good(stamp)) {
                        current(&transaction, &keys, counter, ledger, seen)?;
                        let known = ledger.as_ref().ok_or_else(|| tampered("it has no list of records"))?;
                        let mut session = Session::new(&transaction, &keys, Cow::Borrowed(known));
                        let done = act(&mut session)?;
                        let written = session.finish()?;
                        transaction.commit().map_err(failed)?;
                        if let Some(written) = written {
                            *seen = Some((keys.vault.clone(), written.counter));
                            *ledger = Some(written);
                        }
                        return Ok(done);
                    }
                    drop(transaction);
                    inner.forget();
                }
            }
            self.fetch_keys(None)?;
        }
        Err(Error::new(Code::VaultBusy, "The vault's keys change again and again.", "Try again."))
    }

    /// Stores what an archive holds, all or nothing. Names that are taken are refused, or replaced if so told.
    ///
    /// # Errors
    /// `conflict` with the names that are taken; as [`Vault::put`].
    pub fn import(&self, contents: Contents, replace: bool) -> Result<usize> {
        self.write(|session| {
            let mut taken = Vec::new();
            for (name, _) in &contents.secrets {
                if session.entry(Table::Secret, name.as_str())?.is_some() {
                    taken.push(name.as_str());
                }
            }
            if !replace && !taken.is_empty() {
                let more = if taken.len() > 10 { format!(" and {} more", taken.len() - 10) } else { String::new() };
                return Err(Error::new(
                    Code::Conflict,
                    format!("These names are taken: {}{more}. Nothing was imported.", taken[..taken.len().min(10)].join(", ")),
                    "Delete them first, or replace them all with --replace.",
                ));
            }
            let count = contents.secrets.len();
            for (name, body) in contents.secrets {
                let number = session.next();
                has_room(session)?;
                session.put(&row(Table::Secret, name.as_str(), number, number, encode(&body)?))?;
            }
            for grave in contents.tombstones {
                let number = session.next();
                has_room(session)?;
                session.put(&row(Table::Tombstone, &grave.id, number, number, encode(&grave)?))?;
            }
            Ok(count)
        })
    }

    /// Everything, for an archive.
    ///
    /// # Errors
    /// As [`Vault::get`].
    pub fn contents(&self) -> Result<Contents> {
        let all = self.read(|session| session.all())?;
        let mut contents = Contents::default();
        for Opened { table, name, body, .. } in all {
            match table {
                Table::Secret => contents.secrets.push((SecretName::parse(&name)?, decode(&body)?)),
                Table::Tombstone => contents.tombstones.push(decode(&body)?),
            }
        }
        contents.secrets.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(contents)
    }
}

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Read,
    /// On the disk when it is done.
    Write,
    /// Waiting neither for the disk (the end of the process does not undo it, that of the machine may) nor for another process
    /// that writes: `vault_busy` says that there is one.
    Hurried,
}

impl Mode {
    fn begin(self, database: &mut Database) -> Result<Transaction<'_>> {
        let Database { connection, waits, .. } = database;
        let behavior = if self == Self::Read { TransactionBehavior::Deferred } else { TransactionBehavior::Immediate };
        match self {
            Self::Read => {}
            Self::Write => connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?,
            Self::Hurried => connection.pragma_update(None, "synchronous", "NORMAL").map_err(failed)?,
        }
        waits.store(self != Self::Hurried, Ordering::Relaxed);
        let begun = connection.transaction_with_behavior(behavior);
        waits.store(true, Ordering::Relaxed);
        begun.map_err(failed)
    }
}

impl Inner {
    /// Opens the file. Another file under its name is not touched: what SQLite keeps beside the file belongs to the one that
    /// was there, and would be written into the new one.
    fn open(&mut self, place: &Place) -> Result<&mut Database> {
        if self.database.as_ref().is_some_and(|database| !database.is_current(place)) {
            self.forget();
            return Err(if place.exists() {
                tampered("its file was replaced while it was in use").with_hint(
                    "End all MCP clients and other brokers, put the vault in its place once more, without -wal and -shm beside it, and start them again.",
                )
            } else {
                place.missing()
            });
        }
        match &mut self.database {
            Some(database) => Ok(database),
            none => Ok(none.insert(Database::open(place)?)),
        }
    }

    /// The keys, and what was read with them.
    fn forget(&mut self) {
        self.held = None;
        self.ledger = None;
    }
}

/// Makes sure that the ledger is the one of that counter, and that the counter did not go back.
fn current(
    connection: &Connection,
    keys: &Keys,
    counter: i64,
    ledger: &mut Option<Ledger>,
    seen: &mut Option<(Vec<u8>, i64)>,
) -> Result<()> {
    if seen.as_ref().is_some_and(|(vault, highest)| *vault == keys.vault && counter < *highest) {
        let error = tampered("it is older than what this process has seen");
        return Err(
            error.with_hint("If you put a copy in its place, restart the MCP clients. Else find out who can write to that file.")
        );
    }
    if ledger.as_ref().is_none_or(|ledger| ledger.counter != counter) {
        let sealed: Vec<u8> = connection
            .prepare_cached("SELECT sealed FROM ledger")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
            .map_err(failed)?;
        *ledger = Some(Ledger::unseal(keys, counter, &sealed)?);
        *seen = Some((keys.vault.clone(), counter));
    }
    Ok(())
}

fn has_room(session: &Session<'_>) -> Result<()> {
    if session.ledger().counts.iter().sum::<i64>() < MAX_RECORDS as i64 {
        return Ok(());
    }
    Err(Error::new(
        Code::Limit,
        format!("The vault holds {MAX_RECORDS} secrets already."),
        "Delete secrets that are no longer needed with delete_secret.",
    ))
}

fn row(table: Table, name: &str, generation: i64, revision: i64, body: Zeroizing<Vec<u8>>) -> Opened {
    Opened { table, name: Zeroizing::new(name.to_owned()), generation, revision, body }
}

fn record(row: &Opened) -> Result<Record> {
    let (stored, tags, created) = decode::<Body>(&row.body)?.open();
    Ok(Record {
        stored,
        tags,
        generation: Generation(row.generation.unsigned_abs()),
        revision: Revision(row.revision.unsigned_abs()),
        created,
    })
}

/// Numbers of this vault's own counter, which begins at 1.
const fn counted(number: i64) -> u64 {
    number.unsigned_abs()
}

impl Vault for Sqlite {
    fn get(&self, name: &SecretName) -> Result<Option<Record>> {
        self.read(|session| session.find(Table::Secret, name.as_str())?.as_ref().map(record).transpose())
    }

    fn generation(&self, name: &SecretName) -> Result<Option<Generation>> {
        let entry = self.read(|session| session.entry(Table::Secret, name.as_str()))?;
        Ok(entry.map(|entry| Generation(counted(entry.generation))))
    }

    fn list(&self) -> Result<Vec<(SecretName, Record)>> {
        let all = self.read(|session| session.all())?;
        let secrets = all.iter().filter(|row| row.table == Table::Secret);
        let mut secrets: Vec<_> = secrets.map(|row| Ok((SecretName::parse(&row.name)?, record(row)?))).collect::<Result<_>>()?;
        secrets.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(secrets)
    }

    fn count(&self) -> Result<usize> {
        self.read(|session| Ok(usize::try_from(session.ledger().counts[Table::Secret as usize]).unwrap_or(0)))
    }

    fn writes(&self) -> Result<u64> {
        self.read(|session| Ok(counted(session.ledger().counter)))
    }

    fn put(
        &self,
        name: &SecretName,
        stored: Stored,
        tags: BTreeMap<String, String>,
        allowed: Allowed<'_>,
    ) -> Result<(Generation, Revision)> {
        let body = encode(&Body::new(&stored, &tags, SystemTime::now()))?;
        self.write(|session| {
            let old = session.find(Table::Secret, name.as_str())?;
            allowed(old.as_ref().map(record).transpose()?.as_ref())?;
            if old.is_none() {
                has_room(session)?;
            }
            let number = session.next();
            session.put(&row(Table::Secret, name.as_str(), number, number, body))?;
            Ok((Generation(counted(number)), Revision(counted(number))))
        })
    }

    fn replace(&self, name: &SecretName, expected: Revision, grant: Arc<Grant>) -> Result<Option<Revision>> {
        self.write(|session| {
            let old = session.find(Table::Secret, name.as_str())?;
            let Some(old) = old.filter(|old| counted(old.revision) == expected.0) else { return Ok(None) };
            let Record { tags, created, .. } = record(&old)?;
            let body = encode(&Body::new(&Stored::Grant(grant), &tags, created))?;
            let number = session.next();
            session.put(&row(Table::Secret, name.as_str(), old.generation, number, body))?;
            Ok(Some(Revision(counted(number))))
        })
    }

    fn delete(&self, name: &SecretName) -> Result<Option<Record>> {
        self.write(|session| {
            let Some(old) = session.find(Table::Secret, name.as_str())? else { return Ok(None) };
            session.next();
            session.remove(Table::Secret, name.as_str())?;
            Ok(Some(record(&old)?))
        })
    }

    fn bury(&self, name: &SecretName, expected: Revision, tombstone: Tombstone) -> Result<bool> {
        let body = encode(&Grave::new(&tombstone))?;
        self.write(|session| {
            let old = session.entry(Table::Secret, name.as_str())?;
            if old.is_none_or(|old| counted(old.revision) != expected.0) {
                return Ok(false);
            }
            session.remove(Table::Secret, name.as_str())?;
            let number = session.next();
            session.put(&row(Table::Tombstone, &tombstone.id, number, number, body))?;
            Ok(true)
        })
    }

    fn tombstones(&self) -> Result<Vec<Tombstone>> {
        let all = self.read(|session| session.tombstones())?;
        let mut all: Vec<Tombstone> = all.iter().map(|row| decode::<Grave>(&row.body)?.open()).collect::<Result<_>>()?;
        all.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(all)
    }

    fn settle(&self, id: &str, left: Option<Tombstone>) -> Result<()> {
        self.write(|session| {
            let there = session.remove(Table::Tombstone, id)?;
            if let Some(left) = left {
                let number = session.next();
                session.put(&row(Table::Tombstone, &left.id, number, number, encode(&Grave::new(&left))?))?;
            } else if there {
                session.next();
            }
            Ok(())
        })
    }

    fn try_turn(&self, generation: Generation) -> Result<Option<Turn>> {
        turns::try_turn(&self.place.file, generation)
    }

    fn file(&self) -> Option<&Path> {
        Some(&self.place.file)
    }

    fn is_ready(&self) -> bool {
        if Arc::strong_count(&self.holds_keys) == 1 {
            return false;
        }
        // What is at the vault in another thread is soon done, and what was called later must not pass this call meanwhile.
        let inner = self.lock();
        let (Some(database), Some(held)) = (&inner.database, &inner.held) else { return false };
        database.is_current(&self.place) && database.stamp().is_ok_and(|stamp| held.is_good(stamp))
    }

    fn ready(&self) -> Result<()> {
        self.read(|_| Ok(()))
    }

    fn close(&self) {
        let mut inner = self.lock();
        inner.forget();
        // The last one to close it moves the write-ahead log into the file.
        inner.database = None;
    }

    fn audit_key(&self) -> Result<Option<AuditKey>> {
        self.read(|session| opening::stored_audit_key(session.connection(), session.keys()).map(Some))
    }

    fn audit_head(&self) -> Result<Option<Vec<u8>>> {
        self.read(audit_head)
    }

    fn set_audit_head(&self, head: &[u8]) -> Result<()> {
        let write = |session: &mut Session<'_>| {
            let sql = "SELECT sequence FROM audit";
            let last: Option<i64> = session.connection().query_row(sql, [], |row| row.get(0)).optional().map_err(failed)?;
            // A number above the floor, even where the row was taken away: the trail goes on, and the gap shows in it.
            let sequence = last.unwrap_or(0).max(session.ledger().audit_floor) + 1;
            write_audit_head(session, sequence, head)
        };
        // Another process may be writing. Calls of this one do not wait for that: none needs what is written here.
        let begun = Instant::now();
        loop {
            match self.transact(Mode::Hurried, write) {
                Err(error) if error.code() == Code::VaultBusy => match database::pause(begun.elapsed()) {
                    Some(pause) => std::thread::sleep(pause),
                    None => return Err(error),
                },
                done => return done,
            }
        }
    }
}

/// Where the audit trail's end belongs.
fn audit_place(sequence: i64) -> Vec<u8> {
    super::key::place(&[b"audit head", &sequence.to_be_bytes()])
}

fn audit_head(session: &mut Session<'_>) -> Result<Option<Vec<u8>>> {
    let sql = "SELECT sequence, sealed FROM audit";
    let found = session.connection().query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)));
    let floor = session.ledger().audit_floor;
    let Some((sequence, sealed)) = found.optional().map_err(failed)? else {
        return if floor == 0 { Ok(None) } else { Err(tampered("the end of its audit trail was taken away")) };
    };
    let head = session.keys().unseal(&[&audit_place(sequence)], &sealed).filter(|_| sequence >= floor);
    head.map(|head| Some(head.to_vec())).ok_or_else(|| tampered("the end of its audit trail is not the last"))
}

fn write_audit_head(session: &Session<'_>, sequence: i64, head: &[u8]) -> Result<()> {
    let sealed = session.keys().seal(&[&audit_place(sequence)], head)?;
    let sql = "INSERT OR REPLACE INTO audit (one, sequence, sealed) VALUES (1, ?1, ?2)";
    session.connection().execute(sql, params![sequence, sealed]).map_err(failed)?;
    Ok(())
}

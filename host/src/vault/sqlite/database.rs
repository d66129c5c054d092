//! The open file: how SQLite is to treat it, and the row that says what opens the vault.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::failure::failed;
use super::schema;
use crate::error::Result;
use crate::vault::place::Place;

/// How long a call waits for another process that is writing.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it looks again every [`MOMENT`], since most writes are over then, and later every [`WHILE`].
const EAGER: Duration = Duration::from_millis(10);
const MOMENT: Duration = Duration::from_micros(500);
const WHILE: Duration = Duration::from_millis(5);

/// An open vault file.
pub(super) struct Database {
    pub(super) connection: Connection,
    /// Whether it waits for another process that is writing, or says at once that there is one.
    pub(super) waits: Arc<AtomicBool>,
    identity: Option<(u64, u64)>,
}

/// Which state of the keys the vault is in: another one means that keys held are to be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) key_version: i64,
    pub(super) lock_epoch: i64,
}

/// What it takes to open a vault. Nothing in it is secret.
pub(super) struct Header {
    pub(super) id: Vec<u8>,
    pub(super) stamp: Stamp,
    pub(super) source: String,
    pub(super) wrapped: Vec<u8>,
    /// The audit key, sealed by the vault's own: it outlives them.
    pub(super) audit_key: Vec<u8>,
}

impl Database {
    /// Opens a vault that is there and this user's, and brings it up to date.
    pub(super) fn open(place: &Place) -> Result<Self> {
        let metadata = place.check()?;
        let waits = waiting();
        let mut connection = connect(&place.file, Arc::clone(&waits))?;
        if schema::check(&connection)? < schema::version() {
            schema::migrate(&mut connection)?;
        }
        Ok(Self { connection, waits, identity: identity(&metadata) })
    }

    /// Whether the file under that name is still this one.
    pub(super) fn is_current(&self, place: &Place) -> bool {
        std::fs::metadata(&place.file).is_ok_and(|metadata| identity(&metadata) == self.identity)
    }

    /// The keys' state, and nothing else: it is asked for before every call. Tables that a newer broker changed are found out by
    /// the first call that reads them.
    pub(super) fn stamp(&self) -> Result<Stamp> {
        let mut statement = self.connection.prepare_cached("SELECT key_version, lock_epoch FROM vault").map_err(failed)?;
        let read = statement.query_row([], |row| Ok(Stamp { key_version: row.get(0)?, lock_epoch: row.get(1)? }));
        read.map_err(failed)
    }

    pub(super) fn header(&self) -> Result<Header> {
        let sql = "SELECT id, key_version, lock_epoch, key_source, wrapped_key, audit_key FROM vault";
        let header = self.connection.query_row(sql, [], |row| {
            Ok(Header {
                id: row.get(0)?,
                stamp: Stamp { key_version: row.get(1)?, lock_epoch: row.get(2)? },
                source: row.get(3)?,
                wrapped: row.get(4)?,
                audit_key: row.get(5)?,
            })
        });
        header.map_err(failed)
    }
}

/// Of a connection that waits.
pub(super) fn waiting() -> Arc<AtomicBool> {
    Arc::new(AtomicBool::new(true))
}

/// Opens the file, which must be there. `waits` is looked at when another process is writing.
pub(super) fn connect(file: &Path, waits: Arc<AtomicBool>) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(file, flags).map_err(failed)?;
    // SQLite's own way is to wait up to a tenth of a second each time, in which others who come later go first.
    let mut begun = Instant::now();
    let wait = move |tries| {
        if tries == 0 {
            begun = Instant::now();
        }
        waits.load(Ordering::Relaxed) && pause(begun.elapsed()).map(std::thread::sleep).is_some()
    };
    connection.busy_handler(Some(wait)).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(32);
    // In this order: what the file holds is not to be trusted before anything of it is read. A write is on the disk when
    // it is acknowledged (FULL); what is deleted is overwritten; the write-ahead log does not stay large.
    let settings = "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;
        PRAGMA temp_store = MEMORY; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;
        PRAGMA journal_size_limit = 1048576;";
    connection.execute_batch(settings).map_err(failed)?;
    Ok(connection)
}

/// How long who has waited so long waits before it tries once more; `None`: no longer.
pub(super) fn pause(waited: Duration) -> Option<Duration> {
    (waited < PATIENCE).then_some(if waited < EAGER { MOMENT } else { WHILE })
}

/// The counter and the keys' state, as one statement in one transaction.
pub(super) fn stamp(connection: &Connection) -> Result<(Stamp, i64)> {
    let version: i64 = connection
        .prepare_cached("PRAGMA user_version")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .map_err(failed)?;
    // A newer broker may have changed the tables under this one.
    schema::newer(version)?;
    let sql = "SELECT key_version, lock_epoch, counter FROM vault, ledger";
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let read = statement.query_row([], |row| Ok((Stamp { key_version: row.get(0)?, lock_epoch: row.get(1)? }, row.get(2)?)));
    read.map_err(failed)
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere there is none")]
fn identity(metadata: &std::fs::Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    Some((metadata.dev(), metadata.ino()))
}

/// An open file cannot be replaced there.
#[cfg(not(unix))]
fn identity(_: &std::fs::Metadata) -> Option<(u64, u64)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_writes_is_waited_for_and_not_for_ever() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("vault.db");
        Connection::open(&file).unwrap().execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE a (x)").unwrap();
        let (one, other) = (connect(&file, waiting()).unwrap(), connect(&file, waiting()).unwrap());
        one.execute_batch("BEGIN IMMEDIATE; INSERT INTO a VALUES (1)").unwrap();
        let waits = std::thread::spawn(move || other.execute_batch("INSERT INTO a VALUES (2)").map_err(failed));
        std::thread::sleep(EAGER * 3);
        assert!(!waits.is_finished());
        one.execute_batch("COMMIT").unwrap();
        waits.join().unwrap().unwrap();
        assert_eq!((pause(EAGER / 2), pause(EAGER), pause(PATIENCE)), (Some(MOMENT), Some(WHILE), None));
    }
}

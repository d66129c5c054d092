//! The tables, as a list of steps: a vault of any earlier version is brought up to date in one transaction.

use rusqlite::{Connection, TransactionBehavior};

use super::failure::failed;
use crate::error::{Code, Error, Result};

/// Marks the file as a vault of this program: "MCBv".
const APPLICATION: i32 = 0x4d43_4276;

/// One step leads from the version before to the next. They are never changed, only added to: vaults of every version
/// are somewhere.
const STEPS: &[&str] = &[
    // 1. `vault`: what it takes to open it. `ledger`: which rows there are. `record`: a row for each secret and tombstone,
    //    found by a keyed digest of its name. `audit`: the end of the audit trail.
    "CREATE TABLE vault (
         one INTEGER PRIMARY KEY CHECK (one = 1),
         id BLOB NOT NULL,
         key_version INTEGER NOT NULL,
         key_source TEXT NOT NULL,
         wrapped_key BLOB NOT NULL,
         lock_epoch INTEGER NOT NULL,
         audit_key BLOB NOT NULL
     ) STRICT;
     CREATE TABLE ledger (
         one INTEGER PRIMARY KEY CHECK (one = 1),
         counter INTEGER NOT NULL,
         sealed BLOB NOT NULL
     ) STRICT;
     CREATE TABLE record (
         row INTEGER PRIMARY KEY,
         lookup BLOB NOT NULL,
         kind INTEGER NOT NULL,
         generation INTEGER NOT NULL,
         revision INTEGER NOT NULL,
         name BLOB NOT NULL,
         value BLOB NOT NULL
     ) STRICT;
     CREATE INDEX record_ledger ON record (lookup, kind, generation, revision);
     CREATE INDEX record_kind ON record (kind) WHERE kind <> 0;
     CREATE TABLE audit (
         one INTEGER PRIMARY KEY CHECK (one = 1),
         sequence INTEGER NOT NULL,
         sealed BLOB NOT NULL
     ) STRICT;",
];

/// The version that this program writes.
pub(super) fn version() -> i64 {
    STEPS.len() as i64
}

/// The version of a vault, without changing anything.
///
/// # Errors
/// `vault_damaged` where the file is no vault, `vault_newer`.
pub(super) fn check(connection: &Connection) -> Result<i64> {
    let application: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(failed)?;
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    if application != APPLICATION || found < 1 {
        let hint = "Name the vault's file with --vault, or put a copy of it in its place. Nothing was changed.";
        return Err(Error::new(Code::VaultDamaged, "The file is no vault of mcp-credentials-broker.", hint));
    }
    newer(found)?;
    Ok(found)
}

/// Refuses what a newer version wrote.
pub(super) fn newer(found: i64) -> Result<()> {
    if found <= version() {
        return Ok(());
    }
    Err(Error::new(
        Code::VaultNewer,
        format!("The vault has version {found}; this mcp-credentials-broker knows versions up to {}.", version()),
        "Use the newer mcp-credentials-broker. Nothing was changed.",
    ))
}

/// Makes the tables of a new vault.
pub(super) fn create(connection: &mut Connection) -> Result<()> {
    connection.pragma_update(None, "application_id", APPLICATION).map_err(failed)?;
    upgrade(connection, STEPS)
}

/// Brings an older vault up to date.
pub(super) fn migrate(connection: &mut Connection) -> Result<()> {
    upgrade(connection, STEPS)
}

fn upgrade(connection: &mut Connection, steps: &[&str]) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    // Read again: another process may have been faster.
    let found: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    let done = usize::try_from(found).unwrap_or(usize::MAX);
    for step in steps.iter().skip(done) {
        transaction.execute_batch(step).map_err(failed)?;
    }
    if done < steps.len() {
        transaction.pragma_update(None, "user_version", steps.len() as i64).map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(connection: &Connection) -> i64 {
        connection.query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table'", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_new_vault_has_the_newest_version_and_an_old_one_gets_the_steps_it_lacks_once() {
        let mut connection = Connection::open_in_memory().unwrap();
        create(&mut connection).unwrap();
        assert_eq!(check(&connection).unwrap(), version());
        let more = [STEPS, &["CREATE TABLE another (x)"]].concat();
        upgrade(&mut connection, &more).unwrap();
        upgrade(&mut connection, &more).unwrap();
        let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(found, version() + 1);
        assert_eq!(check(&connection).unwrap_err().code(), Code::VaultNewer);
    }

    #[test]
    fn a_step_that_fails_leaves_the_vault_as_it_was() {
        let mut connection = Connection::open_in_memory().unwrap();
        create(&mut connection).unwrap();
        let before = tables(&connection);
        let more = [STEPS, &["CREATE TABLE another (x)", "CREATE TABLE another (x)"]].concat();
        assert!(upgrade(&mut connection, &more).is_err());
        assert_eq!((tables(&connection), check(&connection).unwrap()), (before, version()));
    }

    #[test]
    fn another_database_is_no_vault() {
        let connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        assert_eq!(check(&connection).unwrap_err().code(), Code::VaultDamaged);
    }
}

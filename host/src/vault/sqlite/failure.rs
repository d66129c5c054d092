//! What SQLite's errors mean for the person.

use rusqlite::ffi;

use crate::error::{Code, Error};

/// Takes a failure of the database over. Its text names statements and files, never values: they are bound, not written
/// into statements.
pub(super) fn failed(error: rusqlite::Error) -> Error {
    let rusqlite::Error::SqliteFailure(failure, _) = &error else {
        return match error {
            rusqlite::Error::QueryReturnedNoRows
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::FromSqlConversionFailure(..) => damaged("a row is missing or has another form"),
            other => Error::new(Code::Internal, format!("The vault's database fails: {other}."), "Report this."),
        };
    };
    by_code(failure.extended_code, &failure.to_string())
}

fn by_code(extended: i32, text: &str) -> Error {
    const READS: [i32; 4] =
        [ffi::SQLITE_IOERR_READ, ffi::SQLITE_IOERR_SHORT_READ, ffi::SQLITE_IOERR_CORRUPTFS, ffi::SQLITE_IOERR_DATA];
    match extended & 0xff {
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_PROTOCOL => Error::new(
            Code::VaultBusy,
            "Another process holds the vault.",
            "Try again; if it stays so, end the program that holds it, such as a backup or a database viewer.",
        ),
        ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB => damaged(text),
        ffi::SQLITE_IOERR if READS.contains(&extended) => damaged(text),
        ffi::SQLITE_FULL => unwritable(text, "Free some space on that disk, and try again."),
        ffi::SQLITE_READONLY | ffi::SQLITE_PERM | ffi::SQLITE_CANTOPEN => {
            unwritable(text, "The vault's folder must be writable for you: SQLite keeps two more files there.")
        }
        ffi::SQLITE_IOERR | ffi::SQLITE_NOLFS => {
            unwritable(text, "Look after the disk: is it full, read-only or failing? Then try again.")
        }
        _ => Error::new(Code::Internal, format!("The vault's database fails: {text}."), "Report this."),
    }
}

fn unwritable(text: &str, hint: &'static str) -> Error {
    Error::new(Code::VaultUnwritable, format!("The vault cannot be written: {text}. Nothing was changed."), hint)
}

fn damaged(text: &str) -> Error {
    Error::new(
        Code::VaultDamaged,
        format!("The vault's file is damaged: {text}."),
        "Put a copy in its place, or make a new vault and `mcp-credentials-broker vault import` what was exported. Nothing was changed.",
    )
}

/// What no process of the broker wrote.
pub(super) fn tampered(what: &'static str) -> Error {
    Error::new(
        Code::VaultTampered,
        format!("The vault was changed by something other than the broker: {what}."),
        "Put a copy in its place, or make a new vault and sign in again. Find out who can write to that file. Nothing was changed.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_its_own_code() {
        for (code, expected) in [
            (ffi::SQLITE_BUSY, Code::VaultBusy),
            (ffi::SQLITE_BUSY_SNAPSHOT, Code::VaultBusy),
            (ffi::SQLITE_CORRUPT, Code::VaultDamaged),
            (ffi::SQLITE_NOTADB, Code::VaultDamaged),
            (ffi::SQLITE_IOERR_SHORT_READ, Code::VaultDamaged),
            (ffi::SQLITE_IOERR_WRITE, Code::VaultUnwritable),
            (ffi::SQLITE_IOERR_SHMSIZE, Code::VaultUnwritable),
            (ffi::SQLITE_FULL, Code::VaultUnwritable),
            (ffi::SQLITE_READONLY_DIRECTORY, Code::VaultUnwritable),
            (ffi::SQLITE_CANTOPEN, Code::VaultUnwritable),
            (ffi::SQLITE_MISUSE, Code::Internal),
        ] {
            assert_eq!(by_code(code, "x").code(), expected, "{code}");
        }
    }
}

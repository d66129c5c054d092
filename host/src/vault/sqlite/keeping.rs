//! What a person does with a vault that is there: look at it, lock and unlock it, give it other keys.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::{OptionalExtension as _, params};

use super::database::{self, Stamp};
use super::failure::{failed, tampered};
use super::ledger::Ledger;
use super::making::{NewKey, Wrapping};
use super::opening::{seal_audit_key, stored_audit_key};
use super::session::Session;
use super::{Sqlite, audit_head, current, write_audit_head};
use crate::config;
use crate::error::{Code, Error, Result};
use crate::secret::Secret;
use crate::vault::Vault as _;
use crate::vault::key::resting::{self, Resting, Until};
use crate::vault::key::source::{self, Source};
use crate::vault::key::{Key, Keys};
use crate::vault::place::which;

/// The longest time that a vault may be unlocked for: 30 days.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// What opens a vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenedBy {
    /// The keychain of the operating system.
    Keychain,
    /// A passphrase that a person types.
    Passphrase,
    /// The passphrase that `[vault] key_command` prints.
    Command,
    /// This file.
    KeyFile(PathBuf),
}

/// What can be told of a vault.
#[derive(Debug)]
pub struct Status {
    /// Its file.
    pub file: PathBuf,
    /// What opens it: `keychain`, `passphrase`, `key file`.
    pub key: &'static str,
    /// Which key it is: every `rekey` gives the next.
    pub key_version: u64,
    /// How large its file is, in bytes, without what was not yet written into it from beside.
    pub bytes: u64,
    /// How many secrets it holds, or why that cannot be told now.
    pub secrets: Result<usize>,
    /// Until when it is unlocked, if it is for a time.
    pub until: Option<SystemTime>,
}

impl Sqlite {
    /// The vault that the operator named, or the one at the default place, not opened yet.
    ///
    /// # Errors
    /// `vault_missing`.
    pub fn find(config: &config::Vault) -> Result<Self> {
        let place = which(config).ok_or_else(|| {
            Error::new(Code::VaultMissing, "There is no vault.", "Run: mcp-credentials-broker vault init --vault FILE")
        })?;
        if place.exists() { Ok(Self::new(place, config)) } else { Err(place.missing()) }
    }

    /// What can be told of it. The rest is told also where it is locked.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn status(&self) -> Result<Status> {
        let header = self.header()?;
        let secrets = self.count();
        let until = self.lock().held.as_ref().and_then(|held| held.until).map(Until::wall);
        Ok(Status {
            file: self.place.file.clone(),
            key: Source::parse(&header.source)?.word(),
            key_version: header.stamp.key_version.unsigned_abs(),
            bytes: std::fs::metadata(&self.place.file).map_or(0, |metadata| metadata.len()),
            secrets,
            until,
        })
    }

    /// What opens it, told without asking for it.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn opened_by(&self) -> Result<OpenedBy> {
        Ok(match (Source::parse(&self.header()?.source)?, &self.key_command) {
            (Source::Keychain, _) => OpenedBy::Keychain,
            (Source::Passphrase(_), None) => OpenedBy::Passphrase,
            (Source::Passphrase(_), Some(_)) => OpenedBy::Command,
            (Source::KeyFile { path }, _) => OpenedBy::KeyFile(self.key_file.clone().unwrap_or(path)),
        })
    }

    /// Whether a person types its passphrase: only then can it be locked and unlocked.
    ///
    /// # Errors
    /// `unsupported`, saying what opens it.
    pub fn check_lockable(&self) -> Result<()> {
        let opened_by = match self.opened_by()? {
            OpenedBy::Passphrase => return Ok(()),
            OpenedBy::Command => "by the command in [vault] key_command, whenever a broker needs it",
            OpenedBy::Keychain => "by the keychain of the operating system",
            OpenedBy::KeyFile(_) => "by its key file, whenever a broker needs it",
        };
        Err(Error::new(
            Code::Unsupported,
            format!("This vault is opened {opened_by}; there is nothing to lock or unlock here."),
            "Lock the keychain itself, or take key file or command away. `vault rekey --passphrase` makes it a vault with a passphrase.",
        ))
    }

    /// Lets the key rest where this user's brokers find it, for a time.
    ///
    /// # Errors
    /// `unsupported`, `wrong_key` (after a second), `keychain_unavailable`, `invalid_argument` for a time that is none.
    pub fn unlock(&self, passphrase: &Secret, lasts: Duration) -> Result<SystemTime> {
        self.check_lockable()?;
        if lasts < Duration::from_secs(1) || lasts > LONGEST {
            let hint = "Use one such as 30m, 8h or 5days, up to 30days.";
            return Err(Error::new(Code::InvalidArgument, "A vault cannot be unlocked for that time.", hint));
        }
        let header = self.header()?;
        let source = Source::parse(&header.source)?;
        let key = self.master(&header, &source, Some(passphrase))?;
        let resting = Resting { key, version: header.stamp.key_version, until: Until::after(lasts) };
        resting::put(&header.id, &resting, lasts)?;
        self.change_epoch()?;
        Ok(resting.until.wall())
    }

    /// Takes the key away, also from running brokers: they look again before they use it.
    ///
    /// # Errors
    /// `unsupported`, `keychain_unavailable`, and what is wrong with the vault.
    pub fn seal_off(&self) -> Result<()> {
        self.check_lockable()?;
        resting::remove(&self.header()?.id)?;
        self.change_epoch()
    }

    fn change_epoch(&self) -> Result<()> {
        let mut inner = self.lock();
        inner.forget();
        let sql = "UPDATE vault SET lock_epoch = lock_epoch + 1";
        inner.open(&self.place)?.connection.execute(sql, []).map(drop).map_err(failed)
    }

    /// Opens it by a passphrase that was typed, for this process alone.
    ///
    /// # Errors
    /// `wrong_key`, after a second.
    pub fn open_by(&self, passphrase: &Secret) -> Result<()> {
        self.fetch_keys(Some(passphrase))
    }

    /// Gives the vault a new master key, opened by another or the same kind of key, and seals everything anew. Either all
    /// of it is done or nothing. An unlocked vault is locked afterwards.
    ///
    /// # Errors
    /// As [`init`] and [`Vault::get`](crate::vault::Vault::get).
    pub fn rekey(&self, new: &NewKey) -> Result<()> {
        self.ready()?;
        let header = self.header()?;
        let version = header.stamp.key_version + 1;
        let wrapping = Wrapping::new(new, &header.id, version)?;
        let done = self.reseal(&wrapping, header.stamp, version);
        let left =
            if done.is_ok() { (Source::parse(&header.source)?, header.stamp.key_version) } else { (wrapping.source, version) };
        match left {
            (Source::Keychain, version) => source::remove_from_keychain(&header.id, version)
                .unwrap_or_else(|error| tracing::warn!("the keychain keeps a key that opens nothing any more: {error}")),
            (Source::Passphrase(_), _) if done.is_ok() => resting::remove(&header.id)
                .unwrap_or_else(|error| tracing::warn!("a key that opens nothing any more is still at rest: {error}")),
            _ => {}
        }
        done
    }

    fn reseal(&self, wrapping: &Wrapping, expected: Stamp, version: i64) -> Result<()> {
        let mut inner = self.lock();
        inner.open(&self.place)?;
        let super::Inner { database, held, ledger, seen } = &mut *inner;
        let (Some(database), Some(held)) = (database, held.as_ref()) else {
            return Err(Error::new(Code::VaultBusy, "The vault's keys were taken away.", "Try again."));
        };
        let old = Arc::clone(&held.keys);
        let transaction = super::Mode::Write.begin(database)?;
        let (stamp, counter) = database::stamp(&transaction)?;
        if stamp != expected || !held.is_good(stamp) {
            return Err(Error::new(Code::VaultBusy, "Somebody else gave the vault other keys.", "Look at it, and try again."));
        }
        current(&transaction, &old, counter, ledger, seen)?;
        let known = ledger.as_ref().ok_or_else(|| tampered("it has no list of records"))?;
        let mut session = Session::new(&transaction, &old, Cow::Borrowed(known));
        let rows = session.all()?;
        let head = audit_head(&mut session)?;
        let audit_key = stored_audit_key(&transaction, &old)?;
        let sequence: Option<i64> =
            transaction.query_row("SELECT sequence FROM audit", [], |row| row.get(0)).optional().map_err(failed)?;

        let master = Key::random()?;
        let (source, wrapped) = wrapping.wrap(&old.vault, version, &master)?;
        let keys = Keys::new(&master, &old.vault, version)?;
        transaction.execute("DELETE FROM record", []).map_err(failed)?;
        let mut session = Session::new(&transaction, &keys, Cow::Owned(Ledger::after(known)));
        for row in &rows {
            session.put(row)?;
        }
        if let (Some(head), Some(sequence)) = (head, sequence) {
            write_audit_head(&session, sequence, &head)?;
        }
        let sql =
            "UPDATE vault SET key_version = ?1, key_source = ?2, wrapped_key = ?3, audit_key = ?4, lock_epoch = lock_epoch + 1";
        let audit_key = seal_audit_key(&keys, audit_key.bytes())?;
        transaction.execute(sql, params![version, source, wrapped, audit_key]).map_err(failed)?;
        session.finish_all()?;
        transaction.commit().map_err(failed)?;
        inner.forget();
        // What the old key sealed is gone from the write-ahead log, too, unless somebody is reading just now.
        let database = inner.open(&self.place)?;
        let _ = database.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        Ok(())
    }
}

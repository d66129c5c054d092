//! How the keys get here, and when they are forgotten again.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use zeroize::Zeroizing;

use super::Sqlite;
use super::database::{Header, Stamp};
use super::failure::{failed, tampered};
use crate::error::{Code, Error, Result};
use crate::secret::Secret;
use crate::vault::AuditKey;
use crate::vault::key::resting::{self, Until};
use crate::vault::key::source::{self, Source};
use crate::vault::key::{Key, Keys, Wrap};

/// How long a wrong passphrase takes, so that trying many through this program takes long.
const WRONG: Duration = Duration::from_secs(1);

/// Keys in use.
pub(super) struct Held {
    pub(super) keys: Arc<Keys>,
    stamp: Stamp,
    _is_held: Arc<()>,
    /// An unlocked vault is unlocked for a time.
    pub(super) until: Option<Until>,
}

impl Held {
    /// Whether the vault is still in the state in which they were given, and their time is not over.
    pub(super) fn is_good(&self, stamp: Stamp) -> bool {
        self.stamp == stamp && self.until.is_none_or(|until| !until.is_over())
    }
}

impl Sqlite {
    /// Fetches the keys, unless somebody else just did. With a passphrase: by it alone.
    pub(super) fn fetch_keys(&self, passphrase: Option<&Secret>) -> Result<()> {
        let _one = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let header = self.header()?;
        let good = self.lock().held.as_ref().is_some_and(|held| held.is_good(header.stamp));
        if good && passphrase.is_none() {
            return Ok(());
        }
        let source = Source::parse(&header.source)?;
        let (master, until) = match (&source, passphrase, &self.key_command) {
            (Source::Passphrase(_), None, None) => {
                let resting = resting::get(&header.id)?.filter(|resting| resting.version == header.stamp.key_version);
                let resting = resting.ok_or_else(|| self.locked())?;
                (resting.key, Some(resting.until))
            }
            _ => (self.master(&header, &source, passphrase)?, None),
        };
        let keys = Keys::new(&master, &header.id, header.stamp.key_version)?;
        if audit_key(&keys, &header.audit_key).is_none() {
            return Err(wrong_key("What was taken for this vault's key is not its key."));
        }
        self.lock().held =
            Some(Held { keys: Arc::new(keys), stamp: header.stamp, _is_held: Arc::clone(&self.holds_keys), until });
        Ok(())
    }

    pub(super) fn header(&self) -> Result<Header> {
        self.lock().open(&self.place)?.header()
    }

    /// The master key, unwrapped by what the vault's source gives.
    pub(super) fn master(&self, header: &Header, source: &Source, passphrase: Option<&Secret>) -> Result<Key> {
        let wrap = Wrap { vault: &header.id, source: &header.source, version: header.stamp.key_version };
        let unwrap = |by: &Key| wrap.unwrap(by, &header.wrapped);
        match source {
            Source::Keychain => {
                let by = source::from_keychain(&header.id, header.stamp.key_version)?;
                unwrap(&by)?.ok_or_else(|| wrong_key("The keychain's key does not open this vault."))
            }
            Source::KeyFile { path } => {
                let path = self.key_file.as_ref().unwrap_or(path);
                let by = source::from_file(path, &header.id)?;
                unwrap(&by)?.ok_or_else(|| wrong_key(format!("The key file {} does not open this vault.", path.display())))
            }
            Source::Passphrase(stretch) => {
                let passphrase = match (passphrase, &self.key_command) {
                    (Some(passphrase), _) => passphrase.clone(),
                    (None, Some(command)) => source::from_command(command)?,
                    (None, None) => return Err(self.locked()),
                };
                let by = source::from_passphrase(stretch, &passphrase)?;
                unwrap(&by)?.ok_or_else(|| {
                    std::thread::sleep(WRONG);
                    wrong_key("The passphrase does not open this vault.")
                })
            }
        }
    }

    fn locked(&self) -> Error {
        Error::new(
            Code::VaultLocked,
            format!("The vault {} is locked.", self.place.file.display()),
            format!("Ask the operator to type in a terminal: {}", self.place.command("unlock --for 8h")),
        )
    }
}

fn wrong_key(what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(
        Code::WrongKey,
        what,
        "Use the passphrase, key file or user account that the vault was made with. Nothing was changed.",
    )
}

/// Where the audit key belongs.
const AUDIT_KEY: &[u8] = b"audit key";

/// The audit key; `None` where other keys sealed it.
pub(super) fn audit_key(keys: &Keys, sealed: &[u8]) -> Option<AuditKey> {
    let bytes = keys.unseal(&[AUDIT_KEY], sealed)?;
    let mut key = Zeroizing::new([0; 32]);
    (bytes.len() == key.len()).then(|| key.copy_from_slice(&bytes))?;
    Some(AuditKey::new(key))
}

pub(super) fn seal_audit_key(keys: &Keys, key: &[u8; 32]) -> Result<Vec<u8>> {
    keys.seal(&[AUDIT_KEY], key)
}

/// The audit key of the vault that the connection leads to.
pub(super) fn stored_audit_key(connection: &Connection, keys: &Keys) -> Result<AuditKey> {
    let sealed: Vec<u8> = connection.query_row("SELECT audit_key FROM vault", [], |row| row.get(0)).map_err(failed)?;
    audit_key(keys, &sealed).ok_or_else(|| tampered("its audit key is another"))
}

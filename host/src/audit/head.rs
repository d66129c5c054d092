//! What the vault remembers of the trail: where it ends, and which files it is in.
//!
//! A chain alone does not show that its last lines were cut off. So the end is remembered where only the key's holder
//! can write.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::chain::{Key, Link};
use crate::error::{Code, Error, Result};
use crate::vault::Vault;

/// The end of the trail and the files it is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// The last line that was written.
    pub(super) last: Link,
    /// How long the current file is up to there, in bytes.
    pub(super) length: u64,
    /// How many batches were written, by all brokers; by none that is older than this number.
    #[serde(default)]
    pub(super) batches: u64,
    /// The files that are kept, oldest first; the last is the current one. Never empty.
    pub(super) files: Vec<Begun>,
}

/// A file of the trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begun {
    /// Its number, from 1.
    pub(super) file: u64,
    /// The last line before it.
    pub(super) after: Link,
}

impl Head {
    /// Of a trail without a line.
    pub(super) fn start() -> Self {
        Self { last: Link::START, length: 0, batches: 0, files: vec![Begun { file: 1, after: Link::START }] }
    }

    /// The number of the current file.
    pub(super) fn current(&self) -> u64 {
        self.files.last().map_or(1, |begun| begun.file)
    }

    /// The next line goes into a new file, the first of it. The oldest beyond `keep` full files is let go.
    pub(super) fn rotate(&mut self, keep: usize) {
        self.files.push(Begun { file: self.current() + 1, after: self.last });
        self.length = 0;
        let surplus = self.files.len().saturating_sub(keep + 1);
        self.files.drain(..surplus);
    }
}

/// Who has the key and keeps the head: a vault. Its calls may fail while it is locked.
pub trait Ledger: Send + Sync {
    /// The key, 32 bytes.
    ///
    /// # Errors
    /// `vault_locked`, or what is wrong with the vault.
    fn key(&self) -> Result<zeroize::Zeroizing<[u8; 32]>>;

    /// What [`Ledger::set_head`] was last told; `None` before the first time.
    ///
    /// # Errors
    /// As [`Ledger::key`].
    fn head(&self) -> Result<Option<Vec<u8>>>;

    /// Remembers the head. Only called under the trail's lock.
    ///
    /// # Errors
    /// As [`Ledger::key`].
    fn set_head(&self, head: &[u8]) -> Result<()>;
}

impl Ledger for Arc<dyn Vault> {
    fn key(&self) -> Result<zeroize::Zeroizing<[u8; 32]>> {
        // Getting it may ask the person, again and again: whoever wants something of the vault does that.
        if !self.is_ready() {
            return Err(Error::new(
                Code::VaultLocked,
                "The vault's key is not at hand.",
                "Unlock it: mcp-credentials-broker vault unlock",
            ));
        }
        self.audit_key()?.map(|key| zeroize::Zeroizing::new(*key.bytes())).ok_or_else(|| {
            Error::new(
                Code::VaultMissing,
                "This vault has no audit trail.",
                "Make one on disk: mcp-credentials-broker vault init",
            )
        })
    }

    fn head(&self) -> Result<Option<Vec<u8>>> {
        self.audit_head()
    }

    fn set_head(&self, head: &[u8]) -> Result<()> {
        self.set_audit_head(head)
    }
}

pub(super) fn key(ledger: &dyn Ledger) -> Result<Key> {
    ledger.key().map(|bytes| Key::new(&bytes))
}

/// The head as the ledger has it.
pub(super) fn load(ledger: &dyn Ledger) -> Result<Option<Head>> {
    let Some(bytes) = ledger.head()? else { return Ok(None) };
    let head: Option<Head> = serde_json::from_slice(&bytes).ok();
    head.filter(|head| !head.files.is_empty()).map(Some).ok_or_else(|| {
        Error::new(
            Code::VaultTampered,
            "What the vault says of the audit trail's end cannot be read.",
            "A newer broker may have written it: use that one.",
        )
    })
}

pub(super) fn store(ledger: &dyn Ledger, head: &Head) -> Result<()> {
    let bytes = serde_json::to_vec(head).map_err(|error| {
        Error::new(Code::Internal, format!("The audit trail's end cannot be written: {error}."), "Report this.")
    })?;
    ledger.set_head(&bytes)
}

//! Where secrets rest: in [`Memory`], unless the operator made a vault on disk. Nothing is on disk that nobody asked for.
//!
//! Two numbers go with a record. Its *generation* says which value or login a name stands for: an overwrite or a new
//! login gives another one and so ends the references to the old, a refresh keeps it. Its *revision* says which write it
//! is: every write gives another one, and a refresh is stored only over the very revision that it read.

pub mod archive;
mod codec;
mod key;
mod memory;
mod place;
mod sqlite;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use zeroize::Zeroizing;

use crate::config;
use crate::descriptor::Ttl;
use crate::error::Result;
use crate::secret::{Kind, Secret, SecretName};

pub use memory::{MAX_SECRETS, MAX_TOTAL_BYTES, Memory};
pub use place::default_file;
pub use sqlite::{MAX_RECORDS, NewKey, OpenedBy, Sqlite, Status, check_free, init};

/// The passphrase that `[vault] key_command` prints, if there is such a command.
///
/// # Errors
/// `vault_locked` where it prints none.
pub fn command_passphrase(config: &config::Vault) -> Result<Option<Secret>> {
    config.key_command.as_deref().map(key::source::from_command).transpose()
}

/// The vault of this process: the file that the operator named, else the one at the platform's place if there is one, else
/// the memory. Nothing is opened yet. Every command that needs a vault asks here.
///
/// # Errors
/// `vault_missing` where the operator named a file that is not there.
pub fn open(config: &config::Vault) -> Result<Arc<dyn Vault>> {
    match place::which(config) {
        Some(place) if place.exists() => Ok(Arc::new(Sqlite::new(place, config))),
        Some(place) if place.named => Err(place.missing()),
        _ => Ok(Arc::new(Memory::default())),
    }
}

/// Whether the operating system's keychain answers: it is asked for something that is not there. May take seconds.
///
/// # Errors
/// `keychain_unavailable`, saying why.
pub fn keychain_answers() -> Result<()> {
    key::keychain_answers()
}

/// A number that changes whenever a name gets another value or login. Never used twice in a vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Generation(pub u64);

/// A number that changes with every write of a record. Never used twice in a vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision(pub u64);

/// What stands behind a name.
#[derive(Debug, Clone)]
pub struct Record {
    /// The value or login.
    pub stored: Stored,
    /// What the caller wrote beside it.
    pub tags: BTreeMap<String, String>,
    /// Which value or login this is.
    pub generation: Generation,
    /// Which write of it this is.
    pub revision: Revision,
    /// When it was first stored under this generation.
    pub created: SystemTime,
}

/// A value, or a login.
#[derive(Debug, Clone)]
pub enum Stored {
    /// A value that somebody handed over.
    Static(Secret),
    /// A token set that a person authorized.
    Grant(Arc<Grant>),
}

/// A token set that a person authorized.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The provider's name, for people.
    pub provider: String,
    /// Whose login it is: `embedded:github` or `plugin:acme:DIGEST`.
    pub lineage: String,
    /// The OAuth client it was issued to.
    pub client_id: String,
    /// The issuer, if the provider names one.
    pub issuer: Option<String>,
    /// What `resolve` gave when the person signed in: a refresh goes to these endpoints and no others.
    pub resolved: Arc<BTreeMap<String, String>>,
    /// The provider's plain settings when the person signed in: they say where its tokens may be spent.
    pub settings: Arc<BTreeMap<String, String>>,
    /// The account, where anybody says.
    pub account: Option<Account>,
    /// The access token.
    pub access: Secret,
    /// The refresh token. It never leaves the broker but to the provider.
    pub refresh: Option<Secret>,
    /// Scopes that were granted.
    pub scopes: Vec<String>,
    /// When the access token was issued.
    pub issued: SystemTime,
    /// When the access token ends; not known: none was told.
    pub expires: Option<SystemTime>,
    /// Lifetimes that the provider allows its references.
    pub ttl: Ttl,
    /// What the component asked to remember.
    pub notes: Vec<(String, String)>,
    /// Why only a new login helps, once that is known.
    pub ended: Option<String>,
    /// Whether a refresh token works once, and its reuse kills the family.
    pub strict_rotation: bool,
    /// How its renewal stands.
    pub renewal: Renewal,
}

/// How the renewal of a grant stands, as every process sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Renewal {
    /// A refresh that was about to be sent and whose outcome was not written down. Whoever holds the grant's lock and
    /// finds one knows that its sender died.
    pub intent: Option<Intent>,
    /// How many tries have failed since the last that did not.
    pub failures: u32,
    /// No further try before this.
    pub not_before: Option<SystemTime>,
}

/// A refresh that is about to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intent {
    /// Since when.
    pub since: SystemTime,
    /// How many times this refresh token was sent, this time included, without a known outcome.
    pub tries: u32,
}

/// An account at a provider (OpenID Connect Core 1.0 section 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The issuer; for a component's word its lineage.
    pub issuer: String,
    /// The subject: stable, and unique at the issuer.
    pub subject: String,
    /// A name for people: e-mail address or user name.
    pub label: Option<String>,
    /// Who says so.
    pub vouched: Vouched,
}

/// Who says whose account it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vouched {
    /// An id_token that the broker verified.
    IdToken,
    /// The provider's component, whose word it is.
    Component,
}

impl Vouched {
    /// The word for it in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IdToken => "id_token",
            Self::Component => "component",
        }
    }
}

/// A login that is gone from its name and still has to be revoked at the provider.
#[derive(Debug, Clone)]
pub struct Tombstone {
    /// Its id.
    pub id: String,
    /// The name that it had.
    pub name: SecretName,
    /// The login.
    pub grant: Arc<Grant>,
    /// Which of its tokens are still to be revoked: [`Kind::Refresh`], [`Kind::Access`].
    pub pending: Vec<Kind>,
    /// How many times that was tried.
    pub attempts: u32,
    /// No further try before this.
    pub not_before: SystemTime,
    /// When the person or agent had it revoked.
    pub buried: SystemTime,
}

/// Says whether a write may replace what stands there now.
pub type Allowed<'a> = &'a mut dyn FnMut(Option<&Record>) -> Result<()>;

/// Holds the right to renew a grant; dropping it lets go.
pub type Turn = Box<dyn Send>;

/// A vault. Calls are short and may touch a disk; whoever calls them awaits nothing meanwhile.
pub trait Vault: Send + Sync {
    /// The record of that name.
    ///
    /// # Errors
    /// `vault_locked`, or what is wrong with the vault.
    fn get(&self, name: &SecretName) -> Result<Option<Record>>;

    /// The generation behind a name, without reading the rest.
    ///
    /// # Errors
    /// As [`Vault::get`].
    fn generation(&self, name: &SecretName) -> Result<Option<Generation>> {
        Ok(self.get(name)?.map(|record| record.generation))
    }

    /// Every record, in the order of the names.
    ///
    /// # Errors
    /// As [`Vault::get`].
    fn list(&self) -> Result<Vec<(SecretName, Record)>>;

    /// How many there are.
    ///
    /// # Errors
    /// As [`Vault::get`].
    fn count(&self) -> Result<usize>;

    /// A number that is another one after every write of a record, by whichever process: as long as it stays, so do they.
    ///
    /// # Errors
    /// As [`Vault::get`].
    fn writes(&self) -> Result<u64>;

    /// Stores under a name, if `allowed` agrees to what stands there now. Check and write are one step, for all processes.
    /// When it returns the record is where it rests.
    ///
    /// # Errors
    /// What `allowed` says; `limit` where the vault is full; then nothing has changed.
    fn put(
        &self,
        name: &SecretName,
        stored: Stored,
        tags: BTreeMap<String, String>,
        allowed: Allowed<'_>,
    ) -> Result<(Generation, Revision)>;

    /// Puts another state of the same login over that revision, keeping generation, tags and date. `None`: that revision
    /// is gone, and nothing has changed.
    ///
    /// # Errors
    /// As [`Vault::get`].
    fn replace(&self, name: &SecretName, expected: Revision, grant: Arc<Grant>) -> Result<Option<Revision>>;

    /// Forgets a name; `None` where there was nothing.
    ///
    /// # Errors
    /// As [`Vault::get`].
    fn delete(&self, name: &SecretName) -> Result<Option<Record>>;

    /// Forgets a login and leaves the tombstone, in one step. False: that revision is gone, and nothing has changed.
    ///
    /// # Errors
    /// As [`Vault::get`].
    fn bury(&self, name: &SecretName, expected: Revision, tombstone: Tombstone) -> Result<bool>;

    /// Logins that still have to be revoked.
    ///
    /// # Errors
    /// As [`Vault::get`].
    fn tombstones(&self) -> Result<Vec<Tombstone>>;

    /// Writes a tombstone anew, or takes it away.
    ///
    /// # Errors
    /// As [`Vault::get`].
    fn settle(&self, id: &str, left: Option<Tombstone>) -> Result<()>;

    /// The right to renew the grant of that generation, if nobody has it in any process. It ends with its holder.
    ///
    /// # Errors
    /// As [`Vault::get`].
    fn try_turn(&self, generation: Generation) -> Result<Option<Turn>>;

    /// The vault's file, if it is one. Others that belong to it lie beside it.
    fn file(&self) -> Option<&Path> {
        None
    }

    /// Whether the key is at hand, so that the next call asks nobody for it. Cheap: it is asked before every tool call.
    fn is_ready(&self) -> bool {
        true
    }

    /// Gets the key. May take seconds, for a keychain or a command that asks the person: not for a thread that others
    /// wait on. Every other call does the same where it has to.
    ///
    /// # Errors
    /// `vault_locked`, or what is wrong with the vault.
    fn ready(&self) -> Result<()> {
        Ok(())
    }

    /// Lets go of the file, so that everything is in it and nothing beside it. The next call opens it again.
    fn close(&self) {}

    /// The key that this vault's audit trail is chained with; the same as long as the vault lives. `None`: this vault has
    /// no trail.
    ///
    /// # Errors
    /// As [`Vault::get`].
    fn audit_key(&self) -> Result<Option<AuditKey>> {
        Ok(None)
    }

    /// What [`Vault::set_audit_head`] was last told, by any process. `None`: nothing yet.
    ///
    /// # Errors
    /// As [`Vault::get`]; `vault_tampered` where it was taken away or is older than the vault's last write.
    fn audit_head(&self) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    /// Remembers the end of the audit trail, sealed. Survives the end of every process, not a power cut of the last
    /// moments: it costs no wait for the disk. Whoever calls it holds the trail's own lock.
    ///
    /// # Errors
    /// As [`Vault::get`].
    fn set_audit_head(&self, head: &[u8]) -> Result<()> {
        let _ = head;
        Ok(())
    }
}

/// A key for message authentication of an audit trail.
#[derive(Clone)]
pub struct AuditKey(Zeroizing<[u8; 32]>);

impl AuditKey {
    /// Takes the bytes over.
    #[must_use]
    pub const fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// The bytes. Every call of this is a place to look at in a review.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[key]")
    }
}

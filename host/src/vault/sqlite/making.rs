//! Making a vault: whole, in one step, and by one of those who try at once.

use std::path::{Path, PathBuf};

use rusqlite::params;

use super::failure::failed;
use super::ledger::Ledger;
use super::opening::seal_audit_key;
use super::{database, schema};
use crate::config;
use crate::error::{Code, Error, Result};
use crate::secret::Secret;
use crate::vault::key::source::{self, Source};
use crate::vault::key::{Key, Keys, Wrap, fill};
use crate::vault::place::{Place, which};

/// What is to open a vault from now on.
#[derive(Debug, Clone)]
pub enum NewKey {
    /// A new entry in the operating system's keychain.
    Keychain,
    /// This passphrase.
    Passphrase(Secret),
    /// This file, which is made where it does not exist.
    KeyFile(PathBuf),
}

/// The shortest passphrase, in characters.
const SHORTEST: usize = 8;
/// A wrapping key, and what is written down of where it comes from.
pub(super) struct Wrapping {
    pub(super) source: Source,
    by: Key,
}

/// Makes a vault. `config` says where, and a key file there counts where `key` names none.
///
/// # Errors
/// `conflict` where there is one, `keychain_unavailable`, `vault_unwritable`, `invalid_argument` for a short passphrase.
pub fn init(config: &config::Vault, key: &NewKey) -> Result<PathBuf> {
    let place = free_place(config)?;
    let folder = place.make_folder()?;
    let mut id = [0; 16];
    fill(&mut id)?;
    let wrapping = Wrapping::new(key, &id, 1)?;
    // Made whole beside its place and then linked to it, which only one can do.
    let made = made_beside(&folder, &id, &wrapping).and_then(|beside| {
        let linked = std::fs::hard_link(&beside, &place.file);
        let _ = std::fs::remove_file(&beside);
        linked.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => taken(&place),
            _ => unwritable(&place.file, &error),
        })
    });
    if made.is_err() && wrapping.source == Source::Keychain {
        // The first failure is the one to tell.
        let _ = source::remove_from_keychain(&id, 1);
    }
    made?;
    on_disk(&folder)?;
    Ok(place.file)
}

/// That there is no vault yet, before a person is asked for anything.
///
/// # Errors
/// `conflict`.
pub fn check_free(config: &config::Vault) -> Result<()> {
    free_place(config).map(drop)
}

fn free_place(config: &config::Vault) -> Result<Place> {
    let place = which(config).ok_or_else(|| {
        Error::new(Code::VaultUnwritable, "This system has no data folder for the user.", "Name a file with --vault.")
    })?;
    if place.exists() {
        return Err(taken(&place));
    }
    // What SQLite keeps beside a file belongs to that file, and would be written into a new one.
    for ending in ["-wal", "-journal"] {
        let mut beside = place.file.clone().into_os_string();
        beside.push(ending);
        let beside = PathBuf::from(beside);
        if beside.exists() {
            return Err(Error::new(
                Code::Conflict,
                format!("{} is there, which belongs to a vault that was moved away.", beside.display()),
                "End all MCP clients, and move that file to its vault.",
            ));
        }
    }
    Ok(place)
}

fn taken(place: &Place) -> Error {
    Error::new(
        Code::Conflict,
        format!("There is a vault {} already.", place.file.display()),
        "Use it, or name another file with --vault. To begin anew, move it away yourself.",
    )
}

fn unwritable(file: &Path, error: &std::io::Error) -> Error {
    let hint = "Name a place where you may write, with --vault.";
    Error::new(Code::VaultUnwritable, format!("{} cannot be made: {error}.", file.display()), hint)
}

/// A whole vault in a file of another name.
fn made_beside(folder: &Path, id: &[u8; 16], wrapping: &Wrapping) -> Result<PathBuf> {
    let mut random = [0; 8];
    fill(&mut random)?;
    let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let file = folder.join(format!(".new-vault-{name}"));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&file).map_err(|error| unwritable(&file, &error))?;
    let made = fill_file(&file, id, wrapping);
    if made.is_err() {
        for ending in ["", "-wal", "-shm", "-journal"] {
            let mut name = file.clone().into_os_string();
            name.push(ending);
            let _ = std::fs::remove_file(name);
        }
    }
    made.map(|()| file)
}

fn fill_file(file: &Path, id: &[u8; 16], wrapping: &Wrapping) -> Result<()> {
    let mut connection = database::connect(file, database::waiting())?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
    schema::create(&mut connection)?;
    let master = Key::random()?;
    let (source, wrapped) = wrapping.wrap(id, 1, &master)?;
    let keys = Keys::new(&master, id, 1)?;
    let audit_key = seal_audit_key(&keys, Key::random()?.bytes())?;
    let transaction = connection.transaction().map_err(failed)?;
    let sql = "INSERT INTO vault (one, id, key_version, key_source, wrapped_key, lock_epoch, audit_key) VALUES (1, ?1, 1, ?2, ?3, 0, ?4)";
    transaction.execute(sql, params![id.as_slice(), source, wrapped, audit_key]).map_err(failed)?;
    let sql = "INSERT INTO ledger (one, counter, sealed) VALUES (1, 0, ?1)";
    transaction.execute(sql, params![Ledger::default().seal(&keys)?]).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    // Closing moves everything out of the write-ahead log and takes that away.
    connection.close().map_err(|(_, error)| failed(error))
}

/// A new name in a folder is on the disk when the folder is.
#[cfg(unix)]
fn on_disk(folder: &Path) -> Result<()> {
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| unwritable(folder, &error))
}

#[cfg(not(unix))]
fn on_disk(_: &Path) -> Result<()> {
    Ok(())
}

impl Wrapping {
    pub(super) fn new(key: &NewKey, id: &[u8], version: i64) -> Result<Self> {
        Ok(match key {
            NewKey::Keychain => {
                let by = source::put_into_keychain(id, version).map_err(|error| {
                    error.with_hint(
                        "Use --passphrase, or --key-file FILE, instead; or start the keychain and try again. Nothing was made.",
                    )
                })?;
                Self { source: Source::Keychain, by }
            }
            NewKey::Passphrase(passphrase) => {
                if passphrase.expose().chars().count() < SHORTEST {
                    return Err(Error::new(
                        Code::InvalidArgument,
                        format!("The passphrase has fewer than {SHORTEST} characters."),
                        "Use a longer one, such as five random words.",
                    ));
                }
                let source = Source::passphrase()?;
                let Source::Passphrase(stretch) = &source else {
                    return Err(Error::new(Code::Internal, "A passphrase has another source.", "Report this."));
                };
                let by = source::from_passphrase(stretch, passphrase)?;
                Self { source, by }
            }
            NewKey::KeyFile(path) => {
                source::make_file(path)?;
                let source = Source::key_file(path)?;
                let by = source::from_file(path, id)?;
                Self { source, by }
            }
        })
    }

    pub(super) fn wrap(&self, id: &[u8], version: i64, master: &Key) -> Result<(String, Vec<u8>)> {
        let source = self.source.text()?;
        let wrapped = Wrap { vault: id, source: &source, version }.wrap(&self.by, master)?;
        Ok((source, wrapped))
    }
}

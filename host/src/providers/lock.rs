//! `plugins.lock` of this user: which bytes the operator approved under which name, and what they asked for then.
//!
//! Only the command line writes it. Its descriptors are what spares approved components from being compiled before
//! they are used, as the embedded ones are.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::file::{self, Stamp};
use crate::error::{Code, Error, Result};
use crate::sandbox::Make;

/// The version of the file's format.
const VERSION: u32 = 1;
const HEAD: &str = "# Written by `mcp-credentials-broker providers add`, `update` and `remove`: what you approved.\n\n";
/// 256 entries of 64 KiB, and more than that is no lock.
const MAX_BYTES: u64 = 32 << 20;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    version: u32,
    /// What is approved, by the component's name.
    #[serde(default)]
    pub plugins: BTreeMap<String, Approved>,
}

/// One approved component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approved {
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// When it was approved, as RFC 3339 writes it.
    pub approved: String,
    /// Digests that were approved under this name before: logins made with them are still this plugin's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<String>,
    /// What `describe` returned.
    pub descriptor: String,
    /// What the component is made of.
    pub component: Make,
}

impl Lock {
    /// The entry with these bytes.
    #[must_use]
    pub fn with_digest(&self, sha256: &str) -> Option<(&str, &Approved)> {
        self.plugins.iter().find(|(_, approved)| approved.sha256 == sha256).map(|(name, approved)| (name.as_str(), approved))
    }
}

/// Where a user's approvals are kept: the platform's data folder, with the plugin folder and the lock in it.
pub struct Approvals {
    folder: PathBuf,
    read: Mutex<Option<(Stamp, Arc<Lock>)>>,
}

impl Approvals {
    /// In this folder, which is made when something is approved.
    #[must_use]
    pub const fn at(folder: PathBuf) -> Self {
        Self { folder, read: Mutex::new(None) }
    }

    /// The plugin folder that is there without being named: what lies in it is inert until it is approved.
    #[must_use]
    pub fn plugins(&self) -> PathBuf {
        self.folder.join("plugins")
    }

    /// The lock's file.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.join("plugins.lock")
    }

    /// What is approved now. Nothing where there is no file.
    ///
    /// # Errors
    /// `invalid_configuration`: then nothing may be taken for approved, nor for unknown.
    pub fn read(&self) -> Result<Arc<Lock>> {
        let path = self.file();
        let Some(stamp) = Stamp::now(&path) else { return Ok(Arc::default()) };
        let mut last = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, lock)) = last.as_ref().filter(|(known, _)| *known == stamp && stamp.settled()) {
            let _ = known;
            return Ok(Arc::clone(lock));
        }
        let lock = Arc::new(read(&path)?);
        *last = Some((stamp, Arc::clone(&lock)));
        Ok(lock)
    }

    /// Changes the lock: one process at a time, whole or not at all.
    ///
    /// # Errors
    /// What `change` says, or what is wrong with the file.
    pub fn change(&self, change: impl FnOnce(&mut Lock) -> Result<()>) -> Result<()> {
        private_folder(&self.folder)?;
        let guard = self.folder.join(".plugins.lock.guard");
        let held = OpenOptions::new().create(true).truncate(false).write(true).open(&guard);
        let held = held.and_then(|file| file.lock().map(|()| file)).map_err(|error| unwritable(&guard, &error))?;
        let mut lock = match read(&self.file()) {
            Ok(lock) => lock,
            Err(_) if Stamp::now(&self.file()).is_none() => Lock::default(),
            Err(error) => return Err(error),
        };
        change(&mut lock)?;
        lock.version = VERSION;
        let text = toml::to_string(&lock)
            .map_err(|error| Error::new(Code::Internal, format!("The lock cannot be written: {error}."), "Report this."))?;
        write(&self.file(), format!("{HEAD}{text}").as_bytes(), 0o600)?;
        drop(held);
        Ok(())
    }

    /// Puts a component into the plugin folder under its name, whole or not at all.
    ///
    /// # Errors
    /// `internal` where the folder cannot be written.
    pub fn keep(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        private_folder(&self.folder)?;
        private_folder(&self.plugins())?;
        let path = self.place_of(name);
        write(&path, bytes, 0o600)?;
        Ok(path)
    }

    /// Where a component of that name is kept.
    #[must_use]
    pub fn place_of(&self, name: &str) -> PathBuf {
        self.plugins().join(format!("{name}.wasm"))
    }
}

fn read(path: &Path) -> Result<Lock> {
    let damaged = |why: String| {
        Error::new(
            Code::InvalidConfiguration,
            format!("{} cannot be relied on: {why}. No component but the embedded ones is used.", path.display()),
            "Put a sound copy back; or remove the file and approve your plugins anew with `mcp-credentials-broker providers add`.",
        )
    };
    let found = std::fs::symlink_metadata(path).map_err(|error| damaged(error.to_string()))?;
    if !found.is_file() || found.len() > MAX_BYTES {
        return Err(damaged("it is no file of a lock's size".to_owned()));
    }
    file::judge(&path.display().to_string(), &found)
        .map_err(|error| damaged(error.message().trim_end_matches('.').to_owned()))?;
    let text = std::fs::read_to_string(path).map_err(|error| damaged(error.to_string()))?;
    let lock: Lock = toml::from_str(&text).map_err(|error| damaged(crate::error::foreign(error.message())))?;
    if lock.version != VERSION {
        return Err(damaged(format!("its version is {}, and this broker knows {VERSION}", lock.version)));
    }
    Ok(lock)
}

fn unwritable(path: &Path, error: &std::io::Error) -> Error {
    Error::new(
        Code::Internal,
        format!("{} cannot be written: {error}.", path.display()),
        "Make it writable for you, or free some room.",
    )
}

fn private_folder(folder: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| unwritable(folder, &error))
}

/// Beside it, then over it: whoever reads meanwhile sees the old file or the new one.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let part = path.with_extension(format!("part-{}", std::process::id()));
    let written = (|| {
        match std::fs::remove_file(&part) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        #[cfg(not(unix))]
        let _ = mode;
        let mut file: File = options.open(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&part, path)
    })();
    written.map_err(|error| {
        let _ = std::fs::remove_file(&part);
        unwritable(path, &error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approved(sha256: &str) -> Approved {
        Approved {
            sha256: sha256.to_owned(),
            bytes: 7,
            approved: "2026-11-25T00:00:00Z".to_owned(),
            earlier: Vec::new(),
            descriptor: r#"{"title":"It's \"quoted\""}"#.to_owned(),
            component: Make { contract: "0.1.0".to_owned(), imports: vec!["a".to_owned()], ..Make::default() },
        }
    }

    fn enter(approvals: &Approvals, name: &str) {
        let change = |lock: &mut Lock| {
            lock.plugins.insert(name.to_owned(), approved(name));
            Ok(())
        };
        approvals.change(change).unwrap();
    }

    #[test]
    fn a_lock_is_read_as_it_was_written_and_is_the_users_alone() {
        let folder = tempfile::tempdir().unwrap();
        let approvals = Approvals::at(folder.path().join("data"));
        assert!(approvals.read().unwrap().plugins.is_empty(), "no file is no approval");
        for name in ["acme", "other"] {
            enter(&approvals, name);
        }
        let lock = approvals.read().unwrap();
        assert_eq!(lock.with_digest("other"), Some(("other", &approved("other"))));
        assert_eq!(lock.plugins.len(), 2);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&approvals.file()), mode(&folder.path().join("data"))), (0o600, 0o700));
        }
    }

    #[test]
    fn what_is_no_lock_is_told_and_is_not_taken_for_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let approvals = Approvals::at(folder.path().to_owned());
        for wrong in ["version = 2", "nonsense", "version = 1\n[plugins.acme]\nsha256 = \"x\""] {
            std::fs::write(approvals.file(), wrong).unwrap();
            #[cfg(unix)]
            std::fs::set_permissions(approvals.file(), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            assert_eq!(approvals.read().unwrap_err().code(), Code::InvalidConfiguration, "{wrong}");
            assert!(approvals.change(|_| Ok(())).is_err(), "and is not written over");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_that_others_can_write_to_approves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let approvals = Approvals::at(folder.path().to_owned());
        enter(&approvals, "acme");
        std::fs::set_permissions(approvals.file(), std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        assert!(approvals.read().unwrap_err().message().contains("others may write to it"));
    }
}

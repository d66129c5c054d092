//! Where the key that wraps the master key comes from.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::passphrase::Stretch;
use super::{Key, derive, keychain};
use crate::config;
use crate::error::{Code, Error, Result};
use crate::secret::Secret;

/// As it is written into the vault. Nothing in it is secret, and nothing in it is run: a command comes from the
/// operator's file alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(in crate::vault) enum Source {
    /// An entry in the operating system's keychain.
    Keychain,
    /// A passphrase that the person knows, or a command prints.
    Passphrase(Stretch),
    /// A file.
    KeyFile {
        /// Where it lay when the vault was made.
        path: PathBuf,
    },
}

impl Source {
    pub(in crate::vault) fn passphrase() -> Result<Self> {
        Ok(Self::Passphrase(Stretch::new()?))
    }

    pub(in crate::vault) fn key_file(path: &Path) -> Result<Self> {
        let path = std::path::absolute(path).map_err(|error| {
            Error::new(Code::InvalidArgument, format!("{} is no file's name: {error}.", path.display()), "Name a file.")
        })?;
        Ok(Self::KeyFile { path })
    }

    pub(in crate::vault) fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|_| {
            Error::new(
                Code::VaultNewer,
                "The vault has a kind of key that this version does not know.",
                "Use the version of mcp-credentials-broker that made it.",
            )
        })
    }

    pub(in crate::vault) fn text(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|_| Error::new(Code::Internal, "A key's source cannot be written.", "Report this."))
    }

    /// What a person calls it.
    pub(in crate::vault) const fn word(&self) -> &'static str {
        match self {
            Self::Keychain => "keychain",
            Self::Passphrase(_) => "passphrase",
            Self::KeyFile { .. } => "key file",
        }
    }
}

/// What the keychain's entry of a vault is called. A new master key gets a new entry, so that until the vault names it the
/// old one still opens it.
fn entry(vault: &[u8], version: i64) -> String {
    let id: String = vault.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("vault {id} key {version}")
}

/// Makes a wrapping key and puts it into the keychain.
pub(in crate::vault) fn put_into_keychain(vault: &[u8], version: i64) -> Result<Key> {
    let key = Key::random()?;
    keychain::put(&entry(vault, version), key.bytes())?;
    Ok(key)
}

/// The wrapping key from the keychain.
pub(in crate::vault) fn from_keychain(vault: &[u8], version: i64) -> Result<Key> {
    let bytes = keychain::get(&entry(vault, version))?;
    bytes.and_then(|bytes| Key::from_slice(&bytes)).ok_or_else(|| {
        Error::new(
            Code::WrongKey,
            "The keychain has no key for this vault.",
            "Start it as the user and on the machine that made the vault; or make a new one with `mcp-credentials-broker vault init`, and `vault import` what was exported.",
        )
    })
}

/// Takes the entry out of the keychain.
pub(in crate::vault) fn remove_from_keychain(vault: &[u8], version: i64) -> Result<()> {
    keychain::remove(&entry(vault, version))
}

/// The wrapping key from a passphrase. Slow on purpose.
pub(in crate::vault) fn from_passphrase(stretch: &Stretch, passphrase: &Secret) -> Result<Key> {
    stretch.key(passphrase)
}

/// The passphrase that the operator's command prints.
pub(in crate::vault) fn from_command(words: &[String]) -> Result<Secret> {
    config::source::read(&config::Source::Elsewhere(config::Elsewhere::Command(words.to_vec()))).map_err(|error| {
        let hint = error.hint().to_owned();
        Error::new(Code::VaultLocked, format!("[vault] key_command: {}", error.message()), hint)
    })
}

/// The shortest and the longest key file, in bytes.
const KEY_FILE: std::ops::RangeInclusive<usize> = 32..=64 * 1024;

/// The wrapping key from a file of at least 32 bytes, whatever they are.
pub(in crate::vault) fn from_file(path: &Path, vault: &[u8]) -> Result<Key> {
    use std::io::Read as _;

    let name = path.display();
    let locked = |message: String, hint: String| Error::new(Code::VaultLocked, message, hint);
    let open = || -> std::io::Result<(std::fs::Metadata, Zeroizing<Vec<u8>>)> {
        // Before opening: to open a pipe would wait for its other end.
        if !std::fs::metadata(path)?.is_file() {
            return Err(std::io::Error::other("it is no ordinary file"));
        }
        let file = std::fs::File::open(path)?;
        let metadata = file.metadata()?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_FILE.end() + 2));
        file.take(*KEY_FILE.end() as u64 + 1).read_to_end(&mut bytes)?;
        Ok((metadata, bytes))
    };
    let (metadata, bytes) = open().map_err(|error| {
        let hint = "Put it back, or say in [vault] key_file of broker.toml where it is.";
        locked(format!("The key file {name} cannot be read: {error}."), hint.to_owned())
    })?;
    super::super::place::check_owner(path, &metadata, Code::VaultLocked, "chmod 600")?;
    if !KEY_FILE.contains(&bytes.len()) {
        let hint = "Name the file that the vault was made with.".to_owned();
        return Err(locked(format!("The key file {name} has {} bytes; a key has 32 to 65536.", bytes.len()), hint));
    }
    derive(&bytes, vault, "key file")
}

/// Another process may be making the file this very moment: it is empty, then whole, since it is written at once. A link
/// would be one step, and no stick with a key on it has links. What stays empty is told of by who reads it.
fn wait_until_written(path: &Path) {
    for _ in 0..200 {
        if std::fs::metadata(path).is_ok_and(|file| file.len() > 0) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Makes a key file, readable for this user alone, unless there is one already: then that is the key.
pub(in crate::vault) fn make_file(path: &Path) -> Result<()> {
    use std::io::Write as _;

    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let unwritable = |error: std::io::Error| {
        Error::new(
            Code::VaultUnwritable,
            format!("The key file {} cannot be made: {error}.", path.display()),
            "Name a place where you may write.",
        )
    };
    let mut file = match options.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            wait_until_written(path);
            return Ok(());
        }
        other => other.map_err(unwritable)?,
    };
    let key = Key::random()?;
    // As text, so that it survives editors and password managers.
    let text: Zeroizing<String> = Zeroizing::new(key.bytes().iter().map(|byte| format!("{byte:02x}")).collect());
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(unwritable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_key_file_is_made_once_and_refused_when_others_can_read_it() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        make_file(&path).unwrap();
        let first = *from_file(&path, b"v").unwrap().bytes();
        make_file(&path).unwrap();
        assert_eq!(*from_file(&path, b"v").unwrap().bytes(), first);
        assert_ne!(*from_file(&path, b"w").unwrap().bytes(), first);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = from_file(&path, b"v").err().unwrap();
        assert_eq!((error.code(), error.hint()), (Code::VaultLocked, format!("Run: chmod 600 '{}'", path.display()).as_str()));
    }

    #[test]
    fn of_many_who_make_a_key_file_at_once_all_find_it_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        // One has made it, and is slow to write.
        let mut slow = std::fs::OpenOptions::new();
        slow.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut slow, 0o600);
        let mut slow = slow.open(&path).unwrap();
        let (key, other) = std::thread::scope(|scope| {
            let other = scope.spawn(|| make_file(&path).and_then(|()| from_file(&path, b"v")));
            std::thread::sleep(std::time::Duration::from_millis(100));
            std::io::Write::write_all(&mut slow, &[b'k'; 64]).unwrap();
            (derive(&[b'k'; 64], b"v", "key file").unwrap(), other.join().unwrap().unwrap())
        });
        assert_eq!(key.bytes(), other.bytes());
    }

    #[test]
    fn what_is_no_key_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [("missing", None), ("short", Some("x".repeat(31))), ("long", Some("x".repeat(65_537)))] {
            let path = folder.path().join(name);
            if let Some(content) = content {
                std::fs::write(&path, content).unwrap();
                #[cfg(unix)]
                std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            }
            let error = from_file(&path, b"v").err().unwrap();
            assert!(error.code() == Code::VaultLocked && error.message().contains(name), "{error}");
        }
        assert!(from_file(folder.path(), b"v").err().unwrap().message().contains("no ordinary file"));
    }
}

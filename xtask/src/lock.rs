//! `plugins.lock`: what lies beside it, where it came from, and what it says of itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

const FILE: &str = "plugins.lock";
const HEAD: &str = "# Written by `cargo xtask plugins`, and proven by `cargo xtask plugins --check`.\n\n";

/// The whole file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lock {
    /// What `rustc --version` of the toolchain said.
    pub(crate) toolchain: String,
    /// The components by name.
    pub(crate) plugins: BTreeMap<String, Locked>,
}

/// One component.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Locked {
    /// SHA-256 of the component, in hex.
    pub(crate) sha256: String,
    /// Its size in bytes.
    pub(crate) bytes: usize,
    /// SHA-256 over the sources it was built from, in hex.
    pub(crate) source: String,
    /// What `describe` returned, as compact JSON.
    pub(crate) descriptor: String,
}

impl Lock {
    /// Reads the lock of a folder.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let file = folder.join(FILE);
        let text = fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is damaged", file.display()))
    }

    /// Writes it.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        Ok(fs::write(folder.join(FILE), format!("{HEAD}{}", toml::to_string(self)?))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_read_as_it_was_written_descriptor_included() {
        let descriptor = r#"{"title":"It's \"quoted\"","n":1}"#.to_owned();
        let locked = Locked { sha256: "00".to_owned(), bytes: 1, source: "ff".to_owned(), descriptor };
        let lock = Lock { toolchain: "rustc 1".to_owned(), plugins: BTreeMap::from([("a".to_owned(), locked)]) };
        let folder = crate::paths::target().join("xtask-lock-test");
        fs::create_dir_all(&folder).unwrap();
        lock.write(&folder).unwrap();
        assert_eq!(Lock::read(&folder).unwrap(), lock);
    }
}

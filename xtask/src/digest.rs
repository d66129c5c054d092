//! SHA-256, over bytes and over sources.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use crate::paths::root;

/// The digest of bytes, in hex.
pub(crate) fn of(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The digest of everything that a provider is made of: its crate, the SDK, the contract, the workspace with its lock.
pub(crate) fn of_sources(name: &str) -> Result<String> {
    let mut files = vec![PathBuf::from("providers/Cargo.toml"), PathBuf::from("providers/Cargo.lock")];
    for folder in [format!("providers/{name}"), "providers/sdk".to_owned(), "wit".to_owned()] {
        collect(Path::new(&folder), &mut files)?;
    }
    files.retain(|file| {
        let kind = file.extension().and_then(|kind| kind.to_str());
        matches!(kind, Some("rs" | "toml" | "lock" | "wit")) || file.ends_with("descriptor.json")
    });
    files.sort();
    let mut hasher = Sha256::new();
    for file in files {
        let bytes = fs::read(root().join(&file)).with_context(|| format!("{} cannot be read", file.display()))?;
        let path = file.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/");
        // lengths, so that no content can be taken for another file's name
        hasher.update(format!("{path}\0{}\0", bytes.len()));
        hasher.update(&bytes);
    }
    Ok(hex(&hasher.finalize()))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(root().join(folder)).with_context(|| format!("{} cannot be read", folder.display()))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_sha_256_in_hex() {
        assert_eq!(of(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn two_providers_are_made_of_different_sources() {
        assert_ne!(of_sources("github").unwrap(), of_sources("google").unwrap());
        assert!(of_sources("nowhere").is_err());
    }
}

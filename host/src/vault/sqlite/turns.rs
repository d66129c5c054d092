//! The right to renew a grant: an OS lock on a file, which ends with the process that holds it, however that ends. A lease
//! with an end of its own would let a suspended process go on when another one has begun.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::{Code, Error, Result};
use crate::vault::place::private_folder;
use crate::vault::{Generation, Turn};

/// The folder of a vault's turns.
fn folder(vault: &Path) -> PathBuf {
    let mut name = vault.file_name().unwrap_or_default().to_owned();
    name.push("-turns");
    vault.with_file_name(name)
}

/// The right, if nobody has it.
pub(super) fn try_turn(vault: &Path, generation: Generation) -> Result<Option<Turn>> {
    let folder = folder(vault);
    private_folder(&folder)?;
    let path = folder.join(generation.0.to_string());
    let failed = |error: std::io::Error| {
        Error::new(
            Code::VaultUnwritable,
            format!("{} cannot be locked: {error}.", path.display()),
            "The vault's folder must be writable for you, and on a disk that knows file locks.",
        )
    };
    // Who has a turn takes the file away at its end; a lock on a file that is gone is none.
    for _ in 0..100 {
        let file = open(&path).map_err(failed)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Ok(()) if is_still_there(&file, &path) => return Ok(Some(Box::new(Held { path, _file: file }))),
            Ok(()) => {}
        }
    }
    Ok(None)
}

fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(unix)]
fn is_still_there(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(ours), Ok(there)) => identity(ours) == identity(there),
        _ => false,
    }
}

/// An open file cannot be taken away there.
#[cfg(not(unix))]
fn is_still_there(_: &File, _: &Path) -> bool {
    true
}

struct Held {
    path: PathBuf,
    /// Unlocks when it is closed.
    _file: File,
}

impl Drop for Held {
    fn drop(&mut self) {
        // Still locked: whoever opened it meanwhile sees that it is gone. Windows keeps it, which does no harm.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_the_turn_and_the_next_gets_it_after() {
        let place = tempfile::tempdir().unwrap();
        let vault = place.path().join("vault.db");
        let turn = try_turn(&vault, Generation(1)).unwrap();
        assert!(turn.is_some() && try_turn(&vault, Generation(1)).unwrap().is_none());
        assert!(try_turn(&vault, Generation(2)).unwrap().is_some(), "another grant has its own");
        drop(turn);
        assert!(try_turn(&vault, Generation(1)).unwrap().is_some());
        assert_eq!(std::fs::read_dir(folder(&vault)).unwrap().count(), 0, "nothing stays behind");
    }

    #[test]
    fn never_do_two_have_it_at_once() {
        use std::sync::atomic::{AtomicU32, Ordering};
        let place = tempfile::tempdir().unwrap();
        let vault = place.path().join("vault.db");
        let (holders, had) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        if let Some(turn) = try_turn(&vault, Generation(1)).unwrap() {
                            assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                            had.fetch_add(1, Ordering::SeqCst);
                            std::thread::yield_now();
                            holders.fetch_sub(1, Ordering::SeqCst);
                            drop(turn);
                        }
                    }
                });
            }
        });
        assert!(had.load(Ordering::SeqCst) > 0);
    }
}

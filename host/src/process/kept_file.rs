//! A file that always holds a secret's current value, for a program that runs longer than a token lives. Whoever opens it
//! finds one whole value, the old or the new.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::error::{Code, Error, Result};
use crate::secret::Secret;

/// The file. Removed when this is dropped.
#[derive(Debug)]
pub struct KeptFile {
    path: PathBuf,
    holds: Option<Secret>,
}

impl KeptFile {
    /// A file at this path: a new one, or in the place of an ordinary file. Nothing is written yet.
    ///
    /// # Errors
    /// `invalid_argument` where something else than a file is there, or its folder is not.
    pub fn new(path: PathBuf) -> Result<Self> {
        let wrong = |what: &str| {
            Error::new(Code::InvalidArgument, format!("{} {what}.", path.display()), "Name a file in a folder that is there.")
        };
        if path.file_name().is_none() || !folder(&path).is_dir() {
            return Err(wrong("is in no folder"));
        }
        match std::fs::symlink_metadata(&path) {
            Ok(there) if !there.is_file() => Err(wrong("is something else than a file")),
            _ => Ok(Self { path, holds: None }),
        }
    }

    /// Puts the value there, unless it is there. True: it was written.
    ///
    /// # Errors
    /// `internal`: what the file system says.
    pub fn keep(&mut self, value: &Secret) -> Result<bool> {
        if self.holds.as_ref().is_some_and(|holds| holds.is_same(value)) {
            return Ok(false);
        }
        self.write(value).map_err(|error| {
            let hint = "Make the folder writable for you, or name another file.";
            Error::new(Code::Internal, format!("{} cannot be written: {error}.", self.path.display()), hint)
        })?;
        self.holds = Some(value.clone());
        Ok(true)
    }

    /// Beside it first, then in its place: a reader never sees half of it.
    fn write(&self, value: &Secret) -> std::io::Result<()> {
        let beside = folder(&self.path).join(format!(".credential-{}", uuid::Uuid::new_v4()));
        let written = (|| {
            let mut file = create(&beside)?;
            file.write_all(value.expose().as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&beside, &self.path)
        })();
        if written.is_err() {
            let _ = std::fs::remove_file(&beside);
        }
        written
    }
}

impl Drop for KeptFile {
    fn drop(&mut self) {
        if self.holds.is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A new file that nobody else can open.
pub(super) fn create(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_file_is_written_when_the_value_changes_and_goes_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let mut kept = KeptFile::new(path.clone()).unwrap();
        assert!(!path.exists());
        assert!(kept.keep(&Secret::from("one")).unwrap());
        assert!(!kept.keep(&Secret::from("one")).unwrap());
        assert!(kept.keep(&Secret::from("two")).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o777, 0o600);
        drop(kept);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_no_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        assert!(KeptFile::new(folder.path().to_owned()).is_err());
        assert!(KeptFile::new(folder.path().join("none/token")).is_err());
        #[cfg(unix)]
        {
            let link = folder.path().join("link");
            std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
            assert!(KeptFile::new(link).is_err());
        }
    }
}

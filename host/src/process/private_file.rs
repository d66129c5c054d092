//! A value in a file for one program: on Linux a file without a name, which goes with the last process that has it open;
//! elsewhere one of mode 0600 in the temporary folder, removed when this is dropped.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;

use crate::secret::Secret;

/// The file.
#[derive(Debug)]
pub(super) enum PrivateFile {
    /// Without a name.
    #[cfg(target_os = "linux")]
    Memory(std::os::fd::OwnedFd),
    /// With one.
    Named(PathBuf),
}

impl PrivateFile {
    pub(super) fn new(value: &Secret) -> std::io::Result<Self> {
        #[cfg(target_os = "linux")]
        if let Ok(file) = memory(value) {
            return Ok(Self::Memory(file));
        }
        named(value).map(Self::Named)
    }

    /// Where the program that is started opens it.
    pub(super) fn path(&self) -> OsString {
        match self {
            #[cfg(target_os = "linux")]
            Self::Memory(file) => {
                use std::os::fd::AsRawFd as _;
                format!("/proc/self/fd/{}", file.as_raw_fd()).into()
            }
            Self::Named(path) => path.into(),
        }
    }

    /// Whether somebody has to stay behind to remove it.
    pub(super) const fn is_named(&self) -> bool {
        matches!(self, Self::Named(_))
    }
}

impl Drop for PrivateFile {
    fn drop(&mut self) {
        if let Self::Named(path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Not closed when the program begins, and sealed: nobody changes it any more.
#[cfg(target_os = "linux")]
fn memory(value: &Secret) -> std::io::Result<std::os::fd::OwnedFd> {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

    let file = memfd_create("credential", MemfdFlags::ALLOW_SEALING)?;
    let mut file = std::fs::File::from(file);
    file.write_all(value.expose().as_bytes())?;
    fcntl_add_seals(&file, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
    Ok(file.into())
}

fn named(value: &Secret) -> std::io::Result<PathBuf> {
    let path = std::env::temp_dir().join(format!("credential-{}", uuid::Uuid::new_v4()));
    let mut file = super::kept_file::create(&path)?;
    let written = file.write_all(value.expose().as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = std::fs::remove_file(&path);
    }
    written.map(|()| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_a_name_is_for_this_user_alone_and_goes_when_it_is_dropped() {
        let file = PrivateFile::Named(named(&Secret::from("canary-6f2d")).unwrap());
        let path = PathBuf::from(file.path());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "canary-6f2d");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        drop(file);
        assert!(!path.exists());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_without_a_name_can_be_read_and_not_changed() {
        let file = PrivateFile::new(&Secret::from("canary-6f2d")).unwrap();
        assert!(!file.is_named());
        let path = PathBuf::from(file.path());
        for _ in 0..2 {
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "canary-6f2d");
        }
        assert!(std::fs::write(&path, "x").is_err());
    }
}

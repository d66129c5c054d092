//! The files of a trail, beside the vault: which there are, and who may write.
//!
//! For the vault `vault.db` they are `vault.audit.jsonl`, which grows, `vault.audit.1.jsonl` and so on, which are full
//! (1 is the oldest ever), and `vault.audit.lock`, which is empty: who holds a lock on it may append. The lock is the
//! operating system's and dies with its holder.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Code, Error, Result};

/// How large the files grow and how many stay.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// A file of at least this size is full, in bytes.
    pub(super) full: u64,
    /// How many full ones are kept.
    pub(super) kept: usize,
}

/// 8 MiB hold about 20,000 lines.
pub(super) const LIMITS: Limits = Limits { full: 8 << 20, kept: 8 };

/// The files of one trail.
#[derive(Debug, Clone)]
pub(super) struct Files {
    /// The vault's file without its extension.
    base: PathBuf,
    pub(super) limits: Limits,
}

impl Files {
    pub(super) fn beside(vault: &Path) -> Self {
        Self { base: vault.with_extension(""), limits: LIMITS }
    }

    fn named(&self, ending: &str) -> PathBuf {
        let mut path = self.base.clone().into_os_string();
        path.push(ending);
        path.into()
    }

    /// The file that grows.
    pub(super) fn current(&self) -> PathBuf {
        self.named(".audit.jsonl")
    }

    /// The full file of that number.
    pub(super) fn full(&self, number: u64) -> PathBuf {
        self.named(&format!(".audit.{number}.jsonl"))
    }

    /// Where the lines of that file are: a full one whose process died before the vault heard of it has its number
    /// already.
    pub(super) fn existing(&self, number: u64, is_current: bool) -> PathBuf {
        let (current, full) = (self.current(), self.full(number));
        if is_current && (current.exists() || !full.exists()) { current } else { full }
    }

    /// All files that are there, oldest first.
    pub(super) fn all(&self) -> Vec<PathBuf> {
        let folder = self.base.parent().map(Path::to_owned).unwrap_or_default();
        let prefix = format!("{}.audit.", self.base.file_name().unwrap_or_default().to_string_lossy());
        let number = |name: &str| name.strip_prefix(&prefix)?.strip_suffix(".jsonl")?.parse::<u64>().ok();
        let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut numbers: Vec<u64> = names.filter_map(|entry| number(&entry.file_name().to_string_lossy())).collect();
        numbers.sort_unstable();
        numbers.into_iter().map(|number| self.full(number)).chain([self.current()]).collect()
    }

    /// Waits for the right to append; dropping it lets go. Whoever only reads shares it with others who do.
    pub(super) fn lock(&self, append: bool) -> Result<File> {
        let path = self.named(".audit.lock");
        let lock = open(&path, append || !path.exists()).map_err(|error| failed(&path, &error))?;
        let held = if append { lock.lock() } else { lock.lock_shared() };
        held.map_err(|error| failed(&path, &error))?;
        Ok(lock)
    }

    /// Gives a file that is in the way another name: nothing that somebody may still want is overwritten.
    pub(super) fn set_aside(&self, path: &Path) -> Result<()> {
        let free = (1..).map(|number| self.named(&format!(".audit.aside-{number}.jsonl"))).find(|path| !path.exists());
        let Some(free) = free else { return Ok(()) };
        std::fs::rename(path, free).map_err(|error| failed(path, &error))
    }
}

/// Opens an ordinary file of this user, closed to others. Made where it is missing and may be written.
pub(super) fn open(path: &Path, write: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    if write {
        options.append(true).create(true);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // A link may lead anywhere, and opening a pipe would wait for its other end.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.mode(0o600).custom_flags(i32::try_from(flags.bits()).unwrap_or_default());
    }
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no ordinary file"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        if write && metadata.mode() & 0o077 != 0 {
            file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        }
    }
    Ok(file)
}

pub(super) fn failed(path: &Path, error: &io::Error) -> Error {
    let code = match error.kind() {
        io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::PermissionDenied => Code::VaultUnwritable,
        _ => Code::Internal,
    };
    Error::new(
        code,
        format!("The audit trail {} cannot be used: {error}.", path.display()),
        "Look at the file and its folder: both must be yours and writable, and have room.",
    )
}

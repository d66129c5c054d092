//! Component files, judged by what the file system says of them before a byte is believed.
//!
//! Whoever can write to a component, or to its folder, decides what runs as that provider: so files and folders of other
//! owners, those that others can write to, and links are refused, each by name.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use crate::error::{Code, Error, Result};
use crate::sandbox::MAX_COMPONENT;

/// A component's bytes, read once: what is hashed is what is compiled.
pub struct Contents {
    /// All of it.
    pub bytes: Vec<u8>,
    /// SHA-256, in hex.
    pub sha256: String,
    /// Which file it was.
    pub stamp: Stamp,
}

/// What the file system tells of a file without reading it: while this stays the same, so does the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    file: (u64, u64),
    size: u64,
    modified: Option<SystemTime>,
    /// When its content, owner, mode or name was last changed: not to be set back by anybody but root.
    changed: (i64, i64),
}

/// Two changes within one tick of the file system's clock look alike, so what is newer than this is read again.
const SETTLED: Duration = Duration::from_secs(2);

impl Stamp {
    fn of(found: &Metadata) -> Self {
        #[cfg(unix)]
        let (file, changed) = {
            use std::os::unix::fs::MetadataExt as _;
            ((found.dev(), found.ino()), (found.ctime(), found.ctime_nsec()))
        };
        #[cfg(not(unix))]
        let (file, changed) = ((0, 0), (0, 0));
        Self { file, size: found.len(), modified: found.modified().ok(), changed }
    }

    /// The stamp of the file that lies there now.
    #[must_use]
    pub fn now(path: &Path) -> Option<Self> {
        std::fs::symlink_metadata(path).ok().map(|found| Self::of(&found))
    }

    /// Whether a later change would show in it.
    #[must_use]
    pub fn settled(&self) -> bool {
        self.modified.and_then(|modified| modified.elapsed().ok()).is_some_and(|since| since > SETTLED)
            && (cfg!(not(unix)) || {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                u64::try_from(self.changed.0).is_ok_and(|changed| changed + SETTLED.as_secs() < now.as_secs())
            })
    }
}

/// The `*.wasm` files directly in a folder, in the order of their names.
///
/// # Errors
/// `invalid_configuration` where the folder cannot be read; `component_rejected` where others can put files into it.
pub fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |error: std::io::Error| {
        Error::new(
            Code::InvalidConfiguration,
            format!("The plugin folder {} cannot be read: {error}.", folder.display()),
            "Correct `plugins` in broker.toml, or --plugins.",
        )
    };
    let found = std::fs::metadata(folder).map_err(unreadable)?;
    judge(&format!("The plugin folder {}", folder.display()), &found)?;
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads a component that is to be used from where it lies.
///
/// # Errors
/// `component_rejected` where it is no regular file, too large, or somebody else's to write.
pub fn read(path: &Path) -> Result<Contents> {
    let (file, found) = open(path)?;
    judge(&path.display().to_string(), &found)?;
    contents(path, file, &found)
}

/// Reads a component that somebody looks at, or that will be copied: whose it is does not matter then.
///
/// # Errors
/// `component_rejected` where it is no regular file or too large.
pub fn look_at(path: &Path) -> Result<Contents> {
    let (file, found) = open(path)?;
    contents(path, file, &found)
}

fn rejected(path: &Path, reason: &str, hint: &'static str) -> Error {
    Error::new(Code::ComponentRejected, format!("{}: {reason}.", path.display()), hint)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    rejected(path, &format!("it cannot be read ({error})"), "Check the path and its permissions.")
}

fn open(path: &Path) -> Result<(File, Metadata)> {
    let irregular =
        || rejected(path, "it is no regular file", "Copy the component itself into the folder; links are not followed.");
    let found = std::fs::symlink_metadata(path).map_err(|error| unreadable(path, &error))?;
    if !found.is_file() {
        return Err(irregular());
    }
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // it may have become a link or a pipe since it was looked at
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.custom_flags(flags.bits().cast_signed());
    }
    let file = options.open(path).map_err(|error| unreadable(path, &error))?;
    let found = file.metadata().map_err(|error| unreadable(path, &error))?;
    if found.is_file() { Ok((file, found)) } else { Err(irregular()) }
}

fn contents(path: &Path, file: File, found: &Metadata) -> Result<Contents> {
    let too_large = || {
        rejected(
            path,
            &format!("it is larger than {} MiB", MAX_COMPONENT >> 20),
            "If you installed it, check that it is the right file. If you wrote it, build it with optimization for size.",
        )
    };
    if found.len() > MAX_COMPONENT as u64 {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    file.take(MAX_COMPONENT as u64 + 1).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    if bytes.len() > MAX_COMPONENT {
        return Err(too_large());
    }
    let sha256 = digest(&bytes);
    Ok(Contents { bytes, sha256, stamp: Stamp::of(found) })
}

/// SHA-256, in hex.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether nobody but this user (and root) can change it.
///
/// # Errors
/// `component_rejected`, naming it as `what`.
#[cfg(unix)]
pub fn judge(what: &str, found: &Metadata) -> Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let rejected =
        |reason: String, hint: &'static str| Err(Error::new(Code::ComponentRejected, format!("{what}: {reason}."), hint));
    let me = rustix::process::geteuid().as_raw();
    if found.uid() != me && found.uid() != 0 {
        return rejected(
            format!("it belongs to another user (uid {})", found.uid()),
            "Put a copy of your own there, after checking that it is what you mean to install.",
        );
    }
    if found.permissions().mode() & 0o022 != 0 {
        return rejected(
            "others may write to it".to_owned(),
            "Run chmod go-w on it, after checking that it is what you installed.",
        );
    }
    Ok(())
}

/// Windows keeps a user's folders to that user.
#[cfg(not(unix))]
pub fn judge(_: &str, _: &Metadata) -> Result<()> {
    Ok(())
}

/// Whether nobody else can put another file in the place of this one. A sticky folder, such as /tmp, does not let them.
///
/// # Errors
/// `component_rejected`, naming the folder.
pub fn judge_folder_of(path: &Path) -> Result<()> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    let Ok(found) = std::fs::metadata(folder) else { return Ok(()) };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if found.permissions().mode() & 0o1000 != 0 {
            return Ok(());
        }
    }
    judge(&format!("{}: its folder {}", path.display(), folder.display()), &found)
}

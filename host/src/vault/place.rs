//! Where a vault lies, and that it is this user's alone.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::config;
use crate::error::{Code, Error, Result};

/// The vault in the platform's data folder.
const FILE_NAME: &str = "vault.db";

/// The vault that is used where none is named.
#[must_use]
pub fn default_file() -> Option<PathBuf> {
    config::folders().map(|folders| folders.data_dir().join(FILE_NAME))
}

/// A vault's file, and whether somebody named it: then it must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: PathBuf,
    pub(super) named: bool,
}

/// Which file.
pub(super) fn which(config: &config::Vault) -> Option<Place> {
    let named =
        config.path.as_ref().map(|file| Place { file: std::path::absolute(file).unwrap_or_else(|_| file.clone()), named: true });
    named.or_else(|| default_file().map(|file| Place { file, named: false }))
}

impl Place {
    /// A command line of this program for this vault, for a hint.
    pub(super) fn command(&self, rest: &str) -> String {
        let vault = if self.named { format!(" --vault '{}'", self.file.display()) } else { String::new() };
        format!("mcp-credentials-broker vault {rest}{vault}")
    }

    /// Whether there is a file. What cannot be looked at counts as there: the reason is told when it is opened.
    pub(super) fn exists(&self) -> bool {
        !std::fs::metadata(&self.file).is_err_and(|error| error.kind() == ErrorKind::NotFound)
    }

    pub(super) fn missing(&self) -> Error {
        Error::new(
            Code::VaultMissing,
            format!("There is no vault {}.", self.file.display()),
            format!("Run: {}", self.command("init")),
        )
    }

    /// Looks at file and folder before anything is opened.
    pub(super) fn check(&self) -> Result<Metadata> {
        let unreadable = |path: &Path, error: &std::io::Error| {
            let hint = "Start it as the user whose vault it is.";
            Error::new(Code::VaultUnwritable, format!("{} cannot be looked at: {error}.", path.display()), hint)
        };
        let file = match std::fs::canonicalize(&self.file) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(self.missing()),
            Err(error) => return Err(unreadable(&self.file, &error)),
        };
        let folder = file.parent().unwrap_or(Path::new("/"));
        let of_folder = std::fs::metadata(folder).map_err(|error| unreadable(folder, &error))?;
        check_owner(folder, &of_folder, Code::VaultUnwritable, "chmod 700")?;
        let metadata = std::fs::metadata(&file).map_err(|error| unreadable(&file, &error))?;
        if !metadata.is_file() {
            let hint = "Name the vault's file.";
            return Err(Error::new(Code::VaultDamaged, format!("{} is no ordinary file.", file.display()), hint));
        }
        check_owner(&file, &metadata, Code::VaultUnwritable, "chmod 600")?;
        Ok(metadata)
    }

    /// Makes the folder, for this user alone; one that is there is not changed but must be so.
    pub(super) fn make_folder(&self) -> Result<PathBuf> {
        let folder = self.file.parent().unwrap_or(Path::new("/"));
        private_folder(folder)?;
        let metadata = std::fs::metadata(folder).map_err(|error| not_made(folder, &error))?;
        check_owner(folder, &metadata, Code::VaultUnwritable, "chmod 700")?;
        Ok(folder.to_owned())
    }
}

/// Makes a folder of mode 0700, and those above it.
pub(super) fn private_folder(folder: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| not_made(folder, &error))
}

fn not_made(folder: &Path, error: &std::io::Error) -> Error {
    let hint = "Name a place where you may write, with --vault.";
    Error::new(Code::VaultUnwritable, format!("The folder {} cannot be made: {error}.", folder.display()), hint)
}

/// That a file or folder is this user's, and closed to everybody else. `remedy` is the command that closes it.
#[cfg(unix)]
pub(super) fn check_owner(path: &Path, metadata: &Metadata, code: Code, remedy: &str) -> Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    let user = rustix::process::geteuid().as_raw();
    let name = path.display();
    if metadata.uid() != user {
        return Err(Error::new(
            code,
            format!("{name} belongs to the user {}, and this process runs as {user}.", metadata.uid()),
            "Start it as that user, or use a vault of your own.",
        ));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(Error::new(code, format!("{name} is open to other users."), format!("Run: {remedy} '{name}'")));
    }
    Ok(())
}

/// Windows keeps a user's folders to that user.
#[cfg(not(unix))]
pub(super) fn check_owner(_: &Path, _: &Metadata, _: Code, _: &str) -> Result<()> {
    Ok(())
}

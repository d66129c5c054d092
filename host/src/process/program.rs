//! Which file a command's name means, as a shell finds it, and whether others could put something else there.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::start::CannotStart;

/// A program that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// As it was typed; it becomes the program's own name for itself, unless the operator's file has one.
    pub typed: OsString,
    /// Where it was found.
    pub path: PathBuf,
    /// The file itself, with every link followed.
    pub canonical: PathBuf,
}

/// Finds a program as a shell does: by its path where the name has a slash, else in `PATH`.
///
/// # Errors
/// That there is none (a shell's 127), or that it is no program (126).
pub fn find(typed: &OsStr) -> Result<Program, CannotStart> {
    let has_folder = Path::new(typed).components().count() > 1 || Path::new(typed).is_absolute();
    let candidates: Vec<PathBuf> = if has_folder {
        vec![PathBuf::from(typed)]
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|folder| folder.join(typed)).flat_map(with_extensions).collect()
    };
    let there: Vec<PathBuf> = candidates.into_iter().filter(|path| path.exists()).collect();
    let Some(path) = there.iter().find(|path| is_program(path)).cloned() else {
        return Err(if there.is_empty() { CannotStart::not_found(typed) } else { CannotStart::no_program(typed) });
    };
    let canonical = path.canonicalize().map_err(|_| CannotStart::no_program(typed))?;
    Ok(Program { typed: typed.to_owned(), path, canonical })
}

#[cfg(unix)]
fn with_extensions(path: PathBuf) -> Vec<PathBuf> {
    vec![path]
}

#[cfg(not(unix))]
fn with_extensions(path: PathBuf) -> Vec<PathBuf> {
    let with = |extension: &str| path.with_extension(extension);
    vec![with("exe"), with("com"), with("cmd"), with("bat"), path]
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

/// The file, link or folder on the way to it that others than this user and root can change. A folder like `/tmp`, where
/// everybody can write but only remove what is their own, does not count.
#[cfg(unix)]
#[must_use]
pub fn loose(path: &Path) -> Option<PathBuf> {
    let me = rustix::process::geteuid().as_raw();
    let is_loose = |part: &&Path| {
        // of a link: whose it is, and what it leads to
        let (Ok(itself), Ok(there)) = (part.symlink_metadata(), part.metadata()) else { return true };
        [itself, there].iter().any(|found| is_loose(found, me))
    };
    path.ancestors().find(is_loose).map(Path::to_owned)
}

#[cfg(unix)]
fn is_loose(found: &std::fs::Metadata, me: u32) -> bool {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let mode = found.permissions().mode();
    let others_write = mode & 0o022 != 0 && !found.is_symlink() && !(found.is_dir() && mode & 0o1000 != 0);
    others_write || (found.uid() != me && found.uid() != 0)
}

/// Nothing is known of modes here.
#[cfg(not(unix))]
#[must_use]
pub fn loose(_: &Path) -> Option<PathBuf> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_name_is_looked_up_and_a_path_is_not() {
        let found = find(OsStr::new("sh")).unwrap();
        assert!(found.path.is_absolute() && found.path.ends_with("sh"));
        assert!(found.canonical.is_file());
        assert_eq!(find(OsStr::new("no-such-program-61c0")).unwrap_err().exit, 127);
        assert_eq!(find(OsStr::new("/etc/passwd")).unwrap_err().exit, 126);
        assert_eq!(find(OsStr::new("/etc")).unwrap_err().exit, 126);
    }

    #[test]
    fn what_others_can_change_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let program = folder.join("p");
        std::fs::write(&program, "").unwrap();
        let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(&program, 0o755);
        assert_eq!(loose(&program), None);
        mode(&program, 0o775);
        assert_eq!(loose(&program), Some(program.clone()));
        mode(&program, 0o755);
        mode(&folder, 0o777);
        assert_eq!(loose(&program), Some(folder.clone()));
        mode(&folder, 0o700);
    }

    #[test]
    fn what_belongs_to_another_user_can_be_changed_by_that_user() {
        let folder = tempfile::tempdir().unwrap();
        let (program, link) = (folder.path().join("p"), folder.path().join("l"));
        std::fs::write(&program, "").unwrap();
        std::os::unix::fs::symlink(&program, &link).unwrap();
        let me = rustix::process::geteuid().as_raw();
        let owner = if me == 0 { 65_534 } else { me };
        for path in [&program, &link, &folder.path().to_owned()] {
            // it is root's; anybody else cannot give it away, and need not
            if me == 0 {
                std::os::unix::fs::lchown(path, Some(owner), None).unwrap();
            }
            let found = path.symlink_metadata().unwrap();
            assert!(!is_loose(&found, owner) && is_loose(&found, owner + 1), "{}", path.display());
        }
        assert!(!is_loose(&Path::new("/").metadata().unwrap(), owner), "what is root's is nobody else's");
        assert_eq!(loose(&program).is_some(), me == 0);
    }
}

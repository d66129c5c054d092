//! Finding and reading the file.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::Config;
use super::folders::folders;
use super::parse::{expand, parse};
use crate::error::{Code, Error, Result};

/// The environment variable that names the file.
pub const ENV_FILE: &str = "MCP_CREDENTIALS_BROKER_CONFIG";

/// The file in the platform's configuration folder.
const FILE_NAME: &str = "broker.toml";

/// More is no configuration.
const MAX_BYTES: u64 = 1024 * 1024;

/// Reads the operator's file: `file`, else what [`ENV_FILE`] names, else `broker.toml` in the platform's configuration
/// folder if there is one, else nothing but defaults.
///
/// # Errors
/// `invalid_configuration` with the line and a suggestion.
pub fn load(file: Option<&Path>) -> Result<Config> {
    let home = std::env::home_dir();
    let default = default_file();
    match choose(file, std::env::var_os(ENV_FILE), default, home.as_deref()) {
        Some(Choice { file, named }) => read(&file, named, home.as_deref()),
        None => Ok(Config::default()),
    }
}

/// The file that [`load`] reads, if there is one.
#[must_use]
pub fn file(file: Option<&Path>) -> Option<PathBuf> {
    place(file).filter(|file| file.exists())
}

/// Where that file is, or would be.
#[must_use]
pub fn place(file: Option<&Path>) -> Option<PathBuf> {
    let home = std::env::home_dir();
    choose(file, std::env::var_os(ENV_FILE), default_file(), home.as_deref()).map(|choice| choice.file)
}

/// Whether other users may read a file. Where that cannot be told, no.
#[must_use]
pub fn others_can_read(file: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o044 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        false
    }
}

/// The file that is read where none is named.
#[must_use]
pub fn default_file() -> Option<PathBuf> {
    folders().map(|folders| folders.config_dir().join(FILE_NAME))
}

/// Which file, and whether somebody named it: then it must be there.
#[derive(Debug, PartialEq, Eq)]
struct Choice {
    file: PathBuf,
    named: bool,
}

fn choose(file: Option<&Path>, variable: Option<OsString>, default: Option<PathBuf>, home: Option<&Path>) -> Option<Choice> {
    let variable = variable.filter(|value| !value.is_empty()).map(PathBuf::from);
    let named = file.map(Path::to_owned).or(variable).map(|file| Choice { file: expand(&file, home), named: true });
    named.or_else(|| default.map(|file| Choice { file, named: false }))
}

fn read(file: &Path, named: bool, home: Option<&Path>) -> Result<Config> {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let name = file.display();
    let wrong = |what: String, hint: String| Error::new(Code::InvalidConfiguration, what, hint);
    let unreadable =
        |error: std::io::Error| wrong(format!("{name} cannot be read: {error}."), "Make it readable for you.".to_owned());
    // Before opening: to open a pipe would wait for its other end.
    let metadata = match std::fs::metadata(&file) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound && !named => return Ok(Config::default()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let hint = format!("Create it, or correct --config or ${ENV_FILE}, which names it.");
            return Err(wrong(format!("The configuration file {name} does not exist."), hint));
        }
        Err(error) => return Err(unreadable(error)),
    };
    if !metadata.is_file() {
        return Err(wrong(format!("{name} is no ordinary file."), format!("Name a file such as {FILE_NAME}.")));
    }
    let opened = File::open(&file).map_err(unreadable)?;
    if others_can_write(&opened.metadata().map_err(unreadable)?) {
        return Err(wrong(
            format!("{name} can be written by other users, who could send your credentials elsewhere."),
            format!("Run: chmod go-w '{name}'"),
        ));
    }
    let mut text = Zeroizing::new(String::new());
    match opened.take(MAX_BYTES + 1).read_to_string(&mut text) {
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            return Err(wrong(format!("{name} is not UTF-8 text."), "Save it as UTF-8.".to_owned()));
        }
        other => other.map_err(unreadable)?,
    };
    if text.len() as u64 > MAX_BYTES {
        return Err(wrong(format!("{name} is larger than {MAX_BYTES} bytes."), format!("Name a file such as {FILE_NAME}.")));
    }
    let folder = file.parent().unwrap_or(Path::new("/"));
    parse(&file, &text, folder, home)
}

#[cfg(unix)]
fn others_can_write(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o022 != 0
}

/// Windows keeps the configuration folder to its user.
#[cfg(not(unix))]
fn others_can_write(_: &Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Option<PathBuf> {
        Some(PathBuf::from(name))
    }

    fn chosen(name: &str, named: bool) -> Option<Choice> {
        Some(Choice { file: name.into(), named })
    }

    #[test]
    fn the_argument_comes_before_the_variable_and_that_before_the_default() {
        let home = Some(Path::new("/home/u"));
        let variable = || Some(OsString::from("~/v.toml"));
        assert_eq!(choose(Some(Path::new("a.toml")), variable(), file("/d"), home), chosen("a.toml", true));
        assert_eq!(choose(None, variable(), file("/d"), home), chosen("/home/u/v.toml", true));
        assert_eq!(choose(None, Some("".into()), file("/d"), home), chosen("/d", false));
        assert_eq!(choose(None, None, None, home), None);
    }

    #[test]
    fn a_missing_file_is_an_error_only_where_somebody_named_it() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("broker.toml");
        assert_eq!(read(&missing, false, None), Ok(Config::default()));
        let error = read(&missing, true, None).unwrap_err();
        assert_eq!(error.code(), Code::InvalidConfiguration);
        assert!(error.to_string().contains("does not exist") && error.hint().contains(ENV_FILE), "{error}");
    }

    #[test]
    fn what_is_no_file_no_text_or_too_large_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path(), true, None).unwrap_err().message().contains("no ordinary file"));
        let file = folder.path().join("broker.toml");
        std::fs::write(&file, b"browser = \"\xff\"").unwrap();
        assert!(read(&file, true, None).unwrap_err().message().contains("not UTF-8"));
        std::fs::write(&file, "#".repeat(1024 * 1024 + 1)).unwrap();
        assert!(read(&file, true, None).unwrap_err().message().contains("larger than"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_write_is_refused_with_the_command_that_helps() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("broker.toml");
        std::fs::write(&file, "browser = \"none\"").unwrap();
        for (mode, accepted) in [(0o600, true), (0o644, true), (0o664, false), (0o606, false)] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            let result = read(&file, true, None);
            assert_eq!(result.is_ok(), accepted, "{mode:o}");
            if let Err(error) = result {
                assert_eq!(error.hint(), format!("Run: chmod go-w '{}'", file.display()));
            }
        }
    }

    #[test]
    fn paths_in_the_file_are_relative_to_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("broker.toml");
        std::fs::write(&file, "plugins = [\"own\", \"~/x\", \"/abs\"]").unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let config = read(&file, true, Some(Path::new("/home/u"))).unwrap();
        assert_eq!(config.plugins, [folder.path().join("own"), "/home/u/x".into(), "/abs".into()]);
    }
}

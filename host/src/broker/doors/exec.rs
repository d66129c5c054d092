//! Whether a program may be started with a secret, where the operator has to say so.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::config::Doors;
use crate::config::doors::{Place, Program};
use crate::error::{Code, Error, Result};
use crate::secret::SecretName;

/// The operator's lines, and a way to follow the links of a path.
pub struct Rules<'a> {
    /// The lines.
    pub doors: &'a Doors,
    /// The file that a path leads to.
    pub file_of: &'a dyn Fn(&Path) -> Option<PathBuf>,
}

/// A program that is to be started.
#[derive(Debug, Clone, Copy)]
pub struct Started<'a> {
    /// Its file, with every link followed.
    pub file: &'a Path,
    /// Its arguments.
    pub arguments: &'a [OsString],
    /// The file or folder on the way to it that others can change.
    pub loose: Option<&'a Path>,
}

/// Whether the program may have all of these secrets, none of which may go anywhere without a line.
///
/// # Errors
/// `not_allowed`, with the line that would allow it.
pub fn may_be_handed(rules: &Rules<'_>, started: &Started<'_>, hidden: &[&SecretName]) -> Result<()> {
    let Some(first) = hidden.first() else { return Ok(()) };
    let fitting: Vec<_> = rules.doors.exec.values().filter(|exec| rules.fits(&exec.program, started)).collect();
    let missing = hidden.iter().find(|name| !fitting.iter().any(|exec| exec.secrets.contains(name)));
    if let Some(name) = missing {
        let file = started.file.display();
        let short = started.file.file_name().unwrap_or_default().to_string_lossy();
        return Err(Error::new(
            Code::NotAllowed,
            format!("The operator's file does not allow {file} to be started with \"{name}\"."),
            format!("Add to broker.toml: [exec.\"{short}\"], below it program = \"{file}\" and secrets = [\"{name}\"]."),
        ));
    }
    tight(started, first)
}

/// The places of `[wrap."NAME"]` for this program.
///
/// # Errors
/// `not_allowed` where that table is for another program, or has secrets for which it must name one.
pub fn places(
    rules: &Rules<'_>,
    name: &str,
    started: &Started<'_>,
    is_hidden: impl Fn(&SecretName) -> bool,
) -> Result<Vec<Place>> {
    let Some(wrap) = rules.doors.wrap.get(name) else { return Ok(Vec::new()) };
    let file = started.file.display();
    match &wrap.program {
        Some(program) if !rules.fits(program, started) => {
            return Err(Error::new(
                Code::NotAllowed,
                format!("[wrap.\"{name}\"] of the operator's file is for {}, not for {file}.", command(program)),
                "Start that program, or give another --name.",
            ));
        }
        Some(_) => {
            if let Some(place) = wrap.allow.iter().find(|place| is_hidden(&place.secret)) {
                tight(started, &place.secret)?;
            }
        }
        None => {
            if let Some(place) = wrap.allow.iter().find(|place| is_hidden(&place.secret)) {
                return Err(Error::new(
                    Code::NotAllowed,
                    format!("[wrap.\"{name}\"] allows \"{}\", but does not say for which program.", place.secret),
                    format!("Add to [wrap.\"{name}\"] in broker.toml: program = \"{file}\"."),
                ));
            }
        }
    }
    Ok(wrap.allow.clone())
}

impl Rules<'_> {
    fn fits(&self, program: &Program, started: &Started<'_>) -> bool {
        let same = (self.file_of)(&program.path).is_some_and(|file| file == started.file);
        let begins = started.arguments.iter().map(Some).chain(std::iter::repeat(None));
        same && program.arguments.iter().zip(begins).all(|(wanted, there)| there.is_some_and(|there| there == wanted.as_str()))
    }
}

fn command(program: &Program) -> String {
    let words = std::iter::once(program.path.display().to_string()).chain(program.arguments.iter().cloned());
    words.collect::<Vec<_>>().join(" ")
}

/// A program that others can change is not the one that the operator meant.
fn tight(started: &Started<'_>, name: &SecretName) -> Result<()> {
    let Some(loose) = started.loose else { return Ok(()) };
    let loose = loose.display();
    Err(Error::new(
        Code::NotAllowed,
        format!("{loose} can be changed by other users, so {} is not started with \"{name}\".", started.file.display()),
        format!("Run: chmod go-w '{loose}'"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::doors::{Exec, Wrap};

    fn name(text: &str) -> SecretName {
        SecretName::parse(text).unwrap()
    }

    fn doors() -> Doors {
        let program = |path: &str, arguments: &[&str]| Program {
            path: path.into(),
            arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
        };
        let exec = |program, secrets: &[&str]| Exec { program, secrets: secrets.iter().map(|text| name(text)).collect() };
        let place = Place { tool: "*".to_owned(), argument: vec!["t".to_owned()], secret: name("gh"), prefix: String::new() };
        Doors {
            exec: [
                ("gh".to_owned(), exec(program("/usr/bin/gh", &[]), &["gh"])),
                ("server".to_owned(), exec(program("/usr/bin/node", &["/opt/s.js"]), &["gh", "x"])),
                ("gone".to_owned(), exec(program("/none/gone", &[]), &["gh"])),
            ]
            .into(),
            wrap: [
                ("free".to_owned(), Wrap { program: None, allow: vec![place.clone()] }),
                ("bound".to_owned(), Wrap { program: Some(program("/usr/bin/node", &["/opt/s.js"])), allow: vec![place] }),
            ]
            .into(),
            ..Doors::default()
        }
    }

    /// `/usr/bin/gh` is a link to `/opt/gh`.
    fn file_of(path: &Path) -> Option<PathBuf> {
        match path.to_str()? {
            "/usr/bin/gh" => Some("/opt/gh".into()),
            other if other.starts_with("/none") => None,
            other => Some(other.into()),
        }
    }

    fn handed(file: &str, arguments: &[&str], secrets: &[&str], loose: Option<&str>) -> Result<()> {
        let doors = doors();
        let rules = Rules { doors: &doors, file_of: &file_of };
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        let names: Vec<_> = secrets.iter().map(|text| name(text)).collect();
        let started = Started { file: Path::new(file), arguments: &arguments, loose: loose.map(Path::new) };
        may_be_handed(&rules, &started, &names.iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_program_is_the_file_that_the_operators_path_leads_to() {
        assert!(handed("/opt/gh", &["pr", "list"], &["gh"], None).is_ok());
        for file in ["/usr/bin/gh", "/tmp/gh", "/usr/bin/printenv"] {
            let error = handed(file, &[], &["gh"], None).unwrap_err();
            assert!(error.code() == Code::NotAllowed && error.hint().contains(file) && error.hint().contains("gh"), "{error}");
        }
        assert!(handed("/opt/gh", &[], &["gh", "x"], None).unwrap_err().message().contains("\"x\""));
    }

    #[test]
    fn a_program_that_runs_others_is_bound_to_its_first_arguments() {
        assert!(handed("/usr/bin/node", &["/opt/s.js", "--more"], &["gh", "x"], None).is_ok());
        for arguments in [&["/tmp/evil.js"][..], &[], &["-e", "/opt/s.js"]] {
            assert!(handed("/usr/bin/node", arguments, &["gh"], None).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn a_program_that_others_can_change_gets_nothing() {
        let error = handed("/opt/gh", &[], &["gh"], Some("/opt")).unwrap_err();
        assert_eq!(error.hint(), "Run: chmod go-w '/opt'");
        assert!(handed("/anything", &[], &[], Some("/opt")).is_ok(), "where nothing is hidden, nobody asks");
    }

    #[test]
    fn a_wrapped_server_is_the_one_that_its_table_names() {
        let doors = doors();
        let rules = Rules { doors: &doors, file_of: &file_of };
        let arguments = [OsString::from("/opt/s.js")];
        let node = Started { file: Path::new("/usr/bin/node"), arguments: &arguments, loose: None };
        let other = Started { file: Path::new("/usr/bin/cat"), ..node };
        assert_eq!(places(&rules, "bound", &node, |_| true).unwrap().len(), 1);
        assert!(places(&rules, "bound", &other, |_| false).is_err());
        assert!(places(&rules, "bound", &Started { loose: Some(Path::new("/usr")), ..node }, |_| true).is_err());
        assert_eq!(places(&rules, "free", &other, |_| false).unwrap().len(), 1);
        assert!(places(&rules, "free", &other, |_| true).unwrap_err().hint().contains("program = \"/usr/bin/cat\""));
        assert!(places(&rules, "none", &other, |_| true).unwrap().is_empty());
    }
}

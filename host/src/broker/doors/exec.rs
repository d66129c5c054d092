//! Whether a program may be started with a secret, where the operator has to say so.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::config::Doors;
use crate::config::doors::{Exec, Place, Program};
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
#[derive(Clone, Copy)]
pub struct Started<'a> {
    /// Where it was found: absolute.
    pub path: &'a Path,
    /// Its file, with every link followed.
    pub file: &'a Path,
    /// Its arguments.
    pub arguments: &'a [OsString],
    /// The file or folder on the way to a file that others can change.
    pub loose: &'a dyn Fn(&Path) -> Option<PathBuf>,
}

/// A secret that a program is to have, and may have by the operator's line alone.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Which.
    pub secret: &'a SecretName,
    /// The file in which it is to be kept, absolute; none: the program alone gets it.
    pub kept: Option<&'a Path>,
}

/// The path by which the operator's file lets the program have all of these secrets: that is what it has to be called.
///
/// # Errors
/// `not_allowed`, with the line that would allow it.
pub fn may_be_handed(rules: &Rules<'_>, started: &Started<'_>, wanted: &[Wanted<'_>]) -> Result<Option<PathBuf>> {
    let Some(first) = wanted.first() else { return Ok(None) };
    let mut fitting: Vec<_> = rules.doors.exec.values().filter(|exec| rules.fits(&exec.program, started)).collect();
    // The one that was typed, where several lead to the file.
    fitting.sort_by_key(|exec| exec.program.path != started.path);
    let by = |path: &Path| fitting.iter().copied().filter(move |exec| exec.program.path == path).collect::<Vec<_>>();
    let missing = |lines: &[&Exec]| wanted.iter().find(|wanted| !lines.iter().any(|exec| wanted.is_in(exec))).copied();
    let Some(lines) = fitting.iter().map(|exec| by(&exec.program.path)).find(|lines| missing(lines).is_none()) else {
        let lines = fitting.first().map(|exec| by(&exec.program.path)).unwrap_or_default();
        return Err(rules.not_listed(started, missing(&lines).as_ref().unwrap_or(first), &lines));
    };
    for exec in &lines {
        rules.tight(started, &exec.program, first.secret)?;
    }
    Ok(lines.first().map(|exec| exec.program.path.clone()))
}

/// The places of `[wrap."NAME"]` for this program; and, where one of them is for a secret that must not go anywhere
/// else, the path by which the table names the program.
///
/// # Errors
/// `not_allowed` where that table is for another program, or has secrets for which it must name one.
pub fn places(
    rules: &Rules<'_>,
    name: &str,
    started: &Started<'_>,
    is_hidden: impl Fn(&SecretName) -> bool,
) -> Result<(Vec<Place>, Option<PathBuf>)> {
    let Some(wrap) = rules.doors.wrap.get(name) else { return Ok((Vec::new(), None)) };
    let hidden = wrap.allow.iter().find(|place| is_hidden(&place.secret));
    match (&wrap.program, hidden) {
        (Some(program), _) if !rules.fits(program, started) => Err(Error::new(
            Code::NotAllowed,
            format!("[wrap.\"{name}\"] of the operator's file is for {}, not for {}.", command(program), started.path.display()),
            "Start that program by that name, or give another --name.",
        )),
        (Some(program), Some(place)) => {
            rules.tight(started, program, &place.secret)?;
            Ok((wrap.allow.clone(), Some(program.path.clone())))
        }
        (None, Some(place)) => Err(Error::new(
            Code::NotAllowed,
            format!("[wrap.\"{name}\"] allows \"{}\", but does not say for which program.", place.secret),
            format!("Add to [wrap.\"{name}\"] in broker.toml: program = \"{}\".", started.to_list().display()),
        )),
        (_, None) => Ok((wrap.allow.clone(), None)),
    }
}

impl Wanted<'_> {
    fn is_in(&self, exec: &Exec) -> bool {
        exec.secrets.contains(self.secret) && self.kept.is_none_or(|kept| exec.refresh_file.as_deref() == Some(kept))
    }
}

impl<'a> Started<'a> {
    /// The path to write into the operator's file: the file itself, unless that is called otherwise.
    fn to_list(self) -> &'a Path {
        if self.file.file_name() == self.path.file_name() { self.file } else { self.path }
    }
}

impl Rules<'_> {
    /// The same file by the same name, and a command line that begins as it must. A name is what a link gives: under
    /// another one a file such as `busybox` is another program.
    fn fits(&self, program: &Program, started: &Started<'_>) -> bool {
        let begins = started.arguments.iter().map(Some).chain(std::iter::repeat(None));
        self.is_file_of(program, started)
            && program.path.file_name() == started.path.file_name()
            && program.arguments.iter().zip(begins).all(|(wanted, there)| there.is_some_and(|there| there == wanted.as_str()))
    }

    fn is_file_of(&self, program: &Program, started: &Started<'_>) -> bool {
        (self.file_of)(&program.path).is_some_and(|file| file == started.file)
    }

    /// Why a secret is not handed over; `lines` are those for the program.
    fn not_listed(&self, started: &Started<'_>, wanted: &Wanted<'_>, lines: &[&Exec]) -> Error {
        let (path, name) = (started.path.display(), wanted.secret);
        let short = started.path.file_name().unwrap_or_default().to_string_lossy();
        if let Some(kept) = wanted.kept
            && lines.iter().any(|exec| exec.secrets.contains(name))
        {
            let kept = kept.display();
            return Error::new(
                Code::NotAllowed,
                format!("The operator's file does not allow \"{name}\" to be kept in {kept}, where other programs can read it."),
                format!("Add to broker.toml, below [exec.\"{short}\"]: refresh_file = \"{kept}\"."),
            );
        }
        let mut others = self.doors.exec.values().filter(|exec| wanted.is_in(exec) && self.is_file_of(&exec.program, started));
        if let Some(exec) = others.find(|exec| exec.program.path.file_name() != started.path.file_name()) {
            let listed = exec.program.path.display();
            return Error::new(
                Code::NotAllowed,
                format!("{path} is the file of {listed} under another name, by which it may be another program."),
                format!("Start it as {listed}."),
            );
        }
        let listed = started.to_list().display();
        let file = wanted.kept.map(|kept| format!(" and refresh_file = \"{}\"", kept.display())).unwrap_or_default();
        let (arguments, why) = if does_what_it_is_told(started.path) {
            let why = format!(" Whoever may start {short} with other arguments can have the secret printed.");
            (", arguments = [\"/WHOLE/PATH/OF/ITS/SCRIPT\"]", why)
        } else {
            ("", String::new())
        };
        Error::new(
            Code::NotAllowed,
            format!("The operator's file does not allow {path} to be started with \"{name}\"."),
            format!(
                "Add to broker.toml: [exec.\"{short}\"], below it program = \"{listed}\"{arguments} and secrets = [\"{name}\"]{file}.{why}"
            ),
        )
    }

    /// What others can change is not what the operator meant: the program, and the files among its listed arguments.
    fn tight(&self, started: &Started<'_>, program: &Program, name: &SecretName) -> Result<()> {
        let mut files = vec![started.file.to_owned(), program.path.clone()];
        for argument in &program.arguments {
            let path = Path::new(argument);
            let Some(file) = (self.file_of)(path) else { continue };
            if !path.is_absolute() {
                return Err(Error::new(
                    Code::NotAllowed,
                    format!(
                        "\"{argument}\", an argument that the operator's file lists, is a file of whichever folder one is in."
                    ),
                    "Write its whole path into broker.toml. If no file is meant, start from another folder.",
                ));
            }
            files.extend([file, path.to_owned()]);
        }
        let Some(loose) = files.iter().find_map(|file| (started.loose)(file)) else { return Ok(()) };
        let loose = loose.display();
        Err(Error::new(
            Code::NotAllowed,
            format!("{loose} can be changed by other users, so {} is not started with \"{name}\".", started.path.display()),
            format!("See that it is yours or root's (ls -ld '{loose}'), then run: chmod go-w '{loose}'"),
        ))
    }
}

/// Whether a program is known to do whatever its arguments say: a shell, a language's interpreter. There are others.
#[must_use]
pub fn does_what_it_is_told(program: &Path) -> bool {
    const KNOWN: [&str; 22] = [
        "ash",
        "bash",
        "bun",
        "busybox",
        "csh",
        "dash",
        "deno",
        "env",
        "fish",
        "ksh",
        "lua",
        "node",
        "nodejs",
        "perl",
        "php",
        "powershell",
        "pwsh",
        "python",
        "ruby",
        "sh",
        "xargs",
        "zsh",
    ];
    let name = program.file_stem().unwrap_or_default().to_string_lossy();
    // `python3.11` has the stem `python3`.
    KNOWN.contains(&name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-')))
}

fn command(program: &Program) -> String {
    let words = std::iter::once(program.path.display().to_string()).chain(program.arguments.iter().cloned());
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::doors::{Step, Wrap};

    fn name(text: &str) -> SecretName {
        SecretName::parse(text).unwrap()
    }

    fn doors() -> Doors {
        let program = |path: &str, arguments: &[&str]| Program {
            path: path.into(),
            arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
        };
        let exec = |program, secrets: &[&str]| Exec {
            program,
            secrets: secrets.iter().map(|text| name(text)).collect(),
            refresh_file: None,
        };
        let place = Place {
            tool: "*".to_owned(),
            argument: vec![Step::Member("t".to_owned())],
            secret: name("gh"),
            prefix: String::new(),
        };
        Doors {
            exec: [
                ("gh".to_owned(), exec(program("/usr/bin/gh", &[]), &["gh"])),
                ("server".to_owned(), exec(program("/usr/bin/node", &["/opt/s.js"]), &["gh", "x"])),
                ("gone".to_owned(), exec(program("/none/gone", &[]), &["gh"])),
                ("here".to_owned(), exec(program("/usr/bin/sh", &["here.sh"]), &["gh"])),
                ("words".to_owned(), exec(program("/usr/bin/sh", &["-e", "none"]), &["gh"])),
                (
                    "kept".to_owned(),
                    Exec { refresh_file: Some("/run/t".into()), ..exec(program("/usr/bin/sleep", &[]), &["gh"]) },
                ),
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

    /// These are links to the file `/opt/multi`, in which there are many programs.
    fn file_of(path: &Path) -> Option<PathBuf> {
        match path.to_str()? {
            "/usr/bin/gh" | "/tmp/gh" | "/tmp/printenv" | "/tmp/multi" => Some("/opt/multi".into()),
            "-e" | "none" => None,
            other if other.starts_with("/none") => None,
            other => Some(other.into()),
        }
    }

    fn handed_in(
        path: &str,
        arguments: &[&str],
        secrets: &[(&str, Option<&str>)],
        loose: Option<&str>,
    ) -> Result<Option<PathBuf>> {
        let doors = doors();
        let rules = Rules { doors: &doors, file_of: &file_of };
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        let names: Vec<_> = secrets.iter().map(|(text, _)| name(text)).collect();
        let wanted = names.iter().zip(secrets).map(|(secret, (_, kept))| Wanted { secret, kept: kept.map(Path::new) });
        let loose_of = |path: &Path| loose.map(PathBuf::from).filter(|loose| path.starts_with(loose));
        let file = file_of(Path::new(path)).unwrap();
        let started = Started { path: Path::new(path), file: &file, arguments: &arguments, loose: &loose_of };
        may_be_handed(&rules, &started, &wanted.collect::<Vec<_>>())
    }

    fn handed(path: &str, arguments: &[&str], secrets: &[&str], loose: Option<&str>) -> Result<Option<PathBuf>> {
        handed_in(path, arguments, &secrets.iter().map(|secret| (*secret, None)).collect::<Vec<_>>(), loose)
    }

    #[test]
    fn a_program_is_the_file_that_the_operators_path_leads_to() {
        assert_eq!(handed("/usr/bin/gh", &["pr", "list"], &["gh"], None), Ok(Some("/usr/bin/gh".into())));
        for path in ["/opt/gh", "/opt/other/gh", "/usr/bin/printenv"] {
            let error = handed(path, &[], &["gh"], None).unwrap_err();
            assert!(error.code() == Code::NotAllowed && error.hint().contains(path) && error.hint().contains("gh"), "{error}");
        }
        assert!(handed("/usr/bin/gh", &[], &["gh", "x"], None).unwrap_err().message().contains("\"x\""));
    }

    #[test]
    fn a_file_of_many_programs_is_only_the_one_that_the_operator_names() {
        assert_eq!(handed("/tmp/gh", &[], &["gh"], None), Ok(Some("/usr/bin/gh".into())), "by the operator's path");
        for path in ["/tmp/printenv", "/opt/multi"] {
            let error = handed(path, &[], &["gh"], None).unwrap_err();
            assert!(error.message().contains("another name") && error.hint().contains("Start it as /usr/bin/gh."), "{error}");
        }
        // what the operator is told to write is the file, unless its name would be another program's
        let to_list = |path: &str| handed(path, &[], &["x"], None).unwrap_err().hint().to_owned();
        assert!(to_list("/usr/bin/gh").contains("program = \"/usr/bin/gh\""));
        assert!(to_list("/tmp/multi").contains("program = \"/opt/multi\""));
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
        let error = handed("/usr/bin/gh", &[], &["gh"], Some("/opt")).unwrap_err();
        assert!(error.hint().contains("chmod go-w '/opt'"), "{error}");
        assert!(handed("/tmp/gh", &[], &["gh"], Some("/usr")).is_err(), "nor does one whose name they can change");
        assert!(handed("/anything", &[], &[], Some("/")).is_ok(), "where nothing is hidden, nobody asks");
    }

    #[test]
    fn a_script_that_others_can_change_or_put_there_gets_nothing() {
        assert!(handed("/usr/bin/node", &["/opt/s.js"], &["gh"], Some("/opt/s.js")).is_err());
        let error = handed("/usr/bin/sh", &["here.sh"], &["gh"], None).unwrap_err();
        assert!(error.hint().contains("whole path"), "{error}");
        assert!(handed("/usr/bin/sh", &["-e", "none"], &["gh"], None).is_ok(), "words that are no files");
    }

    #[test]
    fn a_file_that_others_can_read_needs_a_line_of_its_own() {
        let kept = |path: &str, file| handed_in(path, &[], &[("gh", Some(file))], None);
        assert!(kept("/usr/bin/sleep", "/run/t").is_ok() && handed("/usr/bin/sleep", &[], &["gh"], None).is_ok());
        let error = kept("/usr/bin/sleep", "/tmp/leak").unwrap_err();
        assert!(error.hint().contains("refresh_file = \"/tmp/leak\""), "{error}");
        assert!(kept("/usr/bin/gh", "/run/t").is_err(), "nor is it another program's");
    }

    #[test]
    fn a_wrapped_server_is_the_one_that_its_table_names() {
        let doors = doors();
        let rules = Rules { doors: &doors, file_of: &file_of };
        let arguments = [OsString::from("/opt/s.js")];
        let (tight, loose) = (|_: &Path| None, |_: &Path| Some(PathBuf::from("/usr")));
        let path = Path::new("/usr/bin/node");
        let node = Started { path, file: path, arguments: &arguments, loose: &tight };
        let other = Started { path: Path::new("/usr/bin/cat"), file: Path::new("/usr/bin/cat"), ..node };
        let (allowed, pinned) = places(&rules, "bound", &node, |_| true).unwrap();
        assert!(allowed.len() == 1 && pinned.as_deref() == Some(path));
        assert!(places(&rules, "bound", &other, |_| false).is_err());
        assert!(places(&rules, "bound", &Started { path: Path::new("/tmp/nodejs"), ..node }, |_| false).is_err());
        assert!(places(&rules, "bound", &Started { loose: &loose, ..node }, |_| true).is_err());
        assert_eq!(places(&rules, "bound", &Started { loose: &loose, ..node }, |_| false).unwrap().1, None);
        assert_eq!(places(&rules, "free", &other, |_| false).unwrap().0.len(), 1);
        assert!(places(&rules, "free", &other, |_| true).unwrap_err().hint().contains("program = \"/usr/bin/cat\""));
        assert!(places(&rules, "none", &other, |_| true).unwrap().0.is_empty());
    }
}

//! Puts a program, what it inherits and what it is handed together.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::environment::{runs_other_code, that_run_other_code};
use super::private_file::PrivateFile;
use super::program::Program;
use crate::error::{Code, Error};
use crate::secret::Secret;

/// A program that is about to be started.
#[derive(Debug)]
pub struct Plan {
    /// Which one.
    pub program: Program,
    /// The path by which the operator's file names it, where it has to. Then the very file is started that was judged, not
    /// whatever its name means by then; under that path, since some programs do what their name says; and without variables
    /// that make it run something else.
    pub pinned: Option<PathBuf>,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// What it is handed.
    pub handed: Vec<Handed>,
    /// Variables that it does not inherit.
    pub without: BTreeSet<String>,
}

/// A secret in a variable of the program.
#[derive(Debug, Clone)]
pub struct Handed {
    /// The variable.
    pub variable: String,
    /// The value.
    pub value: Secret,
    /// What the variable holds.
    pub how: How,
}

/// What a variable holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// The value.
    Value,
    /// The name of a private file with the value.
    File,
}

/// Why a program did not start, with the code that a shell would exit with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CannotStart {
    /// What to tell.
    pub error: Error,
    /// 127: there is no such program; 126: it cannot be started.
    pub exit: u8,
}

impl CannotStart {
    pub(super) fn not_found(typed: &OsStr) -> Self {
        let hint = "Correct the name, or give the whole path.";
        Self { error: Error::new(Code::InvalidArgument, format!("There is no command {typed:?}."), hint), exit: 127 }
    }

    pub(super) fn no_program(typed: &OsStr) -> Self {
        let hint = "Name a program, and make it executable.";
        Self {
            error: Error::new(Code::InvalidArgument, format!("{typed:?} is not a program that can be started."), hint),
            exit: 126,
        }
    }

    fn because(typed: &OsStr, error: &std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::NotFound {
            return Self::not_found(typed);
        }
        let hint = "See that the program can be started by hand.";
        Self { error: Error::new(Code::InvalidArgument, format!("{typed:?} cannot be started: {error}."), hint), exit: 126 }
    }
}

/// A command that is ready, with the files that it opens. They live as long as this.
pub struct Ready {
    pub(super) command: std::process::Command,
    pub(super) files: Vec<PrivateFile>,
    typed: OsString,
}

impl Ready {
    /// Whether somebody has to stay behind, to remove a file.
    #[must_use]
    pub fn needs_a_keeper(&self) -> bool {
        cfg!(not(unix)) || self.files.iter().any(PrivateFile::is_named)
    }

    /// Becomes the program: same process, same terminal, same parent. So terminal, signals and exit code need no help.
    /// Returns only where that did not work, with the reason.
    #[cfg(unix)]
    #[must_use]
    pub fn become_it(mut self) -> CannotStart {
        let error = std::os::unix::process::CommandExt::exec(&mut self.command);
        self.cannot_start(&error)
    }

    pub(super) fn cannot_start(&self, error: &std::io::Error) -> CannotStart {
        CannotStart::because(&self.typed, error)
    }
}

impl Plan {
    /// Makes the command and the files.
    ///
    /// # Errors
    /// A value that fits no variable, a file that cannot be made.
    pub fn ready(self) -> Result<Ready, CannotStart> {
        let Self { program, pinned, arguments, handed, without } = self;
        let typed = program.typed;
        let mut command = std::process::Command::new(if pinned.is_some() { &program.canonical } else { &program.path });
        #[cfg(unix)]
        std::os::unix::process::CommandExt::arg0(&mut command, pinned.as_deref().map_or(&*typed, std::path::Path::as_os_str));
        command.args(&arguments);
        for name in &without {
            command.env_remove(name);
        }
        if pinned.is_some() {
            for name in that_run_other_code() {
                command.env_remove(name);
            }
            if let Some(handed) = handed.iter().find(|handed| runs_other_code(OsStr::new(&handed.variable))) {
                return Err(not_set(&handed.variable));
            }
        }
        let mut files = Vec::new();
        for Handed { variable, value, how } in &handed {
            match how {
                How::Value => {
                    if value.expose().contains('\0') {
                        return Err(unfit(variable));
                    }
                    command.env(variable, value.expose());
                }
                How::File => {
                    let file = PrivateFile::new(value).map_err(|error| CannotStart::because(&typed, &error))?;
                    command.env(variable, file.path());
                    files.push(file);
                }
            }
        }
        Ok(Ready { command, files, typed })
    }
}

fn not_set(variable: &str) -> CannotStart {
    let error = Error::new(
        Code::NotAllowed,
        format!("{variable} can make a program run something else, so it is not set beside a secret that is not revealed."),
        "Give the secret to the program in another variable.",
    );
    CannotStart { error, exit: 126 }
}

fn unfit(variable: &str) -> CannotStart {
    let error = Error::new(
        Code::InvalidArgument,
        format!("The value for {variable} has a NUL in it, which no variable can hold."),
        "Hand it over in a file: --file.",
    );
    CannotStart { error, exit: 126 }
}

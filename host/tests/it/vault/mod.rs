//! The vault as people and agents meet it: the real command line, real brokers that share a file, and everything that can
//! be wrong with it.

mod archives;
mod durability;
mod fixtures;
#[cfg(target_os = "linux")]
mod keychain;
mod order;
mod passphrase;
#[cfg(unix)]
mod permissions;
mod settings;
mod sharing;

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::process::Command;

use crate::support::broker::Launch;

/// A user's home with nothing in it, and the commands of the broker there.
pub(super) struct Home {
    folder: TempDir,
    environment: Vec<(String, String)>,
}

/// What a command said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) err: String,
}

impl Home {
    pub(super) fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), environment: Vec::new() }
    }

    /// With a vault at the usual place, whose key is a file.
    pub(super) async fn with_vault() -> Self {
        let home = Self::new();
        let key = home.path("vault.key");
        home.run(&["vault", "init", "--key-file", key.to_str().unwrap()]).await.ok();
        home
    }

    pub(super) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The vault's file.
    pub(super) fn vault(&self) -> PathBuf {
        self.path("data/mcp-credentials-broker/vault.db")
    }

    pub(super) fn variables(&self) -> Vec<(String, String)> {
        let path = |name: &str| self.path(name).display().to_string();
        let mut all = vec![
            ("HOME".to_owned(), self.folder.path().display().to_string()),
            ("PATH".to_owned(), std::env::var("PATH").unwrap_or_default()),
            ("XDG_DATA_HOME".to_owned(), path("data")),
            ("XDG_CONFIG_HOME".to_owned(), path("config")),
            // no bus of the tester's
            ("XDG_RUNTIME_DIR".to_owned(), path("run")),
        ];
        all.extend(self.environment.iter().cloned());
        all
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-credentials-broker"));
        command.args(arguments).env_clear().envs(self.variables()).current_dir(self.folder.path()).kill_on_drop(true);
        command.stdin(std::process::Stdio::null());
        command
    }

    /// Runs a command of the broker to its end.
    pub(super) async fn run(&self, arguments: &[&str]) -> Said {
        said(self.command(arguments)).await
    }

    /// The same, with something on standard input, as a script gives it.
    pub(super) async fn piped(&self, arguments: &[&str], input: &str) -> Said {
        let file = self.path("input");
        std::fs::write(&file, input).unwrap();
        let mut command = self.command(arguments);
        command.stdin(std::fs::File::open(&file).unwrap());
        said(command).await
    }

    /// A broker to be started in this home.
    pub(super) fn launch(&self) -> Launch {
        self.variables()
            .into_iter()
            .filter(|(name, _)| name != "XDG_CONFIG_HOME")
            .fold(Launch::new(), |launch, (name, value)| launch.env(&name, &value))
    }
}

pub(super) async fn said(mut command: Command) -> Said {
    let ended = tokio::time::timeout(std::time::Duration::from_secs(120), command.output()).await;
    let output = ended.expect("the command ends").expect("the command starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

impl Said {
    /// It went well.
    #[track_caller]
    pub(super) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// It failed so, with a message and a hint that have these words.
    #[track_caller]
    pub(super) fn failed(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.err.starts_with("Error: ") && self.err.contains("\nHint: "), "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not said: {self:?}");
        }
        self
    }
}

/// The vault's file and what SQLite keeps beside it.
pub(super) fn bytes_of(vault: &Path) -> Vec<u8> {
    let mut all = std::fs::read(vault).unwrap();
    for ending in ["-wal", "-shm"] {
        let beside = PathBuf::from(format!("{}{ending}", vault.display()));
        all.extend(std::fs::read(beside).unwrap_or_default());
    }
    all
}

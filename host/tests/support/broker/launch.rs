//! What a broker is started with: a home of its own, an environment with nothing of the tester's in it, a `broker.toml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::process::Command;

use super::Broker;
use crate::support::lookalike::Lookalike;
use crate::support::place;

/// A broker to be started.
pub struct Launch {
    home: TempDir,
    port: u16,
    environment: BTreeMap<String, String>,
    configuration: Option<toml::Table>,
    arguments: Vec<String>,
}

impl Launch {
    /// With a callback port of its own and no browser.
    pub fn new() -> Self {
        let home = TempDir::new().expect("a folder");
        let port = place::free_port();
        let mut environment = BTreeMap::new();
        let path = |name: &str| home.path().join(name).display().to_string();
        environment.insert("HOME".to_owned(), home.path().display().to_string());
        environment.insert("PATH".to_owned(), std::env::var("PATH").unwrap_or_default());
        environment.insert("RUST_BACKTRACE".to_owned(), "full".to_owned());
        environment.insert("XDG_CONFIG_HOME".to_owned(), path("config"));
        environment.insert("XDG_DATA_HOME".to_owned(), path("data"));
        environment.insert("XDG_STATE_HOME".to_owned(), path("state"));
        // Shared by all tests and runs: compiling a provider takes a debug build seconds, finding it compiled nothing.
        environment.insert("XDG_CACHE_HOME".to_owned(), place::target("tmp/cache").display().to_string());
        let this = Self { home, port, environment, configuration: Some(toml::Table::new()), arguments: Vec::new() };
        this.toml(&format!("browser = \"none\"\n[callback]\nurl = \"http://localhost:{port}/oauth/callback\""))
    }

    /// Adds to `broker.toml`; tables are merged, other values replaced.
    pub fn toml(mut self, text: &str) -> Self {
        let more: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
        merge(self.configuration.as_mut().expect("a file"), more);
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Adds a command line argument.
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Finds these providers at a look-alike.
    pub fn at(self, lookalike: &Lookalike) -> Self {
        let text = lookalike.toml();
        self.toml(&text)
    }

    /// Without a `broker.toml` of its own.
    pub fn bare(mut self) -> Self {
        self.configuration = None;
        self
    }

    /// A provider's client registration, in the environment.
    pub fn client(self, prefix: &str, id: &str, secret: Option<&str>) -> Self {
        let this = self.env(&format!("{prefix}_CLIENT_ID"), id);
        match secret {
            Some(secret) => this.env(&format!("{prefix}_CLIENT_SECRET"), secret),
            None => this,
        }
    }

    /// The callback port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its home folder, `broker.toml` in it.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The program and what it is started with, for a client that starts it itself: the file is written.
    pub fn plan(&self) -> (PathBuf, Vec<String>, BTreeMap<String, String>) {
        let mut arguments = Vec::new();
        if let Some(configuration) = &self.configuration {
            let file = self.home.path().join("broker.toml");
            std::fs::write(&file, toml::to_string(configuration).expect("TOML")).expect("a file");
            // As doctor advises.
            #[cfg(unix)]
            std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("a file");
            arguments.extend(["--config".to_owned(), file.display().to_string()]);
        }
        arguments.extend(self.arguments.iter().cloned());
        (PathBuf::from(env!("CARGO_BIN_EXE_mcp-credentials-broker")), arguments, self.environment.clone())
    }

    /// The same as a command.
    pub fn command(&self) -> Command {
        let (program, arguments, environment) = self.plan();
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(environment).current_dir(self.home.path());
        command
    }

    /// Starts it; nothing has been said yet.
    pub fn start(self) -> Broker {
        let command = self.command();
        Broker::spawn(command, self.home, self.port)
    }

    /// Starts it and initializes the session.
    pub async fn ready(self) -> Broker {
        let mut broker = self.start();
        broker.initialize("2025-11-25").await;
        broker
    }
}

fn merge(into: &mut toml::Table, more: toml::Table) {
    for (key, value) in more {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new),
            (Some(toml::Value::Array(old)), toml::Value::Array(new)) => old.extend(new),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

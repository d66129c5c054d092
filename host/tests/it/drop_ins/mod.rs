//! Components that somebody put into a folder the operator named, over the real binary.

mod approval;
mod cache;
mod folder;
mod limits;
mod lock;
mod login;
mod names;
mod rejected;
mod see;
mod swap;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::broker::{Broker, Launch};
use crate::support::guest::Guest;

/// A folder of plugins in the home of a broker to be.
struct Folder(PathBuf);

impl Folder {
    fn of(launch: &Launch) -> Self {
        let path = launch.home().join("plugins");
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// Writes a file that nobody else may write to.
    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let file = self.0.join(name);
        // never half written where a broker looks
        let elsewhere = self.0.join("part");
        std::fs::write(&elsewhere, bytes).unwrap();
        mode(&elsewhere, 0o644);
        std::fs::rename(&elsewhere, &file).unwrap();
        file
    }

    fn put_guest(&self, guest: &Guest, name: &str) -> PathBuf {
        self.put(name, &guest.bytes())
    }
}

fn mode(file: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn with_plugins(launch: Launch, folder: &Folder) -> Launch {
    launch.argument("--plugins").argument(&folder.0.display().to_string())
}

async fn listed(broker: &mut Broker) -> Value {
    broker.call("list_providers", json!({})).await.ok()
}

fn names(listed: &Value) -> Vec<&str> {
    listed["providers"].as_array().unwrap().iter().map(|provider| provider["name"].as_str().unwrap()).collect()
}

/// What the listing tells of components that cannot be used, errors and hints.
fn told(listed: &Value) -> String {
    let rejected = listed["rejected"].as_array().map_or(&[][..], Vec::as_slice);
    rejected.iter().map(|one| format!("{} {}\n", one["error"].as_str().unwrap(), one["hint"].as_str().unwrap())).collect()
}

fn with_change(name: &str, change: impl FnOnce(&mut Value)) -> Guest {
    let mut descriptor = crate::support::guest::descriptor(name);
    change(&mut descriptor);
    Guest::new(name).describing(&descriptor)
}

fn digest(bytes: &[u8]) -> String {
    credentials_broker::providers::file::digest(bytes)
}

/// The operator's terminal, beside a broker that may be running: the same home, file and environment.
struct Terminal {
    program: PathBuf,
    arguments: Vec<String>,
    environment: std::collections::BTreeMap<String, String>,
    home: PathBuf,
}

/// What a command printed, and how it ended.
#[derive(Debug)]
struct Printed {
    code: i32,
    out: String,
    err: String,
}

impl Terminal {
    fn of(launch: &Launch) -> Self {
        let (program, arguments, environment) = launch.plan();
        Self { program, arguments, environment, home: launch.home().to_owned() }
    }

    async fn run(&self, arguments: &[&str]) -> Printed {
        let mut command = tokio::process::Command::new(&self.program);
        command.args(&self.arguments).args(arguments).env_clear().envs(&self.environment).current_dir(&self.home);
        let done = command.stdin(std::process::Stdio::null()).output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Printed { code: done.status.code().unwrap(), out: text(done.stdout), err: text(done.stderr) }
    }

    /// Runs a `providers` command that must succeed.
    async fn providers(&self, arguments: &[&str]) -> String {
        let done = self.run(&[&["providers"], arguments].concat()).await;
        assert_eq!(done.code, 0, "{done:?}");
        done.out
    }

    /// Runs one that must fail with that exit code; gives what it said.
    async fn refused(&self, code: i32, arguments: &[&str]) -> String {
        let done = self.run(&[&["providers"], arguments].concat()).await;
        assert_eq!(done.code, code, "{done:?}");
        assert!(done.err.contains("Error: "), "{done:?}");
        format!("{}{}", done.out, done.err)
    }

    fn data(&self) -> PathBuf {
        self.home.join("data/mcp-credentials-broker")
    }

    /// A file in the folder that nobody has to name.
    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let folder = self.data().join("plugins");
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder).put(name, bytes)
    }

    /// A file where nobody looks.
    fn download(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let folder = self.home.join("downloads");
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder).put(name, bytes)
    }
}

const EMBEDDED: [&str; 6] = ["github", "google", "azure", "okta", "oauth2", "aws"];

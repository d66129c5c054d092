//! Components that somebody put into a folder the operator named, over the real binary.

mod cache;
mod login;
mod rejected;

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

const EMBEDDED: [&str; 6] = ["github", "google", "azure", "okta", "oauth2", "aws"];

//! One vault that several real brokers share, with a real provider that rotates refresh tokens and kills the family of one
//! that is used again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use credentials_broker::config;
use credentials_broker::secret::SecretName;
use credentials_broker::vault::{self, Grant, Stored, Vault};
use serde_json::json;

use crate::login::at;
use crate::support::broker::{Broker, Launch};
use crate::support::idp::Idp;

/// The vault.
pub struct Shared {
    folder: tempfile::TempDir,
    vault: Arc<dyn Vault>,
}

impl Shared {
    /// A new one, opened by a key file, and also open in this process.
    pub async fn new() -> Self {
        let folder = tempfile::TempDir::new().unwrap();
        let (file, key) = (folder.path().join("vault/vault.db"), folder.path().join("key"));
        let home = Launch::new();
        let mut command = home.command();
        let made = command.args(["vault", "init", "--key-file"]).arg(&key).arg("--vault").arg(&file).output().await.unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let vault = vault::open(&config::Vault { path: Some(file), key_file: Some(key), key_command: None }).unwrap();
        Self { folder, vault }
    }

    /// The vault's file.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("vault/vault.db")
    }

    /// A broker that uses it.
    pub async fn broker(&self, idp: &Idp) -> Broker {
        at(idp, "public-client").argument("--vault").argument(&self.file().display().to_string()).ready().await
    }

    /// The login, as it is stored now.
    pub fn login(&self) -> Arc<Grant> {
        let record = self.vault.get(&name()).unwrap().unwrap();
        let Stored::Grant(grant) = record.stored else { panic!("no login") };
        grant
    }

    /// Lets the access token end.
    pub fn expire(&self) {
        let record = self.vault.get(&name()).unwrap().unwrap();
        let Stored::Grant(grant) = record.stored else { panic!("no login") };
        let ended = Grant { expires: Some(SystemTime::now() - Duration::from_secs(1)), ..(*grant).clone() };
        self.vault.replace(&name(), record.revision, Arc::new(ended)).unwrap().expect("nobody else writes");
    }

    /// Nobody can write into the vault until this is dropped.
    pub fn block_writes(&self) -> rusqlite::Connection {
        let connection = rusqlite::Connection::open(self.file()).unwrap();
        connection.busy_timeout(Duration::from_secs(60)).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        connection
    }

    /// Waits until a process has the right to renew the login.
    pub async fn turn_taken(&self) {
        let turns = self.folder.path().join("vault/vault.db-turns");
        until(|| std::fs::read_dir(&turns).is_ok_and(|mut files| files.next().is_some())).await;
    }
}

fn name() -> SecretName {
    SecretName::parse("test-login").unwrap()
}

/// Waits for it, for a minute and a half at most.
pub async fn until(mut done: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(90), "it does not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A reference to the login.
pub async fn reference(broker: &mut Broker) -> String {
    let answer = broker.call("get_secret", json!({ "name": "test-login", "purpose": "a test" })).await.ok();
    answer["reference"]["id"].as_str().unwrap().to_owned()
}

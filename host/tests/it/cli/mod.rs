//! The face to people: every command of the real binary.

mod demo;
mod doctor;
mod login;
mod secrets;
mod words;

use crate::support::broker::Launch;
use crate::support::command::run;

/// A launch with a vault of its own, which a key file opens.
pub async fn with_vault() -> Launch {
    let launch = Launch::new();
    let key = launch.home().join("vault-key").display().to_string();
    run(&launch, &["vault", "init", "--key-file", &key], b"").await.ok();
    launch
}

/// What differs from run to run, replaced.
pub fn steady(launch: &Launch, text: &str) -> String {
    let port = launch.port().to_string();
    text.replace(&launch.home().display().to_string(), "[home]").replace(&port, "[port]")
}

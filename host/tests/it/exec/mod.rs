//! `exec` and `token-command`: real programs with credentials.

mod doors;
mod fresh;
mod output;
mod terminal;

use std::process::Output;

use crate::support::broker::Launch;

/// The token in the vault.
const TOKEN: &str = "ghp_canary+q4/9 \"w\\ü=";
/// Another, with line breaks.
const KEY: &str = "-----BEGIN KEY-----\ncanary0canary1\n-----END KEY-----\n";

async fn launch() -> Launch {
    Launch::new().vaulted(&[("github-token", TOKEN), ("key", KEY)]).await
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A secret stays out of what the broker itself says and writes.
fn unseen(launch: &Launch, output: &Output) {
    crate::support::canary::assert_unseen("standard error", &output.stderr, [TOKEN, KEY]);
    for entry in std::fs::read_dir(launch.home().join("vault")).unwrap() {
        let path = entry.unwrap().path();
        crate::support::canary::assert_unseen(&path.display().to_string(), &std::fs::read(&path).unwrap(), [TOKEN, KEY]);
    }
}

//! `wrap`: real MCP servers behind the broker, and one that misbehaves.

mod doors;
mod faults;
mod real;
mod secrets;
mod transparent;

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::broker::{Broker, Launch};
use crate::support::place;

/// The token in the vault.
const TOKEN: &str = "ghp_canary+q4/9 \"w\\ü=";
/// Another, which no rule allows.
const OTHER: &str = "other-canary-77d1";

/// A wrapper with its vault, the server behind it, and what that server was sent.
struct Wrapped {
    broker: Broker,
    record: PathBuf,
    _folder: TempDir,
}

/// Rules for the server that does as it is told.
const RULES: &str = r#"
    [wrap."python3"]
    allow = [
        { tool = "*", argument = "/token", secret = "github-token" },
        { tool = "fetch", argument = "/headers/0/value", secret = "github-token", prefix = "Bearer " },
    ]
"#;

async fn launch() -> Launch {
    Launch::new().toml(RULES).vaulted(&[("github-token", TOKEN), ("other", OTHER)]).await
}

/// With these words before the server's command.
fn wrapped_with(launch: Launch, words: &[&str]) -> Wrapped {
    // not in the broker's home: the server has what it was given
    let folder = TempDir::new().unwrap();
    let record = folder.path().join("record");
    let launch = words.iter().fold(launch.argument("wrap"), |launch, word| launch.argument(word));
    let server = place::repository("host/tests/servers/downstream.py");
    let command = ["--", "python3", server.to_str().unwrap(), record.to_str().unwrap()];
    let launch = command.iter().fold(launch, |launch, word| launch.argument(word));
    Wrapped { broker: launch.start(), record, _folder: folder }
}

async fn wrapped() -> Wrapped {
    wrapped_with(launch().await, &[])
}

impl Wrapped {
    /// What the server was sent so far.
    fn sent(&self) -> Vec<u8> {
        std::fs::read(&self.record).unwrap_or_default()
    }

    /// Sends a line and waits until the server has it.
    async fn arrives(&mut self, line: &[u8]) {
        let before = self.sent().len();
        self.broker.send_raw(line).await;
        for _ in 0..6000 {
            if self.sent().len() >= before + line.len() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert!(self.sent()[before..] == *line, "the server was sent something else, or nothing");
    }

    /// Has the server write these bytes.
    async fn writes(&mut self, bytes: &[u8]) {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.broker.notify("x/raw", json!({ "hex": hex })).await;
    }

    /// Sends a request and returns its answer.
    async fn ask(&mut self, method: &str, params: Value) -> Value {
        self.broker.request(method, params).await
    }

    /// Calls a tool and returns the whole answer.
    async fn tool(&mut self, tool: &str, arguments: Value) -> Value {
        self.ask("tools/call", json!({ "name": tool, "arguments": arguments })).await
    }
}

/// The next line, which must come.
async fn line(broker: &mut Broker) -> String {
    let line = broker.line(std::time::Duration::from_secs(90)).await;
    line.unwrap_or_else(|| panic!("nothing comes: {}", broker.stderr()))
}

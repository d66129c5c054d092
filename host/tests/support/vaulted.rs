//! A vault that a test's processes share.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::broker::Launch;

impl Launch {
    /// With a vault on disk, which a key file opens, and these values in it.
    pub async fn vaulted(self, secrets: &[(&str, &str)]) -> Self {
        let file = |name: &str| self.home().join(name).display().to_string();
        let (vault, key) = (file("vault/vault.db"), file("vault.key"));
        let this = self.toml(&format!("[vault]\npath = \"{vault}\"\nkey_file = \"{key}\""));
        let made = this.command().args(["vault", "init", "--key-file", &key]).output().await.expect("it starts");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let calls = secrets.iter().map(|(name, value)| ("store_secret", json!({ "name": name, "value": value })));
        this.tools(calls).await;
        this
    }

    /// Starts a broker, calls these tools, and ends it: for what has to be in the vault before another process looks.
    pub async fn tools(&self, calls: impl IntoIterator<Item = (&str, Value)>) {
        let client =
            json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "lab", "version": "1" } });
        let mut lines = vec![
            json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": client }),
            json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        ];
        for (id, (tool, arguments)) in calls.into_iter().enumerate() {
            let params = json!({ "name": tool, "arguments": arguments });
            lines.push(json!({ "jsonrpc": "2.0", "id": id + 1, "method": "tools/call", "params": params }));
        }
        let mut command = self.command();
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("piped");
        for line in &lines {
            stdin.write_all(format!("{line}\n").as_bytes()).await.expect("it reads");
        }
        // Not closed yet: the end of input ends the broker, whatever it still has to do.
        let mut stdout = tokio::io::BufReader::new(child.stdout.take().expect("piped"));
        for _ in 1..lines.len() {
            let mut line = String::new();
            tokio::io::AsyncBufReadExt::read_line(&mut stdout, &mut line).await.expect("it answers");
            let answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(answer["result"].is_object() && answer["result"]["isError"] != true, "{answer}");
        }
        drop(stdin);
        child.wait().await.expect("it ends");
    }

    /// Runs a command of the broker to its end.
    pub async fn output(&self, words: &[&str]) -> std::process::Output {
        let mut command = self.command();
        let run = command.args(words).stdin(Stdio::null()).output();
        tokio::time::timeout(std::time::Duration::from_secs(90), run).await.expect("it ends").expect("it starts")
    }
}

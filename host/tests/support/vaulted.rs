//! A vault that a test's processes share.

use std::process::Stdio;

use super::broker::Launch;
use super::command::run;

impl Launch {
    /// With a vault on disk, which a key file opens, and these values in it.
    pub async fn vaulted(self, secrets: &[(&str, &str)]) -> Self {
        let file = |name: &str| self.home().join(name).display().to_string();
        let (vault, key) = (file("vault/vault.db"), file("vault.key"));
        let this = self.toml(&format!("[vault]\npath = \"{vault}\"\nkey_file = \"{key}\""));
        let made = this.command().args(["vault", "init", "--key-file", &key]).output().await.expect("it starts");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        for (name, value) in secrets {
            // by the person: what the operator's file lists is not an agent's to store
            run(&this, &["secrets", "set", name, "--exact"], value.as_bytes()).await.ok();
        }
        this
    }

    /// Runs a command of the broker to its end.
    pub async fn output(&self, words: &[&str]) -> std::process::Output {
        let mut command = self.command();
        let run = command.args(words).stdin(Stdio::null()).output();
        tokio::time::timeout(std::time::Duration::from_secs(90), run).await.expect("it ends").expect("it starts")
    }
}

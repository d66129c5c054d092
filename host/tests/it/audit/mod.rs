//! The audit trail beside a vault: whole after whatever ends its writers, and any change is found and named. T41: it
//! holds no secret.

mod ending;
mod killed;
mod locked;
mod tampered;
mod told;

use std::path::PathBuf;

use crate::support::broker::Launch;

/// The trail's file.
pub fn trail(launch: &Launch) -> PathBuf {
    launch.home().join("data/mcp-credentials-broker/vault.audit.jsonl")
}

/// A `broker.toml` that shares this launch's vault.
pub fn sharing(launch: &Launch) -> String {
    let path = |name: &str| launch.home().join(name).display().to_string();
    format!("[vault]\npath = '{}'\nkey_file = '{}'", path("data/mcp-credentials-broker/vault.db"), path("vault-key"))
}

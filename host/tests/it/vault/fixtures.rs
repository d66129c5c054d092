//! Vaults of earlier versions are opened for ever. Each lies in `host/tests/vaults/`, made by the version that wrote it.

use serde_json::json;

use super::Home;
use crate::support::place;

/// Puts a committed vault where a home has its own; its key file is `vault.key` beside it.
fn put(home: &Home, name: &str) -> String {
    let folder = place::repository("host/tests/vaults");
    let vault = home.path("old/vault.db");
    std::fs::create_dir_all(vault.parent().unwrap()).unwrap();
    let key = home.path("key");
    for (from, to) in [(format!("{name}.db"), &vault), (format!("{name}.key"), &key)] {
        std::fs::copy(folder.join(from), to).unwrap();
        closed(to, 0o600);
    }
    closed(vault.parent().unwrap(), 0o700);
    vault.display().to_string()
}

fn closed(_path: &std::path::Path, _mode: u32) {
    #[cfg(unix)]
    std::fs::set_permissions(_path, std::os::unix::fs::PermissionsExt::from_mode(_mode)).unwrap();
}

#[tokio::test]
async fn a_vault_of_version_1_keeps_its_secrets() {
    let home = Home::new();
    let vault = put(&home, "version-1");
    let key = home.path("key").display().to_string();
    let toml = format!("[vault]\npath = \"{vault}\"\nkey_file = \"{key}\"\n");
    let mut broker = home.launch().toml(&toml).ready().await;
    assert_eq!(broker.reveal("first").await, "the first value");
    assert_eq!(broker.reveal("second").await, "another value, \"quoted\" & more");
    let listed = broker.call("list_secrets", json!({})).await.ok();
    assert_eq!(listed["secrets"][0]["tags"], json!({ "team": "vault" }));
    broker.call("store_secret", json!({ "name": "third", "value": "new" })).await.ok();
    assert_eq!(broker.reveal("third").await, "new");
}

#[tokio::test]
async fn a_newer_vault_is_refused_and_not_touched() {
    let home = Home::new();
    let vault = put(&home, "version-1");
    rusqlite::Connection::open(&vault).unwrap().pragma_update(None, "user_version", 1000).unwrap();
    let before = std::fs::read(&vault).unwrap();
    let key = home.path("key").display().to_string();
    let toml = format!("[vault]\npath = \"{vault}\"\nkey_file = \"{key}\"\n");
    let mut broker = home.launch().toml(&toml).ready().await;
    broker.call("list_secrets", json!({})).await.refused("vault_newer").names(&["1000"]);
    broker.finish().await;
    home.run(&["vault", "status", "--vault", &vault]).await.failed(6, &["newer"]);
    assert_eq!(std::fs::read(&vault).unwrap(), before);
}

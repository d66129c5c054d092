//! One vault for all processes of a user, and nothing readable in its files.

use serde_json::json;

use super::{Home, bytes_of, said};
use crate::support::broker::{Broker, Launch};
use crate::support::canary;

const PRIVATE: [&str; 3] = ["canary-name-of-it", "canary value / with+signs", "canary-tag-text"];

async fn store(broker: &mut Broker, name: &str, value: &str) {
    broker.call("store_secret", json!({ "name": name, "value": value })).await.ok();
}

#[tokio::test]
async fn without_a_vault_everything_is_in_memory_and_nothing_on_the_disk() {
    let home = Home::new();
    let mut broker = home.launch().ready().await;
    store(&mut broker, "k", "v").await;
    assert!(!home.path("data").exists());
    let mut next = home.launch().ready().await;
    next.call("get_secret", json!({ "name": "k", "purpose": "a test" })).await.refused("unknown_secret");
}

#[tokio::test]
async fn eight_processes_share_one_vault_and_a_restart_finds_it_all() {
    let home = Home::with_vault().await;
    let mut brokers = Vec::new();
    for _ in 0..8 {
        brokers.push(home.launch().ready().await);
    }
    for (number, broker) in brokers.iter_mut().enumerate() {
        store(broker, &format!("of-{number}"), &format!("value of {number}")).await;
    }
    for (number, broker) in brokers.iter_mut().enumerate() {
        let other = (number + 3) % 8;
        assert_eq!(broker.reveal(&format!("of-{other}")).await, format!("value of {other}"));
    }
    // Overwritten in one process, a reference ends in another.
    let reference = brokers[1].call("get_secret", json!({ "name": "of-0", "purpose": "a test" })).await.ok();
    store(&mut brokers[0], "of-0", "another value").await;
    let resolved = brokers[1].call("resolve_secret", json!({ "reference_id": reference["reference"]["id"] })).await;
    resolved.refused("unknown_reference");
    assert_eq!(brokers[2].reveal("of-0").await, "another value");
    brokers[3].call("delete_secret", json!({ "name": "of-0" })).await.ok();
    brokers[4].call("get_secret", json!({ "name": "of-0", "purpose": "a test" })).await.refused("unknown_secret");
    drop(brokers);
    assert_eq!(home.launch().ready().await.reveal("of-7").await, "value of 7");
}

#[tokio::test]
async fn t41_no_name_value_or_tag_is_readable_in_the_vaults_files() {
    let home = Home::with_vault().await;
    let mut broker = home.launch().ready().await;
    let tags = json!({ "team": PRIVATE[2] });
    broker.call("store_secret", json!({ "name": PRIVATE[0], "value": PRIVATE[1], "tags": tags })).await.ok();
    canary::assert_unseen("the vault with its write-ahead log", &bytes_of(&home.vault()), PRIVATE);
    broker.call("store_secret", json!({ "name": PRIVATE[0], "value": "another value" })).await.ok();
    broker.finish().await;
    canary::assert_unseen("the vault after its last process", &bytes_of(&home.vault()), PRIVATE);
    let key = std::fs::read_to_string(home.path("vault.key")).unwrap();
    canary::assert_unseen("the vault", &bytes_of(&home.vault()), [key.as_str()]);
    // and the search would find them
    assert!(canary::find(format!("x{}", PRIVATE[1]).as_bytes(), PRIVATE[1]).is_some());
}

#[tokio::test]
async fn a_named_vault_that_is_not_there_is_an_error_that_says_what_to_type() {
    let home = Home::new();
    let named = home.path("elsewhere/vault.db").display().to_string();
    home.run(&["vault", "status", "--vault", &named]).await.failed(6, &["There is no vault", "vault init --vault", &named]);
    home.run(&["vault", "status"]).await.failed(6, &["There is no vault", "vault init"]);
    let ended = Launch::new().argument("--vault").argument(&named).start().ended().await;
    assert!(!ended.status.success() && ended.stderr.contains("There is no vault"), "{ended:?}");
}

#[tokio::test]
async fn nothing_of_the_vault_is_touched_before_a_tool_is_called() {
    let home = Home::with_vault().await;
    std::fs::write(
        home.vault(),
        "this is no database at all, and longer than a header has to be, which is 100 bytes; it goes on.....",
    )
    .unwrap();
    let mut broker = home.launch().ready().await;
    assert!(broker.request("tools/list", serde_json::Value::Null).await["result"]["tools"].is_array());
    broker.call("list_secrets", json!({})).await.refused("vault_damaged");
    broker.call("list_providers", json!({})).await.refused("vault_damaged");
}

#[tokio::test]
async fn of_many_who_make_a_vault_at_once_one_does_and_the_others_say_so() {
    let home = Home::new();
    let key = home.path("vault.key").display().to_string();
    let started: Vec<_> = (0..6).map(|_| tokio::spawn(said(home.command(&["vault", "init", "--key-file", &key])))).collect();
    let mut tries = Vec::new();
    for one in started {
        tries.push(one.await.unwrap());
    }
    assert_eq!(tries.iter().filter(|said| said.code == 0).count(), 1, "{tries:?}");
    for said in tries.into_iter().filter(|said| said.code != 0) {
        said.failed(3, &["There is a vault", "already"]);
    }
    home.run(&["vault", "status"]).await.ok();
    let left: Vec<_> =
        std::fs::read_dir(home.vault().parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name.to_str().unwrap().starts_with("vault.db")), "{left:?}");
}

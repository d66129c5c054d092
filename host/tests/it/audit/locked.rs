//! While the vault's key is not at hand, lines wait.

use serde_json::{Value, json};

use super::{sharing, trail};
use crate::cli::with_vault;
use crate::support::broker::Launch;
use crate::support::command::run;

#[tokio::test]
async fn what_was_refused_while_the_vault_was_locked_is_written_when_it_opens() {
    let launch = with_vault().await;
    let (key, away) = (launch.home().join("vault-key"), launch.home().join("away"));
    std::fs::rename(&key, &away).unwrap();
    let mut broker = Launch::new().toml(&sharing(&launch)).ready().await;
    for name in ["one", "two"] {
        let answer = broker.call("get_secret", json!({ "name": name, "purpose": "a test" })).await;
        assert!(answer.is_error, "{answer:?}");
    }
    assert!(!trail(&launch).exists(), "nothing is written that the key does not prove");
    std::fs::rename(&away, &key).unwrap();
    broker.call("get_secret", json!({ "name": "three", "purpose": "a test" })).await.refused("unknown_secret");
    broker.finish().await;

    let shown = run(&launch, &["audit", "show", "--json"], b"").await.ok();
    let codes: Vec<Value> = shown.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["code"].clone()).collect();
    assert_eq!(codes.len(), 3, "{shown}");
    assert!(codes[0] == codes[1] && codes[0] != json!("unknown_secret") && codes[2] == json!("unknown_secret"), "{shown}");
    let report = run(&launch, &["audit", "verify", "--json"], b"").await.json();
    assert_eq!((&report["lines"], &report["findings"]), (&json!(3), &json!([])));
}

#[tokio::test]
async fn a_broker_that_ends_while_the_vault_is_locked_says_what_is_on_standard_error_only() {
    let launch = with_vault().await;
    let (key, away) = (launch.home().join("vault-key"), launch.home().join("away"));
    std::fs::rename(&key, &away).unwrap();
    let mut broker = Launch::new().toml(&sharing(&launch)).ready().await;
    broker.call("get_secret", json!({ "name": "one", "purpose": "a test" })).await;
    let ended = broker.finish().await;
    assert!(ended.stderr.contains("\"event\":\"get_secret\""), "{}", ended.stderr);
    assert!(ended.stderr.contains("lines of the audit trail that are on standard error only: 1"), "{}", ended.stderr);
    std::fs::rename(&away, &key).unwrap();
    let told = run(&launch, &["audit", "verify"], b"").await;
    assert_eq!(told.code, 0, "{told:?}");
}

//! What one client calls is carried out and answered in the order in which it was sent, whatever the vault waits for.

use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::Home;
use crate::support::broker::Broker;

/// Stores a secret, asks for it and deletes it, so often, in one write: each needs the one before it.
fn lines(first_id: usize, rounds: usize) -> String {
    let call = |id: usize, tool: &str, arguments: Value| {
        let params = json!({ "name": tool, "arguments": arguments });
        format!("{}\n", json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params }))
    };
    let round = |id: usize| {
        [
            call(id, "store_secret", json!({ "name": "k", "value": "a value" })),
            call(id + 1, "get_secret", json!({ "name": "k", "purpose": "a test" })),
            call(id + 2, "delete_secret", json!({ "name": "k" })),
        ]
        .concat()
    };
    (0..rounds).map(|number| round(first_id + 3 * number)).collect()
}

async fn answers_in_order(broker: &mut Broker, first_id: usize, rounds: usize) {
    for id in first_id..first_id + 3 * rounds {
        let answer = broker.message().await;
        assert_eq!((&answer["id"], &answer["result"]["structuredContent"]["success"]), (&json!(id), &json!(true)), "{answer}");
    }
}

#[tokio::test]
async fn calls_that_come_before_the_vault_is_open_keep_their_order() {
    let home = Home::with_vault().await;
    for _ in 0..5 {
        let other = Connection::open(home.vault()).unwrap();
        let alone = "PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; UPDATE ledger SET counter = counter; COMMIT";
        other.execute_batch(alone).unwrap();
        let mut broker = home.launch().start();
        let hello =
            json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "lab", "version": "1" } });
        let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello });
        let begun = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let ping = json!({ "jsonrpc": "2.0", "id": "ping", "method": "ping" });
        // fewer than would be too many under way
        broker.send_raw(format!("{hello}\n{begun}\n{}{ping}\n", lines(1, 12)).as_bytes()).await;
        broker.message().await;
        assert_eq!(broker.message().await["id"], "ping", "the rest of the broker waits for nothing");
        drop(other);
        answers_in_order(&mut broker, 1, 12).await;
    }
}

#[tokio::test]
async fn calls_keep_their_order_while_another_process_writes_to_the_vault() {
    let home = Home::with_vault().await;
    for greetings in [1, 2] {
        let mut broker = home.launch().ready().await;
        if greetings == 2 {
            // from then on the SDK answers every call
            broker.initialize("2025-06-18").await;
        }
        for round in 0..10 {
            // its line is written a tenth of a second later, and waits for the other process
            broker.call("list_secrets", json!({})).await.ok();
            broker.call("get_secret", json!({ "name": "missing", "purpose": "a test" })).await.refused("unknown_secret");
            let other = Connection::open(home.vault()).unwrap();
            other.execute_batch("BEGIN IMMEDIATE").unwrap();
            tokio::time::sleep(Duration::from_millis(150)).await;
            let first = 1000 + 3 * round;
            broker.send_raw(lines(first, 1).as_bytes()).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            other.execute_batch("ROLLBACK").unwrap();
            answers_in_order(&mut broker, first, 1).await;
        }
    }
}

#[tokio::test]
async fn what_was_answered_does_not_wait_for_a_call_that_waits_for_the_vault() {
    let home = Home::with_vault().await;
    let mut broker = home.launch().ready().await;
    broker.call("get_broker_stats", json!({})).await.ok();
    let other = Connection::open(home.vault()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let stats = json!({ "name": "get_broker_stats", "arguments": {} });
    let stats = json!({ "jsonrpc": "2.0", "id": 999, "method": "tools/call", "params": stats });
    broker.send_raw(format!("{stats}\n{}", lines(1000, 1)).as_bytes()).await;
    assert_eq!(broker.message().await["id"], 999, "though nobody has let go of the vault yet");
    other.execute_batch("ROLLBACK").unwrap();
    answers_in_order(&mut broker, 1000, 1).await;
}

#[tokio::test]
async fn a_call_that_was_cancelled_before_the_vault_was_open_is_not_begun() {
    let home = Home::with_vault().await;
    let other = Connection::open(home.vault()).unwrap();
    let alone = "PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; UPDATE ledger SET counter = counter; COMMIT";
    other.execute_batch(alone).unwrap();
    let mut broker = home.launch().ready().await;
    // more than may be under way
    for _ in 0..60 {
        let id = broker.begin("store_secret", &json!({ "name": "k", "value": "a value" })).await;
        broker.notify("notifications/cancelled", json!({ "requestId": id })).await;
    }
    broker.request("ping", json!({})).await;
    drop(other);
    broker.call("get_secret", json!({ "name": "k", "purpose": "a test" })).await.refused("unknown_secret");
}

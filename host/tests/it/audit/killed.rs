//! Several processes append at once, and some are ended or killed while they do.

use std::time::Duration;

use serde_json::json;

use super::{sharing, trail};
use crate::cli::with_vault;
use crate::support::broker::Launch;
use crate::support::command::run;
use crate::support::process::signal;

#[tokio::test]
async fn several_brokers_append_to_one_chain() {
    let launch = with_vault().await;
    let toml = sharing(&launch);
    let mut tasks = tokio::task::JoinSet::new();
    for process in 0..4 {
        let launch = Launch::new().toml(&toml);
        tasks.spawn(async move {
            let mut broker = launch.ready().await;
            for call in 0..25 {
                let name = format!("p{process}-{call}");
                broker.call("get_secret", json!({ "name": name, "purpose": "a test" })).await.refused("unknown_secret");
            }
            broker.finish().await;
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let report = run(&launch, &["audit", "verify", "--json"], b"").await.json();
    assert_eq!((&report["lines"], &report["findings"]), (&json!(100), &json!([])));
    let text = std::fs::read_to_string(trail(&launch)).unwrap();
    for process in 0..4 {
        for call in 0..25 {
            assert!(text.contains(&format!("\"p{process}-{call}\"")), "p{process}-{call}");
        }
    }
}

#[tokio::test]
async fn a_broker_that_is_killed_leaves_a_trail_that_holds() {
    let launch = with_vault().await;
    let toml = sharing(&launch);
    for round in 0..12_u64 {
        let mut broker = Launch::new().toml(&toml).ready().await;
        for call in 0..200 {
            broker.begin("get_secret", &json!({ "name": format!("r{round}-{call}"), "purpose": "a test" })).await;
        }
        // at another moment each time
        tokio::time::sleep(Duration::from_millis(round * 13)).await;
        assert!(std::process::Command::new("kill").args(["-KILL", &broker.id().to_string()]).status().unwrap().success());
        drop(broker);
        let report = run(&launch, &["audit", "verify", "--json"], b"").await.json();
        assert_eq!(report["findings"], json!([]), "{report}");
    }
    run(&launch, &["secrets", "set", "after"], b"0123456789").await.ok();
    let report = run(&launch, &["audit", "verify", "--json"], b"").await.json();
    assert_eq!((&report["findings"], &report["unfinished"]), (&json!([]), &json!(false)), "{report}");
}

#[tokio::test]
async fn a_broker_that_is_told_to_end_writes_first_what_was_done() {
    let launch = with_vault().await;
    let mut broker = Launch::new().toml(&sharing(&launch)).ready().await;
    broker.call("get_secret", json!({ "name": "missing", "purpose": "a test" })).await.refused("unknown_secret");
    signal(broker.id(), "TERM");
    let ended = broker.ended().await;
    assert!(ended.status.code() == Some(143) && ended.stderr.contains("\"secret\":\"missing\""), "{ended:?}");
    let text = std::fs::read_to_string(trail(&launch)).unwrap();
    assert!(text.contains("\"secret\":\"missing\""), "{text}");
}

//! A broker that nobody asks for anything: clients start one with the editor and keep it all day.

use std::time::Duration;

use serde_json::json;

use crate::support::broker::Launch;

/// How often the process's threads have gone to sleep so far: once more for each time that one of them woke up.
fn sleeps(id: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{id}/task")).unwrap();
    tasks
        .map(|task| {
            let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            line.map_or(0, |count| count.trim().parse::<u64>().unwrap())
        })
        .sum()
}

/// Waits until no thread wakes up for two seconds together. A machine that is busy makes threads wait, and wakes none.
async fn falls_asleep(id: u32) {
    let mut before = sleeps(id);
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = sleeps(id);
        if now == before {
            return;
        }
        before = now;
    }
    panic!("something in it wakes up again and again");
}

#[tokio::test]
async fn no_thread_wakes_up_before_the_first_call_nor_after_the_last() {
    let mut broker = Launch::new().client("GITHUB", "id", Some("github-client-secret")).ready().await;
    falls_asleep(broker.id()).await;
    broker.call("store_secret", json!({ "name": "k", "value": "v" })).await.ok();
    broker.reveal("k").await;
    falls_asleep(broker.id()).await;
    // runs a component, listens for the browser, and leaves a login that waits for a person
    let pending = broker.begin_login("github", &["repo"], "github-token").await;
    falls_asleep(broker.id()).await;
    let waiting = broker.begin("await_oauth_flow", &json!({ "flow_id": pending["flow_id"] })).await;
    falls_asleep(broker.id()).await;
    broker.close_stdin();
    broker.tool_answer("await_oauth_flow", waiting).await.refused("cancelled");
}

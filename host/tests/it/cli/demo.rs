//! `demo`: what a newcomer sees first.

use serde_json::Value;

use crate::support::broker::Launch;
use crate::support::command::run;

#[tokio::test]
async fn the_demo_signs_in_spends_a_token_and_revokes_it_and_nobody_sees_the_token() {
    let launch = Launch::new();
    let done = run(&launch, &["demo", "--headless"], b"").await;
    assert!(done.stderr.is_empty(), "{done:?}");
    let shown = done.ok();
    let answers: Vec<Value> = shown
        .lines()
        .filter_map(|line| line.strip_prefix("  broker <- "))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let calls: Vec<&str> = shown.lines().filter_map(|line| line.strip_prefix("  agent  -> ")?.split(' ').next()).collect();
    let expected =
        ["list_secrets", "start_oauth_flow", "await_oauth_flow", "list_secrets", "get_secret", "http_request", "revoke_secret"];
    assert_eq!(calls, expected);
    let worked = |answer: &&Value| answer["success"] == true || answer["status"] == "pending";
    assert_eq!(answers.iter().filter(worked).count(), expected.len(), "{shown}");
    // the protected resource answers nobody without the token
    assert!(answers[5]["status"] == 200 && answers[5]["body"].as_str().unwrap().contains("alice@example.com"), "{shown}");
    assert!(answers[6]["steps"].as_array().unwrap().iter().all(|step| step["result"] == "revoked at the provider"), "{shown}");
    assert!(answers.iter().all(|answer| answer.get("value").is_none()), "{shown}");
}

//! Several brokers, each with many calls, one login.

use std::collections::BTreeSet;

use serde_json::json;

use super::shared::{Shared, reference};
use crate::login::{granted, issued, signed_in};
use crate::support::idp::Idp;

#[tokio::test]
async fn t25_eight_processes_with_fifty_calls_each_renew_once_at_each_expiry_and_all_get_the_new_token() {
    let (mut idp, shared) = (Idp::start().await, Shared::new().await);
    let mut brokers = Vec::new();
    for _ in 0..8 {
        brokers.push(shared.broker(&idp).await);
    }
    signed_in(&mut brokers[0], "test-login").await;
    let mut references = Vec::new();
    for broker in &mut brokers {
        references.push(reference(broker).await);
    }
    let mut seen = BTreeSet::from([shared.login().access.expose().to_owned()]);
    for round in 1..=4 {
        shared.expire();
        let mut calls = Vec::new();
        for number in 0..50 {
            for (index, broker) in brokers.iter_mut().enumerate() {
                let (tool, arguments) = if number % 2 == 0 {
                    ("resolve_secret", json!({ "reference_id": references[index] }))
                } else {
                    ("get_secret", json!({ "name": "test-login", "purpose": "a test" }))
                };
                calls.push((index, tool, broker.begin(tool, &arguments).await));
            }
        }
        let mut values = BTreeSet::new();
        for (index, tool, id) in calls {
            let answer = brokers[index].tool_answer(tool, id).await.ok();
            values.extend(answer["value"].as_str().map(str::to_owned));
        }
        assert_eq!(values, BTreeSet::from([shared.login().access.expose().to_owned()]), "everybody gets the stored one");
        assert!(seen.insert(values.pop_first().unwrap()), "and it is new");
        assert_eq!(granted(&mut idp, "refresh_token").await, round);
    }
    assert!(idp.events().await.iter().all(|event| event["refused"].is_null()), "the family is alive");
    let secrets = [issued(&mut idp, "refresh").await, issued(&mut idp, "code").await].concat();
    assert_eq!(secrets.len(), 6);
    for broker in &mut brokers {
        broker.finish().await;
        broker.assert_unseen(&secrets);
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_in_the_middle_leaves_the_new_token_to_the_next() {
    let (mut idp, shared) = (Idp::start().await, Shared::new().await);
    let (mut first, mut second) = (shared.broker(&idp).await, shared.broker(&idp).await);
    signed_in(&mut first, "test-login").await;
    shared.expire();
    idp.control(&json!({ "hold": "answer" })).await;
    let id = first.begin("get_secret", &json!({ "name": "test-login", "purpose": "a test" })).await;
    idp.held().await;
    // cancelled, and then gone
    first.notify("notifications/cancelled", json!({ "requestId": id, "reason": "the person is tired" })).await;
    first.close_stdin();
    idp.control(&json!({ "hold": null, "release": "serve" })).await;
    assert!(first.ended().await.status.success());
    let token = second.reveal("test-login").await;
    assert_eq!(token, shared.login().access.expose());
    assert_eq!(granted(&mut idp, "refresh_token").await, 1);
}

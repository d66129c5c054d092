//! A new file takes the place of an old one whole; what is under way ends as it began.

use super::login::{ANSWER, come_back, configured};
use super::*;
use crate::support::server::Server;

#[tokio::test]
async fn a_login_under_way_ends_on_the_component_that_it_began_with() {
    let (server, gate) = Server::holding(ANSWER.to_owned()).await;
    let launch = configured(Launch::new(), &server, "ACME");
    let folder = Folder::of(&launch);
    folder.put_guest(&Guest::new("acme"), "acme.wasm");
    let mut broker = with_plugins(launch, &folder).ready().await;
    let pending = broker.begin_login("acme", &[], "acme-token").await;
    let address = pending.clone();
    let back = tokio::spawn(async move { come_back(&address).await });
    // the old component waits for the answer to its request
    while server.asked() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }

    let newer = with_change("acme", |descriptor| descriptor["title"] = json!("Newer"));
    folder.put_guest(&newer.exchange("(unreachable)"), "acme.wasm");
    assert_eq!(listed(&mut broker).await["providers"][6]["title"], "Newer", "the new one is there");
    gate.add_permits(1);
    assert_eq!(back.await.unwrap().status, 200);
    broker.end_login(&pending).await.ok();
    assert_eq!(broker.reveal("acme-token").await, "acme-access-token-1");

    // the next login is the new one's
    let pending = broker.begin_login("acme", &[], "another").await;
    come_back(&pending).await;
    broker.end_login(&pending).await.refused("component_fault");
}

#[tokio::test]
async fn who_is_ready_does_not_wait_for_a_newcomer() {
    let launch = Launch::new();
    let folder = Folder::of(&launch);
    folder.put_guest(&Guest::new("acme"), "acme.wasm");
    let mut broker = with_plugins(launch, &folder).ready().await;
    assert_eq!(names(&listed(&mut broker).await), [&EMBEDDED[..], &["acme"]].concat());
    // takes two seconds of computing until it is given up
    folder.put_guest(&Guest::new("slow").describe("(call $for-ever) (unreachable)"), "slow.wasm");
    let slow = broker.begin("list_providers", &json!({})).await;
    let quick = broker.begin("mint_token", &json!({ "provider": "acme", "scopes": ["read"] })).await;
    let mut answered = Vec::new();
    while answered.len() < 2 {
        let message = broker.message().await;
        answered.push(message["id"].as_i64().unwrap());
    }
    assert_eq!(answered, [quick, slow]);
}

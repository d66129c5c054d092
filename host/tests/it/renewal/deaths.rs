//! The process that renews a login is killed, or suspended, at each step of it; another one wants the token.
//!
//! | it was at | killed | suspended |
//! |---|---|---|
//! | nothing written, nothing sent | the other one renews | the other one says so, and both have the new token later |
//! | intent written, nothing sent | the same: one more try | the same |
//! | sent, not looked at by the provider | the same: one more try | the same |
//! | sent and served, no answer yet | one more try finds the token used up: sign in again | the same |
//! | answered, not written | the same | the same |
//!
//! In the last two lines of "killed" no other answer is honest: the only copy of the new token died with the process.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::shared::{Shared, until};
use crate::login::{granted, signed_in};
use crate::support::broker::Broker;
use crate::support::idp::Idp;
use crate::support::process::signal;

/// A login whose token has ended, and two brokers that share it.
struct Pair {
    idp: Idp,
    shared: Shared,
    first: Broker,
    second: Broker,
}

impl Pair {
    async fn new() -> Self {
        // few connections may wait for the provider to take them in
        let idp = Idp::with_options(&json!({ "backlog": 1 })).await;
        let shared = Shared::new().await;
        let (mut first, mut second) = (shared.broker(&idp).await, shared.broker(&idp).await);
        signed_in(&mut first, "test-login").await;
        second.reveal("test-login").await;
        shared.expire();
        Self { idp, shared, first, second }
    }

    /// The first one begins to renew it.
    async fn begin(&mut self) -> i64 {
        self.first.begin("get_secret", &json!({ "name": "test-login", "purpose": "a test" })).await
    }

    async fn kill(&mut self) {
        signal(self.first.id(), "KILL");
        self.first.ended().await;
    }

    /// The second one has a new token, after so many refreshes in all that were served, and none refused.
    async fn renewed_by_the_second(mut self) {
        let token = self.second.reveal("test-login").await;
        assert_eq!(token, self.shared.login().access.expose());
        assert_eq!(granted(&mut self.idp, "refresh_token").await, 1);
        assert_eq!(self.refused().await, 0);
    }

    /// The second one tries once more, and then asks for a person; the record stays.
    async fn lost(mut self) {
        for _ in 0..2 {
            let call = self.second.call("get_secret", json!({ "name": "test-login", "purpose": "a test" })).await;
            call.refused("sign_in_again").names(&["invalid_grant", "start_oauth_flow", "test-login"]);
        }
        assert_eq!(granted(&mut self.idp, "refresh_token").await, 1);
        assert_eq!(self.refused().await, 1, "one try");
        let listed = self.second.call("list_secrets", json!({})).await.ok();
        assert_eq!(listed["secrets"][0]["state"], "sign_in_again");
        // and a person who signs in has it back
        signed_in(&mut self.second, "test-login").await;
        self.second.reveal("test-login").await;
    }

    /// While the first one stands still the second says so; when it goes on, both have the token of one refresh.
    async fn suspended(mut self, id: i64, meanwhile: impl AsyncFnOnce(&mut Self)) {
        signal(self.first.id(), "STOP");
        meanwhile(&mut self).await;
        let call = self.second.call("get_secret", json!({ "name": "test-login", "purpose": "a test" })).await;
        call.refused("unavailable").names(&["Another process", "suspended", "kept"]);
        signal(self.first.id(), "CONT");
        // its own caller may have waited too long
        self.first.tool_answer("get_secret", id).await;
        let (one, two) = (self.first.reveal("test-login").await, self.second.reveal("test-login").await);
        assert_eq!(one, two);
        assert_eq!(one, self.shared.login().access.expose());
        assert_eq!(granted(&mut self.idp, "refresh_token").await, 1);
        assert_eq!(self.refused().await, 0);
    }

    async fn refused(&mut self) -> usize {
        self.idp.events().await.iter().filter(|event| !event["refused"].is_null()).count()
    }

    /// The first one holds the turn, and cannot write its intent down.
    async fn before_the_intent(&mut self) -> (i64, rusqlite::Connection) {
        let blocked = self.shared.block_writes();
        let id = self.begin().await;
        self.shared.turn_taken().await;
        (id, blocked)
    }

    /// The first one has written its intent down, and finds no way to the provider, which stands still with all its places
    /// for waiting connections taken.
    async fn before_sending(&mut self) -> (i64, Vec<TcpStream>) {
        self.idp.signal("STOP");
        let mut taken = Vec::new();
        while let Ok(connected) = tokio::time::timeout(Duration::from_secs(1), TcpStream::connect(self.idp.address())).await {
            taken.push(connected.unwrap());
        }
        let id = self.begin().await;
        let shared = &self.shared;
        until(|| shared.login().renewal.intent.is_some()).await;
        let port: u16 = self.idp.address().rsplit(':').next().unwrap().parse().unwrap();
        until(|| is_connecting(port)).await;
        (id, taken)
    }

    /// The first one has sent it, and the provider holds it there.
    async fn held(&mut self, at: &str) -> i64 {
        self.idp.control(&json!({ "hold": at })).await;
        let id = self.begin().await;
        self.idp.held().await;
        id
    }

    async fn release(&mut self, how: &str) {
        self.idp.control(&json!({ "hold": null, "release": how })).await;
    }

    /// The first one has read the answer, and cannot write it down.
    async fn before_the_write(&mut self) -> (i64, rusqlite::Connection) {
        let id = self.held("last byte").await;
        let blocked = self.shared.block_writes();
        self.release("serve").await;
        let first = &self.first;
        until(|| first.stderr().contains("new tokens cannot be stored yet")).await;
        (id, blocked)
    }
}

/// Whether somebody on this machine waits for a connection to that port of loopback to be taken in.
fn is_connecting(port: u16) -> bool {
    const SYN_SENT: &str = "02";
    let wanted = format!("0100007F:{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).any(|row| row[2] == wanted && row[3] == SYN_SENT)
}

#[tokio::test]
async fn t48_killed_before_it_wrote_anything_down() {
    let mut pair = Pair::new().await;
    let (_, blocked) = pair.before_the_intent().await;
    pair.kill().await;
    drop(blocked);
    assert!(pair.shared.login().renewal.intent.is_none());
    pair.renewed_by_the_second().await;
}

#[tokio::test]
async fn suspended_before_it_wrote_anything_down() {
    let mut pair = Pair::new().await;
    let (id, blocked) = pair.before_the_intent().await;
    pair.suspended(id, async |_| drop(blocked)).await;
}

#[tokio::test]
async fn t48_killed_between_its_intent_and_sending() {
    let mut pair = Pair::new().await;
    let (_, taken) = pair.before_sending().await;
    pair.kill().await;
    drop(taken);
    pair.idp.signal("CONT");
    assert_eq!(pair.shared.login().renewal.intent.unwrap().tries, 1);
    pair.renewed_by_the_second().await;
}

#[tokio::test]
async fn suspended_between_its_intent_and_sending() {
    let mut pair = Pair::new().await;
    let (id, taken) = pair.before_sending().await;
    pair.suspended(id, async |pair| {
        drop(taken);
        pair.idp.signal("CONT");
    })
    .await;
}

#[tokio::test]
async fn t48_killed_after_sending_before_the_provider_looked_at_it() {
    let mut pair = Pair::new().await;
    pair.held("request").await;
    pair.kill().await;
    pair.release("drop").await;
    pair.renewed_by_the_second().await;
}

#[tokio::test]
async fn t48_killed_between_the_providers_serving_it_and_the_answer() {
    for at in ["answer", "last byte"] {
        let mut pair = Pair::new().await;
        pair.held(at).await;
        pair.kill().await;
        pair.release("serve").await;
        assert_eq!(pair.shared.login().renewal.intent.unwrap().tries, 1);
        pair.lost().await;
    }
}

#[tokio::test]
async fn suspended_between_sending_and_the_answer() {
    let suspended = async |at: &str| {
        let mut pair = Pair::new().await;
        let id = pair.held(at).await;
        pair.suspended(id, async |pair| pair.release("serve").await).await;
    };
    tokio::join!(suspended("request"), suspended("answer"), suspended("last byte"));
}

#[tokio::test]
async fn t48_killed_between_the_answer_and_the_write() {
    let mut pair = Pair::new().await;
    let (_, blocked) = pair.before_the_write().await;
    pair.kill().await;
    drop(blocked);
    pair.lost().await;
}

#[tokio::test]
async fn suspended_between_the_answer_and_the_write() {
    let mut pair = Pair::new().await;
    let (id, blocked) = pair.before_the_write().await;
    pair.suspended(id, async |_| drop(blocked)).await;
}

#[tokio::test]
async fn a_vault_that_cannot_be_written_for_a_while_costs_nothing() {
    let mut pair = Pair::new().await;
    let (id, blocked) = pair.before_the_write().await;
    drop(blocked);
    let answer: Value = pair.first.tool_answer("get_secret", id).await.ok();
    assert_eq!(answer["success"], true);
    pair.renewed_by_the_second().await;
}

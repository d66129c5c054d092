use credentials_broker_provider::Provider;
use credentials_broker_provider::testing::{self, Broker, find};

use super::Observer;

const ANSWER: &str = r#"{"access_token":"canary-access","refresh_token":"canary-refresh","team":"red","nested":{"access_token":"canary-x"},"expires_in":60}"#;

fn configured(mode: &str) -> Broker {
    Broker::of::<Observer>()
        .set("client_id", "me")
        .set("base", "https://observed.example")
        .set("mode", mode)
        .set_secret("client_secret")
        .set_secret("signing_key")
}

#[test]
fn every_attempt_is_refused() {
    configured("list").start();
    let attempts = find(&Observer::resolve().unwrap(), "attempts").unwrap().to_owned();
    assert!(attempts.split(' ').count() > 20);
    for attempt in attempts.split(' ') {
        configured(attempt).answer("token", 200, ANSWER).answer("metadata", 200, "{}").answer("account", 200, "{}").start();
        let failure = testing::exchange::<Observer>().unwrap_err();
        assert_eq!(failure.code, "observed_a_refusal", "{attempt}: {failure:?}");
        assert!(testing::sent().is_empty(), "{attempt}");
    }
}

#[test]
fn it_reads_what_is_public_and_tells_it_in_every_way() {
    configured("read").answer("token", 200, ANSWER).answer("account", 200, r#"{"id":"7"}"#).start();
    let tokens = testing::exchange::<Observer>().unwrap();
    let told = tokens.fact("note.seen_0").unwrap();
    for public in ["/team=red", "/id=7", "status=200", "/expires_in=60", "lent=code", "lent=key"] {
        assert!(told.contains(public), "{public} in {told}");
    }
    assert!(!testing::logged().is_empty());
    assert!(!told.contains("canary-access"));
}

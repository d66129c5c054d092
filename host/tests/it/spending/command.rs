//! `request`: what agents do with http_request, for people and scripts, with a vault that they share.

use serde_json::json;

use super::at_loopback;
use crate::support::broker::Launch;
use crate::support::command::run;
use crate::support::raw::Raw;

const KEY: &str = "k-0123456789abcdef";

/// A vault with the value `key`, stored by a person.
async fn with_vault(toml: &str) -> Launch {
    let launch = Launch::new().toml(toml);
    let key_file = launch.home().join("vault.key").display().to_string();
    run(&launch, &["vault", "init", "--key-file", &key_file], b"").await.ok();
    run(&launch, &["secrets", "set", "key"], format!("{KEY}\n").as_bytes()).await.ok();
    launch
}

#[tokio::test]
async fn a_person_and_an_agent_spend_the_same_secret_by_the_same_rules() {
    let server = Raw::answering("200 OK", "content-type: text/plain\r\n", format!("you said {KEY}")).await;
    let launch = with_vault(&at_loopback(server.address().port(), "kind = \"static\"\nheaders = [\"x-team\"]")).await;
    let url = format!("http://{}/v1?x=1", server.address());
    let done =
        run(&launch, &["request", "--secret", "key", "-X", "POST", "-H", "x-team: a", "-d", "@-", "-i", &url], b"hello").await;
    assert_eq!(done.ok(), "HTTP 200\ncontent-type: text/plain\n\nyou said [secret:key]");
    let sent = server.last_request();
    assert!(sent.starts_with("POST /v1?x=1 ") && sent.ends_with("\r\n\r\nhello") && sent.contains("x-team: a\r\n"), "{sent}");
    assert!(sent.contains(&format!("authorization: Bearer {KEY}\r\n")), "{sent}");

    let asked = server.connections();
    for (arguments, code) in [
        (["--secret", "key", "https://evil.example/"], 3),
        (["--secret", "nobody", url.as_str()], 2),
        (["--secret", "key", "not a URL"], 2),
    ] {
        let done = run(&launch, &[&["request"], &arguments[..]].concat(), b"").await;
        assert!(!done.failed(code).contains(KEY));
    }
    assert_eq!(server.connections(), asked);

    // the agent of the same person: it spends the value, and cannot put another in its place
    let mut broker = launch.ready().await;
    let spend = json!({ "url": url, "secret": "key", "purpose": "a test" });
    assert_eq!(broker.call("http_request", spend).await.ok()["body"], "you said [secret:key]");
    broker.call("store_secret", json!({ "name": "key", "value": "another value" })).await.refused("not_allowed");
    broker.assert_unseen(&[KEY]);
}

#[tokio::test]
async fn an_error_status_is_shown_and_told_by_the_exit_code() {
    let server = Raw::answering("404 Not Found", "", "nothing here").await;
    let launch = with_vault(&at_loopback(server.address().port(), "")).await;
    let done = run(&launch, &["request", "--secret", "key", &format!("http://{}/", server.address())], b"").await;
    assert_eq!(done.stdout, "nothing here");
    assert!(done.failed(5).contains("404"));
}

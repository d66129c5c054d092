//! What the operator's file forbids, and what goes on working.

use serde_json::json;

use super::{ask, inside, signed_in};
use crate::support::broker::Launch;
use crate::support::lookalike::App;

const USER: &str = "https://api.github.com/user";

#[tokio::test]
async fn a_value_is_handed_out_with_a_warning_where_the_operator_says_nothing() {
    let mut it = signed_in(App::OAuth, "").await;
    let reference = it.broker.call("get_secret", json!({ "name": "github-token", "purpose": "x" })).await.ok();
    let answer = it.broker.call("resolve_secret", json!({ "reference_id": reference["reference"]["id"] })).await.ok();
    assert!(answer["value"].as_str().unwrap().starts_with("gho_"));
    let warning = answer["warning"].as_str().unwrap();
    assert!(warning.contains("http_request") && !warning.contains('\n'), "{warning}");
}

#[tokio::test]
async fn with_reveal_deny_no_value_is_handed_out_and_requests_go_on() {
    for toml in ["[policy]\nreveal = \"deny\"", "[secrets.github-token]\nreveal = \"deny\""] {
        let mut it = signed_in(App::OAuth, toml).await;
        let reference = it.broker.call("get_secret", json!({ "name": "github-token", "purpose": "x" })).await.ok();
        let id = &reference["reference"]["id"];
        let failure = it.broker.call("resolve_secret", json!({ "reference_id": id })).await.refused("not_allowed");
        failure.names(&["reveal = \"deny\"", "http_request", "exec", "wrap", "git-credential"]);
        it.broker.call("http_request", json!({ "url": USER, "reference_id": id })).await.ok();
        it.ask(json!({ "url": USER })).await.ok();
        it.broker.assert_unseen(&it.lookalike.secrets());
    }
}

#[tokio::test]
async fn an_agent_stores_nothing_where_the_operator_forbids_it() {
    let mut broker = Launch::new().toml("[policy]\nstore_secret = \"deny\"").ready().await;
    let failure = broker.call("store_secret", json!({ "name": "x", "value": "0123456789" })).await.refused("not_allowed");
    failure.names(&["secrets set x"]);
    assert_eq!(broker.call("list_secrets", json!({})).await.ok()["secrets"], json!([]));
}

#[tokio::test]
async fn an_agent_gives_no_listed_name_another_meaning() {
    let mut it = signed_in(App::OAuth, "[secrets.openai-key]\nkind = \"static\"\nhosts = [\"api.github.com\"]").await;
    it.broker.call("store_secret", json!({ "name": "openai-key", "value": "0123456789" })).await.refused("not_allowed");
    let login = json!({ "provider": "github", "scopes": ["repo"], "secret_name": "openai-key" });
    it.broker.call("start_oauth_flow", login).await.refused("not_allowed").names(&["stored value"]);
    // a value that an agent may store is spent nowhere, since nobody has said where
    it.broker.call("store_secret", json!({ "name": "mine", "value": "0123456789" })).await.ok();
    ask(&mut it.broker, "mine", json!({ "url": USER })).await.refused("not_allowed").names(&["[secrets.\"mine\"]: hosts"]);
    assert_eq!(it.at_the_api(), 0);
}

#[tokio::test]
async fn a_provider_without_a_list_needs_the_operators() {
    let broker = inside("", &[("key", "k-0123456789")]);
    let error = broker.http_request(super::with_key("https://api.openai.com/v1/models")).await.unwrap_err();
    assert!(error.hint().contains("[secrets.\"key\"]: hosts"), "{error}");
}

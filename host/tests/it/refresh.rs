//! A login is kept alive: renewed once whoever asks, rotated tokens kept, and what is said where only a person can help.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use super::login::{at, granted, issued, signed_in, url};
use crate::support::agent::Agent;
use crate::support::broker::{Broker, Launch};
use crate::support::http;
use crate::support::idp::Idp;
use crate::support::lookalike::{Answer, Decision, Lookalike, OpenId, Rotation, Site};

async fn reference(broker: &mut Broker, name: &str) -> String {
    let answer = broker.call("get_secret", json!({ "name": name, "purpose": "a test" })).await.ok();
    answer["reference"]["id"].as_str().unwrap().to_owned()
}

async fn value(broker: &mut Broker, reference: &str) -> String {
    let answer = broker.call("resolve_secret", json!({ "reference_id": reference })).await.ok();
    answer["value"].as_str().unwrap().to_owned()
}

async fn state(broker: &mut Broker, name: &str) -> Value {
    let listed = broker.call("list_secrets", json!({})).await.ok();
    listed["secrets"].as_array().unwrap().iter().find(|secret| secret["name"] == name).unwrap()["state"].clone()
}

/// An authorization server whose faults a test chooses, and a broker signed in there.
async fn team(site: OpenId) -> (Arc<OpenId>, Lookalike, Broker) {
    let site = Arc::new(site);
    let lookalike = Lookalike::of(&site).await;
    let launch = Launch::new().at(&lookalike).env("OAUTH2_ISSUER", &site.issuer());
    let mut broker = launch.client("OAUTH2", site.desk().client_id(), None).ready().await;
    let pending = broker.begin_login("oauth2", &["openid", "offline_access"], "team").await;
    let (callback, _) = site.sign_in(url(&pending), Decision::Approve);
    http::get(&callback).await.unwrap();
    broker.end_login(&pending).await.ok();
    (site, lookalike, broker)
}

fn refreshes(site: &OpenId, lookalike: &Lookalike) -> usize {
    let requests = lookalike.requests(&site.path("token"));
    requests.iter().filter(|request| request.field("grant_type") == "refresh_token").count()
}

#[tokio::test]
async fn fifty_calls_at_once_renew_an_expired_token_once_and_rotation_goes_on() {
    let mut idp = Idp::with_access_ttl(3).await;
    let mut broker = at(&idp, "public-client").ready().await;
    signed_in(&mut broker, "test-login").await;
    let old = reference(&mut broker, "test-login").await;
    let first = value(&mut broker, &old).await;
    for round in 1..=2 {
        tokio::time::sleep(Duration::from_millis(3100)).await;
        let mut calls = Vec::new();
        for number in 0..50 {
            calls.push(if number % 2 == 0 {
                (broker.begin("get_secret", &json!({ "name": "test-login", "purpose": "a test" })).await, "get_secret")
            } else {
                (broker.begin("resolve_secret", &json!({ "reference_id": old })).await, "resolve_secret")
            });
        }
        let mut values = std::collections::BTreeSet::new();
        for (id, tool) in calls {
            let answer = broker.tool_answer(tool, id).await.ok();
            values.extend(answer["value"].as_str().map(str::to_owned));
        }
        assert_eq!(values.len(), 1, "everybody gets the new one");
        assert!(!values.contains(&first), "the reference is the old one, the token is new");
        assert_eq!(granted(&mut idp, "refresh_token").await, round);
    }
    broker.finish().await;
    let tokens = [issued(&mut idp, "refresh").await, issued(&mut idp, "code").await].concat();
    assert_eq!(tokens.len(), 4, "one code, and a refresh token each time");
    broker.assert_unseen(&tokens);
}

#[tokio::test]
async fn a_dead_refresh_token_asks_for_a_new_login_and_leaves_everything_else_alone() {
    let mut idp = Idp::with_access_ttl(4).await;
    let mut broker = at(&idp, "public-client").ready().await;
    broker.call("store_secret", json!({ "name": "static-key", "value": "a static value" })).await.ok();
    signed_in(&mut broker, "dead").await;
    let dead = issued(&mut idp, "refresh").await.remove(0);
    signed_in(&mut broker, "alive").await;
    let old = reference(&mut broker, "dead").await;

    let revoke = Url::parse(&format!("{}/token/revocation", idp.issuer())).unwrap();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let body = format!("client_id=public-client&token_type_hint=refresh_token&token={dead}");
    assert!(http::send(::http::Method::POST, &revoke, &headers, body).await.unwrap().status.is_success());
    tokio::time::sleep(Duration::from_millis(4100)).await;

    for _ in 0..2 {
        let failure = broker.call("get_secret", json!({ "name": "dead", "purpose": "a test" })).await.refused("sign_in_again");
        failure.names(&["expired, sign in again", "start_oauth_flow", "oauth2", "\"dead\""]);
        let failure = broker.call("resolve_secret", json!({ "reference_id": old })).await.refused("sign_in_again");
        failure.names(&["invalid_grant"]);
    }
    let refused = idp.events().await.iter().filter(|event| event["refused"] == "invalid_grant").count();
    assert_eq!(refused, 1, "a dead token is not tried twice");
    assert_eq!(state(&mut broker, "dead").await, "sign_in_again");
    assert_eq!(broker.reveal("static-key").await, "a static value");
    let token = broker.reveal("alive").await;
    assert!(issued(&mut idp, "access").await.contains(&token));

    signed_in(&mut broker, "dead").await;
    broker.reveal("dead").await;
    broker.call("resolve_secret", json!({ "reference_id": old })).await.refused("unknown_reference").names(&["another"]);
}

#[tokio::test]
async fn a_new_login_a_deletion_and_an_overwrite_end_references_and_say_so() {
    let (site, _lookalike, mut broker) = team(OpenId::new("id.example", None)).await;
    let old = reference(&mut broker, "team").await;
    let pending = broker.begin_login("oauth2", &["openid"], "team").await;
    value(&mut broker, &old).await;
    http::get(&site.sign_in(url(&pending), Decision::Approve).0).await.unwrap();
    broker.end_login(&pending).await.ok();
    let failure = broker.call("resolve_secret", json!({ "reference_id": old })).await.refused("unknown_reference");
    failure.names(&["\"team\"", "another value or login", "get_secret"]);

    let old = reference(&mut broker, "team").await;
    broker.call("delete_secret", json!({ "name": "team" })).await.ok();
    broker.call("resolve_secret", json!({ "reference_id": old })).await.refused("unknown_reference").names(&["deleted"]);

    broker.call("store_secret", json!({ "name": "team", "value": "the first value" })).await.ok();
    let old = reference(&mut broker, "team").await;
    broker.call("store_secret", json!({ "name": "team", "value": "the second value" })).await.ok();
    let failure = broker.call("resolve_secret", json!({ "reference_id": old })).await.refused("unknown_reference");
    failure.names(&["another value"]);
}

#[tokio::test]
async fn a_token_that_cannot_be_renewed_bounds_its_references() {
    let mut idp = Idp::with_access_ttl(100).await;
    let mut broker = at(&idp, "public-client")
        .env("OAUTH2_ISSUER", "")
        .env("OAUTH2_AUTHORIZATION_ENDPOINT", &format!("{}/auth", idp.issuer()))
        .env("OAUTH2_TOKEN_ENDPOINT", &format!("{}/token", idp.issuer()))
        .ready()
        .await;
    let pending = broker.begin_login("oauth2", &["openid"], "test-login").await;
    Agent::default().sign_in(url(&pending)).await;
    assert_eq!(broker.end_login(&pending).await.ok()["hasRefreshToken"], false);
    let answer = broker.call("get_secret", json!({ "name": "test-login", "purpose": "a test", "ttl_seconds": 3600 })).await.ok();
    let life = answer["reference"]["expiresIn"].as_u64().unwrap();
    assert!((80..=100).contains(&life), "{answer}");
    let message = answer["message"].as_str().unwrap();
    assert!(message.contains("cannot be refreshed") && message.contains(&life.to_string()), "{message}");
    assert_eq!(issued(&mut idp, "refresh").await.len(), 0);
}

#[tokio::test]
async fn a_token_that_has_ended_for_good_says_expired_sign_in_again() {
    let site = OpenId::new("id.example", None).access_ttl(1);
    let site = Arc::new(site);
    let lookalike = Lookalike::of(&site).await;
    lookalike.edit(&site.path("token"), |answer| drop(answer.as_object_mut().unwrap().remove("refresh_token")));
    let launch = Launch::new().at(&lookalike).env("OAUTH2_ISSUER", &site.issuer());
    let mut broker = launch.client("OAUTH2", site.desk().client_id(), None).ready().await;
    let pending = broker.begin_login("oauth2", &["openid"], "team").await;
    http::get(&site.sign_in(url(&pending), Decision::Approve).0).await.unwrap();
    broker.end_login(&pending).await.ok();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let failure = broker.call("get_secret", json!({ "name": "team", "purpose": "a test" })).await.refused("sign_in_again");
    failure.names(&["expired, sign in again", "no refresh token", "start_oauth_flow"]);
}

#[tokio::test]
async fn a_provider_that_is_down_is_no_reason_to_forget_a_login() {
    let (site, lookalike, mut broker) = team(OpenId::new("id.example", None).access_ttl(1)).await;
    let old = reference(&mut broker, "team").await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let token = site.path("token");
    for fault in [
        Answer::Close,
        Answer::text(503, "text/html", "<h1>Maintenance</h1>"),
        Answer::json(500, &json!({ "error": "server_error" })),
        Answer::json(503, &json!({ "error": "temporarily_unavailable", "error_description": "later" })),
    ] {
        lookalike.always(&token, fault);
        let failure = broker.call("get_secret", json!({ "name": "team", "purpose": "a test" })).await.refused("unavailable");
        failure.names(&["kept", "Try again"]);
        broker.call("resolve_secret", json!({ "reference_id": old })).await.refused("unavailable");
        assert_eq!(state(&mut broker, "team").await, "refreshes_when_used");
    }
    lookalike.heal();
    // it was told how long to leave the provider alone
    let fresh = loop {
        let answer = broker.call("resolve_secret", json!({ "reference_id": old })).await;
        if !answer.is_error {
            break answer["value"].as_str().unwrap().to_owned();
        }
        answer.refused("unavailable").names(&["kept", "Try again in", "seconds"]);
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    assert!(site.desk().is_live(&fresh), "the refresh token was kept, and so was the reference");
}

#[tokio::test]
async fn answers_to_a_refresh_that_make_no_sense_keep_the_login() {
    let (site, lookalike, mut broker) = team(OpenId::new("id.example", None).access_ttl(1)).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let token = site.path("token");
    for fault in [
        Answer::text(200, "text/html", "<h1>Hello</h1>"),
        Answer::json(200, &json!({ "token_type": "Bearer" })),
        Answer::json(200, &json!({ "access_token": "an-access-token", "token_type": "DPoP" })),
        Answer::json(401, &json!({ "error": "invalid_client" })),
        Answer::redirect(307, "https://evil.example/token"),
        Answer::redirect(302, "https://evil.example/token"),
    ] {
        lookalike.once(&token, fault.clone());
        let answer = broker.call("get_secret", json!({ "name": "team", "purpose": "a test" })).await;
        assert!(answer.is_error, "{fault:?}: {:#}", answer.json);
        assert_ne!(answer["code"], "sign_in_again", "{fault:?}: {:#}", answer.json);
        assert_eq!(state(&mut broker, "team").await, "refreshes_when_used");
    }
    broker.reveal("team").await;
}

#[tokio::test]
async fn those_who_wait_for_a_refresh_that_fails_do_not_try_one_after_the_other() {
    let (site, lookalike, mut broker) = team(OpenId::new("id.example", None).access_ttl(1)).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let slow = Answer::json(503, &json!({ "error": "temporarily_unavailable" })).after(Duration::from_millis(800));
    lookalike.always(&site.path("token"), slow);
    let mut calls = Vec::new();
    for _ in 0..20 {
        calls.push(broker.begin("get_secret", &json!({ "name": "team", "purpose": "a test" })).await);
    }
    // Another secret is not held up by it.
    broker.call("store_secret", json!({ "name": "static-key", "value": "a static value" })).await.ok();
    assert_eq!(broker.reveal("static-key").await, "a static value");
    for id in calls {
        broker.tool_answer("get_secret", id).await.refused("unavailable");
    }
    let tries = refreshes(&site, &lookalike);
    assert!((1..=2).contains(&tries), "{tries} tries");
    lookalike.heal();
    broker.reveal("team").await;
}

#[tokio::test]
async fn a_refresh_token_is_kept_where_no_new_one_comes_and_replaced_where_one_does() {
    for rotation in [Rotation::Keep, Rotation::Echo, Rotation::Rotate] {
        let (site, lookalike, mut broker) = team(OpenId::new("id.example", None).access_ttl(1).rotation(rotation)).await;
        for round in 1..=2 {
            tokio::time::sleep(Duration::from_millis(1100)).await;
            let token = broker.reveal("team").await;
            assert!(site.desk().is_live(&token), "{rotation:?}");
            // reveal asks twice, and a second may be over in between
            assert!(refreshes(&site, &lookalike) >= round, "{rotation:?}");
        }
        let used: Vec<String> = lookalike
            .requests(&site.path("token"))
            .iter()
            .map(|request| request.field("refresh_token"))
            .filter(|token| !token.is_empty())
            .collect();
        assert_eq!(used[0] == used[1], rotation != Rotation::Rotate, "{rotation:?}");
        broker.assert_unseen(&used);
    }
}

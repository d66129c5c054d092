//! Okta, as it is: two kinds of authorization server, callbacks compared port and all, refresh tokens that work once.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::broker::{Broker, Launch};
use crate::support::lookalike::{Answer, Decision, Lookalike, OpenId, Rotation, Site};
use crate::support::visit::{login, parameter};

/// Registered with exactly the callback address that this broker will use.
async fn start(server: &str, secret: Option<&str>, rotation: Rotation) -> (Arc<OpenId>, Lookalike, Broker) {
    let launch = Launch::new();
    let callback = format!("http://localhost:{}/oauth/callback", launch.port());
    let okta = Arc::new(OpenId::okta(server, secret).rotation(rotation).registered(&callback));
    let lookalike = Lookalike::of(&okta).await;
    let launch = launch.at(&lookalike).client("OKTA", okta.desk().client_id(), secret).env("OKTA_DOMAIN", "dev-1.okta.com");
    let launch = if server.is_empty() { launch } else { launch.env("OKTA_AUTHORIZATION_SERVER", server) };
    (okta, lookalike, launch.ready().await)
}

#[tokio::test]
async fn a_native_app_signs_in_at_the_organizations_own_server_without_a_secret() {
    let (okta, lookalike, mut broker) = start("", None, Rotation::Rotate).await;
    let visit = login(&mut broker, "okta", &["okta.users.read.self"], "o", |url| okta.sign_in(url, Decision::Approve).0).await;
    assert_eq!(parameter(&visit.url, "scope"), "okta.users.read.self offline_access");
    assert_eq!(visit.url.path(), "/oauth2/v1/authorize");
    assert_eq!(visit.answer.ok()["hasRefreshToken"], true);
    let sent = &lookalike.requests("/oauth2/v1/token")[0];
    assert_eq!(sent.header("authorization"), "");
    assert!(!sent.form().contains_key("client_secret") && !sent.field("client_id").is_empty());
}

#[tokio::test]
async fn a_web_app_signs_in_at_a_custom_server_with_basic_and_the_account_is_verified() {
    let secret = "s3cret/with+odd:characters";
    let (okta, lookalike, mut broker) = start("default", Some(secret), Rotation::Rotate).await;
    let visit = login(&mut broker, "okta", &["openid", "email"], "o", |url| okta.sign_in(url, Decision::Approve).0).await;
    let answer = visit.answer.ok();
    assert_eq!(answer["account"]["issuer"], "https://dev-1.okta.com/oauth2/default");
    assert_eq!(answer["missingScopes"], Value::Null);
    let sent = &lookalike.requests("/oauth2/default/v1/token")[0];
    assert_eq!(sent.basic().unwrap().1, secret);
    assert!(!sent.form().contains_key("client_secret") && !sent.form().contains_key("client_id"), "one way only");
}

#[tokio::test]
async fn a_refresh_token_that_works_once_is_used_once_by_many_who_ask_together() {
    let (okta, lookalike, mut broker) = start("default", None, Rotation::Rotate).await;
    let token = okta.path("token");
    lookalike.edit(&token, |answer| answer["expires_in"] = 0.into());
    login(&mut broker, "okta", &["api"], "o", |url| okta.sign_in(url, Decision::Approve).0).await.answer.ok();
    lookalike.heal();
    let mut asked = Vec::new();
    for _ in 0..50 {
        asked.push(broker.begin("get_secret", &json!({ "name": "o", "purpose": "a test" })).await);
    }
    for id in asked {
        broker.tool_answer("get_secret", id).await.ok();
    }
    assert_eq!(lookalike.requests(&token).len(), 2, "the login, and one refresh");
    assert!(okta.desk().is_live(&broker.reveal("o").await));
}

#[tokio::test]
async fn a_refresh_token_that_comes_back_the_same_or_not_at_all_stays_in_use() {
    for rotation in [Rotation::Echo, Rotation::Keep] {
        let (okta, lookalike, mut broker) = start("default", None, rotation).await;
        let token = okta.path("token");
        lookalike.edit(&token, |answer| answer["expires_in"] = 0.into());
        login(&mut broker, "okta", &["api"], "o", |url| okta.sign_in(url, Decision::Approve).0).await.answer.ok();
        assert!(okta.desk().is_live(&broker.reveal("o").await));
        let used: Vec<String> = lookalike.requests(&token)[1..].iter().map(|request| request.field("refresh_token")).collect();
        assert!(used.len() >= 2 && used.iter().all(|token| *token == used[0]), "{rotation:?}");
    }
}

#[tokio::test]
async fn scopes_that_the_server_cut_or_added_are_reported() {
    let (okta, lookalike, mut broker) = start("default", None, Rotation::Rotate).await;
    lookalike.edit(&okta.path("token"), |answer| answer["scope"] = "api offline_access".into());
    let visit = login(&mut broker, "okta", &["api", "admin"], "o", |url| okta.sign_in(url, Decision::Approve).0).await;
    let answer = visit.answer.ok();
    assert_eq!(answer["missingScopes"], json!(["admin"]));
    assert_eq!(answer["extraScopes"], Value::Null);
    lookalike.edit(&okta.path("token"), |answer| answer["scope"] = "api admin offline_access".into());
    let visit = login(&mut broker, "okta", &["api"], "o", |url| okta.sign_in(url, Decision::Approve).0).await;
    let answer = visit.answer.ok();
    assert_eq!(answer["extraScopes"], json!(["admin"]));
    assert!(answer["message"].as_str().unwrap().contains("beyond what was asked: admin"), "{answer:#}");
}

#[tokio::test]
async fn an_error_in_the_shape_of_oktas_api_is_told_with_its_id() {
    let (okta, lookalike, mut broker) = start("default", None, Rotation::Rotate).await;
    let body = json!({ "errorCode": "E0000047", "errorSummary": "API call exceeded rate limit.", "errorLink": "E0000047", "errorId": "oaeHfmOAx1iRLa0H10DeMz5fQ", "errorCauses": [] });
    lookalike.once(&okta.path("token"), Answer::json(429, &body));
    let visit = login(&mut broker, "okta", &["api"], "o", |url| okta.sign_in(url, Decision::Approve).0).await;
    visit.answer.refused("unavailable").names(&["API call exceeded rate limit.", "oaeHfmOAx1iRLa0H10DeMz5fQ"]);
}

#[tokio::test]
async fn a_server_or_domain_that_is_not_there_is_named_with_its_variable() {
    let (okta, lookalike, mut broker) = start("default", None, Rotation::Rotate).await;
    lookalike.always(&okta.discovery_path(), Answer::json(404, &json!({ "errorCode": "E0000007" })));
    let arguments = json!({ "provider": "okta", "scopes": [], "secret_name": "o" });
    let failure = broker.call("start_oauth_flow", arguments.clone()).await.refused("not_configured");
    failure.names(&["'default'", "OKTA_AUTHORIZATION_SERVER"]);

    let mut broker = Launch::new().client("OKTA", "0oa1", None).ready().await;
    broker.call("start_oauth_flow", arguments.clone()).await.refused("not_configured").names(&["OKTA_DOMAIN"]);
    for (domain, code) in [
        ("https://dev-1.okta.com", "invalid_configuration"),
        ("dev-1.okta.com/x", "invalid_configuration"),
        ("evil@dev-1.okta.com", "invalid_configuration"),
        ("dev-1.okta.com#", "invalid_configuration"),
        ("10.0.0.1", "not_allowed"),
        ("localhost", "not_allowed"),
    ] {
        let mut broker = Launch::new().client("OKTA", "0oa1", None).env("OKTA_DOMAIN", domain).ready().await;
        let answer = broker.call("start_oauth_flow", arguments.clone()).await;
        assert_eq!(answer["code"], code, "{domain}: {:#}", answer.json);
        answer.refused(code);
    }
}

#[tokio::test]
async fn endpoints_may_be_repeated_where_they_are_the_discovered_ones() {
    let (okta, _lookalike, mut broker) = start("default", None, Rotation::Rotate).await;
    let endpoint = |name: &str| format!("https://dev-1.okta.com{}", okta.path(name));
    let arguments = json!({
        "provider": "okta", "scopes": ["api"], "secret_name": "o",
        "authorization_endpoint": endpoint("authorize"), "token_endpoint": endpoint("token"),
    });
    broker.call("start_oauth_flow", arguments).await.pending();
}

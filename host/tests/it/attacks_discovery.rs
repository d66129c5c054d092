//! Metadata that lies, or comes from where it should not (T36). The operator configured the issuer: its metadata is
//! taken at its word, but for what no issuer can ask for.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::broker::{Broker, Launch};
use crate::support::lookalike::{Answer, Decision, Lookalike, OpenId, Site};
use crate::support::visit::login;

async fn start() -> (Arc<OpenId>, Lookalike, Broker) {
    let site = Arc::new(OpenId::new("id.example.test", Some("the-client-secret-0123456789")));
    let lookalike = Lookalike::of(&site).await;
    let launch = Launch::new().at(&lookalike).client("OAUTH2", site.desk().client_id(), site.desk().client_secret());
    let broker = launch.env("OAUTH2_ISSUER", &site.issuer()).ready().await;
    (site, lookalike, broker)
}

fn arguments() -> Value {
    json!({ "provider": "oauth2", "scopes": ["openid"], "secret_name": "t" })
}

#[tokio::test]
async fn an_issuer_that_is_not_a_public_https_address_is_refused_before_anything_is_sent() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    for issuer in [
        "http://id.example.test".to_owned(),
        format!("http://127.0.0.1:{port}"),
        format!("https://127.0.0.1:{port}"),
        format!("https://localhost:{port}"),
        format!("https://a.localhost:{port}"),
        format!("https://[::1]:{port}"),
        format!("https://[::ffff:127.0.0.1]:{port}"),
        format!("https://2130706433:{port}"),
        "https://10.0.0.1".to_owned(),
        "https://192.168.1.1/realms/x".to_owned(),
        "https://169.254.169.254".to_owned(),
        "https://100.64.0.1".to_owned(),
        "https://[fd00::1]".to_owned(),
        "https://[64:ff9b::a00:1]".to_owned(),
        "https://0.0.0.0".to_owned(),
        "https://id.example.test.".to_owned(),
    ] {
        let mut broker = Launch::new().client("OAUTH2", "client", None).env("OAUTH2_ISSUER", &issuer).ready().await;
        let answer = broker.call("start_oauth_flow", arguments()).await;
        assert_eq!(answer["code"], "not_allowed", "{issuer}: {:#}", answer.json);
        answer.refused("not_allowed");
    }
    assert!(listener.accept().is_err(), "nobody was connected to");
}

#[tokio::test]
async fn a_redirected_document_is_none() {
    let (site, lookalike, mut broker) = start().await;
    for (status, target) in [(301, "https://id.example.test/elsewhere"), (302, "http://169.254.169.254/"), (307, "/elsewhere")] {
        lookalike.once(&site.discovery_path(), Answer::redirect(status, target));
        broker.call("start_oauth_flow", arguments()).await.refused("provider_error").names(&[&status.to_string(), "redirect"]);
    }
    assert!(lookalike.requests("/elsewhere").is_empty());
}

#[tokio::test]
async fn a_document_that_is_too_large_or_broken_is_refused() {
    let (site, lookalike, mut broker) = start().await;
    let text = |text: String| Answer::text(200, "application/json", text);
    for (answer, code) in [
        (text(" ".repeat(5 << 20)), "limit"),
        (text("{\"issuer\":\"https://id.example.test\"".to_owned()), "provider_error"),
        (text("{\"issuer\":\"https://id.example.test\",\"issuer\":\"https://evil.test\"}".to_owned()), "provider_error"),
        (text("[]".to_owned()), "provider_error"),
        (text("<html>".to_owned()), "provider_error"),
        (Answer::json(500, &json!({})), "unavailable"),
        (Answer::Close, "unavailable"),
    ] {
        lookalike.once(&site.discovery_path(), answer);
        let answer = broker.call("start_oauth_flow", arguments()).await;
        assert_eq!(answer["code"], code, "{:#}", answer.json);
        answer.refused(code);
    }
}

#[tokio::test]
async fn a_document_of_another_issuer_is_refused() {
    let (site, lookalike, mut broker) = start().await;
    for issuer in [
        json!("https://evil.example.test"),
        json!("https://id.example.test/"),
        json!("https://ID.example.test"),
        json!("http://id.example.test"),
        json!("https://id.example.test?x"),
        json!("https://id.example.test:443"),
        json!("https://id.example.test@evil.test"),
        json!(["https://id.example.test"]),
        json!(""),
        Value::Null,
    ] {
        let bent = issuer.clone();
        lookalike.edit(&site.discovery_path(), move |document| document["issuer"] = bent.clone());
        let answer = broker.call("start_oauth_flow", arguments()).await;
        assert_eq!(answer["code"], "provider_error", "{issuer}: {:#}", answer.json);
        answer.refused("provider_error").names(&["issuer"]);
    }
    assert!(lookalike.requests(&site.path("token")).is_empty());
}

#[tokio::test]
async fn an_endpoint_that_no_issuer_can_ask_for_is_refused_before_the_person_is_asked_to_sign_in() {
    let (site, lookalike, mut broker) = start().await;
    for (member, values) in [
        (
            "authorization_endpoint",
            [
                "javascript:alert(1)",
                "file:///etc/passwd",
                "http://id.example.test/authorize",
                "https://u:p@id.example.test/",
                "https://10.0.0.1/",
                "no url",
            ],
        ),
        (
            "token_endpoint",
            [
                "http://id.example.test/token",
                "https://169.254.169.254/token",
                "https://localhost/token",
                "https://u:p@id.example.test/token",
                "ftp://id.example.test/",
                "",
            ],
        ),
        (
            "jwks_uri",
            [
                "http://id.example.test/keys",
                "https://192.168.0.1/keys",
                "https://[::1]/keys",
                "data:application/json,{}",
                "file:///etc/passwd",
                "x",
            ],
        ),
    ] {
        for value in values {
            lookalike.edit(&site.discovery_path(), move |document| document[member] = value.into());
            let answer = broker.call("start_oauth_flow", arguments()).await;
            assert!(answer.is_error && answer["authorization_url"].is_null(), "{member} {value}: {:#}", answer.json);
            let code = answer["code"].as_str().unwrap().to_owned();
            assert!(
                ["not_allowed", "provider_error", "invalid_configuration"].contains(&code.as_str()),
                "{member} {value}: {code}"
            );
            answer.refused(&code);
        }
    }
    assert!(lookalike.all_requests().iter().all(|request| request.path == site.discovery_path()));
}

#[tokio::test]
async fn an_endpoint_at_another_public_host_is_the_issuers_word() {
    let site = Arc::new(OpenId::new("id.example.test", None));
    let tokens = Arc::new(OpenId::new("tokens.example.test", None));
    let lookalike = Lookalike::start(vec![Arc::clone(&site) as Arc<dyn Site>, Arc::clone(&tokens) as Arc<dyn Site>]).await;
    lookalike.edit(&site.discovery_path(), |document| document["token_endpoint"] = "https://tokens.example.test/redeem".into());
    lookalike
        .always("/redeem", Answer::json(200, &json!({ "access_token": "an-access-token-0123456789", "token_type": "Bearer" })));
    let launch = Launch::new().at(&lookalike).client("OAUTH2", site.desk().client_id(), None);
    let mut broker = launch.env("OAUTH2_ISSUER", &site.issuer()).ready().await;
    login(&mut broker, "oauth2", &[], "t", |url| site.sign_in(url, Decision::Approve).0).await.answer.ok();
    assert_eq!(lookalike.requests("/redeem")[0].host, "tokens.example.test");
}

#[tokio::test]
async fn a_refresh_goes_where_the_login_went_whatever_the_metadata_says_by_then() {
    let (site, lookalike, mut broker) = start().await;
    let token = site.path("token");
    lookalike.edit(&token, |answer| answer["expires_in"] = 0.into());
    let visit = login(&mut broker, "oauth2", &["offline_access"], "t", |url| site.sign_in(url, Decision::Approve).0).await;
    assert_eq!(visit.answer.ok()["hasRefreshToken"], true);
    lookalike.heal();
    lookalike.edit(&site.discovery_path(), |document| document["token_endpoint"] = "https://id.example.test/steal".into());
    assert!(site.desk().is_live(&broker.reveal("t").await));
    assert!(lookalike.requests("/steal").is_empty() && lookalike.requests(&token).len() == 2);
    assert_eq!(lookalike.requests(&site.discovery_path()).len(), 1, "the metadata is not even asked for");
}

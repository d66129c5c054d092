//! Answers that belong to another server or another login (T26 to T28, RFC 9207, RFC 9700 section 4.4).

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::support::broker::{Broker, Launch};
use crate::support::http;
use crate::support::lookalike::{App, Decision, GitHub, Google, Lookalike, OpenId, Site};
use crate::support::visit::{login, parameter, with_parameter};

async fn start(site: OpenId) -> (Arc<OpenId>, Lookalike, Broker) {
    let site = Arc::new(site);
    let lookalike = Lookalike::of(&site).await;
    let launch = Launch::new().at(&lookalike).client("OAUTH2", site.desk().client_id(), None);
    let broker = launch.env("OAUTH2_ISSUER", &site.issuer()).ready().await;
    (site, lookalike, broker)
}

#[tokio::test]
async fn a_callback_of_another_issuer_is_refused_before_its_code_is_used() {
    let (site, lookalike, mut broker) = start(OpenId::new("id.example.test", None)).await;
    let wrong = [
        "https://evil.example.test",
        "https://id.example.test/",
        "https://ID.example.test",
        "http://id.example.test",
        "",
        "https%3A%2F%2Fid.example.test",
    ];
    for (iss, decision) in wrong
        .iter()
        .map(|iss| (Some(*iss), Decision::Approve))
        .chain([(None, Decision::Approve), (Some("https://evil.example.test"), Decision::Deny)])
    {
        let visit =
            login(&mut broker, "oauth2", &[], "t", |url| with_parameter(&site.sign_in(url, decision).0, "iss", iss)).await;
        visit.answer.refused("provider_error").names(&["issuer", "RFC 9207"]);
        assert!(visit.page.body.contains("You are not signed in"), "{iss:?}");
    }
    assert!(lookalike.requests(&site.path("token")).is_empty());
    login(&mut broker, "oauth2", &[], "t", |url| site.sign_in(url, Decision::Approve).0).await.answer.ok();
}

#[tokio::test]
async fn a_server_that_does_not_announce_an_issuer_need_not_send_one_but_must_not_send_another() {
    let site = OpenId::new("id.example.test", None);
    site.set_iss(None);
    let (site, _lookalike, mut broker) = start(site).await;
    login(&mut broker, "oauth2", &[], "t", |url| site.sign_in(url, Decision::Approve).0).await.answer.ok();
    for (iss, good) in [("https://id.example.test", true), ("https://evil.example.test", false)] {
        let visit = login(&mut broker, "oauth2", &[], "t", |url| {
            with_parameter(&site.sign_in(url, Decision::Approve).0, "iss", Some(iss))
        })
        .await;
        assert_eq!(visit.answer.is_error, !good, "{:#}", visit.answer.json);
    }
}

#[tokio::test]
async fn an_issuer_that_stands_twice_ends_nothing_and_is_not_used() {
    let (site, lookalike, mut broker) = start(OpenId::new("id.example.test", None)).await;
    let pending = broker.begin_login("oauth2", &[], "t").await;
    let back = site.sign_in(pending["authorization_url"].as_str().unwrap(), Decision::Approve).0;
    let mut twice = back.clone();
    twice.query_pairs_mut().append_pair("iss", "https://id.example.test");
    assert_eq!(http::get(&twice).await.unwrap().status, 400);
    assert!(lookalike.requests(&site.path("token")).is_empty());
    assert_eq!(http::get(&back).await.unwrap().status, 200, "the person's own answer still counts");
    broker.end_login(&pending).await.ok();
}

/// Two honest servers, a login under way with each.
async fn two() -> (Arc<GitHub>, Arc<Google>, Lookalike, Broker) {
    let github = Arc::new(GitHub::new(App::OAuth));
    let google = Arc::new(Google::new());
    let lookalike = Lookalike::start(vec![Arc::clone(&github) as Arc<dyn Site>, Arc::clone(&google) as Arc<dyn Site>]).await;
    let launch = Launch::new().at(&lookalike).client("GITHUB", github.desk().client_id(), github.desk().client_secret());
    let broker = launch.client("GCP", google.desk().client_id(), google.desk().client_secret()).ready().await;
    (github, google, lookalike, broker)
}

#[tokio::test]
async fn a_code_of_one_server_that_arrives_for_the_login_at_another_is_not_sent_to_that_other() {
    let (github, google, lookalike, mut broker) = two().await;
    let at_github = broker.begin_login("github", &["repo"], "hub").await;
    let at_google = broker.begin_login("google", &["openid"], "goo").await;
    let from_github = github.sign_in(at_github["authorization_url"].as_str().unwrap(), Decision::Approve);
    let from_google = google.sign_in(at_google["authorization_url"].as_str().unwrap(), Decision::Approve).0;
    let state = parameter(&from_google, "state");
    assert_ne!(state, parameter(&from_github, "state"), "each login has a state of its own");

    let mixed = with_parameter(&from_github, "state", Some(&state));
    http::get(&mixed).await.unwrap();
    broker.end_login(&at_google).await.refused("provider_error").names(&["another issuer"]);
    assert!(lookalike.all_requests().is_empty(), "GitHub's code went nowhere");

    assert_eq!(http::get(&from_github).await.unwrap().status, 200);
    broker.end_login(&at_github).await.ok();
    assert_eq!(lookalike.requests("/login/oauth/access_token").len(), 1);
}

#[tokio::test]
async fn a_code_or_verifier_of_another_login_does_not_fit() {
    let (github, _google, lookalike, mut broker) = two().await;
    let (mine, theirs) =
        (broker.begin_login("github", &["repo"], "mine").await, broker.begin_login("github", &["repo"], "theirs").await);
    let (mut back_mine, back_theirs) = (
        github.sign_in(mine["authorization_url"].as_str().unwrap(), Decision::Approve),
        github.sign_in(theirs["authorization_url"].as_str().unwrap(), Decision::Approve),
    );
    // A code that somebody slipped in: the server sees by the verifier that it was made for another login.
    back_mine = with_parameter(&back_mine, "code", Some(&parameter(&back_theirs, "code")));
    assert_eq!(http::get(&back_mine).await.unwrap().status, 502);
    broker.end_login(&mine).await.refused("provider_error");
    let verifiers: Vec<String> = lookalike.all_requests().iter().map(|request| request.field("code_verifier")).collect();
    assert_eq!(verifiers.len(), 1);
    assert_eq!(broker.call("list_secrets", json!({})).await.ok()["secrets"], json!([]));
}

#[tokio::test]
async fn an_answer_on_another_providers_path_changes_nothing() {
    let (github, _google, lookalike, mut broker) = two().await;
    let pending = broker.begin_login("github", &["repo"], "hub").await;
    let back = github.sign_in(pending["authorization_url"].as_str().unwrap(), Decision::Approve);
    for path in [
        "/oauth/callback/google",
        "/oauth/callback/acme",
        "/oauth/callback/",
        "/oauth",
        "//oauth/callback",
        "/oauth%2Fcallback",
        "/OAUTH/CALLBACK",
    ] {
        let mut elsewhere = back.clone();
        elsewhere.set_path(path);
        assert_eq!(http::get(&elsewhere).await.unwrap().status, 404, "{path}");
    }
    assert!(lookalike.all_requests().is_empty());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(http::get(&back).await.unwrap().status, 200);
    broker.end_login(&pending).await.ok();
}

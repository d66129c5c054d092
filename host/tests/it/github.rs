//! GitHub, as it is: errors with status 200, scopes with commas, forms, refresh tokens that work once.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::broker::{Broker, Launch};
use crate::support::lookalike::{Answer, App, Decision, GitHub, Lookalike, Site};
use crate::support::visit::{login, parameter};

const TOKEN: &str = "/login/oauth/access_token";

async fn start(app: App) -> (Arc<GitHub>, Lookalike, Broker) {
    let github = Arc::new(GitHub::new(app));
    let lookalike = Lookalike::of(&github).await;
    let desk = github.desk();
    let broker = Launch::new().at(&lookalike).client("GITHUB", desk.client_id(), desk.client_secret()).ready().await;
    (github, lookalike, broker)
}

#[tokio::test]
async fn an_oauth_app_is_signed_in_to_with_its_secret_in_the_form_and_its_comma_scopes_are_read() {
    let (github, lookalike, mut broker) = start(App::OAuth).await;
    let port = broker.port();
    // The look-alike itself checks that the browser is sent to the authorization endpoint.
    let visit =
        login(&mut broker, "github", &["repo", "gist"], "github-token", |url| github.sign_in(url, Decision::Approve)).await;
    let answer = visit.answer.ok();
    assert_eq!(answer["scope"], "repo gist");
    assert_eq!(answer["hasRefreshToken"], false);
    assert_eq!(answer["tokenType"], "Bearer");
    assert_eq!(answer["expiresIn"], Value::Null, "its tokens do not expire: {answer:#}");
    assert_eq!(answer["missingScopes"], Value::Null);
    assert_eq!(answer["extraScopes"], Value::Null);
    assert_eq!(visit.page.status, 200);

    assert_eq!(parameter(&visit.url, "scope"), "repo gist");
    assert_eq!(parameter(&visit.url, "redirect_uri"), format!("http://localhost:{port}/oauth/callback"));
    for googles in ["access_type", "prompt", "nonce"] {
        assert_eq!(parameter(&visit.url, googles), "", "{googles} means nothing to GitHub: {}", visit.url);
    }

    let requests = lookalike.requests(TOKEN);
    assert_eq!(requests.len(), 1);
    let form = requests[0].form();
    let names: Vec<&str> = form.keys().map(String::as_str).collect();
    assert_eq!(names, ["client_id", "client_secret", "code", "code_verifier", "grant_type", "redirect_uri"]);
    assert_eq!(requests[0].header("accept"), "application/json");
    assert_eq!(requests[0].header("authorization"), "");
    assert_eq!((requests[0].sni.as_str(), requests[0].host.as_str()), ("github.com", "github.com"));

    let token = broker.reveal("github-token").await;
    assert!(token.starts_with("gho_") && github.desk().is_live(&token));
    assert_eq!(lookalike.requests(TOKEN).len(), 1, "what does not expire is not refreshed");
}

#[tokio::test]
async fn a_github_app_is_refreshed_with_a_refresh_token_that_works_once() {
    let (github, lookalike, mut broker) = start(App::GitHub).await;
    let person = |url: &str| github.sign_in(url, Decision::Approve);
    let answer = login(&mut broker, "github", &[], "github-token", person).await.answer.ok();
    assert_eq!(answer["expiresIn"], 28_800, "a lifetime that stands there as a text");
    assert_eq!(answer["hasRefreshToken"], true);
    assert_eq!(answer["scope"], "");
    let fresh = broker.reveal("github-token").await;
    assert_eq!(lookalike.requests(TOKEN).len(), 1, "a fresh token is not refreshed");

    // A login whose token has ended already.
    lookalike.edit(TOKEN, |answer| answer["expires_in"] = "0".into());
    login(&mut broker, "github", &[], "github-token", |url| github.sign_in(url, Decision::Approve)).await.answer.ok();
    lookalike.heal();
    let first = broker.reveal("github-token").await;
    assert!(first != fresh && github.desk().is_live(&first), "the old one died with the refresh");
    assert_eq!(broker.reveal("github-token").await, first);
    let requests = lookalike.requests(TOKEN);
    assert_eq!(requests.len(), 3, "one refresh");
    let names: Vec<String> = requests[2].form().into_keys().collect();
    assert_eq!(names, ["client_id", "client_secret", "grant_type", "refresh_token"]);
}

#[tokio::test]
async fn each_refresh_uses_the_newest_refresh_token() {
    let (github, lookalike, mut broker) = start(App::GitHub).await;
    lookalike.edit(TOKEN, |answer| answer["expires_in"] = 0.into());
    login(&mut broker, "github", &[], "t", |url| github.sign_in(url, Decision::Approve)).await.answer.ok();
    for _ in 0..2 {
        assert!(github.desk().is_live(&broker.reveal("t").await));
    }
    let used: Vec<String> = lookalike.requests(TOKEN).iter().map(|request| request.field("refresh_token")).collect();
    let mut different = used.clone();
    different.sort();
    different.dedup();
    assert!(used.len() > 3 && different.len() == used.len(), "no refresh token is used twice");
}

#[tokio::test]
async fn a_form_is_read_where_json_was_asked_for() {
    let (github, lookalike, mut broker) = start(App::OAuth).await;
    let form = "access_token=gho_16C7e42F292c6912E7710c838347Ae178B4a&scope=repo%2Cgist&token_type=bearer";
    lookalike.once(TOKEN, Answer::text(200, "application/x-www-form-urlencoded; charset=utf-8", form));
    let visit = login(&mut broker, "github", &["repo", "gist"], "t", |url| github.sign_in(url, Decision::Approve)).await;
    assert_eq!(visit.answer.ok()["scope"], "repo gist");
    assert_eq!(broker.reveal("t").await, "gho_16C7e42F292c6912E7710c838347Ae178B4a");
    lookalike.once(
        TOKEN,
        Answer::text(
            200,
            "application/x-www-form-urlencoded",
            "error=incorrect_client_credentials&error_description=The+client_id+is+wrong",
        ),
    );
    let visit = login(&mut broker, "github", &["repo"], "u", |url| github.sign_in(url, Decision::Approve)).await;
    visit.answer.refused("provider_error").names(&["The client_id is wrong", "GITHUB_CLIENT_SECRET"]);
}

#[tokio::test]
async fn an_error_with_status_200_is_an_error_with_a_remedy() {
    let (github, lookalike, mut broker) = start(App::OAuth).await;
    for (error, code, words) in [
        ("bad_verification_code", "provider_error", ["works once", "Start the login again"]),
        ("incorrect_client_credentials", "provider_error", ["GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET"]),
        ("redirect_uri_mismatch", "provider_error", ["callback address", "Authorization callback URL"]),
        ("unverified_user_email", "denied", ["e-mail", "sign in again"]),
        ("something_new", "provider_error", ["something_new", "Nothing was stored"]),
    ] {
        lookalike.once(TOKEN, Answer::json(200, &json!({ "error": error, "error_description": "It does not fit." })));
        let visit = login(&mut broker, "github", &["repo"], "t", |url| github.sign_in(url, Decision::Approve)).await;
        let failure = visit.answer.refused(code);
        failure.names(&words);
        failure.names(&["It does not fit."]);
        assert!(visit.page.body.contains("You are not signed in") || code == "denied", "{error}: {}", visit.page.body);
        broker.call("get_secret", json!({ "name": "t", "purpose": "a test" })).await.refused("unknown_secret");
    }
}

#[tokio::test]
async fn a_refresh_token_that_is_dead_asks_for_a_new_login_and_is_not_tried_again() {
    let (github, lookalike, mut broker) = start(App::GitHub).await;
    lookalike.edit(TOKEN, |answer| answer["expires_in"] = 0.into());
    login(&mut broker, "github", &[], "t", |url| github.sign_in(url, Decision::Approve)).await.answer.ok();
    lookalike.heal();
    github.desk().end_all();
    for _ in 0..2 {
        let answer = broker.call("get_secret", json!({ "name": "t", "purpose": "a test" })).await;
        answer.refused("sign_in_again").names(&["expired, sign in again", "start_oauth_flow", "\"github\""]);
    }
    assert_eq!(lookalike.requests(TOKEN).len(), 2, "the login, and one refresh");
    lookalike.heal();
    login(&mut broker, "github", &[], "t", |url| github.sign_in(url, Decision::Approve)).await.answer.ok();
    assert!(github.desk().is_live(&broker.reveal("t").await));
}

#[tokio::test]
async fn a_refresh_that_breaks_off_keeps_the_login() {
    let (github, lookalike, mut broker) = start(App::GitHub).await;
    lookalike.edit(TOKEN, |answer| answer["expires_in"] = 0.into());
    login(&mut broker, "github", &[], "t", |url| github.sign_in(url, Decision::Approve)).await.answer.ok();
    lookalike.heal();
    for fault in [Answer::Close, Answer::text(503, "text/html", "<h1>Unicorn</h1>"), Answer::text(429, "text/plain", "slow")] {
        lookalike.once(TOKEN, fault);
        let before = lookalike.requests(TOKEN).len();
        let answer = broker.call("get_secret", json!({ "name": "t", "purpose": "a test" })).await;
        answer.refused("unavailable");
        assert_eq!(lookalike.requests(TOKEN).len(), before + 1, "one attempt");
    }
    assert!(github.desk().is_live(&broker.reveal("t").await));
}

#[tokio::test]
async fn a_person_who_declines_is_reported_as_that_and_no_code_is_redeemed() {
    let (github, lookalike, mut broker) = start(App::OAuth).await;
    let visit = login(&mut broker, "github", &["repo"], "t", |url| github.sign_in(url, Decision::Deny)).await;
    visit.answer.refused("denied").names(&["GitHub", "declined"]);
    assert!(visit.page.body.contains("Sign-in declined"), "{}", visit.page.body);
    assert!(lookalike.all_requests().is_empty());
}

#[tokio::test]
async fn missing_variables_are_named_one_by_one() {
    for (id, named, unnamed) in [
        (None, vec!["GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET"], vec![]),
        (Some("Iv1.x"), vec!["GITHUB_CLIENT_SECRET"], vec!["GITHUB_CLIENT_ID"]),
    ] {
        let launch = Launch::new();
        let launch = if let Some(id) = id { launch.client("GITHUB", id, None) } else { launch };
        let mut broker = launch.ready().await;
        let arguments = json!({ "provider": "github", "scopes": ["repo"], "secret_name": "t" });
        let failure = broker.call("start_oauth_flow", arguments).await.refused("not_configured");
        failure.names(&named);
        assert!(unnamed.iter().all(|name| !failure.error.contains(name)), "{failure:?}");
    }
}

#[tokio::test]
async fn an_enterprise_server_has_the_same_paths_under_its_own_name() {
    let launch = Launch::new().client("GITHUB", "Iv1.x", Some("0123456789abcdef")).env("GITHUB_HOST", "ghes.example.test");
    let mut broker = launch.ready().await;
    let pending = broker.begin_login("github", &["repo"], "t").await;
    let url = pending["authorization_url"].as_str().unwrap();
    assert!(url.starts_with("https://ghes.example.test/login/oauth/authorize?"), "{url}");
}

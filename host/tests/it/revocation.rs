//! Revocation that revokes: gone here at once, ended at the provider, and tried again where that did not work.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::login::{at, issued, signed_in};
use crate::support::broker::{Broker, Launch};
use crate::support::idp::Idp;
use crate::support::lookalike::{Answer, App, Decision, Entra, GitHub, Google, Lookalike, OpenId, Request, Rotation, Site};
use crate::support::visit::login;

const DONE: &str = "revoked at the provider";
const GONE: &str = "already gone";
const LATER: &str = "failed, will be retried";

async fn revoke(broker: &mut Broker, name: &str) -> Value {
    broker.call("revoke_secret", json!({ "name": name })).await.ok()
}

/// What became of the refresh token and of the access token; empty where there was none.
fn results(answer: &Value) -> (&str, &str) {
    let of = |token: &str| {
        let step = answer["steps"].as_array().unwrap().iter().find(|step| step["token"] == token);
        step.map_or("", |step| step["result"].as_str().unwrap())
    };
    (of("refresh"), of("access"))
}

async fn reference(broker: &mut Broker, name: &str) -> Value {
    let answer = broker.call("get_secret", json!({ "name": name, "purpose": "a test" })).await.ok();
    answer["reference"]["id"].clone()
}

/// Calls the broker until what was left is done.
async fn until(broker: &mut Broker, done: impl Fn() -> bool) {
    for _ in 0..1200 {
        broker.call("list_secrets", json!({})).await.ok();
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it was not tried again; standard error says:\n{}", broker.stderr());
}

async fn left(broker: &mut Broker) -> u64 {
    let stats = broker.call("get_broker_stats", json!({})).await.ok();
    stats["stats"]["pendingRevocations"].as_u64().unwrap_or(0)
}

async fn until_nothing_is_left(broker: &mut Broker) {
    for _ in 0..1200 {
        if left(broker).await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("something is left; standard error says:\n{}", broker.stderr());
}

async fn github(app: App) -> (Arc<GitHub>, Lookalike, Broker) {
    let github = Arc::new(GitHub::new(app));
    let lookalike = Lookalike::of(&github).await;
    let desk = github.desk();
    let mut broker = Launch::new().at(&lookalike).client("GITHUB", desk.client_id(), desk.client_secret()).ready().await;
    login(&mut broker, "github", &[], "t", |url| github.sign_in(url, Decision::Approve)).await.answer.ok();
    (github, lookalike, broker)
}

/// A team's own server, `oauth2`, with a login that has both tokens.
async fn team() -> (Arc<OpenId>, Lookalike, Broker) {
    let site = Arc::new(OpenId::new("id.example", None).rotation(Rotation::Keep));
    let lookalike = Lookalike::of(&site).await;
    let launch = Launch::new().at(&lookalike).env("OAUTH2_ISSUER", &site.issuer());
    let mut broker = launch.client("OAUTH2", site.desk().client_id(), None).ready().await;
    sign_in(&site, &mut broker).await;
    (site, lookalike, broker)
}

async fn sign_in(site: &OpenId, broker: &mut Broker) {
    login(broker, "oauth2", &["openid", "offline_access"], "team", |url| site.sign_in(url, Decision::Approve).0)
        .await
        .answer
        .ok();
}

#[tokio::test]
async fn a_real_provider_takes_neither_token_any_more_and_no_reference_outlives_it() {
    let mut idp = Idp::start().await;
    for client in ["public-client", "basic-client"] {
        let mut broker = at(&idp, client).ready().await;
        signed_in(&mut broker, "team").await;
        let old = reference(&mut broker, "team").await;
        let access = broker.reveal("team").await;
        let refresh = issued(&mut idp, "refresh").await.pop().unwrap();
        if client == "public-client" {
            assert!(idp.is_active(&access).await && idp.is_active(&refresh).await, "the control");
        }
        let answer = revoke(&mut broker, "team").await;
        assert_eq!(results(&answer), (DONE, DONE), "{answer:#}");
        if client == "public-client" {
            assert!(!idp.is_active(&access).await && !idp.is_active(&refresh).await);
        }
        broker.call("resolve_secret", json!({ "reference_id": old })).await.refused("unknown_reference");
        broker.call("revoke_secret", json!({ "name": "team" })).await.refused("unknown_secret");
        assert_eq!(left(&mut broker).await, 0);

        signed_in(&mut broker, "team").await;
        assert!(broker.reveal("team").await != access, "the name is free");
        let trail = broker.stderr();
        for line in
            [r#""event":"revoke_refresh_token","outcome":"ok""#, r#""event":"revoke_secret","outcome":"ok","secret":"team""#]
        {
            assert!(trail.contains(line), "{line} in {trail}");
        }
        broker.finish().await;
        broker.assert_unseen_beside_stdout(&idp.secrets().await);
        broker.assert_unseen(&[refresh]);
    }
}

#[tokio::test]
async fn github_deletes_the_access_token_for_the_app_and_is_told_of_the_refresh_token_by_nobody() {
    let (github, lookalike, mut broker) = github(App::GitHub).await;
    assert_eq!(github.desk().alive(), (1, 1));
    let answer = revoke(&mut broker, "t").await;
    assert_eq!(results(&answer), (DONE, DONE), "{answer:#}");
    assert_eq!(github.desk().alive(), (0, 0));
    let report = &lookalike.requests("/credentials/revoke")[0];
    assert_eq!((report.host.as_str(), report.header("authorization")), ("api.github.com", ""));
    let sent: Vec<Request> = lookalike.all_requests().into_iter().filter(|request| request.path != "/user").collect();
    assert_eq!(sent.iter().map(|request| request.method.as_str()).collect::<Vec<_>>(), ["POST", "POST", "DELETE"]);
    assert!(sent[2].basic().is_some() && sent[2].header("x-github-api-version") == "2022-11-28");
    broker.finish().await;
    broker.assert_unseen(&lookalike.secrets());
}

#[tokio::test]
async fn an_oauth_app_has_an_access_token_alone_and_one_that_is_unknown_is_gone() {
    let (github, _lookalike, mut broker) = github(App::OAuth).await;
    github.desk().end_all();
    assert_eq!(results(&revoke(&mut broker, "t").await), ("", GONE));
}

#[tokio::test]
async fn an_enterprise_server_is_asked_itself() {
    let github = Arc::new(GitHub::enterprise(App::GitHub, "ghes.example.test"));
    let lookalike = Lookalike::of(&github).await;
    let desk = github.desk();
    let launch = Launch::new().at(&lookalike).env("GITHUB_HOST", "ghes.example.test");
    let mut broker = launch.client("GITHUB", desk.client_id(), desk.client_secret()).ready().await;
    let answer = login(&mut broker, "github", &[], "t", |url| github.sign_in(url, Decision::Approve)).await.answer.ok();
    assert_eq!(answer["account"]["label"], "octocat");
    assert_eq!(results(&revoke(&mut broker, "t").await), (DONE, DONE));
    assert_eq!(desk.alive(), (0, 0));
    assert!(lookalike.all_requests().iter().all(|request| request.host == "ghes.example.test"));

    // One that is older than the call for refresh tokens.
    login(&mut broker, "github", &[], "t", |url| github.sign_in(url, Decision::Approve)).await.answer.ok();
    lookalike.once(&github.api("/credentials/revoke"), Answer::json(404, &json!({ "message": "Not Found" })));
    assert_eq!(results(&revoke(&mut broker, "t").await), ("not supported", DONE));
}

#[tokio::test]
async fn google_ends_everything_with_the_first_token_and_the_second_is_gone_by_then() {
    let google = Arc::new(Google::new());
    let lookalike = Lookalike::of(&google).await;
    let desk = google.desk();
    let mut broker = Launch::new().at(&lookalike).client("GCP", desk.client_id(), desk.client_secret()).ready().await;
    login(&mut broker, "google", &["openid"], "g", |url| google.sign_in(url, Decision::Approve).0).await.answer.ok();
    assert_eq!(results(&revoke(&mut broker, "g").await), (DONE, GONE));
    assert_eq!(desk.alive(), (0, 0));
    for request in lookalike.requests("/revoke") {
        assert_eq!((request.form().len(), request.header("authorization")), (1, ""));
    }
}

#[tokio::test]
async fn okta_revokes_at_the_endpoint_that_was_discovered_with_the_clients_secret() {
    let okta = Arc::new(OpenId::okta("default", Some("a-client-secret-0123456789")));
    let lookalike = Lookalike::of(&okta).await;
    let desk = okta.desk();
    let launch = Launch::new().at(&lookalike).env("OKTA_DOMAIN", "dev-1.okta.com").env("OKTA_AUTHORIZATION_SERVER", "default");
    let mut broker = launch.client("OKTA", desk.client_id(), desk.client_secret()).ready().await;
    login(&mut broker, "okta", &["openid"], "o", |url| okta.sign_in(url, Decision::Approve).0).await.answer.ok();
    // Revoked where the login was made, whatever the metadata say today.
    lookalike.edit(&okta.discovery_path(), |document| document["revocation_endpoint"] = "https://evil.example/".into());
    assert_eq!(results(&revoke(&mut broker, "o").await), (DONE, DONE));
    assert_eq!(desk.alive(), (0, 0));
    let requests = lookalike.requests(&okta.path("revoke"));
    let hints: Vec<String> = requests.iter().map(|request| request.field("token_type_hint")).collect();
    assert_eq!(hints, ["refresh_token", "access_token"]);
    assert!(requests.iter().all(|request| request.basic().is_some()));
}

#[tokio::test]
async fn entra_says_honestly_that_it_cannot() {
    let entra = Arc::new(Entra::new("common", None));
    let lookalike = Lookalike::of(&entra).await;
    let mut broker = Launch::new().at(&lookalike).client("AZURE", entra.desk().client_id(), None).ready().await;
    login(&mut broker, "azure", &["openid"], "a", |url| entra.sign_in(url, Decision::Approve).0).await.answer.ok();
    let before = lookalike.all_requests().len();
    let answer = revoke(&mut broker, "a").await;
    assert_eq!(results(&answer), ("not supported", "not supported"));
    let access = &answer["steps"][1];
    assert!(access["reason"].as_str().unwrap().contains("until it ends by itself") && access["endsAt"].is_u64(), "{answer:#}");
    assert_eq!(lookalike.all_requests().len(), before, "nothing was sent");
    assert_eq!(left(&mut broker).await, 0, "and nothing is tried again");
    broker.call("get_secret", json!({ "name": "a", "purpose": "a test" })).await.refused("unknown_secret");
}

#[tokio::test]
async fn a_server_without_a_revocation_endpoint_cannot_either() {
    let site = Arc::new(OpenId::new("id.example", None));
    let lookalike = Lookalike::of(&site).await;
    lookalike.edit(&site.discovery_path(), |document| drop(document.as_object_mut().unwrap().remove("revocation_endpoint")));
    let launch = Launch::new().at(&lookalike).env("OAUTH2_ISSUER", &site.issuer());
    let mut broker = launch.client("OAUTH2", site.desk().client_id(), None).ready().await;
    sign_in(&site, &mut broker).await;
    assert_eq!(results(&revoke(&mut broker, "team").await), ("not supported", "not supported"));
}

#[tokio::test]
async fn a_value_cannot_be_revoked_and_stays_and_forgetting_a_login_revokes_nothing() {
    let (site, lookalike, mut broker) = team().await;
    broker.call("store_secret", json!({ "name": "value", "value": "a static value" })).await.ok();
    let refused = broker.call("revoke_secret", json!({ "name": "value" })).await.refused("unsupported");
    refused.names(&["only a login", "delete_secret"]);
    assert_eq!(broker.reveal("value").await, "a static value");
    broker.call("revoke_secret", json!({ "name": "nope" })).await.refused("unknown_secret");
    broker.call("revoke_secret", json!({ "name": "no name" })).await.refused("invalid_argument");

    let answer = broker.call("delete_secret", json!({ "name": "team" })).await.ok();
    assert!(answer["message"].as_str().unwrap().contains("Nothing was revoked"));
    assert!(lookalike.requests(&site.path("revoke")).is_empty());
    assert_eq!(site.desk().alive(), (1, 1));
}

#[tokio::test]
async fn t33_every_answer_to_a_revocation_ends_the_login_here_and_is_reported_for_what_it_is() {
    let unavailable = || Answer::text(503, "text/html", "<h1>Maintenance</h1>").with("retry-after", "3600");
    for (fault, expected) in [
        (Answer::text(200, "text/plain", ""), DONE),
        (Answer::json(200, &json!({})), DONE),
        (Answer::text(204, "text/plain", ""), DONE),
        (Answer::text(202, "text/plain", ""), DONE),
        (Answer::json(400, &json!({ "error": "invalid_token" })), GONE),
        (Answer::text(404, "text/html", "<h1>Not Found</h1>"), GONE),
        (Answer::json(400, &json!({ "error": "unsupported_token_type" })), "not supported"),
        (Answer::json(401, &json!({ "error": "invalid_client" })), LATER),
        (Answer::text(401, "text/plain", ""), LATER),
        (unavailable(), LATER),
        (Answer::text(429, "text/plain", ""), LATER),
        (Answer::text(200, "application/json", "{\"a\":"), LATER),
        (Answer::redirect(307, "https://evil.example/revoke"), LATER),
        (Answer::Close, LATER),
    ] {
        // A broker for each: what failed would be tried again in the middle of the next.
        let (site, lookalike, mut broker) = team().await;
        let old = reference(&mut broker, "team").await;
        // The refresh token fares so, the access token well: one never skips the other.
        lookalike.once(&site.path("revoke"), fault.clone());
        let answer = revoke(&mut broker, "team").await;
        assert_eq!(results(&answer), (expected, DONE), "{fault:?}: {answer:#}");
        assert_eq!(answer["steps"][0]["reason"].is_string(), matches!(expected, LATER | "not supported"), "{answer:#}");
        assert_eq!(left(&mut broker).await, u64::from(expected == LATER), "{fault:?}");
        broker.call("resolve_secret", json!({ "reference_id": old })).await.refused("unknown_reference");
        broker.call("get_secret", json!({ "name": "team", "purpose": "a test" })).await.refused("unknown_secret");
        let trail = broker.finish().await.stderr;
        let line = trail.lines().find(|line| line.contains(r#""event":"revoke_refresh_token""#)).unwrap();
        let outcome = match expected {
            DONE | GONE => "ok",
            LATER => "failed",
            _ => "refused",
        };
        assert!(line.contains(&format!("\"outcome\":\"{outcome}\"")), "{fault:?}: {line}");
        broker.assert_unseen(&lookalike.secrets().into_iter().filter(|secret| secret.starts_with("ref-")).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_provider_that_never_answers_holds_nobody_up_for_longer_than_a_client_waits() {
    let (site, lookalike, mut broker) = team().await;
    lookalike.always(&site.path("revoke"), Answer::Close.after(Duration::from_secs(120)));
    let started = std::time::Instant::now();
    let answer = revoke(&mut broker, "team").await;
    assert_eq!(results(&answer), (LATER, LATER), "{answer:#}");
    assert!(started.elapsed() < Duration::from_secs(55), "{:?}", started.elapsed());
}

#[tokio::test]
async fn what_failed_while_the_provider_was_down_is_done_by_a_later_call() {
    let (site, lookalike, mut broker) = team().await;
    let path = site.path("revoke");
    lookalike.always(&path, Answer::text(503, "text/html", "<h1>Maintenance</h1>"));
    assert_eq!(results(&revoke(&mut broker, "team").await), (LATER, LATER));
    assert_eq!(site.desk().alive(), (1, 1));
    assert_eq!(left(&mut broker).await, 1);
    lookalike.heal();
    // A new login under the freed name has nothing to do with it.
    sign_in(&site, &mut broker).await;
    let fresh = broker.reveal("team").await;
    let before = lookalike.requests(&path).len();
    until(&mut broker, || lookalike.requests(&path).len() >= before + 2).await;
    until_nothing_is_left(&mut broker).await;
    let revoked: Vec<String> = lookalike.requests(&path)[before..].iter().map(|request| request.field("token")).collect();
    assert!(!revoked.contains(&fresh), "the new login's token is not touched");
    assert_eq!(broker.reveal("team").await, fresh);
    assert_eq!(lookalike.requests(&path).len(), before + 2, "done is done");
}

#[tokio::test]
async fn a_refresh_under_way_leaves_its_new_tokens_to_be_revoked_too() {
    let site = Arc::new(OpenId::new("id.example", None).access_ttl(1));
    let lookalike = Lookalike::of(&site).await;
    let launch = Launch::new().at(&lookalike).env("OAUTH2_ISSUER", &site.issuer());
    let mut broker = launch.client("OAUTH2", site.desk().client_id(), None).ready().await;
    sign_in(&site, &mut broker).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let token = site.path("token");
    lookalike.delay(&token, Duration::from_secs(2));
    let asked = broker.begin("get_secret", &json!({ "name": "team", "purpose": "a test" })).await;
    while lookalike.requests(&token).len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(site.desk().alive(), (1, 1), "the new ones; the old ones died with the refresh");
    let answer = revoke(&mut broker, "team").await;
    assert_eq!(results(&answer), (DONE, DONE), "{answer:#}");
    assert_eq!(site.desk().alive(), (0, 0));
    assert!(broker.tool_answer("get_secret", asked).await.is_error);
    assert_eq!(left(&mut broker).await, 0);
}

#[tokio::test]
async fn t42_after_a_revocation_upstream_there_is_one_refresh_and_then_a_new_login_is_asked_for() {
    let (github, lookalike, mut broker) = github(App::GitHub).await;
    lookalike.edit("/login/oauth/access_token", |answer| answer["expires_in"] = 0.into());
    login(&mut broker, "github", &[], "t", |url| github.sign_in(url, Decision::Approve)).await.answer.ok();
    lookalike.heal();
    github.desk().end_all();
    let before = lookalike.requests("/login/oauth/access_token").len();
    for _ in 0..3 {
        let refused = broker.call("get_secret", json!({ "name": "t", "purpose": "a test" })).await.refused("sign_in_again");
        refused.names(&["start_oauth_flow"]);
    }
    assert_eq!(lookalike.requests("/login/oauth/access_token").len(), before + 1, "one refresh, no loop");
    // Revoking it now finds that all is gone.
    let answer = revoke(&mut broker, "t").await;
    assert_eq!(results(&answer).1, GONE, "{answer:#}");
}

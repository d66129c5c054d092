//! Google, as it is: a refresh token at the first consent only, scopes by long names, boxes that people untick.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::broker::{Broker, Launch};
use crate::support::lookalike::{Answer, Decision, Google, Lookalike, Site};
use crate::support::visit::{login, parameter};

const TOKEN: &str = "/token";
const DRIVE: &str = "https://www.googleapis.com/auth/drive.file";
const CALENDAR: &str = "https://www.googleapis.com/auth/calendar.readonly";

async fn start_with(more: impl FnOnce(Launch) -> Launch) -> (Arc<Google>, Lookalike, Broker) {
    let google = Arc::new(Google::new());
    let lookalike = Lookalike::of(&google).await;
    let desk = google.desk();
    let launch = Launch::new().at(&lookalike).client("GCP", desk.client_id(), desk.client_secret());
    let broker = more(launch).ready().await;
    (google, lookalike, broker)
}

async fn start() -> (Arc<Google>, Lookalike, Broker) {
    start_with(|launch| launch).await
}

#[tokio::test]
async fn a_login_asks_for_offline_access_and_says_whose_it_is() {
    let (google, lookalike, mut broker) = start().await;
    let visit =
        login(&mut broker, "google", &["openid", "email", DRIVE], "g", |url| google.sign_in(url, Decision::Approve).0).await;
    assert_eq!(parameter(&visit.url, "access_type"), "offline");
    assert_eq!(parameter(&visit.url, "prompt"), "consent");
    assert_eq!(parameter(&visit.url, "include_granted_scopes"), "");
    let answer = visit.answer.ok();
    assert_eq!(answer["hasRefreshToken"], true);
    assert_eq!(answer["expiresIn"], 3599);
    assert_eq!(answer["account"]["label"], "alice@example.test");
    assert_eq!(answer["missingScopes"], Value::Null, "email is granted under its long name: {answer:#}");
    assert_eq!(answer["extraScopes"], Value::Null, "and nothing else is: {answer:#}");
    let sent = &lookalike.requests(TOKEN)[0];
    assert_eq!(sent.field("client_secret"), google.desk().client_secret().unwrap());
    assert_eq!(sent.host, "oauth2.googleapis.com");
    assert_eq!(lookalike.requests("/oauth2/v3/certs").len(), 1);
    assert!(google.desk().is_live(&broker.reveal("g").await));
}

#[tokio::test]
async fn it_goes_by_the_name_gcp_too_and_by_the_issuer_without_its_scheme() {
    let (google, _lookalike, mut broker) = start().await;
    google.use_bare_issuer();
    let visit = login(&mut broker, "gcp", &["openid"], "g", |url| google.sign_in(url, Decision::Approve).0).await;
    assert_eq!(visit.answer.ok()["account"]["issuer"], "accounts.google.com");
}

#[tokio::test]
async fn a_second_login_gets_a_refresh_token_too_since_consent_is_asked_for() {
    let (google, _lookalike, mut broker) = start().await;
    for name in ["first", "second"] {
        let visit = login(&mut broker, "google", &[DRIVE], name, |url| google.sign_in(url, Decision::Approve).0).await;
        assert_eq!(visit.answer.ok()["hasRefreshToken"], true, "{name}");
    }
}

#[tokio::test]
async fn without_the_consent_page_a_second_login_has_no_refresh_token_and_says_so() {
    let (google, lookalike, mut broker) = start_with(|launch| launch.env("GCP_PROMPT", "select_account")).await;
    let visit = login(&mut broker, "google", &[DRIVE], "first", |url| google.sign_in(url, Decision::Approve).0).await;
    assert_eq!(parameter(&visit.url, "prompt"), "select_account");
    assert_eq!(visit.answer.ok()["hasRefreshToken"], true);
    lookalike.edit(TOKEN, |answer| answer["expires_in"] = 0.into());
    let visit = login(&mut broker, "google", &[DRIVE], "second", |url| google.sign_in(url, Decision::Approve).0).await;
    assert_eq!(visit.answer.ok()["hasRefreshToken"], false);
    let answer = broker.call("get_secret", json!({ "name": "second", "purpose": "a test" })).await;
    answer.refused("sign_in_again").names(&["no refresh token", "start_oauth_flow"]);
}

#[tokio::test]
async fn a_refresh_that_brings_no_new_refresh_token_keeps_the_old_one() {
    let (google, lookalike, mut broker) = start().await;
    lookalike.edit(TOKEN, |answer| answer["expires_in"] = 0.into());
    login(&mut broker, "google", &[DRIVE], "g", |url| google.sign_in(url, Decision::Approve).0).await.answer.ok();
    let (first, second) = (broker.reveal("g").await, broker.reveal("g").await);
    assert!(first != second && google.desk().is_live(&second));
    let used: Vec<String> = lookalike.requests(TOKEN)[1..].iter().map(|request| request.field("refresh_token")).collect();
    assert!(used.len() >= 2 && used.iter().all(|token| *token == used[0] && token.starts_with("1//0")), "{}", used.len());
}

#[tokio::test]
async fn scopes_that_the_person_unticked_are_reported() {
    let (google, lookalike, mut broker) = start().await;
    lookalike.edit(TOKEN, |answer| answer["scope"] = DRIVE.into());
    let visit = login(&mut broker, "google", &[DRIVE, CALENDAR], "g", |url| google.sign_in(url, Decision::Approve).0).await;
    let answer = visit.answer.ok();
    assert_eq!(answer["missingScopes"], json!([CALENDAR]));
    assert!(answer["message"].as_str().unwrap().contains(CALENDAR), "{answer:#}");
    assert_eq!(answer["scope"], DRIVE);
}

#[tokio::test]
async fn a_session_that_the_workspace_ended_and_a_revoked_login_need_the_person() {
    let (google, lookalike, mut broker) = start().await;
    for (body, words) in [
        (
            json!({ "error": "invalid_grant", "error_subtype": "invalid_rapt", "error_description": "reauth related error (invalid_rapt)" }),
            "sign in again",
        ),
        (json!({ "error": "invalid_grant", "error_description": "Token has been expired or revoked." }), "expired or revoked"),
    ] {
        lookalike.edit(TOKEN, |answer| answer["expires_in"] = 0.into());
        login(&mut broker, "google", &[DRIVE], "g", |url| google.sign_in(url, Decision::Approve).0).await.answer.ok();
        lookalike.once(TOKEN, Answer::json(400, &body));
        broker.call("get_secret", json!({ "name": "g", "purpose": "a test" })).await.refused("sign_in_again").names(&[words]);
    }
}

#[tokio::test]
async fn a_client_without_its_secret_is_told_which_variable_to_set() {
    let google = Arc::new(Google::new());
    let lookalike = Lookalike::of(&google).await;
    let mut broker = Launch::new().at(&lookalike).client("GOOGLE", google.desk().client_id(), None).ready().await;
    let visit = login(&mut broker, "google", &[DRIVE], "g", |url| google.sign_in(url, Decision::Approve).0).await;
    visit.answer.refused("provider_error").names(&["client_secret is missing", "GCP_CLIENT_SECRET"]);
}

#[tokio::test]
async fn missing_variables_are_named_as_the_documentation_has_them() {
    let mut broker = Launch::new().ready().await;
    for name in ["google", "gcp"] {
        let arguments = json!({ "provider": name, "scopes": [DRIVE], "secret_name": "t" });
        broker.call("start_oauth_flow", arguments).await.refused("not_configured").names(&["Google", "GCP_CLIENT_ID"]);
    }
}

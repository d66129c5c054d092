//! What goes wrong at the provider or on the way there, and what becomes of the login.

use std::time::Duration;

use credentials_broker::error::Code;
use credentials_broker::secret::Secret;
use serde_json::json;

use super::{HOUR, Scene, expire};
use crate::support::lookalike::{Answer, Lookalike, OpenId, Site};

fn site() -> OpenId {
    OpenId::new("id.example", None)
}

/// With a refresh token that works once.
async fn strict() -> Scene {
    let scene = Scene::new(site(), "").await;
    scene.grant(|grant| {
        expire(grant, HOUR);
        grant.strict_rotation = true;
    });
    scene
}

#[tokio::test]
async fn t22_a_reset_after_sending_is_tried_once_more_where_a_token_works_once() {
    let scene = strict().await;
    let token = scene.site.path("token");
    scene.lookalike.once(&token, Answer::Close);
    let told = scene.refused(Code::Unavailable).await;
    assert!(told.contains("kept"), "{told}");
    assert_eq!(scene.stored().1.renewal.intent.unwrap().tries, 1, "nobody knows what became of it");
    assert!(scene.site.desk().is_live(&scene.token().await.unwrap()), "the provider had not taken it");
    assert!(scene.stored().1.renewal.intent.is_none());
    assert_eq!(scene.refreshes(), 2);
}

#[tokio::test]
async fn t22_two_resets_after_sending_end_a_login_whose_token_works_once_and_it_is_not_sent_again() {
    let scene = strict().await;
    scene.lookalike.always(&scene.site.path("token"), Answer::Close);
    scene.refused(Code::Unavailable).await;
    let told = scene.refused(Code::SignInAgain).await;
    assert!(told.contains("works once") && told.contains("start_oauth_flow"), "{told}");
    scene.lookalike.heal();
    scene.refused(Code::SignInAgain).await;
    assert_eq!(scene.refreshes(), 2);
    assert!(scene.stored().1.refresh.is_some(), "the record stays: what can still be revoked is there");
}

#[tokio::test]
async fn t22_a_token_that_the_provider_did_take_asks_for_a_new_login_after_one_more_try() {
    let scene = strict().await;
    let spent = scene.stored().1.refresh.clone().unwrap();
    // the provider served it, and its answer never came
    scene.site.desk().rotate(spent.expose());
    scene.lookalike.once(&scene.site.path("token"), Answer::Close);
    scene.refused(Code::Unavailable).await;
    assert!(scene.refused(Code::SignInAgain).await.contains("invalid_grant"));
    assert_eq!(scene.refreshes(), 2);
}

#[tokio::test]
async fn where_tokens_can_be_used_again_a_reset_is_one_failure_among_others() {
    let scene = Scene::new(site(), "").await;
    scene.lookalike.always(&scene.site.path("token"), Answer::Close);
    for failures in 1..=3 {
        scene.refused(Code::Unavailable).await;
        let renewal = scene.stored().1.renewal.clone();
        assert_eq!((renewal.intent, renewal.failures), (None, failures));
    }
    scene.lookalike.heal();
    scene.token().await.unwrap();
    assert_eq!(scene.stored().1.renewal.failures, 0);
}

#[tokio::test]
async fn a_connection_that_never_was_keeps_every_login() {
    let mut scene = strict().await;
    // the listener that the broker knows of is gone, and nobody answers at its port
    let elsewhere = Lookalike::of(&scene.site).await;
    drop(std::mem::replace(&mut scene.lookalike, elsewhere));
    for failures in 1..=3 {
        let told = scene.refused(Code::Unavailable).await;
        assert!(told.contains("kept"), "{told}");
        let renewal = scene.stored().1.renewal.clone();
        assert_eq!((renewal.intent, renewal.failures), (None, failures), "it was not sent");
    }
    assert!(scene.stored().1.ended.is_none());
}

#[tokio::test]
async fn retry_after_is_kept_by_all_and_told() {
    let scene = Scene::new(site(), "").await;
    let busy = Answer::json(429, &json!({ "error": "slow_down" })).with("retry-after", "40");
    scene.lookalike.once(&scene.site.path("token"), busy);
    scene.refused(Code::Unavailable).await;
    let told = scene.refused(Code::Unavailable).await;
    let seconds: u64 = told.split("Try again in ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((30..=40).contains(&seconds), "{told}");
    assert_eq!(scene.refreshes(), 1, "the provider was left alone");
    // what is only due is handed out meanwhile
    let (revision, grant) = scene.stored();
    let mut due = (*grant).clone();
    due.expires = Some(std::time::SystemTime::now() + Duration::from_secs(30));
    scene.vault.replace(&super::name(), revision, due.into()).unwrap().unwrap();
    assert_eq!(scene.token().await.unwrap(), grant.access.expose());
    assert_eq!(scene.refreshes(), 1);
}

#[tokio::test]
async fn a_dead_refresh_token_keeps_its_record_and_a_grant_without_one_says_so() {
    let scene = Scene::new(site(), "").await;
    scene.site.desk().end_all();
    assert!(scene.refused(Code::SignInAgain).await.contains("invalid_grant"));
    assert!(scene.stored().1.ended.is_some());
    scene.refused(Code::SignInAgain).await;
    assert_eq!(scene.refreshes(), 1, "it is not tried twice");

    let scene = Scene::new(site(), "").await;
    scene.grant(|grant| {
        expire(grant, HOUR);
        grant.refresh = None;
    });
    assert!(scene.refused(Code::SignInAgain).await.contains("no refresh token"));
    assert_eq!(scene.refreshes(), 0);
}

#[tokio::test]
async fn another_client_in_this_process_says_so_and_leaves_the_login_to_the_others() {
    let scene = Scene::new(site(), "").await;
    scene.grant(|grant| {
        expire(grant, HOUR);
        grant.client_id = "the client of another process".to_owned();
        grant.access = Secret::from("old");
    });
    assert!(scene.refused(Code::SignInAgain).await.contains("OAuth client is another one"));
    let grant = scene.stored().1;
    assert!(grant.ended.is_none() && grant.refresh.is_some() && grant.renewal.intent.is_none());
}

//! What the answer to a refresh is held against: the account, the scopes, the id_token.

use std::time::Duration;

use credentials_broker::error::Code;
use serde_json::{Value, json};

use super::Scene;
use crate::support::lookalike::{Answer, OpenId, Rotation, Site};

fn site() -> OpenId {
    OpenId::new("id.example", None)
}

#[tokio::test]
async fn a_refresh_that_brings_another_account_ends_the_login_and_keeps_none_of_its_tokens() {
    for claims in [json!({ "sub": "mallory" }), json!({ "iss": "https://evil.example" })] {
        let scene = Scene::new(site(), "").await;
        let before = scene.stored().1;
        scene.site.bend_claims(claims);
        assert!(scene.refused(Code::SignInAgain).await.contains("another account"));
        let after = scene.stored().1;
        assert_eq!(after.access.expose(), before.access.expose());
        assert_eq!(after.refresh.as_ref().unwrap().expose(), before.refresh.as_ref().unwrap().expose());
        assert!(after.ended.as_ref().unwrap().contains("another account") && after.renewal == before.renewal);
        scene.site.bend_claims(json!({}));
        assert!(scene.refused(Code::SignInAgain).await.contains("another account"), "and stays ended");
        assert_eq!(scene.refreshes(), 1);
        let state = scene.broker.list_secrets().unwrap().remove(0).state;
        assert_eq!(state, "sign_in_again");
    }
}

#[tokio::test]
async fn an_id_token_for_another_client_or_with_another_key_is_not_taken_and_the_login_is_kept() {
    let scene = Scene::new(site().rotation(Rotation::Keep), "").await;
    scene.site.bend_claims(json!({ "aud": "another-client" }));
    assert!(scene.refused(Code::ProviderError).await.contains("another client"));
    scene.site.bend_claims(json!({}));
    scene.site.bend_signature(crate::support::lookalike::Algorithm::None);
    scene.refused(Code::ProviderError).await;
    scene.site.bend_signature(crate::support::lookalike::Algorithm::Es256);
    assert!(scene.site.desk().is_live(&scene.token().await.unwrap()));
}

#[tokio::test]
async fn neither_a_missing_nonce_nor_a_wrong_clock_nor_missing_keys_cost_a_login() {
    for claims in [json!({ "nonce": null }), json!({ "exp": 1, "iat": 99_999_999_999_u64, "nbf": 99_999_999_999_u64 })] {
        let scene = Scene::new(site(), "").await;
        scene.site.bend_claims(claims);
        assert!(scene.site.desk().is_live(&scene.token().await.unwrap()));
    }
    // the keys cannot be had; TLS with the token endpoint vouches for the issuer, and another account is still seen
    let scene = Scene::new(site(), "").await;
    scene.lookalike.always(&scene.site.path("keys"), Answer::Close);
    assert!(scene.site.desk().is_live(&scene.token().await.unwrap()));
    let scene = Scene::new(site(), "").await;
    scene.lookalike.always(&scene.site.path("keys"), Answer::text(503, "text/plain", "later").after(Duration::from_secs(30)));
    scene.site.bend_claims(json!({ "sub": "mallory" }));
    assert!(scene.refused(Code::SignInAgain).await.contains("another account"));
}

#[tokio::test]
async fn a_login_whose_account_no_id_token_vouched_for_takes_any_answer_without_one() {
    let scene = Scene::new(site(), "").await;
    scene.grant(|grant| {
        super::expire(grant, super::HOUR);
        grant.account = None;
    });
    scene.site.bend_claims(json!({ "sub": "mallory" }));
    scene.token().await.unwrap();
}

#[tokio::test]
async fn scopes_beyond_the_operators_list_end_the_login_and_wider_ones_within_it_are_told() {
    let operator = "scopes = [\"openid\", \"read\", \"write\"]\n";
    let answer = |scope: &'static str| move |answer: &mut Value| answer["scope"] = scope.into();

    let scene = Scene::new(site(), operator).await;
    scene.lookalike.edit(&scene.site.path("token"), answer("openid offline_access read write"));
    scene.token().await.unwrap();
    assert_eq!(scene.stored().1.scopes, ["openid", "offline_access", "read", "write"]);
    assert!(scene.trail().contains("scopes_widened"));

    let scene = Scene::new(site(), operator).await;
    let before = scene.stored().1;
    scene.lookalike.edit(&scene.site.path("token"), answer("openid read write admin"));
    let told = scene.refused(Code::SignInAgain).await;
    assert!(told.contains("operator does not allow") && told.contains("'admin'") || told.contains("\"admin\""), "{told}");
    let after = scene.stored().1;
    assert_eq!((after.access.expose(), &after.scopes), (before.access.expose(), &before.scopes), "nothing of it is kept");
    assert!(!scene.trail().contains("scopes_widened"));

    let scene = Scene::new(site(), operator).await;
    scene.lookalike.edit(&scene.site.path("token"), answer("openid"));
    scene.token().await.unwrap();
    assert_eq!(scene.stored().1.scopes, ["openid"], "narrower is what it is now");
    assert!(!scene.trail().contains("scopes_widened"));
}

//! id_tokens that are not what they should be (T35): refused, nothing stored, the issuer's keys fetched no more than needed.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::broker::{Broker, Launch};
use crate::support::lookalike::{Algorithm, Answer, Decision, Lookalike, OpenId, Site};
use crate::support::visit::{Visit, login};

async fn start() -> (Arc<OpenId>, Lookalike, Broker) {
    let site = Arc::new(OpenId::new("id.example.test", None));
    let lookalike = Lookalike::of(&site).await;
    let launch = Launch::new().at(&lookalike).client("OAUTH2", site.desk().client_id(), None);
    let broker = launch.env("OAUTH2_ISSUER", &site.issuer()).ready().await;
    (site, lookalike, broker)
}

async fn visit(broker: &mut Broker, site: &OpenId) -> Visit {
    login(broker, "oauth2", &["openid"], "t", |url| site.sign_in(url, Decision::Approve).0).await
}

#[tokio::test]
async fn a_token_that_is_not_signed_by_the_issuers_key_is_refused_and_the_keys_are_fetched_once() {
    let (site, lookalike, mut broker) = start().await;
    for (algorithm, words) in [
        (Algorithm::None, "no signed JWT"),
        (Algorithm::Hs256WithPublicKey, "HS256"),
        (Algorithm::ForeignKey, "signature"),
        (Algorithm::UnknownKey, "does not publish"),
        (Algorithm::UnknownKey, "does not publish"),
        (Algorithm::UnknownKey, "does not publish"),
    ] {
        site.bend_signature(algorithm);
        let visit = visit(&mut broker, &site).await;
        visit.answer.refused("provider_error").names(&[words, "Nothing was stored"]);
        assert!(visit.page.body.contains("You are not signed in"), "{algorithm:?}");
        broker.call("get_secret", json!({ "name": "t", "purpose": "a test" })).await.refused("unknown_secret");
    }
    site.bend_signature(Algorithm::Es256);
    visit(&mut broker, &site).await.answer.ok();
    assert_eq!(lookalike.requests(&site.path("keys")).len(), 1);
}

#[tokio::test]
async fn a_claim_that_is_wrong_is_refused_and_named() {
    let (site, _lookalike, mut broker) = start().await;
    let now = jsonwebtoken::get_current_timestamp();
    let client = site.desk().client_id().to_owned();
    for (claims, words) in [
        (json!({ "aud": "another-client" }), "another client"),
        (json!({ "aud": [] }), "another client"),
        (json!({ "aud": null }), "claim is missing"),
        (json!({ "aud": [client, "another-client"] }), "several clients"),
        (json!({ "azp": "another-client" }), "made for another"),
        (json!({ "iss": "https://evil.example.test" }), "another issuer"),
        (json!({ "iss": "https://id.example.test/" }), "another issuer"),
        (json!({ "iss": "https://ID.example.test" }), "another issuer"),
        (json!({ "iss": "http://id.example.test" }), "another issuer"),
        (json!({ "nonce": "another-login" }), "nonce"),
        (json!({ "nonce": null }), "nonce"),
        (json!({ "exp": now - 120 }), "expired"),
        (json!({ "exp": null }), "no exp"),
        (json!({ "iat": now + 600 }), "future"),
        (json!({ "iat": null }), "future"),
        (json!({ "nbf": now + 600 }), "not valid yet"),
        (json!({ "sub": "" }), "subject"),
        (json!({ "sub": null }), "claim is missing"),
        (json!({ "sub": 7 }), "claim is missing"),
        (json!({ "sub": "x".repeat(300) }), "subject"),
    ] {
        site.bend_claims(claims.clone());
        let visit = visit(&mut broker, &site).await;
        println!("{claims}");
        visit.answer.refused("provider_error").names(&[words]);
    }
    assert_eq!(broker.call("list_secrets", json!({})).await.ok()["secrets"], json!([]));
    for claims in
        [json!({ "aud": [client] }), json!({ "aud": [client, "another-client"], "azp": client }), json!({ "exp": now - 30 })]
    {
        site.bend_claims(claims);
        assert_eq!(visit(&mut broker, &site).await.answer.ok()["account"]["subject"], "00uid4BxXw6I6TV4m0g3");
    }
}

#[tokio::test]
async fn a_login_with_openid_needs_an_id_token_that_is_one() {
    let (site, lookalike, mut broker) = start().await;
    for (id_token, words) in [
        (Value::Null, "sent no id_token"),
        ("".into(), "sent no id_token"),
        ("a.b.c".into(), "no signed JWT"),
        (json!({ "a": 1 }), "sent no id_token"),
    ] {
        lookalike.edit(&site.path("token"), move |answer| answer["id_token"] = id_token.clone());
        visit(&mut broker, &site).await.answer.refused("provider_error").names(&[words]);
    }
}

#[tokio::test]
async fn keys_that_cannot_be_had_end_the_login_and_not_the_broker() {
    let (site, lookalike, mut broker) = start().await;
    let keys = site.path("keys");
    for (answer, code) in [
        (Answer::text(500, "text/html", "<h1>500</h1>"), "unavailable"),
        (Answer::redirect(302, "https://id.example.test/other-keys"), "unavailable"),
        (Answer::Close, "unavailable"),
        (Answer::text(200, "text/html", "<h1>200</h1>"), "provider_error"),
        (Answer::text(200, "application/json", " ".repeat(5 << 20)), "limit"),
        // A set of keys, though an empty one: it is kept for a minute.
        (Answer::json(200, &json!({ "keys": [] })), "provider_error"),
    ] {
        lookalike.once(&keys, answer);
        let answer = visit(&mut broker, &site).await.answer;
        assert_eq!(answer["code"], code, "{:#}", answer.json);
        answer.refused(code);
    }
    assert!(lookalike.requests("/other-keys").is_empty());
}

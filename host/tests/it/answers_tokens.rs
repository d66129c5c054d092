//! Minted tokens: which ones are active, and what others can check of them without asking.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};

use crate::support::broker::{Broker, Launch};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

async fn mint(broker: &mut Broker, more: Value) -> Value {
    let mut arguments = json!({ "provider": "github", "scopes": ["repo", "gist"] });
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    broker.call("mint_token", arguments).await.ok()["token"].clone()
}

async fn active(broker: &mut Broker, token: &str) -> bool {
    broker.call("verify_token", json!({ "token": token })).await.ok()["active"].as_bool().unwrap()
}

#[tokio::test]
async fn whoever_has_the_key_can_check_what_a_token_says() {
    let mut broker = Launch::new().env("JWT_SECRET", SECRET).ready().await;
    let minted = mint(&mut broker, json!({ "ttl_seconds": 900 })).await;
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_aud = false;
    let key = DecodingKey::from_secret(SECRET.as_bytes());
    let claims = jsonwebtoken::decode::<Value>(minted["token"].as_str().unwrap(), &key, &validation).unwrap().claims;
    assert_eq!(claims["jti"], minted["tokenId"]);
    assert_eq!((&claims["scope"], &claims["provider"]), (&json!("repo gist"), &json!("github")));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 900);
    assert_eq!(minted["expiresAt"].as_u64().unwrap(), claims["exp"].as_u64().unwrap() * 1000);
    assert_eq!(claims["aud"], claims["iss"], "without a resource it is for the broker itself");
    assert_eq!(claims["sub"], claims["iss"]);
    assert!(claims["iss"].as_str().unwrap().starts_with("urn:uuid:") && minted.get("resource").is_none());
    let other = mint(&mut broker, json!({})).await;
    assert_ne!(other["tokenId"], minted["tokenId"]);
}

#[tokio::test]
async fn only_a_token_of_this_broker_as_it_left_is_active() {
    let mut broker = Launch::new().env("JWT_SECRET", SECRET).ready().await;
    let minted = mint(&mut broker, json!({})).await;
    let token = minted["token"].as_str().unwrap().to_owned();
    assert!(active(&mut broker, &token).await);
    let mut parts = token.split('.');
    let (header, body, signature) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).unwrap()).unwrap();
    let coded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let mut wider = claims.clone();
    wider["scope"] = json!("admin");
    let signed = |header: &Header, claims: &Value, key: &[u8]| {
        jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(key)).unwrap()
    };
    let mut unknown = claims.clone();
    unknown["jti"] = json!(uuid::Uuid::new_v4().to_string());
    for forged in [
        String::new(),
        "a.b.c".to_owned(),
        format!("{header}.{body}"),
        format!("{header}.{body}."),
        format!("{header}.{}.{signature}", coded(&wider)),
        format!("{}.{body}.", coded(&json!({ "alg": "none", "typ": "JWT" }))),
        format!("{}.{body}.{signature}", coded(&json!({ "alg": "HS512", "typ": "JWT" }))),
        format!("{token}x"),
        format!(" {token}"),
        signed(&Header::default(), &claims, b"your-secret-key-change-in-production"),
        signed(&Header::default(), &claims, b""),
        signed(&Header::new(Algorithm::HS384), &claims, SECRET.as_bytes()),
        // the right key, but never handed out here
        signed(&Header::default(), &unknown, SECRET.as_bytes()),
    ] {
        assert!(!active(&mut broker, &forged).await, "{forged}");
    }
    let mut neighbour = Launch::new().env("JWT_SECRET", SECRET).ready().await;
    assert!(!active(&mut neighbour, &token).await, "the same key, another broker");
    let answer = neighbour.call("revoke_token", json!({ "token_id": minted["tokenId"] })).await;
    assert_eq!(answer["success"], false);
    assert!(active(&mut broker, &token).await, "and none of that ended it");
}

#[tokio::test]
async fn a_token_that_has_ended_is_inactive_and_not_counted() {
    let mut broker = Launch::new().ready().await;
    let minted = mint(&mut broker, json!({ "ttl_seconds": 1 })).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(!active(&mut broker, minted["token"].as_str().unwrap()).await);
    let by_id = broker.call("verify_token", json!({ "token_id": minted["tokenId"] })).await.ok();
    assert_eq!(by_id, json!({ "success": true, "active": false }));
    let revoked = broker.call("revoke_token", json!({ "token_id": minted["tokenId"] })).await;
    assert_eq!(revoked["message"], "Token not found or already expired");
    assert_eq!(broker.call("get_broker_stats", json!({})).await.ok()["stats"]["activeTokens"], 0);
    broker
        .call("verify_token", json!({ "token": "a", "token_id": "b" }))
        .await
        .refused("invalid_argument")
        .names(&["exactly one"]);
}

#[tokio::test]
async fn thirty_two_bytes_of_jwt_secret_are_enough_and_fewer_are_not() {
    for (secret, algorithm) in [(SECRET, Some("HS256")), (&SECRET[1..], None), ("", Some("EdDSA"))] {
        let mut broker = Launch::new().env("JWT_SECRET", secret).ready().await;
        let answer = broker.call("mint_token", json!({ "provider": "aws", "scopes": ["s"] })).await;
        let Some(algorithm) = algorithm else {
            answer.refused("invalid_configuration").names(&["31 bytes", "32", "openssl"]);
            store_still_works(&mut broker).await;
            continue;
        };
        let token = answer.ok()["token"]["token"].as_str().unwrap().to_owned();
        assert_eq!(format!("{:?}", jsonwebtoken::decode_header(&token).unwrap().alg), algorithm);
    }
}

async fn store_still_works(broker: &mut Broker) {
    broker.call("store_secret", json!({ "name": "k", "value": "v" })).await.ok();
    assert_eq!(broker.reveal("k").await, "v");
}

#[cfg(unix)]
#[tokio::test]
async fn a_jwt_secret_that_cannot_be_read_is_told_and_no_other_key_signs() {
    use std::os::unix::ffi::OsStrExt as _;
    let launch = Launch::new();
    let mut command = launch.command();
    command.env("JWT_SECRET", std::ffi::OsStr::from_bytes(&[0xff; 40])).stdin(std::process::Stdio::null());
    let output = command.output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("JWT_SECRET") && told.contains("Hint:"), "{told}");
}

#[tokio::test]
async fn the_scopes_of_a_token_are_those_that_the_operator_allows() {
    let mut broker = Launch::new().toml("[providers.github]\nscopes = [\"repo\"]").ready().await;
    let mint = |scopes: &[&str]| json!({ "provider": "github", "scopes": scopes });
    let answer = broker.call("mint_token", mint(&["repo", "admin:org"])).await;
    answer.refused("not_allowed").names(&["admin:org", "[providers.github]"]);
    let minted = broker.call("mint_token", mint(&["repo", "repo"])).await.ok();
    assert_eq!(minted["token"]["scopes"], json!(["repo"]), "named twice, written once");
    for resource in [json!(""), json!("a\nb"), json!("x".repeat(2049)), json!(5)] {
        let arguments = json!({ "provider": "aws", "scopes": ["s"], "resource": resource });
        broker.call("mint_token", arguments).await.refused("invalid_argument").names(&["resource"]);
    }
}

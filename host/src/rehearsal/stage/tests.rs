use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::play::Played;
use super::*;
use crate::descriptor::Role;

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn house(fixtures: &str) -> House {
    let place = |endpoint: &str, role: Role, method: &str, path: &str| Place {
        endpoint: endpoint.to_owned(),
        role,
        method: method.to_owned(),
        url: Url::parse(&format!("https://acme.example{path}")).unwrap(),
    };
    let script = Script {
        places: vec![
            place("token", Role::Token, "POST", "/token"),
            place("revocation", Role::Revocation, "POST", "/revoke"),
            place("account", Role::Account, "GET", "/me"),
        ],
        client_id: "me".to_owned(),
        client_secret: Some(Secret::from("s3cret")),
        refreshes: true,
        fixtures: Fixtures::parse(fixtures).unwrap(),
        ..Script::default()
    };
    let house = House { script, keys: Keys::new().unwrap(), ledger: Mutex::default(), fault: Mutex::default() };
    let url = format!(
        "https://acme.example/authorize?client_id=me&response_type=code&redirect_uri=http%3A%2F%2Flocalhost%3A1%2Fcb&state=s&scope=read\
         &code_challenge_method=S256&code_challenge={CHALLENGE}"
    );
    let asked = Asked::read(&Url::parse(&url).unwrap(), "me").unwrap();
    house.ledger().codes.insert("the-code".to_owned(), asked);
    house
}

async fn post(house: &House, path: &str, body: &str) -> (u16, Value) {
    let request = http::Request::builder().method("POST").uri(path).header("host", "acme.example").body(()).unwrap();
    let Played::Answer(answer) = house.answer(&request.into_parts().0, body.as_bytes()) else { panic!("no answer") };
    let status = answer.status().as_u16();
    let body: Bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn redeem() -> String {
    format!("grant_type=authorization_code&code=the-code&code_verifier={VERIFIER}&client_id=me&client_secret=s3cret")
}

#[tokio::test]
async fn a_code_works_once_and_with_its_verifier() {
    let it = house("{}");
    let (status, body) = post(&it, "/token", &redeem()).await;
    assert_eq!((status, &body["scope"], &body["token_type"]), (200, &json!("read"), &json!("Bearer")));
    assert!(it.ledger().complaints.is_empty(), "{:?}", it.ledger().complaints);
    assert_eq!(post(&it, "/token", &redeem()).await.0, 400);
    assert_eq!(it.ledger().complaints, ["a code was sent a second time"]);

    let it = house("{}");
    assert_eq!(post(&it, "/token", &redeem().replace(VERIFIER, "guess")).await.0, 400);
    assert!(it.ledger().complaints[0].contains("verifier"));
}

#[tokio::test]
async fn a_wrong_client_secret_is_refused_and_a_missing_one_complained_of() {
    let it = house("{}");
    assert_eq!(post(&it, "/token", &redeem().replace("s3cret", "wrong")).await, (401, json!({ "error": "invalid_client" })));
    let it = house("{}");
    assert_eq!(post(&it, "/token", &redeem().replace("&client_secret=s3cret", "")).await.0, 200);
    assert!(it.ledger().complaints[0].contains("without the client secret"));
}

#[tokio::test]
async fn a_refresh_token_that_was_replaced_is_refused() {
    let it = house("{}");
    let first = post(&it, "/token", &redeem()).await.1["refresh_token"].as_str().unwrap().to_owned();
    let refresh = |token: &str| format!("grant_type=refresh_token&refresh_token={token}&client_id=me&client_secret=s3cret");
    let second = post(&it, "/token", &refresh(&first)).await.1["refresh_token"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    assert_eq!(post(&it, "/token", &refresh(&first)).await.0, 400);
    assert_eq!(post(&it, "/token", &refresh(&second)).await.0, 200);
}

#[tokio::test]
async fn the_service_speaks_in_its_own_words() {
    let it = house(
        r#"{ "answers": [
            { "endpoint": "token", "body": { "accessToken": "acme_{access_token}", "refresh": "{refresh_token}" } },
            { "endpoint": "token", "when": "refused", "status": 200, "body": "error=used_up" },
            { "endpoint": "revocation", "status": 204 }
        ] }"#,
    );
    let (_, body) = post(&it, "/token", &redeem()).await;
    let token = body["accessToken"].as_str().unwrap().to_owned();
    assert!(token.starts_with("acme_") && it.ledger().access.contains(&token));
    assert_eq!(post(&it, "/token", &redeem()).await, (200, Value::Null));
    assert_eq!(post(&it, "/revoke", &format!("token={token}")).await.0, 204);
    assert!(it.ledger().revoked.contains(&token));
}

#[tokio::test]
async fn it_goes_wrong_as_it_is_told() {
    for (fault, status) in [(Fault::RefusedWith200, 200), (Fault::Busy, 503), (Fault::Redirect, 302), (Fault::Page, 200)] {
        let it = house("{}");
        *it.fault.lock().unwrap() = Some(fault);
        let (got, body) = post(&it, "/token", &redeem()).await;
        assert_eq!(got, status, "{fault:?}");
        assert!(body.get("access_token").is_none(), "{fault:?}");
    }
    let it = house("{}");
    *it.fault.lock().unwrap() = Some(Fault::TextExpiry);
    assert_eq!(post(&it, "/token", &redeem()).await.1["expires_in"], json!("3600"));
    let it = house("{}");
    *it.fault.lock().unwrap() = Some(Fault::NoRefreshToken);
    assert!(post(&it, "/token", &redeem()).await.1.get("refresh_token").is_none());
}

#[tokio::test]
async fn what_is_not_in_the_table_is_complained_of() {
    let it = house("{}");
    assert_eq!(post(&it, "/elsewhere", "").await.0, 404);
    assert!(it.ledger().complaints[0].contains("not in the table"));
}

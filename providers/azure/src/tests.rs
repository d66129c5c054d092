use credentials_broker_provider::testing::{self, Broker};
use credentials_broker_provider::{Provider, pair};

use super::Azure;

fn configured() -> Broker {
    Broker::of::<Azure>().set("client_id", "11111111-2222-3333-4444-555555555555")
}

fn failure(body: &str) -> credentials_broker_provider::Failure {
    configured().answer("token", 400, body).start();
    testing::exchange::<Azure>().unwrap_err()
}

#[test]
fn a_tenant_that_is_known_narrows_the_issuer_and_one_that_is_not_does_not() {
    for (tenant, issuer) in [
        (
            "72f988bf-86f1-41af-91ab-2d7cd011db47",
            Some("https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0"),
        ),
        (
            "72F988BF-86F1-41AF-91AB-2D7CD011DB47",
            Some("https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0"),
        ),
        ("consumers", Some("https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0")),
        ("common", None),
        ("organizations", None),
        ("contoso.onmicrosoft.com", None),
    ] {
        configured().set("tenant", tenant).start();
        let expected: Vec<_> = issuer.map(|issuer| pair("issuer", issuer)).into_iter().collect();
        assert_eq!(Azure::resolve().unwrap(), expected, "{tenant}");
    }
}

#[test]
fn a_login_asks_for_a_refresh_token_and_for_at_least_one_scope() {
    configured().start();
    assert_eq!(testing::authorization::<Azure>("User.Read").unwrap(), [pair("scope", "offline_access")]);
    assert_eq!(testing::authorization::<Azure>("").unwrap(), [pair("scope", "openid offline_access")]);
    assert_eq!(testing::authorization::<Azure>("User.Read offline_access").unwrap(), []);
}

#[test]
fn a_public_client_sends_its_id_alone_and_never_a_resource() {
    configured()
        .answer("token", 200, r#"{"access_token":"x","token_type":"Bearer","expires_in":3599,"refresh_token":"0.A"}"#)
        .start();
    testing::exchange::<Azure>().unwrap();
    let sent = &testing::sent()[0];
    assert_eq!(sent.scheme(), None);
    assert!(sent.form("client_id").is_some());
    assert_eq!(sent.form("resource"), None);
}

#[test]
fn the_number_of_an_error_chooses_the_hint_and_the_correlation_id_is_kept() {
    let told = failure(
        r#"{"error":"invalid_client","error_description":"AADSTS7000218: The request body must contain …","error_codes":[7000218],"correlation_id":"c-1","suberror":"bad_token"}"#,
    );
    assert_eq!(told.code, "invalid_client");
    assert!(told.get("hint").unwrap().contains("Allow public client flows"));
    assert_eq!(told.get("correlation_id"), Some("c-1"));
    assert_eq!(told.get("subtype"), Some("bad_token"));
    let told = failure(r#"{"error":"invalid_client","error_description":"AADSTS700025: …","error_codes":[700025]}"#);
    assert!(told.get("hint").unwrap().contains("Unset AZURE_CLIENT_SECRET"));
}

#[test]
fn what_needs_the_person_is_a_login_that_has_ended() {
    let told = failure(r#"{"error":"interaction_required","error_codes":[50076]}"#);
    assert_eq!(told.code, "invalid_grant");
    assert_eq!(told.get("subtype"), Some("interaction_required"));
    assert!(told.get("hint").unwrap().contains("multi-factor"));
}

#[test]
fn an_unknown_number_leaves_the_general_hint() {
    let told = failure(r#"{"error":"invalid_grant","error_codes":[1]}"#);
    assert_eq!(told.get("hint"), Some("Sign in again."));
}

#[test]
fn a_device_flow_starts_with_the_id_alone_and_a_refusal_keeps_its_own_word() {
    let started = r#"{"device_code":"d","user_code":"C9B","verification_uri":"https://microsoft.com/devicelogin","expires_in":900,"interval":5,"message":"To sign in, …"}"#;
    configured()
        .answer("device", 200, started)
        .answer("token", 400, r#"{"error":"authorization_pending","error_codes":[70016]}"#)
        .answer("token", 400, r#"{"error":"authorization_declined","error_codes":[70018]}"#)
        .start();
    testing::start_device::<Azure>("User.Read offline_access").unwrap();
    assert_eq!(testing::poll_device::<Azure>().unwrap_err().code, "authorization_pending");
    assert_eq!(testing::poll_device::<Azure>().unwrap_err().code, "authorization_declined");
    assert_eq!(testing::sent()[0].form("client_id"), Some("11111111-2222-3333-4444-555555555555"));
    assert!(testing::sent().iter().all(|sent| sent.scheme().is_none()));
}

use credentials_broker_provider::testing::{self, Broker, find};
use credentials_broker_provider::{Provider, pair};

use super::Okta;

fn configured() -> Broker {
    Broker::of::<Okta>().set("client_id", "0oa1").set("domain", "dev-1.okta.com")
}

fn metadata(issuer: &str) -> String {
    format!(
        r#"{{"issuer":"{issuer}","authorization_endpoint":"{issuer}/v1/authorize","token_endpoint":"{issuer}/v1/token","jwks_uri":"{issuer}/v1/keys","scopes_supported":["openid","offline_access"]}}"#
    )
}

#[test]
fn the_organizations_server_and_a_custom_one_are_each_found_at_their_own_metadata() {
    configured().answer("org-metadata", 200, &metadata("https://dev-1.okta.com")).start();
    assert_eq!(find(&Okta::resolve().unwrap(), "issuer"), Some("https://dev-1.okta.com"));

    configured()
        .set("authorization_server", "default")
        .answer("custom-metadata", 200, &metadata("https://dev-1.okta.com/oauth2/default"))
        .start();
    let resolved = Okta::resolve().unwrap();
    assert_eq!(find(&resolved, "token_endpoint"), Some("https://dev-1.okta.com/oauth2/default/v1/token"));
    assert_eq!(find(&resolved, "jwks_uri"), Some("https://dev-1.okta.com/oauth2/default/v1/keys"));
    assert_eq!(find(&resolved, "scopes_supported"), Some("openid offline_access"));
}

#[test]
fn a_server_that_is_not_there_is_named_with_the_variable_to_set() {
    configured().set("authorization_server", "nope").answer("custom-metadata", 404, "{}").start();
    let failure = Okta::resolve().unwrap_err();
    assert_eq!(failure.code, "not_configured");
    assert!(failure.message.contains("\"nope\""));
    assert!(failure.get("hint").unwrap().contains("OKTA_AUTHORIZATION_SERVER"));
}

#[test]
fn a_login_asks_for_a_refresh_token_and_for_at_least_one_scope() {
    configured().start();
    assert_eq!(testing::authorization::<Okta>("okta.users.read").unwrap(), [pair("scope", "offline_access")]);
    assert_eq!(testing::authorization::<Okta>("").unwrap(), [pair("scope", "openid offline_access")]);
    assert_eq!(testing::authorization::<Okta>("openid offline_access").unwrap(), []);
}

#[test]
fn a_confidential_client_uses_basic_and_every_refresh_token_is_taken_for_one_that_works_once() {
    let answer = r#"{"access_token":"eyJ.x.y","refresh_token":"r","expires_in":3600,"token_type":"Bearer","scope":"openid"}"#;
    configured().set_secret("client_secret").answer("token", 200, answer).start();
    let tokens = testing::refresh::<Okta>().unwrap();
    assert_eq!(tokens.fact("rotation").as_deref(), Some("strict"));
    let sent = &testing::sent()[0];
    assert_eq!(sent.authorization, Some(pair("basic", "0oa1")));
    assert_eq!(sent.form("client_id"), None);
}

#[test]
fn an_error_in_the_shape_of_oktas_api_keeps_its_words_and_its_id() {
    configured()
        .answer("token", 429, r#"{"errorCode":"E0000047","errorSummary":"API call exceeded rate limit.","errorId":"oae1"}"#)
        .start();
    let failure = testing::refresh::<Okta>().unwrap_err();
    assert_eq!(failure.code, "temporarily_unavailable");
    assert_eq!(failure.message, "API call exceeded rate limit.");
    assert_eq!(failure.get("subtype"), Some("E0000047"));
    assert_eq!(failure.get("correlation_id"), Some("oae1"));
}

#[test]
fn a_refresh_token_that_was_used_before_needs_a_new_login() {
    configured()
        .answer("token", 400, r#"{"error":"invalid_grant","error_description":"The refresh token is invalid or expired."}"#)
        .start();
    let failure = testing::refresh::<Okta>().unwrap_err();
    assert_eq!(failure.code, "invalid_grant");
    assert!(failure.get("hint").unwrap().contains("Sign in again"));
}

#[test]
fn a_token_is_revoked_where_the_metadata_says_and_nowhere_else() {
    let at =
        || configured().set_secret("client_secret").resolved("revocation_endpoint", "https://dev-1.okta.com/oauth2/v1/revoke");
    at().answer("revocation", 200, "").start();
    assert_eq!(testing::revoke::<Okta>("refresh").unwrap(), "revoked");
    assert_eq!((testing::sent()[0].scheme(), testing::sent()[0].form("token_type_hint")), (Some("basic"), Some("refresh_token")));
    at().answer("revocation", 401, r#"{"errorCode":"invalid_client","errorSummary":"Invalid value"}"#).start();
    assert_eq!(testing::revoke::<Okta>("access").unwrap_err().code, "invalid_client");
    configured().start();
    assert_eq!(testing::revoke::<Okta>("access").unwrap(), "unsupported");
}

#[test]
fn a_device_flow_that_the_app_may_not_use_names_the_grant_type() {
    configured()
        .answer("device", 400, r#"{"error":"unauthorized_client","error_description":"The client is not authorized."}"#)
        .start();
    assert!(testing::start_device::<Okta>("openid").unwrap_err().get("hint").unwrap().contains("Device Authorization"));
}

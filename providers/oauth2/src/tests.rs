use credentials_broker_provider::testing::{self, Broker, find};
use credentials_broker_provider::{Provider, pair};

use super::OAuth2;

const METADATA: &str = r#"{
    "issuer": "https://id.example", "authorization_endpoint": "https://id.example/auth", "token_endpoint": "https://id.example/token",
    "jwks_uri": "https://id.example/jwks", "authorization_response_iss_parameter_supported": true,
    "token_endpoint_auth_methods_supported": ["client_secret_post", "none"]
}"#;
const TOKEN: &str = r#"{"access_token":"t","token_type":"Bearer"}"#;

fn configured() -> Broker {
    Broker::of::<OAuth2>().set("client_id", "me")
}

#[test]
fn openid_metadata_is_taken_first() {
    configured().set("issuer", "https://id.example").answer("openid-metadata", 200, METADATA).start();
    let found = OAuth2::resolve().unwrap();
    assert_eq!(find(&found, "token_endpoint"), Some("https://id.example/token"));
    assert_eq!(find(&found, "token_endpoint_auth_methods_supported"), Some("client_secret_post none"));
    assert_eq!(find(&found, "authorization_response_iss_parameter_supported"), Some("true"));
}

#[test]
fn without_openid_metadata_that_of_rfc_8414_is_taken() {
    configured()
        .set("issuer", "https://id.example")
        .answer("openid-metadata", 404, "<h1>Not found</h1>")
        .answer("oauth-metadata", 200, METADATA)
        .start();
    assert_eq!(find(&OAuth2::resolve().unwrap(), "issuer"), Some("https://id.example"));
}

#[test]
fn an_issuer_without_metadata_is_an_error_that_names_the_other_way() {
    configured().set("issuer", "https://id.example").answer("openid-metadata", 404, "").answer("oauth-metadata", 404, "").start();
    let failure = OAuth2::resolve().unwrap_err();
    assert_eq!(failure.code, "not_configured");
    assert!(failure.get("hint").unwrap().contains("OAUTH2_TOKEN_ENDPOINT"));
}

#[test]
fn a_server_that_is_down_is_not_one_without_metadata() {
    configured().set("issuer", "https://id.example").answer("openid-metadata", 503, "").start();
    assert_eq!(OAuth2::resolve().unwrap_err().code, "temporarily_unavailable");
}

#[test]
fn metadata_that_lacks_an_endpoint_is_refused() {
    configured().set("issuer", "https://id.example").answer("openid-metadata", 200, r#"{"issuer":"https://id.example"}"#).start();
    assert_eq!(OAuth2::resolve().unwrap_err().code, "malformed_answer");
}

#[test]
fn two_endpoints_will_do_and_count_more_than_metadata() {
    let named =
        || configured().set("authorization_endpoint", "https://a.example/auth").set("token_endpoint", "https://a.example/token");
    named().start();
    let found = OAuth2::resolve().unwrap();
    assert_eq!(
        found,
        [pair("authorization_endpoint", "https://a.example/auth"), pair("token_endpoint", "https://a.example/token")]
    );

    named().set("issuer", "https://id.example").answer("openid-metadata", 200, METADATA).start();
    let found = OAuth2::resolve().unwrap();
    assert_eq!(find(&found, "token_endpoint"), Some("https://a.example/token"));
    assert_eq!(find(&found, "jwks_uri"), Some("https://id.example/jwks"));
    assert_eq!(found.iter().filter(|(name, _)| name == "token_endpoint").count(), 1);
}

#[test]
fn one_endpoint_alone_is_not_enough() {
    configured().set("token_endpoint", "https://a.example/token").start();
    assert_eq!(OAuth2::resolve().unwrap_err().code, "not_configured");
}

#[test]
fn offline_access_comes_with_the_consent_page_and_is_added_where_the_server_knows_it() {
    configured().start();
    assert_eq!(testing::authorization::<OAuth2>("openid").unwrap(), []);
    assert_eq!(testing::authorization::<OAuth2>("openid offline_access").unwrap(), [pair("prompt", "consent")]);
    configured().resolved("scopes_supported", "openid offline_access").start();
    assert_eq!(testing::authorization::<OAuth2>("openid").unwrap(), [pair("scope", "offline_access"), pair("prompt", "consent")]);
}

#[test]
fn the_client_authenticates_as_the_operator_says_else_as_the_metadata_say_else_with_basic() {
    let with_secret = || configured().set_secret("client_secret").answer("token", 200, TOKEN);
    for (setting, metadata, scheme) in [
        (None, None, Some("basic")),
        (None, Some("client_secret_post private_key_jwt"), Some("post")),
        (None, Some("client_secret_post client_secret_basic"), Some("basic")),
        (None, Some("none"), None),
        (Some("post"), Some("client_secret_basic"), Some("post")),
        (Some("basic-raw"), None, Some("basic-raw")),
        (Some("none"), None, None),
    ] {
        let mut broker = with_secret();
        if let Some(setting) = setting {
            broker = broker.set("client_auth", setting);
        }
        if let Some(metadata) = metadata {
            broker = broker.resolved("token_endpoint_auth_methods_supported", metadata);
        }
        broker.start();
        testing::exchange::<OAuth2>().unwrap();
        assert_eq!(testing::sent()[0].scheme(), scheme, "{setting:?} {metadata:?}");
    }
}

#[test]
fn a_way_to_authenticate_that_nobody_has_is_said_before_anything_is_sent() {
    configured().set_secret("client_secret").resolved("token_endpoint_auth_methods_supported", "private_key_jwt").start();
    assert_eq!(testing::exchange::<OAuth2>().unwrap_err().code, "unsupported");
    assert!(testing::sent().is_empty());
}

#[test]
fn revocation_and_device_endpoints_may_be_named_beside_the_two_that_a_server_needs() {
    let named = || {
        configured()
            .set("authorization_endpoint", "https://id.example/authorize")
            .set("token_endpoint", "https://id.example/token")
            .set("revocation_endpoint", "https://id.example/revoke")
    };
    named().start();
    assert_eq!(testing::find(&OAuth2::resolve().unwrap(), "revocation_endpoint"), Some("https://id.example/revoke"));
    configured()
        .set("token_endpoint", "https://id.example/token")
        .set("revocation_endpoint", "https://id.example/revoke")
        .start();
    assert_eq!(OAuth2::resolve().unwrap_err().code, "not_configured");
}

#[test]
fn a_token_is_revoked_with_the_clients_own_way_of_authenticating() {
    configured()
        .set_secret("client_secret")
        .set("client_auth", "post")
        .resolved("revocation_endpoint", "https://id.example/revoke")
        .answer("revocation", 200, "")
        .start();
    assert_eq!(testing::revoke::<OAuth2>("access").unwrap(), "revoked");
    assert_eq!(testing::sent()[0].scheme(), Some("post"));
    configured().start();
    assert_eq!(testing::revoke::<OAuth2>("access").unwrap(), "unsupported", "the server has no such endpoint");
}

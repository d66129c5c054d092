use credentials_broker_provider::testing::{self, Broker};

use super::GitHub;

fn configured() -> Broker {
    Broker::of::<GitHub>().set("client_id", "Iv1.abc").set_secret("client_secret")
}

#[test]
fn the_code_is_redeemed_with_the_secret_in_the_form_and_json_asked_for() {
    configured().answer("token", 200, r#"{"access_token":"gho_x","scope":"repo","token_type":"bearer"}"#).start();
    testing::exchange::<GitHub>().unwrap();
    let sent = &testing::sent()[0];
    assert_eq!(sent.header("accept"), Some("application/json"));
    assert_eq!(sent.scheme(), Some("post"));
    assert_eq!(sent.form("grant_type"), Some("authorization_code"));
    assert_eq!(sent.form("code"), Some("[code]"));
    assert_eq!(sent.form("code_verifier"), Some("[verifier]"));
    assert_eq!(sent.form("redirect_uri"), Some("http://localhost:9876/oauth/callback"));
}

#[test]
fn an_oauth_app_gives_comma_scopes_and_neither_expiry_nor_refresh_token() {
    configured().answer("token", 200, r#"{"access_token":"gho_x","scope":"repo,gist","token_type":"bearer"}"#).start();
    let tokens = testing::exchange::<GitHub>().unwrap();
    assert_eq!(tokens.fact("scope").as_deref(), Some("repo gist"));
    assert_eq!(tokens.fact("expires_in"), None);
    assert_eq!(tokens.fact("rotation"), None);
    assert!(!tokens.has_refresh());
}

#[test]
fn a_github_app_gives_a_refresh_token_that_works_once_and_no_scopes() {
    let answer = r#"{"access_token":"ghu_x","expires_in":"28800","refresh_token":"ghr_y","refresh_token_expires_in":"15811200","scope":"","token_type":"bearer"}"#;
    configured().answer("token", 200, answer).answer("token", 200, answer).start();
    for tokens in [testing::exchange::<GitHub>().unwrap(), testing::refresh::<GitHub>().unwrap()] {
        assert!(tokens.has_refresh());
        assert_eq!(tokens.fact("rotation").as_deref(), Some("strict"));
        assert_eq!(tokens.fact("scope").as_deref(), Some(""));
        assert_eq!(tokens.fact("expires_in").as_deref(), Some("28800"));
        assert_eq!(tokens.fact("refresh_expires_in").as_deref(), Some("15811200"));
    }
    let refresh = &testing::sent()[1];
    assert_eq!(refresh.form("grant_type"), Some("refresh_token"));
    assert_eq!(refresh.form("refresh_token"), Some("[refresh]"));
}

#[test]
fn an_error_with_status_200_is_an_error_under_the_standards_code() {
    for (theirs, ours) in [
        ("bad_verification_code", "invalid_grant"),
        ("bad_refresh_token", "invalid_grant"),
        ("incorrect_client_credentials", "invalid_client"),
        ("redirect_uri_mismatch", "invalid_grant"),
        ("unverified_user_email", "access_denied"),
    ] {
        configured().answer("token", 200, &format!(r#"{{"error":"{theirs}","error_description":"It is so."}}"#)).start();
        let failure = testing::exchange::<GitHub>().unwrap_err();
        assert_eq!(failure.code, ours);
        assert_eq!(failure.get("subtype"), Some(theirs));
        assert_eq!(failure.message, "It is so.");
        assert!(failure.get("hint").is_some_and(|hint| hint.ends_with('.')), "{theirs}");
    }
}

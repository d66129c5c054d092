use credentials_broker_provider::pair;
use credentials_broker_provider::testing::{self, Broker};

use super::Google;

fn configured() -> Broker {
    Broker::of::<Google>().set("client_id", "abc.apps.googleusercontent.com")
}

#[test]
fn a_login_asks_for_offline_access_and_for_consent() {
    configured().start();
    assert_eq!(testing::authorization::<Google>("openid").unwrap(), [pair("access_type", "offline"), pair("prompt", "consent")]);
}

#[test]
fn the_operator_can_do_without_the_consent_page() {
    configured().set("prompt", "select_account").start();
    assert_eq!(testing::authorization::<Google>("").unwrap(), [pair("access_type", "offline"), pair("prompt", "select_account")]);
}

#[test]
fn a_secret_goes_into_the_form_and_a_client_without_one_sends_its_id_alone() {
    let answer = r#"{"access_token":"ya29.x","expires_in":3599,"refresh_token":"1//0x","scope":"openid","id_token":"e.y.J"}"#;
    configured().set_secret("client_secret").answer("token", 200, answer).start();
    let tokens = testing::exchange::<Google>().unwrap();
    assert!(tokens.has_refresh() && tokens.has_id_token());
    assert_eq!(testing::sent()[0].scheme(), Some("post"));

    configured().answer("token", 200, answer).start();
    testing::exchange::<Google>().unwrap();
    let sent = &testing::sent()[0];
    assert_eq!(sent.scheme(), None);
    assert_eq!(sent.form("client_id"), Some("abc.apps.googleusercontent.com"));
}

#[test]
fn a_refresh_without_a_new_refresh_token_is_a_good_one() {
    configured().answer("token", 200, r#"{"access_token":"ya29.x","expires_in":3599,"scope":"openid"}"#).start();
    let tokens = testing::refresh::<Google>().unwrap();
    assert!(!tokens.has_refresh());
    assert_eq!(tokens.fact("rotation"), None);
}

#[test]
fn a_session_that_the_organization_ended_needs_a_new_login() {
    let body =
        r#"{"error":"invalid_grant","error_subtype":"invalid_rapt","error_description":"reauth related error (invalid_rapt)"}"#;
    configured().answer("token", 400, body).start();
    let failure = testing::refresh::<Google>().unwrap_err();
    assert_eq!(failure.code, "invalid_grant");
    assert_eq!(failure.get("subtype"), Some("invalid_rapt"));
    assert!(failure.get("hint").unwrap().contains("Sign in again"));
}

#[test]
fn a_desktop_client_without_its_secret_is_told_which_variable_to_set() {
    let body = r#"{"error":"invalid_request","error_description":"client_secret is missing."}"#;
    configured().answer("token", 400, body).start();
    assert!(testing::exchange::<Google>().unwrap_err().get("hint").unwrap().contains("GCP_CLIENT_SECRET"));
}

#[test]
fn either_token_is_revoked_without_client_authentication_and_an_unknown_one_is_gone() {
    for kind in ["refresh", "access"] {
        configured()
            .answer("revoke", 200, "{}")
            .answer("revoke", 400, r#"{"error":"invalid_token","error_description":"Token expired or revoked"}"#)
            .start();
        assert_eq!(testing::revoke::<Google>(kind).unwrap(), "revoked");
        assert_eq!(testing::revoke::<Google>(kind).unwrap(), "already-gone");
        for sent in testing::sent() {
            assert_eq!((sent.scheme(), sent.form.len(), sent.form("token")), (None, 1, Some(format!("[{kind}]").as_str())));
        }
    }
}

#[test]
fn a_device_flow_starts_with_the_id_alone_and_is_polled_with_the_secret() {
    let started = r#"{"device_code":"4/x","user_code":"GQVQ-JKEC","verification_url":"https://www.google.com/device","expires_in":1800,"interval":5}"#;
    let waiting = r#"{"error":"authorization_pending","error_description":"Precondition Required"}"#;
    configured().set_secret("client_secret").answer("device", 200, started).answer("token", 428, waiting).start();
    let (_, pairs) = testing::start_device::<Google>("email profile").unwrap();
    assert_eq!(testing::find(&pairs, "verification_uri"), Some("https://www.google.com/device"));
    assert_eq!(testing::poll_device::<Google>().unwrap_err().code, "authorization_pending");
    let sent = testing::sent();
    assert_eq!(
        (sent[0].scheme(), sent[0].form("client_id").is_some(), sent[0].form("scope")),
        (None, true, Some("email profile"))
    );
    assert_eq!(sent[1].scheme(), Some("post"));
    configured().answer("device", 400, r#"{"error":"invalid_scope"}"#).start();
    let failure = testing::start_device::<Google>("https://www.googleapis.com/auth/calendar").unwrap_err();
    assert!(failure.get("hint").unwrap().contains("drive.file"));
}

#[test]
fn without_an_id_token_userinfo_says_whose_the_token_is() {
    configured().answer("userinfo", 200, r#"{"sub":"1076","email":"a@example.test","name":"A"}"#).start();
    assert_eq!(
        testing::account::<Google>().unwrap(),
        [("id".to_owned(), "1076".to_owned()), ("email".to_owned(), "a@example.test".to_owned())]
    );
}

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

#[test]
fn an_access_token_is_deleted_by_the_app_and_a_refresh_token_is_reported_without_any_authentication() {
    for (host, suffix) in [("github.com", ""), ("ghes.example", "-enterprise")] {
        let (revoke, report) = (format!("revoke{suffix}"), format!("report{suffix}"));
        configured().set("host", host).answer(&revoke, 204, "").answer(&report, 202, "").start();
        assert_eq!(testing::revoke::<GitHub>("refresh").unwrap(), "revoked");
        assert_eq!(testing::revoke::<GitHub>("access").unwrap(), "revoked");
        let sent = testing::sent();
        assert_eq!((sent[0].endpoint.as_str(), sent[1].endpoint.as_str()), (report.as_str(), revoke.as_str()));
        assert_eq!((sent[0].scheme(), sent[0].json("/credentials/0")), (None, Some("[refresh]")));
        assert_eq!(sent[1].authorization, Some(("basic-raw".to_owned(), "Iv1.abc".to_owned())));
        assert_eq!(sent[1].json("/access_token"), Some("[access]"));
    }
}

#[test]
fn what_github_says_to_a_revocation_has_its_meaning() {
    for (kind, endpoint, status, body, meaning) in [
        ("access", "revoke", 404, r#"{"message":"Not Found"}"#, Ok("already-gone")),
        ("access", "revoke", 422, r#"{"message":"Validation Failed"}"#, Ok("already-gone")),
        ("access", "revoke", 401, r#"{"message":"Bad credentials"}"#, Err("invalid_client")),
        ("access", "revoke", 503, "<h1>Unicorn</h1>", Err("temporarily_unavailable")),
        ("access", "revoke", 200, "{}", Err("malformed_answer")),
        ("refresh", "report", 404, r#"{"message":"Not Found"}"#, Ok("unsupported")),
        ("refresh", "report", 422, r#"{"message":"Validation Failed"}"#, Ok("already-gone")),
        ("refresh", "report", 403, r#"{"message":"Forbidden"}"#, Err("malformed_answer")),
        ("refresh", "report", 429, "", Err("temporarily_unavailable")),
    ] {
        configured().answer(endpoint, status, body).start();
        let told = testing::revoke::<GitHub>(kind);
        let told = told.as_ref().map(String::as_str).map_err(|failure| failure.code.as_str());
        assert_eq!(told, meaning, "{kind} {status}");
    }
}

#[test]
fn the_user_is_known_by_number_and_called_by_login() {
    configured().answer("user", 200, r#"{"id":583231,"login":"octocat","name":"The Octocat","email":"o@example.test"}"#).start();
    let account = testing::account::<GitHub>().unwrap();
    assert_eq!(account, [("id".to_owned(), "583231".to_owned()), ("name".to_owned(), "octocat".to_owned())]);
}

#[test]
fn the_device_flow_takes_the_client_id_alone_and_asks_for_json() {
    let started = r#"{"device_code":"d","user_code":"WDJB-MJHT","verification_uri":"https://github.com/login/device","expires_in":900,"interval":5}"#;
    configured()
        .answer("device", 200, started)
        .answer("token", 200, r#"{"error":"authorization_pending","error_description":"…","interval":5}"#)
        .answer("token", 200, r#"{"access_token":"gho_x","scope":"repo,gist","token_type":"bearer"}"#)
        .start();
    testing::start_device::<GitHub>("repo gist").unwrap();
    assert_eq!(testing::poll_device::<GitHub>().unwrap_err().code, "authorization_pending");
    assert_eq!(testing::poll_device::<GitHub>().unwrap().fact("scope").as_deref(), Some("repo gist"));
    for sent in testing::sent() {
        assert_eq!(
            (sent.scheme(), sent.form("client_id"), sent.header("accept")),
            (None, Some("Iv1.abc"), Some("application/json"))
        );
    }
    configured().answer("device", 200, r#"{"error":"device_flow_disabled"}"#).start();
    let failure = testing::start_device::<GitHub>("repo").unwrap_err();
    assert!(failure.code == "unauthorized_client" && failure.get("hint").unwrap().contains("Enable Device Flow"));
}

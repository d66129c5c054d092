use crate::testing::{self, Broker};
use crate::{ClientAuth, Failure, Provider, Refresh, Revocation};

struct Plain;

impl Provider for Plain {
    const DESCRIPTOR: &'static str = r#"{ "endpoints": [
        { "id": "token", "role": "token", "method": "POST", "url": "https://a.example/token", "slots": {
            "authorization.basic": ["client-secret"],
            "form.code": ["code"], "form.code_verifier": ["verifier"], "form.refresh_token": ["refresh"] } },
        { "id": "revocation", "role": "revocation", "method": "POST", "url": "https://a.example/revoke", "slots": {
            "authorization.basic": ["client-secret"], "form.token": ["refresh", "access"] } }
    ] }"#;
}

impl Refresh for Plain {}
impl Revocation for Plain {}

/// Cannot authenticate with a secret at all.
struct Choosy;

impl Provider for Choosy {
    const DESCRIPTOR: &'static str = Plain::DESCRIPTOR;

    fn client_auth() -> Result<ClientAuth, Failure> {
        Err(Failure::unsupported("No way."))
    }
}

const TOKEN: &str = r#"{"access_token":"t"}"#;

fn answered(status: u16, body: &str) -> Result<crate::Tokens, Failure> {
    answered_with(status, &[], body)
}

fn answered_with(status: u16, headers: &[(&str, &str)], body: &str) -> Result<crate::Tokens, Failure> {
    Broker::of::<Plain>().set("client_id", "me").answer_with("token", status, headers, body).start();
    testing::exchange::<Plain>()
}

#[test]
fn a_confidential_client_authenticates_with_basic_and_a_public_one_sends_its_id_alone() {
    Broker::of::<Plain>().set("client_id", "me").set_secret("client_secret").answer("token", 200, TOKEN).start();
    testing::exchange::<Plain>().unwrap();
    assert_eq!(testing::sent()[0].scheme(), Some("basic"));
    assert_eq!(testing::sent()[0].form("client_id"), None);

    answered(200, TOKEN).unwrap();
    assert_eq!(testing::sent()[0].scheme(), None);
    assert_eq!(testing::sent()[0].form("client_id"), Some("me"));
}

#[test]
fn a_client_without_a_secret_needs_no_way_to_use_one() {
    Broker::of::<Choosy>().set("client_id", "me").answer("token", 200, TOKEN).start();
    assert!(testing::exchange::<Choosy>().is_ok());
}

#[test]
fn without_a_client_id_nothing_is_sent() {
    Broker::of::<Plain>().start();
    assert_eq!(testing::exchange::<Plain>().unwrap_err().code, "not_configured");
    assert!(testing::sent().is_empty());
}

#[test]
fn everything_that_the_answer_says_of_its_tokens_is_kept_as_it_came() {
    let tokens = answered(
        201,
        r#"{"access_token":"a","refresh_token":"r","id_token":"i","token_type":"bearer","scope":["a","b"],"expires_in":"60","refresh_token_expires_in":99}"#,
    )
    .unwrap();
    assert!(tokens.has_refresh() && tokens.has_id_token());
    for (fact, value) in [("token_type", "bearer"), ("scope", "a b"), ("expires_in", "60"), ("refresh_expires_in", "99")] {
        assert_eq!(tokens.fact(fact).as_deref(), Some(value));
    }
}

#[test]
fn an_empty_refresh_token_is_none() {
    assert!(!answered(200, r#"{"access_token":"a","refresh_token":""}"#).unwrap().has_refresh());
}

#[test]
fn an_error_counts_whatever_the_status() {
    for status in [200, 400, 401, 403] {
        let failure =
            answered(status, r#"{"error":"invalid_grant","error_description":"Used.","access_token":"x"}"#).unwrap_err();
        assert_eq!((failure.code.as_str(), failure.message.as_str()), ("invalid_grant", "Used."), "{status}");
    }
}

#[test]
fn an_answer_with_neither_token_nor_error_is_malformed() {
    for (status, body) in [(200, "{}"), (200, "<html>"), (204, ""), (302, ""), (404, "<html>"), (400, r#"{"error":{"code":7}}"#)]
    {
        assert_eq!(answered(status, body).unwrap_err().code, "malformed_answer", "{status} {body}");
    }
}

#[test]
fn a_server_that_is_busy_or_broken_is_to_be_tried_again() {
    for status in [429, 500, 503] {
        let failure = answered_with(status, &[("retry-after", "30")], r#"{"error":"server_error"}"#).unwrap_err();
        assert_eq!(failure.code, "temporarily_unavailable");
        assert_eq!(failure.get("retry_after"), Some("30"));
        assert_eq!(failure.get("subtype"), Some("server_error"));
    }
    let failure = answered_with(503, &[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")], "").unwrap_err();
    assert_eq!(failure.get("retry_after"), None);
}

#[test]
fn a_refresh_sends_the_token_and_no_scopes() {
    Broker::of::<Plain>().set("client_id", "me").answer("token", 200, TOKEN).start();
    testing::refresh::<Plain>().unwrap();
    let sent = &testing::sent()[0];
    assert_eq!(sent.form("grant_type"), Some("refresh_token"));
    assert_eq!(sent.form("refresh_token"), Some("[refresh]"));
    assert_eq!(sent.form("scope"), None);
}

#[test]
fn a_revocation_says_what_kind_of_token_it_is() {
    Broker::of::<Plain>().set("client_id", "me").answer("revocation", 200, "").start();
    assert_eq!(Plain::revoke(&crate::Secret::of("refresh"), &[]).unwrap(), "revoked");
    assert_eq!(testing::sent()[0].form("token_type_hint"), Some("refresh_token"));
}

#[test]
fn what_the_table_does_not_allow_is_refused_by_the_fake_broker_too() {
    Broker::of::<Plain>().set("client_id", "me").answer("token", 200, TOKEN).start();
    let request = crate::Request::new("token", &[]);
    request.form_secret("code", &crate::Secret::of("verifier"));
    assert_eq!(request.send().unwrap_err().code, "refused");
}

use crate::testing::{self, Broker};
use crate::{Account, ClientAuth, Device, Failure, Provider, Refresh, Revocation};

struct Plain;

impl Provider for Plain {
    const DESCRIPTOR: &'static str = r#"{ "endpoints": [
        { "id": "token", "role": "token", "method": "POST", "url": "https://a.example/token", "slots": {
            "authorization.basic": ["client-secret"],
            "form.code": ["code"], "form.code_verifier": ["verifier"], "form.refresh_token": ["refresh"],
            "form.device_code": ["device-code"] } },
        { "id": "device", "role": "device", "method": "POST", "url": "https://a.example/device", "slots": {
            "authorization.basic": ["client-secret"] } },
        { "id": "account", "role": "account", "url": "https://a.example/userinfo", "readable": ["/email"],
            "slots": { "authorization.bearer": ["access"] } },
        { "id": "revocation", "role": "revocation", "method": "POST", "url": "https://a.example/revoke", "slots": {
            "authorization.basic": ["client-secret"], "form.token": ["refresh", "access"] } }
    ] }"#;
}

impl Refresh for Plain {}
impl Revocation for Plain {}
impl Account for Plain {}
impl Device for Plain {}

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
fn every_answer_to_a_revocation_has_its_meaning() {
    for (status, body, meaning) in [
        (200, "", Ok("revoked")),
        (200, "{}", Ok("revoked")),
        (202, "", Ok("revoked")),
        (204, "", Ok("revoked")),
        (400, r#"{"error":"invalid_token"}"#, Ok("already-gone")),
        (404, "<h1>Not Found</h1>", Ok("already-gone")),
        (404, r#"{"message":"Not Found"}"#, Ok("already-gone")),
        (400, r#"{"error":"unsupported_token_type"}"#, Ok("unsupported")),
        (401, "", Err("invalid_client")),
        (401, r#"{"error":"invalid_client"}"#, Err("invalid_client")),
        (404, r#"{"error":"invalid_client"}"#, Err("invalid_client")),
        (503, "<h1>Maintenance</h1>", Err("temporarily_unavailable")),
        (429, "", Err("temporarily_unavailable")),
        (302, "", Err("malformed_answer")),
        (403, "", Err("malformed_answer")),
    ] {
        Broker::of::<Plain>().set("client_id", "me").answer_with("revocation", status, &[("retry-after", "120")], body).start();
        let told = testing::revoke::<Plain>("access");
        let told = told.as_ref().map(String::as_str).map_err(|failure| failure.code.as_str());
        assert_eq!(told, meaning, "{status} {body}");
        assert_eq!(testing::sent()[0].form("token"), Some("[access]"));
        assert_eq!(testing::sent()[0].form("token_type_hint"), Some("access_token"));
    }
    Broker::of::<Plain>().set("client_id", "me").answer_with("revocation", 503, &[("retry-after", "120")], "").start();
    assert_eq!(testing::revoke::<Plain>("refresh").unwrap_err().get("retry_after"), Some("120"));
}

#[test]
fn an_account_is_asked_for_with_the_access_token_as_bearer() {
    let body = r#"{"sub":"42","email":"a@example.test","preferred_username":"hidden"}"#;
    Broker::of::<Plain>().answer("account", 200, body).start();
    let account = testing::account::<Plain>().unwrap();
    assert_eq!(account, [crate::pair("id", "42"), crate::pair("email", "a@example.test")], "the table does not list the name");
    assert_eq!(testing::sent()[0].scheme(), Some("bearer"));
    for (status, body, code) in [
        (401, r#"{"error":"invalid_token"}"#, "invalid_token"),
        (403, "", "invalid_token"),
        (200, r#"{"email":"a@example.test"}"#, "malformed_answer"),
        (503, "", "temporarily_unavailable"),
        (302, "", "malformed_answer"),
        (204, "", "malformed_answer"),
    ] {
        Broker::of::<Plain>().answer("account", status, body).start();
        assert_eq!(testing::account::<Plain>().unwrap_err().code, code, "{status}");
    }
}

#[test]
fn a_device_flow_starts_with_all_scopes_and_hands_on_what_a_person_needs() {
    let body = r#"{"device_code":"d","user_code":"WDJB-MJHT","verification_uri":"https://a.example/activate",
        "verification_uri_complete":"https://a.example/activate?user_code=WDJB-MJHT","expires_in":1800,"interval":7}"#;
    Broker::of::<Plain>().set("client_id", "me").set_secret("client_secret").answer("device", 200, body).start();
    let (kind, pairs) = testing::start_device::<Plain>("openid offline_access").unwrap();
    assert_eq!(kind, "device-code");
    for (name, value) in [
        ("user_code", "WDJB-MJHT"),
        ("verification_uri", "https://a.example/activate"),
        ("verification_uri_complete", "https://a.example/activate?user_code=WDJB-MJHT"),
        ("expires_in", "1800"),
        ("interval", "7"),
    ] {
        assert_eq!(testing::find(&pairs, name), Some(value));
    }
    let sent = &testing::sent()[0];
    assert_eq!((sent.form("scope"), sent.scheme()), (Some("openid offline_access"), Some("basic")));

    let draft = r#"{"device_code":"d","user_code":"U","verification_url":"https://a.example/device","expires_in":1800}"#;
    Broker::of::<Plain>().set("client_id", "me").answer("device", 200, draft).start();
    let (_, pairs) = testing::start_device::<Plain>("").unwrap();
    assert_eq!(testing::find(&pairs, "verification_uri"), Some("https://a.example/device"));
    assert_eq!(testing::find(&pairs, "interval"), None);
    assert_eq!(testing::sent()[0].form("scope"), None);
    assert_eq!(testing::sent()[0].form("client_id"), Some("me"));

    for without in [
        r#"{"user_code":"U","verification_uri":"v"}"#,
        r#"{"device_code":"d","verification_uri":"v"}"#,
        r#"{"device_code":"d","user_code":"U"}"#,
    ] {
        Broker::of::<Plain>().set("client_id", "me").answer("device", 200, without).start();
        assert_eq!(testing::start_device::<Plain>("").unwrap_err().code, "malformed_answer", "{without}");
    }
}

#[test]
fn a_poll_sends_the_device_code_and_tells_what_the_server_says() {
    Broker::of::<Plain>().set("client_id", "me").answer("token", 200, TOKEN).start();
    testing::poll_device::<Plain>().unwrap();
    let sent = &testing::sent()[0];
    assert_eq!(sent.form("grant_type"), Some("urn:ietf:params:oauth:grant-type:device_code"));
    assert_eq!((sent.form("device_code"), sent.form("client_id")), (Some("[device-code]"), Some("me")));
    for (status, body, code, interval) in [
        (400, r#"{"error":"authorization_pending"}"#, "authorization_pending", None),
        (200, r#"{"error":"slow_down","interval":10}"#, "slow_down", Some("10")),
        (400, r#"{"error":"slow_down"}"#, "slow_down", None),
        (400, r#"{"error":"slow_down","interval":"soon"}"#, "slow_down", None),
        (428, r#"{"error":"authorization_pending"}"#, "authorization_pending", None),
        (400, r#"{"error":"expired_token"}"#, "expired_token", None),
        (500, "", "temporarily_unavailable", None),
        (200, "<html>", "malformed_answer", None),
    ] {
        Broker::of::<Plain>().set("client_id", "me").answer("token", status, body).start();
        let failure = testing::poll_device::<Plain>().unwrap_err();
        assert_eq!((failure.code.as_str(), failure.get("interval")), (code, interval), "{body}");
    }
}

#[test]
fn what_the_table_does_not_allow_is_refused_by_the_fake_broker_too() {
    Broker::of::<Plain>().set("client_id", "me").answer("token", 200, TOKEN).start();
    let request = crate::Request::new("token", &[]);
    request.form_secret("code", &crate::Secret::of("verifier"));
    assert_eq!(request.send().unwrap_err().code, "refused");
}

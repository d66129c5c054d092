//! Every trick by which a component could send something to another place than its table names, or a secret to a place
//! that is written down: nothing leaves, or it stays where it belongs.

use std::io::Write;
use std::sync::Mutex;

use serde_json::{Value, json};

use super::*;
use crate::support::canary::assert_unseen;

/// Stores an address and a length where a list of pairs is to be.
const KEEP: &str =
    "(func $keep (param i32 i32 i32) (i32.store (local.get 0) (local.get 1)) (i32.store offset=4 (local.get 0) (local.get 2)))";

/// A table with an argument in a path and one in a query, and with headers.
fn table() -> Value {
    let mut table = descriptor("guest");
    let more = json!([
        { "id": "item", "role": "account", "url": "{base}/items/{argument.id}", "headers": ["x-note"], "slots": { "authorization.bearer": ["access"] } },
        { "id": "search", "role": "account", "url": "{base}/search?q={argument.id}" }
    ]);
    table["endpoints"].as_array_mut().unwrap().extend(more.as_array().unwrap().iter().cloned());
    table
}

/// An `exchange` that does this with the request `$a`, sends it, and says whether that was refused: then the broker tells
/// its own reason.
fn sending(request: &str, more: &str) -> Guest {
    Guest::new("guest").with(KEEP).exchange(&format!(
        r#"(call $keep (i32.const 64) $"id") {request} {more}
           (call $return-borrowed (local.get $code) (local.get $verifier))
           (call $send (local.get $a) (i32.const 32))
           (if (i32.load8_u (i32.const 32)) (then (return (call $fail $"refused" $"It was refused."))))
           (call $fail $"it_was_sent" $"It was sent.")"#
    ))
}

async fn exchange(bench: &Bench, guest: &Guest) -> Result<Tokens, Failed> {
    let component = bench.sandbox.prepare(guest.bytes()).await.unwrap();
    let redirect = Url::parse("http://localhost:9876/oauth/callback/guest").unwrap();
    let (code, verifier) = (Secret::from("the-code-of-this-login"), Secret::from("the-verifier-of-this-login"));
    component.exchange(&bench.context_of(&table()), code, verifier, &redirect).await
}

#[tokio::test]
async fn t44_no_argument_leads_to_another_host_port_or_path() {
    let (bench, thief) = (Bench::new().await, Server::start(Some("{}".to_owned())).await);
    let there = thief.address();
    let port = there.port();
    let tricks = [
        "..".to_owned(),
        ".".to_owned(),
        "%2e%2e".to_owned(),
        "..%2f..%2ftoken".to_owned(),
        "../../token".to_owned(),
        "..\\..\\token".to_owned(),
        format!("x@{there}"),
        format!("@{there}/"),
        format!("//{there}/"),
        format!("\\\\{there}\\"),
        format!("http://{there}/"),
        format!(".evil.example:{port}"),
        format!(":{port}"),
        "x?to=evil.example".to_owned(),
        "x#evil.example".to_owned(),
        format!("x HTTP/1.1\r\nHost: {there}\r\n\r\nGET /"),
        "evil.example.".to_owned(),
        "\u{24d4}vil.example".to_owned(),
        "xn--evl-hza.example".to_owned(),
        "[::ffff:7f00:1]".to_owned(),
        "2130706433".to_owned(),
        "0x7f000001".to_owned(),
        "x;y=1".to_owned(),
        "x\0y".to_owned(),
        "x&to=evil.example".to_owned(),
        String::new(),
    ];
    for endpoint in ["item", "search"] {
        for trick in &tricks {
            let before = bench.server.asked();
            let request = format!(
                r#"(call $keep (i32.const 72) $"{trick}") (local.set $a (call $request $"{endpoint}" (i32.const 64) (i32.const 1)))"#
            );
            let outcome = exchange(&bench, &sending(&request, "")).await;
            assert!(outcome.is_err(), "{trick:?}");
            for heard in &bench.server.heard()[before as usize..] {
                let host = format!("GET Some(\"{}\") ", bench.server.address());
                let target = heard.strip_prefix(&host).unwrap_or_else(|| panic!("{trick:?}: {heard}"));
                let rest = target.strip_prefix(if endpoint == "item" { "/items/" } else { "/search?q=" });
                let rest = rest.unwrap_or_else(|| panic!("{trick:?} left its place: {target}"));
                assert!(!rest.contains(['/', '?', '#', '@', '\\', '&', ':']), "{trick:?} left its place: {target}");
                assert!(endpoint == "search" || !matches!(rest, "" | "." | ".."), "{trick:?} left its place: {target}");
            }
        }
    }
    assert!(bench.server.asked() > 20, "the control: most are encoded and sent");
    assert_eq!(thief.asked(), 0);
    bench.is_unharmed().await;
}

#[tokio::test]
async fn t44_no_endpoint_is_reached_that_the_table_does_not_name() {
    let (bench, thief) = (Bench::new().await, Server::start(Some("{}".to_owned())).await);
    let there = thief.address();
    let port = there.port();
    let names = [
        format!("http://{there}/"),
        format!("https://localhost:{port}/"),
        format!("token@{there}"),
        format!("token.evil.example:{port}"),
        "token/../x".to_owned(),
        "TOKEN".to_owned(),
        "token.".to_owned(),
        "token ".to_owned(),
        "authorize".to_owned(),
        String::new(),
    ];
    for name in names {
        let request = format!(r#"(local.set $a (call $request $"{name}" (i32.const 0) (i32.const 0)))"#);
        fault_with(exchange(&bench, &sending(&request, "")).await, "is refused");
    }
    assert_eq!((bench.server.asked(), thief.asked()), (0, 0));
    bench.is_unharmed().await;
}

#[tokio::test]
async fn t44_no_header_says_where_a_request_goes_or_who_sends_it() {
    let bench = Bench::new().await;
    let item = r#"(call $keep (i32.const 72) $"1") (local.set $a (call $request $"item" (i32.const 64) (i32.const 1)))"#;
    let headers = [
        ("host", "evil.example"),
        ("HOST", "evil.example"),
        (":authority", "evil.example"),
        ("authorization", "Bearer mine"),
        ("proxy-authorization", "Basic eDp5"),
        ("proxy-connection", "keep-alive"),
        ("cookie", "a=b"),
        ("x-forwarded-host", "evil.example"),
        ("transfer-encoding", "chunked"),
        ("content-length", "3"),
        ("upgrade", "h2c"),
        ("x-http-method-override", "DELETE"),
        ("x-note: a\r\nhost", "evil.example"),
        ("x-note\n", "a"),
        ("x-note", "a\r\nHost: evil.example"),
        ("x-note", "a\nHost: evil.example"),
        ("x-note", "a\0b"),
        ("", "a"),
    ];
    for (name, value) in headers {
        let more = format!(r#"(call $header (local.get $a) $"{name}" $"{value}")"#);
        fault_with(exchange(&bench, &sending(item, &more)).await, "is refused");
    }
    assert_eq!(bench.server.asked(), 0);
    let declared = r#"(call $header (local.get $a) $"x-note" $"plain")"#;
    assert!(matches!(exchange(&bench, &sending(item, declared)).await, Err(Failed::Said(_))));
    assert_eq!(bench.server.asked(), 1, "the control");
}

#[tokio::test]
async fn t44_a_redirect_takes_no_secret_along() {
    let thief = Server::start(Some("{}".to_owned())).await;
    let elsewhere = [
        format!("http://{}/token", thief.address()),
        format!("//{}/token", thief.address()),
        format!("http://x@{}/", thief.address()),
    ];
    for to in elsewhere {
        let mut bench = Bench::new().await;
        bench.server = Server::redirecting(to.clone()).await;
        let outcome = bench.load(&Guest::new("guest")).await.exchange().await;
        assert!(matches!(outcome, Err(Failed::Said(_))), "{to}: {outcome:?}");
        assert_eq!((bench.server.asked(), thief.asked()), (1, 0), "{to}");
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_gets_into_a_url_a_header_that_the_table_does_not_name_or_the_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let bench = Bench::new().await;
    let item = r#"(call $keep (i32.const 72) $"1") (local.set $a (call $request $"item" (i32.const 64) (i32.const 1)))"#;
    let token = r#"(local.set $a (call $request $"token" (i32.const 0) (i32.const 0)))"#;
    let attempts = [
        // a form member of a GET would be in its URL
        (item, r#"(call $form-secret (local.get $a) $"code" (local.get $code))"#),
        (item, r#"(call $header-secret (local.get $a) $"x-note" (local.get $code))"#),
        (item, r#"(call $header-secret (local.get $a) $"authorization" (local.get $code))"#),
        (item, r#"(call $header-secret (local.get $a) $"cookie" (local.get $code))"#),
        (item, r#"(call $header-secret (local.get $a) $"x-note: " (local.get $code))"#),
        (item, r#"(call $authenticate (local.get $a) $"bearer" $"" (local.get $code))"#),
        (item, r#"(call $authenticate (local.get $a) $"header:x-note" $"" (local.get $code))"#),
        (token, r#"(call $form-secret (local.get $a) $"redirect_uri" (local.get $code))"#),
        (token, r#"(call $form-secret (local.get $a) $"code" (local.get $verifier))"#),
        (token, r#"(call $json-secret (local.get $a) $"/code" (local.get $code))"#),
        (token, r#"(call $authenticate (local.get $a) $"basic" $"me" (local.get $code))"#),
    ];
    for (request, more) in attempts {
        fault_with(exchange(&bench, &sending(request, more)).await, "is refused");
    }
    assert_eq!(bench.server.asked(), 0, "nothing left");
    // what it does get to see of a secret, it writes into the log: the kind, and an answer with the secret hidden
    let telling = Guest::new("guest").exchange(
        r#"(call $kind (local.get $code) (i32.const 32))
           (call $log $"info" (i32.load (i32.const 32)) (i32.load (i32.const 36)))
           (local.set $a (call $request $"token" (i32.const 0) (i32.const 0)))
           (call $form-secret (local.get $a) $"code" (local.get $code))
           (call $return-borrowed (local.get $code) (local.get $verifier))
           (call $send (local.get $a) (i32.const 32))
           (call $body (i32.load (i32.const 36)) (i32.const 48))
           (call $log $"error" (i32.load (i32.const 48)) (i32.load (i32.const 52)))
           (call $fail $"it_was_done" $"It was told.")"#,
    );
    assert!(matches!(exchange(&bench, &telling).await, Err(Failed::Said(_))));
    let log = log.0.lock().unwrap().clone();
    let text = String::from_utf8_lossy(&log);
    assert!(text.contains("token_type"), "the control: {text}");
    assert_unseen(
        "the log",
        &log,
        ["the-code-of-this-login", "the-verifier-of-this-login", "the-client-secret", "an-access-token"],
    );
}

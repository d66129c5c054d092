//! What no tool expects: values at their limits, bytes that are no text, floods in one argument. Each is taken whole or
//! refused whole, in bounded time, and never repeated to where it does not belong.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::broker::{Broker, Launch};

async fn store(broker: &mut Broker, name: &str, value: &str) {
    broker.call("store_secret", json!({ "name": name, "value": value })).await.ok();
}

#[tokio::test]
async fn a_value_comes_back_as_it_was_byte_for_byte() {
    let mut broker = Launch::new().ready().await;
    let largest = "\u{1f511}".repeat((1 << 20) / 4);
    for value in
        ["x", " ", "\u{0}\u{1}\u{7f}", "-----BEGIN KEY-----\nab\"c\\\r\n", "\u{feff}\u{202e}\u{e9}", "{\"a\":1}", &largest]
    {
        store(&mut broker, "k", value).await;
        assert!(broker.reveal("k").await == value, "{:?}", &value[..value.len().min(40)]);
    }
    let more = format!("{largest}x");
    let answer = broker.call("store_secret", json!({ "name": "k", "value": more })).await;
    answer.refused("invalid_argument").names(&["1048577 bytes", "1048576"]);
    assert!(broker.reveal("k").await == largest, "what was refused replaced nothing");
}

#[tokio::test]
async fn bytes_that_are_no_text_are_refused_and_never_stored_as_something_else() {
    let mut broker = Launch::new().ready().await;
    let call = |value: &[u8]| {
        let head = br#"{"jsonrpc":"2.0","id":77,"method":"tools/call","params":{"name":"store_secret","arguments":{"name":"k","value":""#;
        [&head[..], value, b"\"}}}\n"].concat()
    };
    for value in [&b"\xff\xfeabc"[..], b"\xc0\xaf", b"\xed\xa0\x80", br"\ud800", br"\udc00x", br"\x41", b"tab\there"] {
        broker.send_raw(&call(value)).await;
        let answer = broker.message().await;
        assert_eq!(answer["error"]["code"], -32700, "{answer}");
        let listed = broker.call("list_secrets", json!({})).await.ok();
        assert_eq!(listed["secrets"], json!([]), "{value:?}");
    }
    broker.send_raw(&call(br"\ud83d\udd11")).await;
    broker.answer(77).await;
    assert_eq!(broker.reveal("k").await, "\u{1f511}");
}

#[tokio::test]
async fn what_could_be_a_secret_is_not_repeated_by_a_refusal() {
    let mut broker = Launch::new().env("MCP_CREDENTIALS_BROKER_LOG", "trace").ready().await;
    let secret = "hunter2-hunter2-hunter2";
    for line in [
        format!("{secret}\n"),
        format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"value\":\"{secret}\"\n"),
        format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":\"{secret}\"}}\n"),
        format!("{{\"jsonrpc\":\"2.0\",\"id\":[\"{secret}\"],\"method\":\"ping\"}}\n"),
        format!("[\"{secret}\"]\n"),
        format!("\"{secret}\"\n"),
    ] {
        broker.send_raw(line.as_bytes()).await;
        assert!(broker.message().await["error"]["code"].is_i64());
    }
    for (tool, arguments) in [
        ("store_secret", json!({ "name": "no name!", "value": secret })),
        ("store_secret", json!({ "name": "k", "value": [secret] })),
        ("store_secret", json!({ "name": "k", "value": { secret: secret } })),
        ("store_secret", json!({ "name": "k", "value": secret, "tags": { "a": [secret] } })),
        ("store_secret", json!({ "name": "k", "value": secret, "extra": secret })),
        ("store_secret", json!({ "name": "k", "value": secret.repeat(100_000) })),
        ("store_secret", json!([secret])),
        ("resolve_secret", json!({ "reference_id": secret })),
        ("verify_token", json!({ "token": secret })),
        ("revoke_token", json!({ "token_id": secret })),
    ] {
        let answer = broker.request("tools/call", json!({ "name": tool, "arguments": arguments })).await;
        assert!(answer["error"].is_object() || answer["result"]["content"].is_array(), "{answer}");
    }
    broker.finish().await;
    broker.assert_unseen(&[secret]);
}

#[tokio::test]
async fn names_are_of_one_pattern_for_every_tool_that_takes_one() {
    let mut broker = Launch::new().client("GITHUB", "id", Some("github-client-secret")).ready().await;
    let longest = "x".repeat(128);
    for name in ["a", "7", "github-token", "me@example.com", "team/acme:prod.1_2", &longest] {
        store(&mut broker, name, "v").await;
        broker.call("delete_secret", json!({ "name": name })).await.ok();
    }
    let too_long = "x".repeat(129);
    for name in
        ["", " ", "-x", ".x", "/etc/passwd", "../x", "a b", "a\n", "a\u{0}", "\u{e4}", "a\u{202e}b", "a;b", "a%2fb", &too_long]
    {
        for (tool, arguments) in [
            ("store_secret", json!({ "name": name, "value": "v" })),
            ("get_secret", json!({ "name": name, "purpose": "p" })),
            ("delete_secret", json!({ "name": name })),
            ("start_oauth_flow", json!({ "provider": "github", "scopes": ["repo"], "secret_name": name })),
        ] {
            broker.call(tool, arguments).await.refused("invalid_argument").names(&["1 to 128"]);
        }
    }
    store(&mut broker, "Key", "one").await;
    store(&mut broker, "key", "two").await;
    assert_eq!(broker.reveal("Key").await, "one", "upper and lower case are two names");
}

#[tokio::test]
async fn tags_are_kept_to_their_limits_and_replaced_with_the_value() {
    let mut broker = Launch::new().ready().await;
    let store = |tags: Value| json!({ "name": "k", "value": "v", "tags": tags });
    let many = |count: usize| (0..count).map(|index| (format!("t{index}"), json!("x"))).collect::<serde_json::Map<_, _>>();
    let long = "\u{e9}".repeat(256);
    let tags = json!({ long.clone(): long, "empty": "" });
    broker.call("store_secret", store(tags.clone())).await.ok();
    assert_eq!(broker.call("list_secrets", json!({})).await.ok()["secrets"][0]["tags"], tags);
    let bad = [json!(many(33)), json!({ "": "x" }), json!({ "a": format!("{long}x") }), json!({ format!("{long}x"): "a" })];
    for tags in bad {
        broker.call("store_secret", store(tags)).await.refused("invalid_argument").names(&["32", "256"]);
    }
    for tags in [json!("a"), json!(1), json!([]), json!({ "a": null }), json!({ "a": { "b": "c" } })] {
        broker.call("store_secret", store(tags)).await.refused("invalid_argument").names(&["tags"]);
    }
    assert_eq!(broker.call("list_secrets", json!({})).await.ok()["secrets"][0]["tags"], tags);
    broker.call("store_secret", store(json!(many(32)))).await.ok();
    assert_eq!(broker.call("list_secrets", json!({})).await.ok()["secrets"][0]["tags"], json!(many(32)));
}

#[tokio::test]
async fn a_flood_in_one_argument_is_refused_while_the_broker_stays_awake() {
    let mut broker = Launch::new().client("GITHUB", "id", Some("github-client-secret")).ready().await;
    let words: String = (0..300_000).map(|index| format!("s{index} ")).collect();
    let text = "x".repeat(8 << 20);
    let entries: Vec<String> = (0..201).map(|index| format!("s{index}")).collect();
    let mut crowd = serde_json::Map::new();
    for index in 0..40_000 {
        crowd.insert(format!("a{index}"), json!(0));
    }
    let cases = [
        ("mint_token", json!({ "provider": "github", "scopes": [words] }), "invalid_argument"),
        ("mint_token", json!({ "provider": "github", "scopes": entries }), "invalid_argument"),
        ("mint_token", json!({ "provider": "github", "scopes": [text] }), "invalid_argument"),
        ("mint_token", json!({ "provider": text, "scopes": ["a"] }), "unknown_provider"),
        ("mint_token", json!({ "provider": "github", "scopes": ["a"], "resource": text }), "invalid_argument"),
        ("start_oauth_flow", json!({ "provider": "github", "scopes": [words], "secret_name": "g" }), "invalid_argument"),
        ("get_secret", json!({ "name": text, "purpose": "p" }), "invalid_argument"),
        ("get_secret", json!({ "name": "k", "purpose": text }), "invalid_argument"),
        ("resolve_secret", json!({ "reference_id": text }), "unknown_reference"),
        ("await_oauth_flow", json!({ "flow_id": text }), "unknown_flow"),
        ("store_secret", Value::Object(crowd), "invalid_argument"),
        (&text, json!({}), "invalid_argument"),
    ];
    for (tool, arguments, code) in cases {
        let start = Instant::now();
        let failure = broker.call(tool, arguments).await.refused(code);
        assert!(failure.error.len() + failure.hint.len() < 2000, "bounded: {} bytes", failure.error.len());
        assert!(start.elapsed() < Duration::from_secs(20), "{:?} for {}", start.elapsed(), &tool[..tool.len().min(20)]);
    }
    let token = broker.call("verify_token", json!({ "token": text })).await.ok();
    assert_eq!(token["active"], false);
    assert!(broker.finish().await.stderr.lines().all(|line| line.len() < 4096), "the audit trail is bounded, too");
}

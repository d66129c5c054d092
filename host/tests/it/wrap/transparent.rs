//! What has no secret in it passes byte for byte, in both directions.

use serde_json::json;

use super::{line, wrapped};

/// Messages of every revision, and of none.
const LINES: &[&[u8]] = &[
    br#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{}}}"#,
    br#"{"jsonrpc":"2.0","id":"a","method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{"roots":{}}}}"#,
    br#"{"jsonrpc":"2.0","id":2,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#,
    br#"{"jsonrpc":"2.0","id":3,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#,
    br#"{"jsonrpc":"2.0","id":4,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#,
    br#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"x"}}"#,
    b"{ \"id\" : 1.50e+1 ,\t\"jsonrpc\":\"2.0\", \"z\":-0, \"a\":[ 1.0 , 100000000000000000000000001 ], \"method\":\"x\\/y\\u00e4\" }\r",
    "{\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{\"text\":\"\u{e4}\u{1f600}\\ud83d\\ude00 \\ud800 client_secret: x, a secret: y\"}}".as_bytes(),
    br#"{"jsonrpc":"2.0","id":"x","error":{"code":-1,"message":"no","data":null}}"#,
    br#"[{"jsonrpc":"2.0","id":11,"method":"ping"},{"jsonrpc":"2.0","method":"n"}]"#,
    br#"{"a":1,"a":2,"method":"doubles","id":null}"#,
    b"",
    b"   ",
    b"not json at all",
    br#"{"jsonrpc":"2.0","id":5,"#,
    b"\xff\xfe not text",
];

#[tokio::test]
async fn whatever_the_agent_says_arrives_byte_for_byte() {
    let mut wrapped = wrapped().await;
    for line in LINES {
        let line = [line, &b"\n"[..]].concat();
        wrapped.arrives(&line).await;
    }
    let large =
        format!(r#"{{"jsonrpc":"2.0","method":"n","params":{{"text":"{}"}}}}{}"#, "ab\\n\\u00e4 ".repeat(2_000_000), "\n");
    assert!(large.len() > 16 << 20);
    wrapped.arrives(large.as_bytes()).await;
    // the end of the input is no end of a line
    wrapped.broker.send_raw(b"{\"last\":1}").await;
    wrapped.broker.finish().await;
    assert!(wrapped.sent().ends_with(b"\n{\"last\":1}"));
}

#[tokio::test]
async fn whatever_the_server_says_arrives_byte_for_byte() {
    let mut wrapped = wrapped().await;
    for bytes in LINES.iter().filter(|bytes| bytes.starts_with(b"{") || bytes.starts_with(b"[")) {
        if std::str::from_utf8(bytes).is_err() || bytes.ends_with(b",") {
            continue;
        }
        wrapped.writes(&[bytes, &b"\n"[..]].concat()).await;
        assert_eq!(line(&mut wrapped.broker).await.as_bytes(), *bytes);
    }
    let request = br#"{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{"messages":[]}}"#;
    wrapped.writes(&[request, &b"\n"[..]].concat()).await;
    assert_eq!(line(&mut wrapped.broker).await.as_bytes(), request);
    wrapped.arrives(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"role\":\"assistant\"}}\n").await;
    let answer = wrapped.ask("x/flood", json!({ "count": 1, "size": 17_000_000 })).await;
    assert_eq!(answer["result"], json!({}));
    assert_eq!(wrapped.broker.notifications[0]["params"]["text"].as_str().unwrap().len(), 17_000_000);
}

#[tokio::test]
async fn the_exit_code_is_the_servers_and_its_standard_error_passes() {
    let mut wrapped = wrapped().await;
    wrapped.ask("x/stderr", json!({ "text": "a line of the server\n" })).await;
    wrapped.broker.notify("x/die", json!({ "code": 7 })).await;
    let ended = wrapped.broker.ended().await;
    assert_eq!(ended.status.code(), Some(7), "{}", ended.stderr);
    assert!(ended.stderr.contains("a line of the server\n"), "{}", ended.stderr);
}

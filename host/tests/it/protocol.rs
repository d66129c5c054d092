//! MCP over standard input and output: every revision, every bad line, every way to leave.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::broker::Launch;

#[tokio::test]
async fn all_five_revisions_are_spoken() {
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut broker = Launch::new().start();
        let hello = broker.initialize(version).await;
        assert_eq!(hello["protocolVersion"], version);
        assert!(hello["instructions"].as_str().unwrap().contains("list_secrets"));
        broker.call("store_secret", json!({ "name": "k", "value": "v" })).await.ok();
    }
    let mut broker = Launch::new().start();
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": "lab", "version": "1" },
    });
    let found = broker.request("server/discover", json!({ "_meta": meta })).await;
    assert!(found["result"]["supportedVersions"].as_array().unwrap().contains(&json!("2026-07-28")), "{found}");
    let called = json!({ "_meta": meta, "name": "store_secret", "arguments": { "name": "k", "value": "v" } });
    let called = broker.request("tools/call", called).await;
    assert_eq!(called["result"]["structuredContent"]["success"], true);
    assert!(broker.finish().await.stderr.contains("lab 1"), "the client is named without a handshake, too");
}

#[tokio::test]
async fn an_unknown_revision_is_answered_with_one_that_is_known() {
    let mut broker = Launch::new().start();
    assert_eq!(broker.initialize("1999-01-01").await["protocolVersion"], "2025-11-25");
}

#[tokio::test]
async fn every_bad_line_is_answered_and_the_next_call_works() {
    let mut broker = Launch::new().ready().await;
    let call = json!({ "name": "get_broker_stats", "arguments": {} });
    let cases: Vec<(Vec<u8>, i64, Value)> = vec![
        (b"not json\n".to_vec(), -32700, Value::Null),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"meth\n".to_vec(), -32700, Value::Null),
        (b"\xff\xfe\n".to_vec(), -32700, Value::Null),
        (b"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]\n".to_vec(), -32600, Value::Null),
        (b"[]\n".to_vec(), -32600, Value::Null),
        (b"42\n".to_vec(), -32600, Value::Null),
        (line(&json!({ "jsonrpc": "1.0", "id": 5, "method": "ping" })), -32600, json!(5)),
        (line(&json!({ "jsonrpc": "2.0", "id": 1.5, "method": "ping" })), -32600, Value::Null),
        (line(&json!({ "jsonrpc": "2.0", "id": {}, "method": "ping" })), -32600, Value::Null),
        (line(&json!({ "jsonrpc": "2.0", "id": 6, "method": "tools/call", "params": [1] })), -32600, json!(6)),
        (line(&json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call" })), -32602, json!(7)),
        (line(&json!({ "jsonrpc": "2.0", "id": "s", "method": "no/such" })), -32601, json!("s")),
        (format!("{}\n", "[".repeat(10_000)).into_bytes(), -32700, Value::Null),
        (format!("{}\n", "[".repeat(100_000)).into_bytes(), -32600, Value::Null),
    ];
    for (bytes, code, id) in cases {
        broker.send_raw(&bytes).await;
        let answer = broker.message().await;
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        assert_eq!(answer["error"]["code"], code, "{shown}: {answer}");
        assert_eq!(answer.get("id").cloned().unwrap_or_default(), id, "{shown}: {answer}");
        let answer = broker.request("tools/call", call.clone()).await;
        assert_eq!(answer["result"]["structuredContent"]["success"], true, "after {shown}");
    }
    for id in [json!("text"), json!(0), json!(-1), json!(9_007_199_254_740_991_i64)] {
        broker.send(&json!({ "jsonrpc": "2.0", "id": id, "method": "ping" })).await;
        assert!(broker.answer(id.clone()).await["result"].is_object(), "{id}");
    }
}

fn line(message: &Value) -> Vec<u8> {
    format!("{message}\n").into_bytes()
}

#[tokio::test]
async fn an_endless_line_is_refused_without_filling_the_memory() {
    let mut broker = Launch::new().ready().await;
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..64 {
        broker.send_raw(&chunk).await;
    }
    broker.send_raw(b"\n").await;
    let answer = broker.message().await;
    assert_eq!(answer["error"]["code"], -32600);
    assert!(answer["error"]["message"].as_str().unwrap().contains("16 MiB"), "{answer}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", broker.id())).unwrap();
    let peak: u64 =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 120 * 1024, "{peak} KiB for a line of 64 MiB");
    broker.call("get_broker_stats", json!({})).await.ok();
}

#[tokio::test]
async fn what_comes_before_the_first_request_ends_nothing() {
    let mut broker = Launch::new().start();
    broker.notify("notifications/initialized", json!({})).await;
    broker.send_raw(b"garbage\n").await;
    assert_eq!(broker.message().await["error"]["code"], -32700);
    broker.initialize("2025-06-18").await;
    broker.call("get_broker_stats", json!({})).await.ok();
}

#[tokio::test]
async fn the_end_of_input_ends_the_process_after_the_last_answers() {
    let mut broker = Launch::new().start();
    let ended = broker.finish().await;
    assert!(ended.status.success() && ended.stdout.is_empty(), "{ended:?}");

    let mut broker = Launch::new().ready().await;
    let ids: Vec<i64> = {
        let mut ids = Vec::new();
        for index in 0..30 {
            ids.push(broker.begin("store_secret", &json!({ "name": format!("n{index}"), "value": "v" })).await);
        }
        ids
    };
    broker.close_stdin();
    for id in ids {
        broker.tool_answer("store_secret", id).await.ok();
    }
    assert!(broker.ended().await.status.success());
}

#[tokio::test]
async fn the_end_of_input_ends_logins_and_frees_the_port() {
    let mut broker = Launch::new().client("GITHUB", "id", Some("github-client-secret")).ready().await;
    let pending = broker.begin_login("github", &["repo"], "github-token").await;
    broker.begin("await_oauth_flow", &json!({ "flow_id": pending["flow_id"] })).await;
    let port = broker.port();
    assert!(std::net::TcpListener::bind(("127.0.0.1", port)).is_err(), "the listener is up");
    let ended = broker.finish().await;
    assert!(ended.status.success() && ended.took < Duration::from_secs(1), "{ended:?}");
    assert!(std::net::TcpListener::bind(("127.0.0.1", port)).is_ok());
}

#[tokio::test]
async fn a_client_that_no_longer_reads_ends_the_process_cleanly() {
    let launch = Launch::new();
    let mut command = launch.command();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut child =
        command.stdin(std::process::Stdio::piped()).stdout(writer).stderr(std::process::Stdio::piped()).spawn().unwrap();
    drop(command);
    drop(reader);
    let mut stdin = child.stdin.take().unwrap();
    use tokio::io::AsyncWriteExt as _;
    for _ in 0..20 {
        let _ = stdin.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n").await;
    }
    let output = tokio::time::timeout(Duration::from_secs(10), child.wait_with_output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
}

#[tokio::test]
async fn nothing_but_messages_stands_on_standard_output_however_much_is_logged() {
    let launch = Launch::new().env("MCP_CREDENTIALS_BROKER_LOG", "trace").client("GITHUB", "id", Some("github-client-secret"));
    let mut broker = launch.ready().await;
    broker.call("store_secret", json!({ "name": "k", "value": "v" })).await.ok();
    broker.call("list_providers", json!({})).await.ok();
    broker.begin_login("github", &["repo"], "github-token").await;
    broker.send_raw(b"bad\n").await;
    let ended = broker.finish().await;
    for line in ended.stdout.lines() {
        let message: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert_eq!(message["jsonrpc"], "2.0");
    }
}

#[tokio::test]
async fn a_thousand_calls_at_once_are_answered_in_their_order() {
    let mut broker = Launch::new().ready().await;
    let mut lines = Vec::new();
    for id in 1000..2000 {
        let value = format!("v{id}");
        let call = json!({ "name": "store_secret", "arguments": { "name": "same", "value": value } });
        lines.extend(line(&json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": call })));
    }
    broker.send_raw(&lines).await;
    for id in 1000..2000 {
        assert_eq!(broker.message().await["id"], id);
    }
    assert_eq!(broker.reveal("same").await, "v1999", "carried out in their order, too");
}

#[tokio::test]
async fn a_person_on_a_terminal_is_told_what_this_is() {
    let (program, arguments, environment) = Launch::new().plan();
    let typed = format!("{} {}", program.display(), arguments.join(" "));
    let output = tokio::process::Command::new("script")
        .args(["-qec", &typed, "/dev/null"])
        .env_clear()
        .envs(environment)
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(20), output).await.unwrap().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains("is an MCP server") && shown.contains("demo"), "{shown}");
}

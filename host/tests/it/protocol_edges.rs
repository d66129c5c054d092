//! The corners of JSON-RPC over a pipe: odd but lawful messages, both eras of MCP, and pipes that are not what they
//! should be.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::support::broker::{Broker, Launch};

const A_MOMENT: Duration = Duration::from_millis(300);

fn peak_kib(broker: &Broker) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", broker.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn an_id_comes_back_as_it_was() {
    let mut broker = Launch::new().ready().await;
    let long = "i".repeat(100_000);
    for id in [
        json!(""),
        json!("1"),
        json!("\u{e9}\n\"\\"),
        json!("__proto__"),
        json!(long),
        json!(0),
        json!(-7),
        json!(i64::MAX),
        json!(i64::MIN),
    ] {
        let call = json!({ "name": "get_broker_stats", "arguments": {} });
        broker.send(&json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": call })).await;
        let answer = broker.message().await;
        assert!(answer["id"] == id && answer["result"].is_object(), "{answer}");
    }
    for id in ["null", "true", "1.5", "[]", "{}", "9223372036854775808", "1e400"] {
        broker.send_raw(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"ping\"}}\n").as_bytes()).await;
        let answer = broker.message().await;
        assert!(answer["error"]["code"].is_i64() && answer.get("id").is_none_or(Value::is_null), "{id}: {answer}");
    }
    broker.call("get_broker_stats", json!({})).await.ok();
}

#[tokio::test]
async fn the_order_of_members_and_members_that_nobody_knows_do_not_matter() {
    let mut broker = Launch::new().ready().await;
    for line in [
        r#"{"params":{"arguments":{},"name":"get_broker_stats"},"method":"tools/call","id":901,"jsonrpc":"2.0"}"#,
        r#"{"id":901,"x":[{}],"jsonrpc":"2.0","method":"tools/call","params":{"y":null,"name":"get_broker_stats","arguments":{}}}"#,
        r#"  {"jsonrpc":"2.0" , "id":901,"method":"tools/call","params":{"name":"get_broker_stats"}}  "#,
        r#"{"jsonrpc":"2.0","id":901,"method":"tools/call","params":{"name":"get_broker_stats","arguments":null,"_meta":{"a":1}}}"#,
        "{\"jsonrpc\":\"2.0\",\"id\":901,\"method\":\"tools\\/call\",\"params\":{\"name\":\"get_broker_stats\"}}\r",
    ] {
        broker.send_raw(format!("{line}\n").as_bytes()).await;
        let answer = broker.message().await;
        assert_eq!(answer["id"], 901);
        assert_eq!(answer["result"]["structuredContent"]["success"], true, "{line}: {answer}");
    }
}

#[tokio::test]
async fn a_member_that_stands_twice_is_refused_and_nothing_is_carried_out() {
    let mut broker = Launch::new().ready().await;
    let store = r#"{"name":"store_secret","arguments":{"name":"k","value":"v"}}"#;
    for line in [
        format!(r#"{{"jsonrpc":"2.0","id":5,"id":5,"method":"tools/call","params":{store}}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":5,"method":"ping","method":"tools/call","params":{store}}}"#),
        r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"get_broker_stats","name":"store_secret","arguments":{"name":"k","value":"v"}}}"#.to_owned(),
    ] {
        broker.send_raw(format!("{line}\n").as_bytes()).await;
        let answer = broker.message().await;
        assert!(answer["id"] == 5 && answer["error"]["code"].is_i64(), "{answer}");
    }
    assert_eq!(broker.call("list_secrets", json!({})).await.ok()["secrets"], json!([]));
}

#[tokio::test]
async fn what_asks_for_no_answer_gets_none() {
    let mut broker = Launch::new().ready().await;
    for line in [
        "",
        "   ",
        "\r",
        r#"{"jsonrpc":"2.0","method":"notifications/no-such"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":99}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#,
        r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"store_secret","arguments":{"name":"k","value":"v"}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}"#,
    ] {
        broker.send_raw(format!("{line}\n").as_bytes()).await;
    }
    assert_eq!(broker.line(A_MOMENT).await, None);
    assert_eq!(broker.call("list_secrets", json!({})).await.ok()["secrets"], json!([]), "a notification calls no tool");
}

#[tokio::test]
async fn a_client_that_skips_or_repeats_the_handshake_is_still_served() {
    let mut broker = Launch::new().start();
    assert!(broker.request("ping", Value::Null).await["result"].is_object());
    let early = broker.request("tools/call", json!({ "name": "get_broker_stats" })).await;
    assert!(early["error"]["message"].as_str().unwrap().contains("_meta"), "{early}");
    assert_eq!(broker.request("initialize", json!({})).await["error"]["code"], -32602);
    let client = json!({ "name": "lab", "version": "1" });
    for version in ["2025-06-18", "2024-11-05"] {
        let params = json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": client });
        assert_eq!(broker.request("initialize", params).await["result"]["protocolVersion"], version);
        // notifications/initialized is left out
        broker.call("store_secret", json!({ "name": "k", "value": "v" })).await.ok();
    }
}

#[tokio::test]
async fn the_modern_revision_asks_for_its_metadata_and_marks_its_results() {
    let mut broker = Launch::new().start();
    let meta = |version: &str| json!({ "io.modelcontextprotocol/protocolVersion": version, "io.modelcontextprotocol/clientCapabilities": {} });
    let modern = meta("2026-07-28");
    let call = |meta: &Value| json!({ "_meta": meta, "name": "get_broker_stats", "arguments": {} });

    let listed = broker.request("tools/list", json!({ "_meta": modern })).await["result"].clone();
    assert_eq!((&listed["resultType"], listed["tools"].as_array().unwrap().len()), (&json!("complete"), 15));
    assert!(listed["ttlMs"].is_u64() && listed["cacheScope"].is_string(), "{listed}");
    let done = broker.request("tools/call", call(&modern)).await["result"].clone();
    assert_eq!((&done["resultType"], &done["structuredContent"]["success"]), (&json!("complete"), &json!(true)));
    let failed = json!({ "_meta": modern, "name": "get_secret", "arguments": { "name": "nope", "purpose": "p" } });
    let failed = broker.request("tools/call", failed).await["result"].clone();
    assert_eq!((&failed["isError"], &failed["structuredContent"]["code"]), (&json!(true), &json!("unknown_secret")));

    let unknown = broker.request("tools/call", call(&meta("2099-01-01"))).await;
    assert_eq!(unknown["error"]["code"], -32022);
    assert!(unknown["error"]["data"]["supported"].as_array().unwrap().contains(&json!("2026-07-28")), "{unknown}");
    for missing in [json!({}), json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28" })] {
        let answer = broker.request("tools/call", call(&missing)).await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("clientCapabilities"), "{answer}");
    }
    for gone in ["ping", "logging/setLevel", "resources/subscribe"] {
        let answer = broker.request(gone, json!({ "_meta": modern })).await;
        assert_eq!(answer["error"]["code"], -32601, "{gone}: {answer}");
    }
    assert_eq!(broker.request("tools/call", call(&modern)).await["result"]["structuredContent"]["success"], true);
}

#[tokio::test]
async fn a_call_that_waits_for_a_person_holds_up_no_other_and_is_answered_at_the_end() {
    let mut broker = Launch::new().client("GITHUB", "id", Some("github-client-secret")).ready().await;
    let pending = broker.begin_login("github", &["repo"], "github-token").await;
    // more than the transport lets be under way before it pauses
    let mut waiting = Vec::new();
    for _ in 0..60 {
        waiting.push(broker.begin("await_oauth_flow", &json!({ "flow_id": pending["flow_id"] })).await);
    }
    let start = Instant::now();
    for index in 0..10 {
        broker.call("store_secret", json!({ "name": format!("n{index}"), "value": "v" })).await.ok();
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    broker.close_stdin();
    for id in waiting {
        broker.tool_answer("await_oauth_flow", id).await.refused("cancelled");
    }
    assert!(broker.ended().await.status.success());
}

#[tokio::test]
async fn a_hundred_megabytes_and_a_million_values_are_answered_in_little_memory() {
    let mut broker = Launch::new().ready().await;
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        broker.send_raw(&chunk).await;
    }
    broker.send_raw(b"\n").await;
    assert!(broker.message().await["error"]["message"].as_str().unwrap().contains("16 MiB"));
    let values = "[],".repeat(4 << 20);
    let flood = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"tools/call\",\"params\":{{\"name\":\"store_secret\",\"arguments\":{{\"name\":\"k\",\"value\":[{values}0]}}}}}}\n"
    );
    broker.send_raw(flood.as_bytes()).await;
    let answer = broker.message().await;
    assert!(answer["id"] == 8 && answer["error"]["message"].as_str().unwrap().contains("values"), "{answer}");
    let peak = peak_kib(&broker);
    assert!(peak < 120 * 1024, "{peak} KiB");
    // the longest line that is taken, with a value that is not
    let long = json!({ "name": "store_secret", "arguments": { "name": "k", "value": "x".repeat(15 << 20) } });
    let answer = broker.request("tools/call", long).await;
    assert_eq!(answer["result"]["structuredContent"]["code"], "invalid_argument");
    broker.call("get_broker_stats", json!({})).await.ok();
}

#[tokio::test]
async fn a_client_that_reads_late_gets_every_answer_and_costs_little_memory_meanwhile() {
    let launch = Launch::new();
    let mut child =
        launch.command().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "lab", "version": "1" } });
    let mut lines = format!("{}\n", json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello }));
    for id in 1..=3000 {
        lines.push_str(&format!("{}\n", json!({ "jsonrpc": "2.0", "id": id, "method": "tools/list" })));
    }
    let writing = tokio::spawn(async move { stdin.write_all(lines.as_bytes()).await.unwrap() });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id().unwrap())).unwrap();
    let peak: u64 =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 80 * 1024, "{peak} KiB with 30 MB of answers that nobody reads");
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    for id in 0..=3000 {
        let line = tokio::time::timeout(Duration::from_secs(60), answers.next_line()).await.unwrap().unwrap().unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["id"], id);
    }
    writing.await.unwrap();
    assert!(child.wait().await.unwrap().success(), "its input ended when all was written");
}

#[tokio::test]
async fn the_last_line_needs_no_line_break() {
    let mut broker = Launch::new().ready().await;
    broker.send_raw(br#"{"jsonrpc":"2.0","id":"last","method":"ping"}"#).await;
    broker.close_stdin();
    assert!(broker.answer("last").await["result"].is_object());
    assert!(broker.ended().await.status.success());
    let mut broker = Launch::new().ready().await;
    broker.send_raw(br#"{"jsonrpc":"2.0","id":"cut","meth"#).await;
    broker.close_stdin();
    assert_eq!(broker.message().await["error"]["code"], -32700);
    assert!(broker.ended().await.status.success());
}

/// What a shell can do to the three pipes. The script gets the broker's command as `$@`.
async fn under_a_shell(launch: &Launch, script: &str) -> std::process::Output {
    let (program, arguments, environment) = launch.plan();
    let mut command = tokio::process::Command::new("sh");
    command.arg("-c").arg(script).arg("sh").arg(program).args(arguments).env_clear().envs(environment);
    command.current_dir(launch.home()).stdin(Stdio::null()).kill_on_drop(true);
    tokio::time::timeout(Duration::from_secs(30), command.output()).await.unwrap().unwrap()
}

#[tokio::test]
async fn pipes_that_are_closed_full_or_files_end_the_process_cleanly() {
    let launch = Launch::new();
    let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "lab", "version": "1" } });
    let mut lines = format!("{}\n", json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello }));
    for id in 1..=500 {
        let call = json!({ "name": "store_secret", "arguments": { "name": format!("n{id}"), "value": "v" } });
        lines.push_str(&format!("{}\n", json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": call })));
    }
    std::fs::write(launch.home().join("input"), lines).unwrap();
    for (script, answers) in [
        ("\"$@\" < input", 501),
        ("\"$@\" < input 2>&-", 501),
        ("\"$@\" < /dev/null", 0),
        ("\"$@\" <&-", 0),
        ("\"$@\" < input >&-", 0),
        ("\"$@\" < input > /dev/full", 0),
        ("\"$@\" < .", 0),
    ] {
        let output = under_a_shell(&launch, script).await;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && !told.contains("panicked"), "{script}: {told}");
        assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), answers, "{script}");
    }
}

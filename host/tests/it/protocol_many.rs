//! Many calls at once, over real pipes: their order, their answers, and what they cost a broker whose client does not read.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::support::broker::Launch;

const MANY: usize = 100_000;

fn line(id: usize, method: &str, params: &Value) -> Vec<u8> {
    format!("{}\n", json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).into_bytes()
}

fn peak_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn a_hundred_thousand_calls_that_nobody_reads_the_answers_of_cost_little_memory_and_none_is_lost() {
    let launch = Launch::new();
    let mut child =
        launch.command().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "lab", "version": "1" } });
    stdin.write_all(&line(0, "initialize", &hello)).await.unwrap();
    answers.next_line().await.unwrap().unwrap();
    let before = peak_kib(child.id().unwrap());

    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let writing = tokio::spawn(async move {
        let call = json!({ "name": "get_broker_stats", "arguments": {} });
        for id in 1..=MANY {
            // some that only the SDK answers, in between
            let line = if id % 1000 == 0 { line(id, "ping", &json!({})) } else { line(id, "tools/call", &call) };
            stdin.write_all(&line).await.unwrap();
            count.store(id, Ordering::Relaxed);
        }
        stdin
    });
    // Until no more is taken: the broker does not read on while its client does not read.
    let mut last = usize::MAX;
    while written.load(Ordering::Relaxed) != last {
        last = written.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(last < MANY, "all was read, and its answers are in the memory");
    for id in 1..=MANY {
        let line = tokio::time::timeout(Duration::from_secs(60), answers.next_line()).await.unwrap().unwrap().unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert!(answer["id"] == id && answer["result"].is_object(), "{id}: {answer}");
    }
    let stdin = writing.await.unwrap();
    let peak = peak_kib(child.id().unwrap()) - before;
    drop(stdin);
    assert!(peak < 24 * 1024, "{peak} KiB more than after the handshake");
    assert!(child.wait().await.unwrap().success(), "its input has ended");
}

#[tokio::test]
async fn calls_of_every_kind_are_carried_out_and_answered_in_their_order() {
    let mut broker = Launch::new().ready().await;
    let call = |id: usize, tool: &str, arguments: Value| line(id, "tools/call", &json!({ "name": tool, "arguments": arguments }));
    let mut lines = Vec::new();
    for round in 0..200_usize {
        let (id, value) = (1000 + 6 * round, format!("value-{round}"));
        lines.extend(call(id, "store_secret", json!({ "name": "k", "value": value })));
        lines.extend(line(id + 1, "tools/list", &json!({})));
        lines.extend(call(id + 2, "mint_token", json!({ "provider": "github", "scopes": ["repo"] })));
        lines.extend(call(id + 3, "get_secret", json!({ "name": "k", "purpose": "a test" })));
        lines.extend(b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/roots/list_changed\"}\n");
        lines.extend(call(id + 4, "no_such_tool", json!({})));
        lines.extend(call(id + 5, "delete_secret", json!({ "name": "k" })));
    }
    broker.send_raw(&lines).await;
    for round in 0..200_usize {
        let id = 1000 + 6 * round;
        for (which, success) in [true, true, true, true, false, true].into_iter().enumerate() {
            let answer = broker.message().await;
            assert_eq!(answer["id"], id + which, "{round}: {answer}");
            // tools/list says nothing of success
            assert!(which == 1 || answer["result"]["structuredContent"]["success"] == success, "{round}, {which}: {answer}");
        }
    }
}

#[tokio::test]
async fn an_answer_is_the_same_whether_or_not_another_call_waits_for_a_person() {
    let mut broker = Launch::new().client("GITHUB", "id", Some("github-client-secret")).ready().await;
    let calls = [
        ("store_secret", json!({ "name": "k", "value": "v\"\\\u{e9}\n" })),
        ("get_secret", json!({ "name": "nope", "purpose": "p" })),
        ("get_secret", json!({ "name": "k" })),
        ("resolve_secret", json!({ "reference_id": "x" })),
        ("list_secrets", json!({ "extra": 1 })),
        ("verify_token", json!({ "token_id": "x" })),
        ("delete_secret", json!({ "name": "k" })),
    ];
    let mut told = Vec::new();
    for round in 0..2 {
        if round == 1 {
            // from here on the SDK has something under way
            let pending = broker.begin_login("github", &["repo"], "github-token").await;
            broker.begin("await_oauth_flow", &json!({ "flow_id": pending["flow_id"] })).await;
        }
        let mut answers = Vec::new();
        for (tool, arguments) in &calls {
            let id = broker.begin(tool, arguments).await;
            answers.push(broker.answer(id).await["result"].clone());
        }
        told.push(answers);
    }
    assert_eq!(told[0], told[1]);
}

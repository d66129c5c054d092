//! However a broker ends, or a wait in it: what was done is written down, on standard error and in the file.

use std::process::Stdio;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::{sharing, trail};
use crate::cli::with_vault;
use crate::spending::at_loopback;
use crate::support::broker::{Broker, Launch};
use crate::support::command::run;
use crate::support::process::signal;
use crate::support::raw::Raw;

/// The lines of a trail that say this.
fn lines<'a>(text: &'a str, says: &'a str) -> impl Iterator<Item = Value> + 'a {
    text.lines().filter(move |line| line.contains(says)).filter_map(|line| serde_json::from_str(line).ok())
}

/// A vault that has `key`, and the configuration of a broker that may spend it at that server.
async fn with_key(server: &Raw) -> (Launch, String) {
    let launch = with_vault().await;
    run(&launch, &["secrets", "set", "key"], b"k-0123456789").await.ok();
    let toml = format!("{}\n{}", sharing(&launch), at_loopback(server.address().port(), ""));
    (launch, toml)
}

#[tokio::test]
async fn a_request_that_was_sent_is_written_down_also_where_nobody_waits_for_its_answer_any_longer() {
    for way in ["cancelled", "client left", "told to end"] {
        let server = Raw::start(|_, stream| async move {
            tokio::time::sleep(Duration::from_secs(60)).await;
            drop(stream);
        })
        .await;
        let (launch, toml) = with_key(&server).await;
        let mut broker = Launch::new().toml(&toml).ready().await;
        let request = json!({ "secret": "key", "purpose": "a test", "url": format!("http://{}/", server.address()) });
        let id = broker.begin("http_request", &request).await;
        while !server.last_request().contains("k-0123456789") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        match way {
            "cancelled" => broker.notify("notifications/cancelled", json!({ "requestId": id })).await,
            "told to end" => signal(broker.id(), "TERM"),
            _ => {}
        }
        let ended = if way == "told to end" { broker.ended().await } else { broker.finish().await };
        let file = std::fs::read_to_string(trail(&launch)).unwrap();
        for text in [&ended.stderr, &file] {
            let told: Vec<Value> = lines(text, "\"http_request\"").collect();
            let [line] = &told[..] else { panic!("{way}: {told:?} in {text}") };
            assert_eq!((&line["outcome"], &line["code"]), (&json!("failed"), &json!("cancelled")), "{way}: {line}");
            assert_eq!((&line["secret"], &line["purpose"]), (&json!("key"), &json!("a test")), "{way}: {line}");
        }
    }
}

#[tokio::test]
async fn calls_that_end_after_the_client_left_are_in_the_file() {
    let server = Raw::start(|_, mut stream| async move {
        tokio::time::sleep(Duration::from_millis(120)).await;
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    })
    .await;
    let (launch, toml) = with_key(&server).await;
    let mut broker = Launch::new().toml(&toml).ready().await;
    let request = json!({ "secret": "key", "purpose": "a test", "url": format!("http://{}/", server.address()) });
    let ids = [broker.begin("http_request", &request).await, broker.begin("http_request", &request).await];
    broker.close_stdin();
    for id in ids {
        broker.tool_answer("http_request", id).await.ok();
    }
    let ended = broker.ended().await;
    let file = std::fs::read_to_string(trail(&launch)).unwrap();
    for text in [&ended.stderr, &file] {
        let outcomes: Vec<Value> = lines(text, "\"http_request\"").map(|line| line["outcome"].clone()).collect();
        assert_eq!(outcomes, ["ok", "ok"], "{text}");
    }
}

#[tokio::test]
async fn no_answer_leaves_a_broker_that_is_told_to_end_without_its_line() {
    let launch = with_vault().await;
    for round in 0..8_u64 {
        let mut broker = Launch::new().toml(&sharing(&launch)).ready().await;
        for call in 0..300 {
            broker.begin("get_secret", &json!({ "name": format!("r{round}-{call}"), "purpose": "a test" })).await;
        }
        // at another moment each time
        tokio::time::sleep(Duration::from_millis(round * 3)).await;
        signal(broker.id(), "TERM");
        let ended = broker.ended().await;
        assert_eq!(ended.status.code(), Some(143), "{}", ended.stderr);
        let file = std::fs::read_to_string(trail(&launch)).unwrap();
        let answers = broker.stdout().matches("\"code\":\"unknown_secret\"").count();
        for (place, text) in [("standard error", &ended.stderr), ("the file", &file)] {
            let told = lines(text, &format!("\"secret\":\"r{round}-")).count();
            assert!(told >= answers, "round {round}: {answers} answers, {told} lines in {place}");
        }
    }
}

#[tokio::test]
async fn a_broker_can_be_told_to_end_as_soon_as_it_answers_calls() {
    let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } });
    let mut all = format!("{}\n", json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello }));
    all += &format!("{}\n", json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    for id in 2..8 {
        let call = json!({ "name": "get_secret", "arguments": { "name": "missing", "purpose": "a test" } });
        all += &format!("{}\n", json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": call }));
    }
    for _ in 0..20 {
        let mut broker = Launch::new().start();
        broker.send_raw(all.as_bytes()).await;
        broker.answer(2).await;
        signal(broker.id(), "TERM");
        let ended = broker.ended().await;
        assert_eq!(ended.status.code(), Some(143), "{}", ended.stderr);
        let answers = broker.stdout().matches("\"code\":\"unknown_secret\"").count();
        let told = lines(&ended.stderr, "\"secret\":\"missing\"").count();
        assert!(told >= answers, "{answers} answers, {told} lines: {}", ended.stderr);
    }
}

/// What was stored, and the lines that say so on standard error and in the file.
async fn stored(launch: &Launch, stderr: &str) -> (usize, [usize; 2]) {
    let stored = run(launch, &["secrets", "list", "--json"], b"").await.ok().matches("\"name\"").count();
    let file = std::fs::read_to_string(trail(launch)).unwrap();
    let told = [stderr, &file].map(|text| lines(text, "\"store_secret\"").filter(|line| line["outcome"] == "ok").count());
    assert!(!stderr.contains("WARN"), "{stderr}");
    (stored, told)
}

/// Another process that writes to the vault until this is dropped.
fn busy(launch: &Launch) -> Connection {
    let other = Connection::open(launch.home().join("data/mcp-credentials-broker/vault.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

async fn store_many(broker: &mut Broker) {
    for call in 0..90 {
        broker.begin("store_secret", &json!({ "name": format!("s{call}"), "value": "v" })).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
}

#[tokio::test]
async fn a_broker_that_is_told_to_end_begins_no_more_calls_and_writes_down_the_one_that_it_had_begun() {
    // with a line of the trail that waits for the same, and without; for less than a second and for more
    for (idle, held) in [(0, 0), (0, 100), (0, 300), (600, 0), (600, 300), (600, 1500)] {
        let launch = with_vault().await;
        let mut broker = Launch::new().toml(&sharing(&launch)).ready().await;
        broker.call("store_secret", json!({ "name": "s", "value": "v" })).await.ok();
        tokio::time::sleep(Duration::from_millis(idle)).await;
        let other = busy(&launch);
        store_many(&mut broker).await;
        signal(broker.id(), "TERM");
        tokio::time::sleep(Duration::from_millis(held)).await;
        drop(other);
        let ended = broker.ended().await;
        assert_eq!(ended.status.code(), Some(143));
        let answers = broker.stdout().matches("\"success\":true").count();
        let (stored, told) = stored(&launch, &ended.stderr).await;
        assert_eq!((stored, told), (2, [2; 2]), "{idle}, {held}: {}", ended.stderr);
        assert!(answers == stored || held > 1000, "{idle}, {held}: {answers} answers");
    }
}

#[tokio::test]
async fn nor_does_it_begin_one_that_came_before_where_the_sdk_answers_all() {
    let launch = with_vault().await;
    let mut broker = Launch::new().toml(&sharing(&launch)).ready().await;
    broker.initialize("2025-06-18").await;
    broker.call("store_secret", json!({ "name": "s", "value": "v" })).await.ok();
    let other = busy(&launch);
    store_many(&mut broker).await;
    signal(broker.id(), "TERM");
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(other);
    let ended = broker.ended().await;
    assert_eq!(stored(&launch, &ended.stderr).await, (2, [2; 2]), "{}", ended.stderr);
}

#[tokio::test]
async fn a_call_that_was_begun_before_it_showed_that_nobody_reads_is_written_down() {
    let launch = with_vault().await;
    let client = Launch::new().toml(&sharing(&launch));
    let mut child = client.command().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } });
    let greeting = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello });
    let store = |name: &str| {
        let call = json!({ "name": "store_secret", "arguments": { "name": name, "value": "v" } });
        format!("{}\n", json!({ "jsonrpc": "2.0", "id": name, "method": "tools/call", "params": call }))
    };
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in [format!("{greeting}\n"), store("s0"), store("s1")] {
        stdin.write_all(line.as_bytes()).await.unwrap();
        answers.next_line().await.unwrap().unwrap();
    }
    drop(answers);
    stdin.write_all(store("s2").as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let other = busy(&launch);
    stdin.write_all(store("s3").as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    drop(other);
    let output = child.wait_with_output().await.unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let (stored, told) = stored(&launch, &stderr).await;
    assert_eq!(told, [stored; 2], "{stderr}");
}

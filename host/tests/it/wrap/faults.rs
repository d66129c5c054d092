//! Servers that die, hang, babble or flood, and agents that leave.

use std::time::Duration;

use serde_json::json;

use super::{TOKEN, launch, line, wrapped};

#[tokio::test]
async fn when_the_server_dies_every_open_request_is_answered() {
    for (method, code) in [("x/die", 3), ("x/kill", 137)] {
        let mut wrapped = wrapped().await;
        let mut open = Vec::new();
        for _ in 0..3 {
            open.push(wrapped.broker.ask("x/hang", json!({})).await);
        }
        let cancelled = wrapped.broker.ask("x/hang", json!({})).await;
        wrapped.broker.notify("notifications/cancelled", json!({ "requestId": cancelled })).await;
        open.push(wrapped.broker.ask(method, json!({ "code": 3 })).await);
        for id in open {
            let answer = wrapped.broker.answer(id).await;
            assert!(answer["error"]["code"] == -32000 && answer["error"]["data"]["code"] == "unavailable", "{answer}");
        }
        let ended = wrapped.broker.ended().await;
        assert_eq!(ended.status.code(), Some(code), "{}", ended.stderr);
        assert!(!ended.stdout.contains(&format!("\"id\":{cancelled},")), "a cancelled request gets no answer");
    }
}

#[tokio::test]
async fn garbage_goes_to_standard_error_in_bounds_and_never_to_the_agent() {
    let mut wrapped = wrapped().await;
    let answer = wrapped.ask("x/garbage", json!({ "count": 100_000, "text": format!("{TOKEN}{}", "x".repeat(500)) })).await;
    assert_eq!(answer["result"], json!({}));
    let ended = wrapped.broker.finish().await;
    assert_eq!(ended.stdout.lines().count(), 1, "only the answer");
    assert!(ended.stderr.contains("garbage 0"), "{}", &ended.stderr[..ended.stderr.len().min(500)]);
    let longest = ended.stderr.lines().map(str::len).max().unwrap();
    assert!(longest < 2000, "each line is cut: {longest}");
    crate::support::canary::assert_unseen("standard error", ended.stderr.as_bytes(), [TOKEN]);
}

#[tokio::test]
async fn a_line_without_an_end_is_skipped_and_the_next_is_read() {
    let mut wrapped = wrapped().await;
    let open = wrapped.broker.ask("x/hang", json!({})).await;
    let start = format!("{{\"jsonrpc\":\"2.0\",\"id\":{open},\"result\":\"");
    let answer = wrapped.ask("x/endless", json!({ "size": 200 << 20, "start": start })).await;
    assert_eq!(answer["result"], json!({}));
    let answer = wrapped.broker.answer(open).await;
    assert_eq!(answer["error"]["data"]["code"], "limit", "whoever waits for it is told: {answer}");
    assert!(peak_kib(wrapped.broker.id()) < 300 * 1024, "{} KiB", peak_kib(wrapped.broker.id()));
}

/// The most memory it had.
fn peak_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The agent does not read; so neither does the wrapper, and the server waits in its own pipe.
#[tokio::test]
async fn a_flood_that_nobody_reads_is_held_back_in_bounded_memory() {
    use std::process::Stdio;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let launch = launch().await;
    let record = launch.home().join("record");
    let server = crate::support::place::repository("host/tests/servers/downstream.py");
    let mut command = launch.command();
    command.args(["wrap", "--", "python3"]).arg(server).arg(&record);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let flood = json!({ "id": 1, "method": "x/flood", "params": { "count": 100_000, "size": 4000 } });
    stdin.write_all(format!("{flood}\n").as_bytes()).await.unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0; 1];
    stdout.read_exact(&mut first).await.unwrap();
    // 400 MB want out; nobody reads for a while
    tokio::time::sleep(Duration::from_secs(2)).await;
    let held = peak_kib(child.id().unwrap());
    assert!(held < 200 * 1024, "{held} KiB");
    let (mut total, mut chunk) = (1, vec![0; 1 << 20]);
    let mut tail = Vec::new();
    while !tail.ends_with(b"\"result\": {}}\n") {
        let count = stdout.read(&mut chunk).await.unwrap();
        assert!(count > 0, "it ended early");
        total += count;
        tail = chunk[count.saturating_sub(64)..count].to_vec();
    }
    assert!(total > 400_000_000, "all of it came: {total}");
    assert!(peak_kib(child.id().unwrap()) < 200 * 1024);
}

#[tokio::test]
async fn when_the_agent_leaves_the_server_is_ended_even_if_it_does_not_listen() {
    let mut wrapped = wrapped().await;
    wrapped.ask("ping", json!({})).await;
    let ended = wrapped.broker.finish().await;
    assert!(ended.status.success(), "it ends with its input: {}", ended.stderr);

    let mut deaf = super::wrapped().await;
    deaf.ask("ping", json!({})).await;
    deaf.broker.notify("x/deaf", json!({})).await;
    // it has it, so it will not read any more
    while !deaf.sent().ends_with(b"\"x/deaf\",\"params\":{}}\n") && !String::from_utf8_lossy(&deaf.sent()).contains("x/deaf") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let ended = deaf.broker.finish().await;
    assert_eq!(ended.status.code(), Some(137), "it is killed: {}", ended.stderr);
}

#[tokio::test]
async fn a_signal_reaches_the_server_and_a_server_that_is_no_program_is_named() {
    let mut wrapped = wrapped().await;
    wrapped.ask("ping", json!({})).await;
    let id = wrapped.broker.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(wrapped.broker.ended().await.status.code(), Some(128 + 15));

    let launch = launch().await;
    for (command, code) in [("no-such-server-1f", 127), ("/etc/passwd", 126)] {
        let output = launch.output(&["wrap", "--", command]).await;
        assert_eq!(output.status.code(), Some(code));
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains("Error: ") && told.contains(command) && told.contains("Hint: "), "{told}");
    }
}

#[tokio::test]
async fn a_message_that_is_too_long_is_refused_with_its_id() {
    let mut wrapped = wrapped().await;
    let long = format!("{{\"jsonrpc\":\"2.0\",\"id\":42,\"method\":\"x\",\"params\":{{\"t\":\"{}\"}}}}\n", "x".repeat(33 << 20));
    wrapped.broker.send_raw(long.as_bytes()).await;
    let answer = line(&mut wrapped.broker).await;
    assert!(answer.contains("\"id\":42,") && answer.contains("limit"), "{answer}");
    wrapped.ask("ping", json!({})).await;
}

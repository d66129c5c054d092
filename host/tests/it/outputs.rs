//! Whatever standard output and standard error are, all of it arrives and nothing else waits: pipes on which no write waits,
//! as Node.js makes them, and sockets that take a line in part.

use std::io::{BufRead as _, BufReader, Read, Write as _, pipe};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdin, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpSocket;

use crate::support::broker::Launch;
use crate::support::process::signal;

const MANY: usize = 2000;

/// The others are answered by another thread.
fn is_call(id: usize) -> bool {
    !id.is_multiple_of(100)
}

fn calls() -> String {
    let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "lab", "version": "1" } });
    let mut all = format!("{}\n", json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello }));
    for id in 1..=MANY {
        let call = json!({ "name": "get_secret", "arguments": { "name": "missing", "purpose": format!("call {id}") } });
        let of_calls = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": call });
        let others = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/list" });
        all += &format!("{}\n", if is_call(id) { of_calls } else { others });
    }
    all
}

fn start(launch: &Launch, stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Child {
    let mut command = launch.command().into_std();
    command.stdin(Stdio::piped()).stdout(stdout).stderr(stderr).spawn().unwrap()
}

fn that_waits_for_nobody(file: impl Into<OwnedFd>) -> OwnedFd {
    let file = file.into();
    rustix::io::ioctl_fionbio(&file, true).unwrap();
    file
}

/// Reads late and slowly, so that the broker meets a full pipe again and again.
fn read_slowly(mut from: impl Read) -> String {
    std::thread::sleep(Duration::from_millis(500));
    let (mut all, mut some) = (Vec::new(), [0; 16 * 1024]);
    while let Ok(count @ 1..) = from.read(&mut some) {
        all.extend_from_slice(&some[..count]);
        std::thread::sleep(Duration::from_millis(3));
    }
    String::from_utf8(all).unwrap()
}

fn in_order(answers: &str) {
    let ids: Vec<Value> = answers.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone()).collect();
    assert_eq!(ids, (0..=MANY).map(Value::from).collect::<Vec<_>>());
}

/// Its input ends unless somebody keeps what is returned.
fn said(child: &mut Child) -> JoinHandle<ChildStdin> {
    let mut stdin = child.stdin.take().unwrap();
    std::thread::spawn(move || {
        stdin.write_all(calls().as_bytes()).unwrap();
        stdin
    })
}

/// Its input ends when somebody has long been reading: else it would not wait for that.
fn leaves_late(input: JoinHandle<ChildStdin>) {
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(2));
        drop(input.join());
    });
}

#[test]
fn a_pipe_on_which_no_write_waits_gets_every_answer() {
    let launch = Launch::new();
    let (reader, writer) = pipe().unwrap();
    let mut child = start(&launch, that_waits_for_nobody(writer), Stdio::null());
    leaves_late(said(&mut child));
    in_order(&read_slowly(reader));
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_standard_error_on_which_no_write_waits_goes_on_once_it_is_read() {
    let launch = Launch::new();
    let (reader, writer) = pipe().unwrap();
    let mut child = start(&launch, Stdio::piped(), that_waits_for_nobody(writer));
    let input = said(&mut child);
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    // nobody reads standard error meanwhile: it is full, and so is what the broker keeps
    for _ in 0..=MANY {
        answers.next().unwrap().unwrap();
    }
    leaves_late(input);
    let lines = read_slowly(reader);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.last().unwrap();
    assert_eq!(last["event"], "audit_lines_lost", "what was dropped last is counted by nothing else: {last}");
    let dropped = lines.iter().filter_map(|line| line["dropped"].as_u64()).sum::<u64>() + last["lines"].as_u64().unwrap();
    assert_eq!(lines.len() - 1 + usize::try_from(dropped).unwrap(), (1..=MANY).filter(|id| is_call(*id)).count());
    assert!(child.wait().unwrap().success());
}

/// The two ends of a connection that holds little.
async fn narrow() -> (TcpStream, TcpStream) {
    let [server, client] = [(); 2].map(|()| TcpSocket::new_v4().unwrap());
    server.set_send_buffer_size(4096).unwrap();
    client.set_recv_buffer_size(4096).unwrap();
    server.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let server = server.listen(1).unwrap();
    let ours = client.connect(server.local_addr().unwrap()).await.unwrap();
    let theirs = server.accept().await.unwrap().0;
    let waiting = |stream: tokio::net::TcpStream| {
        let stream = stream.into_std().unwrap();
        stream.set_nonblocking(false).unwrap();
        stream
    };
    (waiting(ours), waiting(theirs))
}

#[tokio::test]
async fn a_socket_that_takes_a_line_in_part_gets_every_answer_and_holds_nobody_up() {
    let launch = Launch::new();
    for told in [false, true] {
        let (ours, theirs) = narrow().await;
        let mut child = start(&launch, OwnedFd::from(theirs), Stdio::null());
        let input = said(&mut child);
        if told {
            // nobody reads, and it ends in spite of that
            std::thread::sleep(Duration::from_millis(500));
            let begun = Instant::now();
            signal(child.id(), "TERM");
            assert_eq!(child.wait().unwrap().code(), Some(143));
            assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
            drop(input.join());
        } else {
            leaves_late(input);
            in_order(&read_slowly(ours));
            assert!(child.wait().unwrap().success());
        }
    }
}

//! A running broker, spoken to line by line.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;

use super::ToolAnswer;
use crate::support::canary;

/// How long an answer may take. Generous: two cores compile, test and run Chromium at once.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running broker. Dropped, it is killed.
pub struct Broker {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::UnboundedReceiver<String>,
    written: Written,
    answers: BTreeMap<String, Value>,
    next_id: i64,
    command_line: Vec<u8>,
    home: Arc<TempDir>,
    port: u16,
    /// Notifications and requests of the server, in order.
    pub notifications: Vec<Value>,
}

/// Everything it wrote.
#[derive(Clone, Default)]
struct Written {
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
}

/// A broker that has ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub took: Duration,
    pub stdout: String,
    pub stderr: String,
}

impl Broker {
    pub(super) fn spawn(mut command: Command, home: Arc<TempDir>, port: u16) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the broker starts");
        let written = Written::default();
        let (sender, lines) = mpsc::unbounded_channel();
        let mut pipe = child.stdout.take().expect("piped");
        let kept = Arc::clone(&written.stdout);
        tokio::spawn(async move {
            let (mut chunk, mut line) = (vec![0; 64 * 1024], Vec::new());
            while let Ok(count @ 1..) = pipe.read(&mut chunk).await {
                kept.lock().expect("sane").extend_from_slice(&chunk[..count]);
                for byte in &chunk[..count] {
                    if *byte == b'\n' {
                        drop(sender.send(String::from_utf8_lossy(&std::mem::take(&mut line)).into_owned()));
                    } else {
                        line.push(*byte);
                    }
                }
            }
        });
        let mut pipe = child.stderr.take().expect("piped");
        let kept = Arc::clone(&written.stderr);
        tokio::spawn(async move {
            let mut chunk = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = pipe.read(&mut chunk).await {
                kept.lock().expect("sane").extend_from_slice(&chunk[..count]);
            }
        });
        let stdin = child.stdin.take();
        let command_line = child.id().and_then(|id| std::fs::read(format!("/proc/{id}/cmdline")).ok()).unwrap_or_default();
        Self {
            child,
            stdin,
            lines,
            written,
            answers: BTreeMap::new(),
            next_id: 0,
            command_line,
            home,
            port,
            notifications: Vec::new(),
        }
    }

    /// Sends bytes as they are.
    pub async fn send_raw(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("open");
        // A broker that has ended shows in what the test expects next.
        let _ = stdin.write_all(bytes).await;
        let _ = stdin.flush().await;
    }

    /// Sends a message as a line.
    pub async fn send(&mut self, message: &Value) {
        self.send_raw(format!("{message}\n").as_bytes()).await;
    }

    /// The next line it writes, if one comes within `wait`.
    pub async fn line(&mut self, wait: Duration) -> Option<String> {
        tokio::time::timeout(wait, self.lines.recv()).await.ok()?
    }

    /// The next message, whatever it is.
    pub async fn message(&mut self) -> Value {
        let line = self.line(PATIENCE).await;
        let line = line.unwrap_or_else(|| panic!("no answer; standard error says:\n{}", self.stderr()));
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("a line that is no JSON ({error}): {line}"))
    }

    /// Sends a request and returns its id without waiting.
    pub async fn ask(&mut self, method: &str, params: Value) -> i64 {
        self.next_id += 1;
        let id = self.next_id;
        let mut message = json!({ "jsonrpc": "2.0", "id": id, "method": method });
        if !params.is_null() {
            message["params"] = params;
        }
        self.send(&message).await;
        id
    }

    /// Waits for the answer to the request of that id; keeps what comes in between.
    pub async fn answer(&mut self, id: impl Into<Value>) -> Value {
        let key = id.into().to_string();
        loop {
            if let Some(answer) = self.answers.remove(&key) {
                return answer;
            }
            let message = self.message().await;
            if message.get("method").is_some() {
                self.notifications.push(message);
            } else {
                self.answers.insert(message["id"].to_string(), message);
            }
        }
    }

    /// A request and its whole answer.
    pub async fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params).await;
        self.answer(id).await
    }

    /// A notification.
    pub async fn notify(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params })).await;
    }

    /// The handshake; returns the server's result.
    pub async fn initialize(&mut self, version: &str) -> Value {
        let client = json!({ "name": "lab", "version": "1" });
        let params = json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": client });
        let answer = self.request("initialize", params).await;
        assert!(answer["result"].is_object(), "initialize: {answer}");
        self.notify("notifications/initialized", json!({})).await;
        answer["result"].clone()
    }

    /// Calls a tool and returns the id without waiting.
    pub async fn begin(&mut self, tool: &str, arguments: &Value) -> i64 {
        self.ask("tools/call", json!({ "name": tool, "arguments": arguments })).await
    }

    /// Calls a tool.
    pub async fn call(&mut self, tool: &str, arguments: Value) -> ToolAnswer {
        let id = self.begin(tool, &arguments).await;
        self.tool_answer(tool, id).await
    }

    /// Waits for the answer of a tool that was begun.
    pub async fn tool_answer(&mut self, tool: &str, id: i64) -> ToolAnswer {
        let answer = self.answer(id).await;
        let result = answer.get("result").unwrap_or_else(|| panic!("{tool}({id}) is no result: {answer}"));
        ToolAnswer::read(tool, result)
    }

    /// The value behind a secret's name, through a reference as an agent gets it.
    pub async fn reveal(&mut self, name: &str) -> String {
        let reference = self.call("get_secret", json!({ "name": name, "purpose": "a test" })).await.ok();
        let value = self.call("resolve_secret", json!({ "reference_id": reference["reference"]["id"] })).await.ok();
        value["value"].as_str().expect("a value").to_owned()
    }

    /// Starts a login that is expected to wait for the person, and returns the answer.
    pub async fn begin_login(&mut self, provider: &str, scopes: &[&str], name: &str) -> Value {
        let arguments = json!({ "provider": provider, "scopes": scopes, "secret_name": name });
        self.call("start_oauth_flow", arguments).await.pending()
    }

    /// Waits for a login's end.
    pub async fn end_login(&mut self, pending: &Value) -> ToolAnswer {
        self.call("await_oauth_flow", json!({ "flow_id": pending["flow_id"] })).await
    }

    /// The callback port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its home folder.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id().expect("running")
    }

    /// What it wrote on standard error so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.written.stderr.lock().expect("sane")).into_owned()
    }

    /// Waits until it has said that on standard error.
    pub async fn tells(&self, words: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.stderr().contains(words) {
            assert!(Instant::now() < until, "{words:?} is not in\n{}", self.stderr());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What it wrote on standard output so far.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.written.stdout.lock().expect("sane")).into_owned()
    }

    /// Closes its standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits for it to end by itself.
    pub async fn ended(&mut self) -> Ended {
        let start = Instant::now();
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("the broker ends").expect("waitable");
        let took = start.elapsed();
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ended { status, took, stdout: self.stdout(), stderr: self.stderr() }
    }

    /// Closes its standard input and waits for its end.
    pub async fn finish(&mut self) -> Ended {
        self.close_stdin();
        self.ended().await
    }

    /// Fails where one of these secrets stands in anything that it wrote: both outputs, its command line, and every
    /// file in its home but the `broker.toml` that the test wrote.
    pub fn assert_unseen<S: AsRef<str>>(&self, secrets: &[S]) {
        canary::assert_unseen("standard output", self.stdout().as_bytes(), secrets);
        self.assert_unseen_beside_stdout(secrets);
    }

    /// The same without standard output, for secrets that an answer rightly holds.
    pub fn assert_unseen_beside_stdout<S: AsRef<str>>(&self, secrets: &[S]) {
        canary::assert_unseen("standard error", self.stderr().as_bytes(), secrets);
        canary::assert_unseen("the command line", &self.command_line, secrets);
        for file in files(self.home.path()) {
            if file.file_name().is_none_or(|name| name != "broker.toml") {
                canary::assert_unseen(&file.display().to_string(), &std::fs::read(&file).unwrap_or_default(), secrets);
            }
        }
    }
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&path)),
            Ok(kind) if kind.is_file() => found.push(path),
            _ => {}
        }
    }
    found
}

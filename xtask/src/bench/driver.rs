//! One MCP client for all contestants: writes a line, waits for a line, and looks at the clock.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::contestants::Contestant;

/// A running contestant. It is ended when this is dropped.
pub(super) struct Session {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// Reads what it says on standard error, as a client does.
    drain: Option<JoinHandle<()>>,
    has_tools: bool,
    last_id: u64,
    /// From before it was started until `initialize` was answered.
    pub(super) started_in: Duration,
}

impl Session {
    pub(super) fn start(contestant: &Contestant) -> Result<Self> {
        let mut command = contestant.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let begun = Instant::now();
        let mut child = command.spawn().context("it could not be started")?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("it has no standard output")?);
        let drain = child.stderr.take().map(|mut errors| {
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while errors.read(&mut buffer).is_ok_and(|read| read > 0) {}
            })
        });
        let has_tools = contestant.has_tools;
        let mut session = Self { child, input, output, drain, has_tools, last_id: 0, started_in: Duration::ZERO };
        let client = json!({
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "bench", "version": "1" },
        });
        session.request("initialize", &client)?;
        session.started_in = begun.elapsed();
        session.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))?;
        Ok(session)
    }

    /// Calls a tool: how long it took from before the request was written until the answer was read. An answer that
    /// does not say success is an error: a refusal is quick and proves nothing.
    pub(super) fn call(&mut self, tool: &str, arguments: &Value) -> Result<Duration> {
        let (answer, took) = self.request("tools/call", &json!({ "name": tool, "arguments": arguments }))?;
        if self.has_tools {
            let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_default();
            let told: Value = serde_json::from_str(text).unwrap_or_default();
            ensure!(told["success"] == true, "{tool} answered {answer}");
        }
        Ok(took)
    }

    fn request(&mut self, method: &str, parameters: &Value) -> Result<(Value, Duration)> {
        self.last_id += 1;
        let request = json!({ "jsonrpc": "2.0", "id": self.last_id, "method": method, "params": parameters });
        let request = format!("{request}\n");
        let mut line = String::new();
        let input = self.input.as_mut().context("it has no standard input")?;
        let begun = Instant::now();
        input.write_all(request.as_bytes())?;
        let read = self.output.read_line(&mut line)?;
        let took = begun.elapsed();
        ensure!(read > 0, "it ended instead of answering {method}");
        let answer: Value = serde_json::from_str(&line).with_context(|| format!("it answered {line:?}"))?;
        if answer["id"] != self.last_id || answer.get("result").is_none() {
            bail!("it answered {method} with {answer}");
        }
        Ok((answer, took))
    }

    fn send(&mut self, message: &Value) -> Result<()> {
        let input = self.input.as_mut().context("it has no standard input")?;
        Ok(input.write_all(format!("{message}\n").as_bytes())?)
    }

    /// How much of its memory is resident now, where the system tells (Linux).
    pub(super) fn resident_kib(&self) -> Option<u64> {
        self.kib("VmRSS:")
    }

    /// The most that ever was.
    pub(super) fn peak_kib(&self) -> Option<u64> {
        self.kib("VmHWM:")
    }

    fn kib(&self, what: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(what))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    }
}

impl Drop for Session {
    /// The predecessor goes on for ever when its client leaves, so it is not asked.
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(drain) = self.drain.take() {
            let _ = drain.join();
        }
    }
}

//! One MCP client for all contestants: writes a line, waits for a line, and looks at the clock.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, ExitStatus, Stdio};
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
        let mut child = command.spawn().with_context(|| format!("{} could not be started", contestant.program().display()))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("it has no standard output")?);
        let drain = child.stderr.take().map(|mut errors| {
            std::thread::spawn(move || {
                let mut buffer = [0; 64 * 1024];
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
        self.check(tool, &answer)?;
        Ok(took)
    }

    /// Calls a tool: what it said, where it has tools.
    pub(super) fn told(&mut self, tool: &str, arguments: &Value) -> Result<Option<Value>> {
        let (answer, _) = self.request("tools/call", &json!({ "name": tool, "arguments": arguments }))?;
        self.check(tool, &answer)
    }

    fn check(&self, tool: &str, answer: &Value) -> Result<Option<Value>> {
        if !self.has_tools {
            return Ok(None);
        }
        let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_default();
        let told: Value = serde_json::from_str(text).unwrap_or_default();
        ensure!(told["success"] == true || told["status"] == "pending", "{tool} answered {answer}");
        Ok(Some(told))
    }

    /// Calls a tool many times without waiting: how long it took from before the first request was written until the last
    /// answer was read. The answers are looked at afterwards.
    pub(super) fn many(&mut self, tool: &str, all: &mut dyn Iterator<Item = Value>) -> Result<Duration> {
        let mut lines = Vec::new();
        let mut open = HashSet::new();
        for arguments in all {
            self.last_id += 1;
            open.insert(self.last_id);
            let call = json!({ "name": tool, "arguments": arguments });
            writeln!(lines, "{}", json!({ "jsonrpc": "2.0", "id": self.last_id, "method": "tools/call", "params": call }))?;
        }
        let mut input = self.input.take().context("it has no standard input")?;
        let output = &mut self.output;
        let wanted = open.len();
        let begun = Instant::now();
        let (answers, took, input) = std::thread::scope(|scope| -> Result<_> {
            let writing = scope.spawn(move || input.write_all(&lines).map(|()| input));
            let (mut answers, mut found) = (Vec::new(), 0);
            while found < wanted {
                let some = output.fill_buf()?;
                ensure!(!some.is_empty(), "it ended after {found} of {wanted} answers");
                found += some.iter().filter(|byte| **byte == b'\n').count();
                answers.extend_from_slice(some);
                let length = some.len();
                output.consume(length);
            }
            let took = begun.elapsed();
            Ok((answers, took, writing.join().map_err(|_| anyhow::anyhow!("the writer panicked"))??))
        })?;
        self.input = Some(input);
        for line in answers.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let answer: Value = serde_json::from_slice(line)?;
            ensure!(answer["id"].as_u64().is_some_and(|id| open.remove(&id)), "an answer that nobody waits for: {answer}");
            self.check(tool, &answer)?;
        }
        Ok(took)
    }

    fn request(&mut self, method: &str, parameters: &Value) -> Result<(Value, Duration)> {
        self.last_id += 1;
        let request = json!({ "jsonrpc": "2.0", "id": self.last_id, "method": method, "params": parameters });
        let request = format!("{request}\n");
        let input = self.input.as_mut().context("it has no standard input")?;
        let begun = Instant::now();
        input.write_all(request.as_bytes())?;
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line)?;
            let took = begun.elapsed();
            ensure!(read > 0, "it ended instead of answering {method}");
            let answer: Value = serde_json::from_str(&line).with_context(|| format!("it answered {line:?}"))?;
            if answer.get("method").is_some() && answer.get("id").is_none() {
                // a server may notify whenever it likes
                continue;
            }
            if answer["id"] != self.last_id || answer.get("result").is_none() {
                bail!("it answered {method} with {answer}");
            }
            return Ok((answer, took));
        }
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

    /// The same in MiB.
    pub(super) fn resident_mib(&self) -> Option<f64> {
        self.resident_kib().map(|kib| kib as f64 / 1024.0)
    }

    /// How often its threads have been put to sleep so far, where the system tells (Linux): once for each time that one woke
    /// up by itself.
    pub(super) fn sleeps(&self) -> Option<u64> {
        let mut sum = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id())).ok()? {
            let status = std::fs::read_to_string(task.ok()?.path().join("status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
            sum += line.trim().parse::<u64>().ok()?;
        }
        Some(sum)
    }

    /// Ends it as a client does that leaves, and waits.
    pub(super) fn leave(mut self) -> Result<ExitStatus> {
        drop(self.input.take());
        Ok(self.child.wait()?)
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

//! The threads between agent and server, and how it ends.

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use aho_corasick::AhoCorasick;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::agent::{Agent, gone, instead_of_answer, refusals, unreadable};
use super::down::{Fill, Refusal, Rules, judge, mentions};
use super::json::encode;
use super::known::Known;
use super::lines::{Lines, MAX_LINE, Next};
use super::message::{self, Line, MARK};
use super::open::Open;
use super::up::{Cleaned, clean};
use crate::broker::Broker;
use crate::broker::doors::Door;
use crate::config::doors::Place;
use crate::error::{Code, Error, foreign};
use crate::process::{self, CannotStart, Child, Piped, Signals};
use crate::secret::{Secret, SecretName};

/// How long a server may take to end after its input has, and again after it was asked to.
const GRACE: Duration = Duration::from_secs(5);
/// The same where it still has requests to answer.
const WORK: Duration = Duration::from_secs(60);
/// How long the rest of its output may take once it has ended, or its end once its output has.
const REST: Duration = Duration::from_secs(2);
/// How often the vault is looked at for what others have stored.
const LOOK: Duration = Duration::from_secs(30);

/// What is wrapped, and by which rules.
pub struct Wrapping {
    /// The broker.
    pub broker: Arc<Broker>,
    /// Which `[wrap."NAME"]`.
    pub name: String,
    /// Which secret may stand where.
    pub places: Vec<Place>,
    /// What the server is started with.
    pub handed: Vec<(SecretName, Secret)>,
    /// Whether a refusal prints the line that would allow it.
    pub learn: bool,
}

/// What both directions share.
struct Shared {
    wrapping: Wrapping,
    runtime: Handle,
    agent: Agent,
    known: Known,
    open: Open,
    marks: AhoCorasick,
}

/// What ends a session.
enum Event {
    /// The agent sends nothing more.
    AgentDone,
    /// Nobody reads what the server says.
    AgentGone,
    /// The server says nothing more.
    ServerDone,
}

/// Wraps a server until one of both ends is gone; returns the exit code.
///
/// # Errors
/// Why the server did not start.
pub async fn run(
    wrapping: Wrapping,
    ready: process::Ready,
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
) -> Result<u8, CannotStart> {
    let internal = |error: std::io::Error| CannotStart {
        error: Error::new(Code::Internal, format!("A thread does not start: {error}."), "Try again."),
        exit: 126,
    };
    let Ok(marks) = AhoCorasick::new([MARK, "\\u"]) else { return Err(internal(std::io::ErrorKind::OutOfMemory.into())) };
    let known = Known::new(Arc::clone(&wrapping.broker));
    wrapping.handed.iter().for_each(|(name, value)| known.learn(name, value));
    let shared =
        Arc::new(Shared { runtime: Handle::current(), agent: Agent::new(output), known, open: Open::default(), marks, wrapping });
    let mut signals = Signals::new();
    let Piped { mut child, input: to_server, output: from_server, errors } = process::piped(ready)?;
    let (events, mut receive) = mpsc::unbounded_channel();
    let of = |name: &str| std::thread::Builder::new().name(name.to_owned());
    let (both, tell) = (Arc::clone(&shared), events.clone());
    of("down").spawn(move || both.down(input, to_server, &tell)).map_err(internal)?;
    let (both, tell) = (Arc::clone(&shared), events);
    let up = of("up").spawn(move || both.up(from_server, &tell)).map_err(internal)?;
    let both = Arc::clone(&shared);
    let said = of("errors").spawn(move || both.errors(errors)).map_err(internal)?;
    let both = Arc::clone(&shared);
    of("look").spawn(move || both.look()).map_err(internal)?;

    let status = loop {
        tokio::select! {
            event = receive.recv() => match event {
                Some(Event::AgentDone) => {
                    let grace = if shared.open.is_empty() { GRACE } else { WORK };
                    break end(&mut child, grace, &mut signals).await;
                }
                Some(Event::AgentGone) | None => {
                    child.ask_to_end();
                    break end(&mut child, GRACE, &mut signals).await;
                }
                Some(Event::ServerDone) => break end(&mut child, REST, &mut signals).await,
            },
            ended = child.wait() => break ended.ok(),
            signal = signals.next() => {
                child.signal(signal);
                if is_final(signal) {
                    break end(&mut child, GRACE, &mut signals).await;
                }
            }
        }
    };
    // What it said last is still on its way; what it left running may hold the pipe open for ever.
    let begun = tokio::time::Instant::now();
    while !(up.is_finished() && said.is_finished()) && begun.elapsed() < REST {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let code = status.map_or(1, process::exit_code);
    let how = status.map_or_else(|| "no exit code".to_owned(), |status| status.to_string());
    let error = Error::new(
        Code::Unavailable,
        format!("The MCP server behind \"{}\" has ended ({how}).", shared.wrapping.name),
        "Look at its standard error, and start it again.",
    );
    // An agent that does not read must not keep the broker.
    let told = of("told").spawn(move || {
        let _ = shared.open.take().iter().try_for_each(|id| shared.agent.write(&gone(id, &error)));
    });
    let begun = tokio::time::Instant::now();
    while told.as_ref().is_ok_and(|told| !told.is_finished()) && begun.elapsed() < REST {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(code)
}

#[cfg(unix)]
fn is_final(signal: process::Signal) -> bool {
    use process::Signal;
    matches!(signal, Signal::INT | Signal::TERM | Signal::HUP | Signal::QUIT)
}

#[cfg(not(unix))]
fn is_final(_: process::Signal) -> bool {
    true
}

/// Waits for the server's end; asks it to, then makes it.
async fn end(child: &mut Child, grace: Duration, signals: &mut Signals) -> Option<std::process::ExitStatus> {
    for asked in 0..2 {
        let until = tokio::time::sleep(if asked == 0 { grace } else { GRACE });
        tokio::pin!(until);
        loop {
            tokio::select! {
                ended = child.wait() => return ended.ok(),
                signal = signals.next() => child.signal(signal),
                () = &mut until => break,
            }
        }
        if asked == 0 { child.ask_to_end() } else { child.end() }
    }
    child.wait().await.ok()
}

impl Shared {
    /// From the agent to the server. Ends with the agent's input, and closes the server's.
    fn down(&self, input: impl Read, mut to: PipeWriter, events: &mpsc::UnboundedSender<Event>) {
        let mut lines = Lines::new(input);
        loop {
            let done = match lines.next() {
                Next::End => break,
                Next::Line(line) => self.one_down(line, &mut to),
                Next::TooLong(start) => self.too_long_down(start),
            };
            if done.is_err() {
                let _ = events.send(Event::AgentGone);
                return;
            }
        }
        drop(to);
        let _ = events.send(Event::AgentDone);
    }

    /// An error: the agent does not read any more.
    fn one_down(&self, bytes: &[u8], to: &mut PipeWriter) -> std::io::Result<()> {
        let look = self.marks.is_match(bytes);
        let names = || self.known.names();
        // A line that is no text or no JSON has no place for a secret.
        let Ok(text) = std::str::from_utf8(bytes) else {
            return match mentions(&String::from_utf8_lossy(bytes), &names).filter(|_| look) {
                Some(refusal) => self.unread(&refusal),
                None => self.send(to, "", &Line::default(), bytes),
            };
        };
        let Ok(line) = message::read(text, look) else {
            return match mentions(text, &names).filter(|_| look) {
                Some(refusal) => self.unread(&refusal),
                None => self.send(to, "", &Line::default(), bytes),
            };
        };
        if line.finds.is_empty() {
            return self.send(to, text, &line, bytes);
        }
        let rules = Rules { name: &self.wrapping.name, places: &self.wrapping.places, names: &names };
        let (error, learn) = match judge(text, &line, &rules) {
            Ok(fills) if fills.is_empty() => return self.send(to, text, &line, bytes),
            Ok(fills) => match self.filled(text, &line, &fills) {
                Ok(filled) => return self.send(to, text, &line, &filled),
                Err(error) => (error, None),
            },
            Err(refusal) => {
                self.record(&refusal, line.messages.first().and_then(|message| message.tool.as_deref()));
                (refusal.error, refusal.learn)
            }
        };
        self.refuse(text, &line, &error, learn.as_deref(), to)
    }

    /// Refuses what is no message.
    fn unread(&self, refusal: &Refusal) -> std::io::Result<()> {
        self.record(refusal, None);
        self.agent.write(&unreadable(None, &refusal.error))
    }

    /// An agent that tries where a secret may go is what an operator looks for.
    fn record(&self, refusal: &Refusal, tool: Option<&str>) {
        let door = Door { event: "wrap", process: Some(&self.wrapping.name), destination: tool };
        self.wrapping.broker.refused(refusal.secret.as_deref(), door, &refusal.error);
    }

    /// Puts the values in.
    fn filled(&self, text: &str, line: &Line, fills: &[Fill]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let tool = line.messages.first().and_then(|message| message.tool.as_deref()).unwrap_or_default();
        let mut values = Vec::with_capacity(fills.len());
        for fill in fills {
            let door = Door { event: "wrap", process: Some(&self.wrapping.name), destination: Some(tool) };
            let value = self.runtime.block_on(self.wrapping.broker.spendable(&fill.secret, door))?.value;
            // Before the server can say it.
            self.known.learn(&fill.secret, &value);
            values.push(Zeroizing::new(encode(value.expose())));
        }
        let more: usize = fills.iter().zip(&values).map(|(fill, value)| encode(&fill.prefix).len() + value.len()).sum();
        // With room for all of it, so that no half of it stays behind in the heap.
        let mut out = Zeroizing::new(Vec::with_capacity(text.len() + more));
        let mut done = 0;
        for (fill, value) in fills.iter().zip(&values) {
            out.extend_from_slice(text.get(done..fill.span.start).unwrap_or_default().as_bytes());
            out.extend_from_slice(encode(&fill.prefix).as_bytes());
            out.extend_from_slice(value.as_bytes());
            done = fill.span.end;
        }
        out.extend_from_slice(text.get(done..).unwrap_or_default().as_bytes());
        Ok(out)
    }

    /// Sends a line down. Where the server does not read any more, its requests stay open and are answered at its end.
    fn send(&self, to: &mut PipeWriter, text: &str, line: &Line, bytes: &[u8]) -> std::io::Result<()> {
        self.open.asked(text, &line.messages);
        let _ = to.write_all(bytes);
        Ok(())
    }

    fn refuse(&self, text: &str, line: &Line, error: &Error, learn: Option<&str>, to: &mut PipeWriter) -> std::io::Result<()> {
        if let Some(learn) = learn.filter(|_| self.wrapping.learn) {
            for line in std::iter::once("To allow it, add to broker.toml:").chain(learn.lines()) {
                let _ = crate::telemetry::Lines::stderr().push(line);
            }
        }
        let answers = refusals(text, line, error);
        if answers.is_empty() {
            tracing::warn!("a message of the agent was dropped: {error}");
            if let Some(instead) = instead_of_answer(text, line, error) {
                let _ = to.write_all(&instead);
            }
        }
        answers.iter().try_for_each(|answer| self.agent.write(answer))
    }

    /// The id is known if it stands near the beginning, as it does in most messages.
    fn too_long_down(&self, start: &[u8]) -> std::io::Result<()> {
        let error = Error::new(Code::Limit, format!("A message has more than {} MiB.", MAX_LINE >> 20), "Send a shorter one.");
        let id = message::glance(start).filter(|(_, is_request)| *is_request).map(|(id, _)| id);
        self.agent.write(&unreadable(id.as_deref(), &error))
    }

    /// From the server to the agent.
    fn up(&self, from: PipeReader, events: &mpsc::UnboundedSender<Event>) {
        let mut lines = Lines::new(from);
        loop {
            let done = match lines.next() {
                Next::End => break,
                Next::Line(line) => self.one_up(line),
                Next::TooLong(start) => self.too_long_up(start),
            };
            if done.is_err() {
                let _ = events.send(Event::AgentGone);
                return;
            }
        }
        let _ = events.send(Event::ServerDone);
    }

    fn too_long_up(&self, start: &[u8]) -> std::io::Result<()> {
        let error = Error::new(
            Code::Limit,
            format!("A message of the server has more than {} MiB and was dropped.", MAX_LINE >> 20),
            "Ask the server for less at once.",
        );
        tracing::warn!("{error}");
        match message::glance(start).filter(|(_, is_request)| !is_request).and_then(|(id, _)| self.open.close(&id)) {
            Some(id) => self.agent.write(&gone(&id, &error)),
            None => Ok(()),
        }
    }

    fn one_up(&self, bytes: &[u8]) -> std::io::Result<()> {
        let redactor = self.known.redactor();
        let read = std::str::from_utf8(bytes).ok().and_then(|text| Some((text, message::read(text, false).ok()?)));
        let Some((text, line)) = read.filter(|(_, line)| !line.messages.is_empty() || line.batch) else {
            if !bytes.trim_ascii().is_empty() {
                // Before it is cut, so that no half of a value is left.
                let said = redactor.redact(bytes);
                tracing::warn!("the server printed what is no message: {}", foreign(&String::from_utf8_lossy(&said)));
            }
            return Ok(());
        };
        let cleaned = clean(text, &redactor);
        let out = match &cleaned {
            Cleaned::AsItIs => bytes,
            Cleaned::Changed(out) => out,
            Cleaned::Hidden => return self.hidden(text, &line),
        };
        self.open.answered(text, &line.messages);
        self.agent.write(out)
    }

    /// An answer that cannot be shown is still an answer; but only to what was asked, as it was asked: the server's id may
    /// be what cannot be shown.
    fn hidden(&self, text: &str, line: &Line) -> std::io::Result<()> {
        let error = Error::new(
            Code::NotAllowed,
            "The server's message holds a secret in a form that cannot be taken out of it, so it is not shown.",
            "Ask the server for something else.",
        );
        tracing::warn!("a message of the server was dropped: {error}");
        let answers = line.messages.iter().filter(|message| message.method.is_none()).filter_map(|message| message.id.clone());
        let asked = answers.filter_map(|id| self.open.close(text.get(id)?));
        asked.into_iter().try_for_each(|id| self.agent.write(&gone(&id, &error)))
    }

    /// The server's standard error, cleaned.
    fn errors(&self, mut from: PipeReader) {
        let mut stream = self.known.redactor().stream();
        let mut chunk = vec![0; 64 * 1024];
        let put = |text: &[u8]| std::io::stderr().write_all(text);
        // Nobody reads: what it says is read all the same, so that it does not wait.
        while let Ok(length @ 1..) = from.read(&mut chunk) {
            stream.learn(self.known.redactor());
            let _ = put(&stream.push(chunk.get(..length).unwrap_or_default()));
        }
        let _ = put(&stream.finish());
    }

    /// Learns, now and then, what other processes have stored.
    fn look(&self) {
        loop {
            std::thread::sleep(LOOK);
            self.known.look_again();
        }
    }
}

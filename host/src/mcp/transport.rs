//! JSON-RPC over standard input and output, one message a line.
//!
//! The SDK's own transport leaves a bad line unanswered, so that its sender waits for ever, and ends the server on a
//! notification that comes too early. This one answers every line that it cannot pass on, with the id where there is
//! one, and reads no more of an endless line than its limit. Reading and writing have a thread each, so nothing that
//! the broker does waits for a pipe. Answers leave in the order in which they are given, and a client that does not
//! read is not read from.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{
    ClientNotification, ClientRequest, ErrorCode, ErrorData, JsonRpcError, JsonRpcMessage, JsonRpcResponse, RequestId,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{Notify, mpsc, oneshot};

/// The longest line, in bytes.
const MAX_LINE: usize = 16 << 20;
/// The most values in one message. Each takes far more room than its few bytes: without a limit, a line of 16 MiB
/// could become a gigabyte. What the tools take has less than a thousand.
const MAX_VALUES: usize = 50_000;
/// Messages that were read and not yet handled.
const READ_AHEAD: usize = 64;
/// Calls under way before no more is read for a moment: fewer than the SDK's queue of answers has places, so that none
/// waits there and is overtaken.
const UNDER_WAY: usize = 48;
/// How long a moment is, for calls that wait for a person.
const MOMENT: Duration = Duration::from_millis(100);
/// Bytes of answers that wait to be written before no more is read.
const BACKLOG: usize = 1 << 20;
/// How long nobody may read before the last answers are given up.
const DRAIN: Duration = Duration::from_millis(300);

/// A transport over a reader and a writer.
pub(super) struct Lines {
    incoming: mpsc::Receiver<Incoming>,
    outgoing: Outgoing,
    /// Requests that have no answer yet.
    under_way: HashSet<RequestId>,
    /// Whether a request has come: what comes before it and wants no answer is dropped.
    begun: bool,
    ended: Arc<Notify>,
}

/// Ends of the transport that outlive it.
pub(super) struct Ends {
    /// Told when there is no more input, or nobody reads the output.
    pub(super) ended: Arc<Notify>,
    written: oneshot::Receiver<()>,
    backlog: Arc<Backlog>,
}

enum Incoming {
    Message(Box<RxJsonRpcMessage<RoleServer>>),
    Refused { id: Option<RequestId>, code: i32, reason: String },
}

/// Lines on their way out.
#[derive(Clone)]
struct Outgoing {
    lines: mpsc::UnboundedSender<Vec<u8>>,
    backlog: Arc<Backlog>,
}

/// How much waits to be written.
#[derive(Default)]
struct Backlog {
    bytes: AtomicUsize,
    written: Notify,
}

impl Outgoing {
    /// Takes a line at once: its place in the order is settled here, not when a task gets its turn.
    fn push(&self, message: &TxJsonRpcMessage<RoleServer>) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.backlog.bytes.fetch_add(line.len(), Ordering::Relaxed);
        self.lines.send(line).map_err(|_| std::io::Error::from(std::io::ErrorKind::BrokenPipe))
    }

    async fn room(&self) {
        loop {
            let written = self.backlog.written.notified();
            if self.backlog.bytes.load(Ordering::Relaxed) < BACKLOG || self.lines.is_closed() {
                return;
            }
            written.await;
        }
    }
}

impl Lines {
    /// Starts both threads.
    pub(super) fn start(input: impl Read + Send + 'static, output: impl Write + Send + 'static) -> std::io::Result<(Self, Ends)> {
        let (send_in, incoming) = mpsc::channel(READ_AHEAD);
        let (lines, receive_out) = mpsc::unbounded_channel();
        let backlog = Arc::<Backlog>::default();
        let of_lines = Arc::clone(&backlog);
        let (done, written) = oneshot::channel();
        let ended = Arc::new(Notify::new());
        let of_writer = Arc::clone(&ended);
        std::thread::Builder::new().name("stdin".to_owned()).spawn(move || read(input, &send_in))?;
        std::thread::Builder::new().name("stdout".to_owned()).spawn(move || {
            write(output, receive_out, &of_lines);
            of_lines.written.notify_one();
            let _ = done.send(());
            of_writer.notify_one();
        })?;
        let left = Arc::clone(&backlog);
        let outgoing = Outgoing { lines, backlog };
        Ok((
            Self { incoming, outgoing, under_way: HashSet::new(), begun: false, ended: Arc::clone(&ended) },
            Ends { ended, written, backlog: left },
        ))
    }

    fn refuse(&self, id: Option<RequestId>, code: i32, reason: String) {
        let answer = TxJsonRpcMessage::<RoleServer>::error(ErrorData::new(ErrorCode(code), reason, None), id);
        let _ = self.outgoing.push(&answer);
    }
}

impl Ends {
    /// Waits for the last answers to be written, as long as somebody reads them.
    pub(super) async fn written(mut self) {
        loop {
            let before = self.backlog.bytes.load(Ordering::Relaxed);
            let over = tokio::time::timeout(DRAIN, &mut self.written).await.is_ok();
            if over || self.backlog.bytes.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }
}

impl Transport<RoleServer> for Lines {
    type Error = std::io::Error;

    fn send(&mut self, message: TxJsonRpcMessage<RoleServer>) -> impl Future<Output = std::io::Result<()>> + Send + 'static {
        if let JsonRpcMessage::Response(JsonRpcResponse { id, .. }) | JsonRpcMessage::Error(JsonRpcError { id: Some(id), .. }) =
            &message
        {
            self.under_way.remove(id);
        }
        std::future::ready(self.outgoing.push(&message))
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            self.outgoing.room().await;
            // Dropped and begun anew whenever an answer is ready, so this looks again at once.
            if self.under_way.len() >= UNDER_WAY {
                tokio::time::sleep(MOMENT).await;
            }
            let Some(incoming) = self.incoming.recv().await else {
                self.ended.notify_one();
                return None;
            };
            match incoming {
                Incoming::Refused { id, code, reason } => self.refuse(id, code, reason),
                Incoming::Message(message) => {
                    match &*message {
                        JsonRpcMessage::Request(request) => {
                            self.begun = true;
                            self.under_way.insert(request.id.clone());
                        }
                        JsonRpcMessage::Notification(note) => {
                            // a cancelled request gets no answer
                            if let ClientNotification::CancelledNotification(cancelled) = &note.notification
                                && let Some(id) = &cancelled.params.request_id
                            {
                                self.under_way.remove(id);
                            }
                        }
                        _ => {}
                    }
                    if self.begun {
                        return Some(*message);
                    }
                }
            }
        }
    }

    async fn close(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn read(input: impl Read, messages: &mpsc::Sender<Incoming>) {
    let mut input = BufReader::with_capacity(64 * 1024, input);
    let mut line = Vec::new();
    loop {
        line.clear();
        match input.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let message = if line.len() > MAX_LINE && !line.ends_with(b"\n") {
            line.truncate(0);
            if skip_line(&mut input).is_err() {
                return;
            }
            Some(refused(None, -32600, format!("A line has more than {} MiB; send a shorter message.", MAX_LINE >> 20)))
        } else {
            parse(line.trim_ascii())
        };
        // One huge message does not keep its room for ever.
        if line.capacity() > 1 << 20 {
            line = Vec::new();
        }
        if let Some(message) = message
            && messages.blocking_send(message).is_err()
        {
            return;
        }
    }
}

fn skip_line(input: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let (length, found) = buffer.iter().position(|byte| *byte == b'\n').map_or((buffer.len(), false), |at| (at + 1, true));
        input.consume(length);
        if found {
            return Ok(());
        }
    }
}

const fn refused(id: Option<RequestId>, code: i32, reason: String) -> Incoming {
    Incoming::Refused { id, code, reason }
}

fn parse(line: &[u8]) -> Option<Incoming> {
    if line.is_empty() {
        return None;
    }
    let Ok(text) = std::str::from_utf8(line) else {
        return Some(refused(None, -32700, "The line is not UTF-8.".to_owned()));
    };
    if has_too_many_values(line) {
        let id = serde_json::from_str::<Envelope>(text).ok().and_then(|envelope| envelope.id);
        return Some(refused(id, -32600, format!("The message has more than {MAX_VALUES} values; send a smaller one.")));
    }
    match serde_json::from_str::<RxJsonRpcMessage<RoleServer>>(text) {
        Ok(JsonRpcMessage::Request(request)) => {
            // A known method that does not fit its own type comes out as an unknown one: say what is wrong instead.
            if let ClientRequest::CustomRequest(custom) = &request.request
                && matches!(custom.method.as_str(), "initialize" | "tools/call" | "tools/list" | "completion/complete")
            {
                let reason = format!("The params of {} are missing or malformed.", custom.method);
                return Some(refused(Some(request.id), -32602, reason));
            }
            Some(Incoming::Message(Box::new(JsonRpcMessage::Request(request))))
        }
        Ok(message) => Some(Incoming::Message(Box::new(message))),
        Err(_) => Some(explain(text)),
    }
}

/// Of a message, what is read without keeping the rest.
#[derive(Deserialize)]
struct Envelope {
    id: Option<RequestId>,
}

/// Counts what separates values, outside of strings.
fn has_too_many_values(line: &[u8]) -> bool {
    if line.len() <= MAX_VALUES {
        return false;
    }
    let (mut values, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b',' | b'[' | b'{' if !in_string => values += 1,
            _ => {}
        }
    }
    values > MAX_VALUES
}

/// Why a line is no message.
fn explain(text: &str) -> Incoming {
    match serde_json::from_str::<Value>(text) {
        Err(error) => refused(None, -32700, format!("The line is not JSON: {} at column {}.", category(&error), error.column())),
        Ok(Value::Array(_)) => refused(None, -32600, "Batches are not supported; send one message a line.".to_owned()),
        Ok(Value::Object(members)) => {
            let id = members.get("id").and_then(|id| serde_json::from_value(id.clone()).ok());
            let reason = match members.get("jsonrpc").and_then(Value::as_str) {
                Some("2.0") if members.contains_key("id") && id.is_none() => {
                    "The id must be a string or a whole number of at most 64 bits."
                }
                Some("2.0") => "The message is no JSON-RPC request: check method and params (an object).",
                _ => "The member jsonrpc must be \"2.0\".",
            };
            refused(id, -32600, reason.to_owned())
        }
        Ok(_) => refused(None, -32600, "A message is a JSON object.".to_owned()),
    }
}

/// What is wrong, without any of the text: it may be a secret.
fn category(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Syntax => "a syntax error",
        serde_json::error::Category::Data | serde_json::error::Category::Io => "it cannot be read",
    }
}

/// Writes whatever has gathered at once; ends when nobody reads or nothing more can come.
fn write(mut output: impl Write, mut lines: mpsc::UnboundedReceiver<Vec<u8>>, backlog: &Backlog) {
    while let Some(mut batch) = lines.blocking_recv() {
        while batch.len() < 64 * 1024 {
            match lines.try_recv() {
                Ok(next) => batch.extend_from_slice(&next),
                Err(_) => break,
            }
        }
        if output.write_all(&batch).and_then(|()| output.flush()).is_err() {
            return;
        }
        backlog.bytes.fetch_sub(batch.len(), Ordering::Relaxed);
        backlog.written.notify_one();
        // an answer may have held a value
        zeroize::Zeroize::zeroize(&mut batch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(line: &[u8]) -> (Option<RequestId>, i32, String) {
        match parse(line) {
            Some(Incoming::Refused { id, code, reason }) => (id, code, reason),
            _ => panic!("{:?} was not refused", String::from_utf8_lossy(line)),
        }
    }

    #[test]
    fn every_bad_line_gets_a_reason() {
        for (line, code, reason) in [
            (&b"not json"[..], -32700, "not JSON"),
            (br#"{"jsonrpc":"2.0","id":1,"method":"pi"#, -32700, "ends too early"),
            (b"\xff\xfe", -32700, "not UTF-8"),
            (br#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600, "Batches"),
            (br#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600, "must be \"2.0\""),
            (br#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600, "id must be"),
            (br#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, -32600, "id must be"),
            (b"42", -32600, "a JSON object"),
        ] {
            let (_, found, text) = refusal(line);
            assert!(found == code && text.contains(reason), "{:?}: {found} {text}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn a_refusal_keeps_the_id_and_never_the_text() {
        let (id, code, reason) = refusal(br#"{"jsonrpc":"2.0","id":7,"method":"tools/call"}"#);
        assert_eq!((id, code), (Some(RequestId::Number(7)), -32602));
        assert!(reason.contains("tools/call"));
        let (_, _, reason) = refusal(br#"{"value": "s3cret", bad}"#);
        assert!(!reason.contains("s3cret"));
    }

    #[test]
    fn a_line_of_very_many_values_is_refused_and_one_long_text_is_not() {
        let flood = format!(r#"{{"id":7,"params":[{}[]]}}"#, "[],".repeat(MAX_VALUES));
        let (id, code, reason) = refusal(flood.as_bytes());
        assert!(id == Some(RequestId::Number(7)) && code == -32600 && reason.contains("50000 values"), "{reason}");
        let text = r#"[{,\","#.repeat(MAX_VALUES);
        assert!(!has_too_many_values(format!(r#"{{"value":"{text}","more":[1,2]}}"#).as_bytes()));
        assert!(has_too_many_values(format!(r#"{{"value":"\\",{flood}}}"#).as_bytes()));
    }

    #[test]
    fn an_endless_line_is_refused_without_being_kept_and_the_next_is_read() {
        let ping = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        let huge = std::io::repeat(b'x').take(MAX_LINE as u64 * 2);
        let input = huge.chain(&b"\n"[..]).chain(&ping[..]).chain(&b"\n"[..]);
        let (send, mut receive) = mpsc::channel(8);
        read(input, &send);
        assert!(matches!(receive.try_recv().unwrap(), Incoming::Refused { code: -32600, .. }));
        assert!(matches!(receive.try_recv().unwrap(), Incoming::Message(_)));
        assert!(receive.try_recv().is_err());
    }
}

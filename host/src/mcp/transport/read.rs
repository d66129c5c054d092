//! The thread that reads.
//!
//! A call that waits for nothing is answered here, and its answer written when no further line is at hand: who sends
//! one call at a time is answered without another thread waking up, and who sends many gets many answers in one write.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rmcp::model::{ClientNotification, Extensions, GetExtensions as _, JsonRpcMessage, RequestId};
use tokio::sync::mpsc;

use super::parse::{Parsed, parse};
use super::tool_call::ToolCall;
use super::write::Outgoing;
use super::{AtOnce, Burden, Incoming, MANY, Session};

/// The longest line, in bytes.
const MAX_LINE: usize = 16 << 20;
/// Answers are written when they have come to so many bytes, even if there is more to answer.
const PIECE: usize = 32 * 1024;

/// Answers are written when the first of them has waited so long, even if there is more to answer: somebody else may be writing
/// to the vault.
const HELD: Duration = Duration::from_millis(10);

/// How long a call waits for those before it to be answered by the SDK, so that it need not go the same way: many calls at
/// once would otherwise all follow the first.
const PATIENCE: Duration = Duration::from_millis(2);

/// How long a large line waits for others to be done with. Meanwhile nothing is read: no cancellation, and no end.
const ROOM: Duration = Duration::from_secs(if cfg!(test) { 0 } else { 5 });

/// Where what was read goes.
pub(super) struct To<A> {
    pub(super) messages: mpsc::Sender<(Incoming, Option<Burden>)>,
    pub(super) outgoing: Outgoing,
    pub(super) session: Arc<Session>,
    pub(super) at_once: A,
}

/// Starts the thread.
pub(super) fn start(mut input: BufReader<impl Read + Send + 'static>, to: To<impl AtOnce>) -> io::Result<()> {
    std::thread::Builder::new().name("stdin".to_owned()).spawn(move || drop(read(&mut input, &to)))?;
    Ok(())
}

/// Passes on the first message, if it was read already.
pub(super) fn first(input: &mut BufReader<impl Read>, to: &To<impl AtOnce>) {
    let Some(end) = input.buffer().iter().position(|byte| *byte == b'\n') else { return };
    if let Some(parsed) = parse(&input.buffer()[..end]) {
        // There is room: it is the first.
        if let Some(passed_on) = to.counted(Incoming::from(parsed), end) {
            let _ = to.messages.try_send(passed_on);
        }
    }
    input.consume(end + 1);
}

/// Reads until there is no more, or nobody wants to know.
fn read(mut input: &mut BufReader<impl Read>, to: &To<impl AtOnce>) -> io::Result<()> {
    let mut line = Vec::new();
    // Answers that are not on their way yet, and since when there may be something to settle.
    let (mut answers, mut asked) = (Vec::new(), None::<Instant>);
    // Gone once that was in vain: something takes its time there. Back when it is over.
    let mut patience = PATIENCE;
    loop {
        if let Some(since) = asked
            && (answers.len() >= PIECE || !input.buffer().contains(&b'\n') || since.elapsed() > HELD)
        {
            to.leave(&mut answers)?;
            asked = None;
        }
        line.clear();
        if input.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let parsed = if line.len() > MAX_LINE && !line.ends_with(b"\n") {
            line.truncate(0);
            skip_line(&mut input)?;
            Some(Parsed::refused(None, -32600, format!("A line has more than {} MiB; send a shorter message.", MAX_LINE >> 20)))
        } else {
            parse(&line)
        };
        let mut is_plain = || {
            let plain = to.session.is_plain(patience);
            patience = if plain { PATIENCE } else { Duration::ZERO };
            plain
        };
        let incoming = match parsed {
            None => continue,
            Some(Parsed::Call(call)) if to.at_once.knows(&call.name) && !call.names_its_revision() && is_plain() => {
                if asked.is_some() && to.at_once.may_wait(&call.name) {
                    to.leave(&mut answers)?;
                    asked = None;
                }
                if !to.outgoing.has_room() {
                    to.leave(&mut answers)?;
                    to.outgoing.wait_for_room()?;
                }
                let ToolCall { id, name, arguments, .. } = call;
                asked.get_or_insert_with(Instant::now);
                if let Some(answer) = to.at_once.answer(&name, arguments.unwrap_or_default()) {
                    answer.write(&id, &mut answers)?;
                    continue;
                }
                // It took the arguments, and nothing came of it.
                match parse(&line) {
                    Some(parsed) => parsed.into(),
                    None => continue,
                }
            }
            Some(parsed) => Incoming::from(parsed),
        };
        let length = line.len();
        // One huge message does not keep its room for ever.
        if line.capacity() > 1 << 20 {
            line = Vec::new();
        }
        if asked.take().is_some() {
            to.leave(&mut answers)?;
        }
        if let Some(passed_on) = to.counted(incoming, length)
            && to.messages.blocking_send(passed_on).is_err()
        {
            return Ok(());
        }
    }
}

impl<A: AtOnce> To<A> {
    /// Counts what a line of so many bytes has become and is passed on now: a refusal, where too much is under way; nothing,
    /// where nobody waits for an answer.
    fn counted(&self, incoming: Incoming, length: usize) -> Option<(Incoming, Option<Burden>)> {
        let mut message = match incoming {
            Incoming::Message(message) => message,
            Incoming::Refused { id, code, reason } => return Some(self.refused(id, code, reason)),
        };
        if let JsonRpcMessage::Notification(note) = &mut *message
            && let ClientNotification::CancelledNotification(cancelled) = &mut note.notification
        {
            // It makes room, and does not wait for some: the rest of it is for people.
            (cancelled.params.reason, cancelled.extensions) = (None, Extensions::new());
            return Some((Incoming::Message(message), None));
        }
        let burden = self.session.take_on(length, ROOM);
        match (&mut *message, burden) {
            (JsonRpcMessage::Request(request), Some(burden)) => {
                self.session.passed_on();
                request.request.extensions_mut().insert(Arc::new(burden));
                Some((Incoming::Message(message), None))
            }
            (JsonRpcMessage::Request(request), None) => {
                let reason = format!("Large messages of {} MiB are under way; send it again when they are answered.", MANY >> 20);
                Some(self.refused(Some(request.id.clone()), -32000, reason))
            }
            (_, burden) => burden.map(|burden| (Incoming::Message(message), Some(burden))),
        }
    }

    /// Counts what is refused. Its id is left out where that is large and there is no room.
    fn refused(&self, id: Option<RequestId>, code: i32, reason: String) -> (Incoming, Option<Burden>) {
        let length = match &id {
            Some(RequestId::String(id)) => id.len(),
            _ => 0,
        };
        let burden = self.session.take_on(length, Duration::ZERO);
        self.session.passed_on();
        (Incoming::Refused { id: id.filter(|_| burden.is_some()), code, reason }, burden)
    }

    /// The answers go first: somebody waits for them. What is written down of the calls follows at once, also where nobody
    /// reads the answers any more.
    fn leave(&self, answers: &mut Vec<u8>) -> io::Result<()> {
        let written = if answers.is_empty() { Ok(()) } else { self.outgoing.write(answers) };
        self.at_once.settle();
        written
    }
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use serde_json::Value;

    use super::super::LARGE;
    use super::*;
    use crate::mcp::answers::{Answer, success};
    use crate::mcp::arguments::Members;

    const PING: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

    /// Answers `a`, tries `b` in vain.
    struct OnlyA;

    impl AtOnce for OnlyA {
        fn knows(&self, tool: &str) -> bool {
            tool != "c"
        }

        fn answer(&self, tool: &str, arguments: Members) -> Option<Answer> {
            (tool == "a").then(|| success(Value::Object(arguments.into())))
        }

        fn may_wait(&self, _: &str) -> bool {
            false
        }

        fn settle(&self) {}
    }

    fn to(messages: mpsc::Sender<(Incoming, Option<Burden>)>) -> (To<OnlyA>, io::PipeReader) {
        let (reader, writer) = io::pipe().unwrap();
        let outgoing = Outgoing::new(writer, Arc::default());
        (To { messages, outgoing, session: Arc::default(), at_once: OnlyA }, reader)
    }

    fn call(id: u32, tool: &str) -> String {
        format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"{tool}\"}}}}\n")
    }

    #[test]
    fn an_endless_line_is_refused_without_being_kept_and_the_next_is_read() {
        let huge = io::repeat(b'x').take(MAX_LINE as u64 * 2).chain(&b"\n"[..]).chain(PING).chain(&b"\n"[..]);
        let (send, mut receive) = mpsc::channel(8);
        read(&mut BufReader::new(huge), &to(send).0).unwrap();
        assert!(matches!(receive.try_recv().unwrap().0, Incoming::Refused { code: -32600, .. }));
        assert!(matches!(receive.try_recv().unwrap().0, Incoming::Message(_)));
        assert!(receive.try_recv().is_err());
    }

    #[test]
    fn a_call_is_answered_here_once_the_client_was_greeted_and_nothing_before_it_is_open() {
        let (send, mut receive) = mpsc::channel(8);
        let (to, mut reader) = to(send);
        read(&mut BufReader::new(call(1, "a").as_bytes()), &to).unwrap();
        assert!(receive.try_recv().is_ok() && !to.session.is_plain(Duration::ZERO), "not greeted");

        to.session.answered();
        to.session.greetings.store(1, Ordering::Release);
        let lines = [call(2, "a"), call(3, "a"), call(4, "b"), call(5, "a"), call(6, "c")].concat();
        read(&mut BufReader::new(lines.as_bytes()), &to).unwrap();
        let passed_on = std::iter::from_fn(|| receive.try_recv().ok()).count();
        assert_eq!(passed_on, 3, "what cannot be answered here, and what comes after it");

        // as the SDK answers while the thread waits for it
        let session = Arc::clone(&to.session);
        let answering = std::thread::spawn(move || (0..3).for_each(|_| session.answered()));
        assert!(to.session.is_plain(Duration::from_secs(60)));
        answering.join().unwrap();
        to.session.greetings.store(2, Ordering::Release);
        read(&mut BufReader::new(call(7, "a").as_bytes()), &to).unwrap();
        assert!(receive.try_recv().is_ok(), "a second greeting may have changed the revision");

        drop(to);
        let mut written = String::new();
        reader.read_to_string(&mut written).unwrap();
        let ids: Vec<_> =
            written.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].clone()).collect();
        assert_eq!(ids, [2, 3]);
    }
    #[test]
    fn no_more_large_lines_are_under_way_than_may_be_however_they_end() {
        let large = |id: usize, method: &str| {
            let padding = "x".repeat(MAX_LINE - 1000);
            format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"params\":{{\"name\":\"{padding}\"}}}}\n")
        };
        let note = large(0, "notifications/progress").replace("\"id\":0,", "");
        let (send, mut receive) = mpsc::channel(64);
        let to = to(send).0;
        let mut passed_on = |lines: &[String]| {
            read(&mut BufReader::new(lines.concat().as_bytes()), &to).unwrap();
            std::iter::from_fn(|| receive.try_recv().ok()).collect::<Vec<_>>()
        };
        let is_refused = |passed: &(Incoming, _)| matches!(passed.0, Incoming::Refused { code: -32000, id: Some(_), .. });
        // the same id again and again is no way round
        let mut first = passed_on(&[1, 1, 1, 1, 1].map(|id| large(id, "tools/call")));
        assert_eq!(first.iter().map(is_refused).collect::<Vec<_>>(), [false, false, false, false, true]);
        assert!(passed_on(std::slice::from_ref(&note)).is_empty(), "nobody waits for an answer");
        // what need not be kept passes all the same: what is wrong, with its id, and what makes room
        let wrong = format!("{{\"jsonrpc\":\"2.0\",\"id\":99,\"method\":\"tools/call\",\"params\":\"{}\"}}\n", "x".repeat(LARGE));
        let cancel =
            large(0, "notifications/cancelled").replace("\"id\":0,", "").replace("\"name\"", "\"requestId\":1,\"reason\"");
        let passed = passed_on(&[wrong, cancel]);
        assert!(matches!(&passed[0].0, Incoming::Refused { id: Some(RequestId::Number(99)), .. }));
        assert!(matches!(&passed[1].0, Incoming::Message(_)) && passed.len() == 2);
        first.remove(0);
        let again = passed_on(&[large(2, "tools/call"), large(3, "tools/call")]);
        assert_eq!(again.iter().map(is_refused).collect::<Vec<_>>(), [false, true]);
        drop((first, again));
        assert_eq!(passed_on(&[note]).len(), 1);
        assert_eq!(to.session.large.load(Ordering::Acquire), 0);
    }
}

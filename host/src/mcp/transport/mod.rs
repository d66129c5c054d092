//! JSON-RPC over standard input and output, one message a line.
//!
//! The SDK's own transport leaves a bad line unanswered, so that its sender waits for ever, and ends the server on a
//! notification that comes too early. This one answers every line that it cannot pass on, with the id where there is
//! one, and reads no more of an endless line than its limit. Reading has a thread, and writing one for what would have to
//! wait, so nothing that the broker does waits for a pipe. Answers leave in the order in which they are given, and a client
//! that does not read is not read from.
//!
//! Most calls need nothing that the SDK offers: no session, no cancelling, no waiting. Those are answered on the thread
//! that read them (docs/performance.md says what that saves), but only while the SDK has nothing under way, so that the
//! order of calls and answers stays what it was.
//!
//! | file | what it is |
//! |---|---|
//! | `read` | the thread that reads, and answers what can be answered there |
//! | `parse` | a line becomes a message, or a reason why it is none |
//! | `tool_call` | a plain `tools/call`, read without the SDK's detour |
//! | `write` | lines on their way out, and the thread that writes them |

mod parse;
mod read;
mod tool_call;
mod write;

use std::collections::HashSet;
use std::io::{BufReader, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{
    ClientNotification, ErrorCode, ErrorData, GetExtensions as _, JsonRpcError, JsonRpcMessage, JsonRpcResponse, RequestId,
    ServerResult,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::sync::{Notify, mpsc};

use super::answers::Answer;
use super::arguments::Members;
use crate::pipe::Output;
use write::Outgoing;

/// Messages that were read and not yet handled.
const READ_AHEAD: usize = 64;
/// Calls under way before no more is read for a moment: fewer than the SDK's queue of answers has places, so that none
/// waits there and is overtaken.
const UNDER_WAY: usize = 48;
/// A line of more bytes than this is large: what it becomes takes a few times as much while it is under way.
const LARGE: usize = 64 << 10;
/// Bytes of large lines under way, at most.
const MANY: usize = 64 << 20;
/// How long a moment is, for calls that wait for a person.
const MOMENT: Duration = Duration::from_millis(100);

/// Who answers on the thread that reads.
pub(super) trait AtOnce: Send + 'static {
    /// Whether it ever answers calls of this tool.
    fn knows(&self, tool: &str) -> bool;

    /// Whether such a call may wait for another process: who was answered before does not wait for that.
    fn may_wait(&self, tool: &str) -> bool;

    /// Answers a call of a tool, or says that it cannot be answered there. Then nothing has come of it.
    fn answer(&self, tool: &str, arguments: Members) -> Option<Answer>;

    /// Called when something was asked for, once its answer has left that thread, or before a message does.
    fn settle(&self);
}

/// A transport over a reader and a writer.
pub(super) struct Lines {
    incoming: mpsc::Receiver<(Incoming, Option<Burden>)>,
    outgoing: Outgoing,
    /// Requests that have no answer yet.
    under_way: HashSet<RequestId>,
    /// Whether a request has come: what comes before it and wants no answer is dropped.
    begun: bool,
    session: Arc<Session>,
    ended: Arc<Notify>,
    /// Starts the thread that reads.
    reading: Option<Reading>,
}

type Reading = Box<dyn FnOnce() -> std::io::Result<()> + Send>;

/// Ends of the transport that outlive it.
pub(super) struct Ends {
    /// Told when there is no more input, or nobody reads the output.
    pub(super) ended: Arc<Notify>,
    outgoing: write::Backlog,
}

enum Incoming {
    Message(Box<RxJsonRpcMessage<RoleServer>>),
    Refused { id: Option<RequestId>, code: i32, reason: String },
}

/// What a line takes, until it is dropped: for a request that is when nobody works on it any more, also where it was cancelled
/// or another has its id.
struct Burden {
    session: Arc<Session>,
    /// 0 for a line that is not large.
    bytes: usize,
}

impl Drop for Burden {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.session.large.fetch_sub(self.bytes, Ordering::AcqRel);
            self.session.tell();
        }
    }
}

/// Dropped when nobody works on a request any more.
struct Worked(Arc<Session>);

impl Worked {
    fn on(session: &Arc<Session>) -> Self {
        session.worked_on.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(session))
    }
}

impl Drop for Worked {
    fn drop(&mut self) {
        self.0.worked_on.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What the thread that reads must know of what the SDK does.
#[derive(Default)]
struct Session {
    /// Lines that were passed on, and whose answers are not on their way yet.
    unanswered: AtomicUsize,
    /// Requests that the SDK works on.
    worked_on: AtomicUsize,
    /// Bytes of large lines that somebody works on, or that wait for that.
    large: AtomicUsize,
    /// Told when nothing is unanswered, and when a large line is done with.
    changed: (Mutex<()>, Condvar),
    /// Answers to `initialize`.
    greetings: AtomicUsize,
}

impl Session {
    /// Whether a call may be answered outside of the SDK: it was greeted once, as all revisions up to 2025-11-25 are (a
    /// second greeting could change the revision), and everything before it is answered. Waits for that as long as said.
    fn is_plain(&self, patience: Duration) -> bool {
        let is_open = || self.unanswered.load(Ordering::Acquire) > 0;
        if is_open() && !patience.is_zero() {
            let (lock, changed) = &self.changed;
            let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
            drop(changed.wait_timeout_while(guard, patience, |()| is_open()));
        }
        !is_open() && self.greetings.load(Ordering::Acquire) == 1
    }

    /// Takes on a line of so many bytes. Waits for room if it is large, as long as said.
    fn take_on(self: &Arc<Self>, bytes: usize, patience: Duration) -> Option<Burden> {
        let bytes = if bytes > LARGE { bytes } else { 0 };
        // Only one thread takes on.
        let is_full = || self.large.load(Ordering::Acquire) + bytes > MANY;
        if bytes > 0 && is_full() {
            let (lock, changed) = &self.changed;
            let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
            drop(changed.wait_timeout_while(guard, patience, |()| is_full()));
            if is_full() {
                return None;
            }
        }
        self.large.fetch_add(bytes, Ordering::AcqRel);
        Some(Burden { session: Arc::clone(self), bytes })
    }

    /// Counts a line that will be answered.
    fn passed_on(&self) {
        self.unanswered.fetch_add(1, Ordering::AcqRel);
    }

    fn answered(&self) {
        if self.unanswered.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.tell();
        }
    }

    fn tell(&self) {
        let (lock, changed) = &self.changed;
        let _guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        changed.notify_one();
    }
}

impl Lines {
    /// A transport that reads once somebody wants to receive what is not in `input`'s buffer yet, and calls `before` then: a
    /// message that is there is answered before a thread is started.
    pub(super) fn new(
        mut input: BufReader<impl Read + Send + 'static>,
        output: impl Output,
        at_once: impl AtOnce,
        before: impl FnOnce() + Send + 'static,
    ) -> (Self, Ends) {
        let (messages, incoming) = mpsc::channel(READ_AHEAD);
        let ended = Arc::new(Notify::new());
        let session = Arc::<Session>::default();
        let outgoing = Outgoing::new(output, Arc::clone(&ended));
        let to = read::To { messages, outgoing: outgoing.clone(), session: Arc::clone(&session), at_once };
        read::first(&mut input, &to);
        let reading: Reading = Box::new(move || {
            before();
            read::start(input, to)
        });
        let ends = Ends { ended: Arc::clone(&ended), outgoing: outgoing.backlog() };
        (Self { incoming, outgoing, under_way: HashSet::new(), begun: false, session, ended, reading: Some(reading) }, ends)
    }

    fn refuse(&self, id: Option<RequestId>, code: i32, reason: String) {
        let answer = TxJsonRpcMessage::<RoleServer>::error(ErrorData::new(ErrorCode(code), reason, None), id);
        let _ = self.outgoing.message(&answer);
        self.session.answered();
    }
}

impl Ends {
    /// From when this returns, no further answer leaves. Who gave one that did, has told before what it did.
    pub(super) fn shut(&self) {
        self.outgoing.shut();
    }

    /// Waits for the last answers to be written, as long as somebody reads them.
    pub(super) async fn written(self) {
        self.outgoing.written().await;
    }
}

impl Transport<RoleServer> for Lines {
    type Error = std::io::Error;

    fn send(&mut self, message: TxJsonRpcMessage<RoleServer>) -> impl Future<Output = std::io::Result<()>> + Send + 'static {
        // Its place in the order is settled here, not when a task gets its turn.
        let sent = self.outgoing.message(&message);
        if let JsonRpcMessage::Response(JsonRpcResponse { result: ServerResult::InitializeResult(_), .. }) = &message {
            self.session.greetings.fetch_add(1, Ordering::AcqRel);
        }
        if let JsonRpcMessage::Response(JsonRpcResponse { id, .. }) | JsonRpcMessage::Error(JsonRpcError { id: Some(id), .. }) =
            &message
            && self.under_way.remove(id)
        {
            self.session.answered();
        }
        std::future::ready(sent)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            self.outgoing.room().await;
            // Dropped and begun anew whenever an answer is ready, so this looks again at once.
            if self.under_way.len().max(self.session.worked_on.load(Ordering::Acquire)) >= UNDER_WAY {
                tokio::time::sleep(MOMENT).await;
            }
            if self.incoming.is_empty()
                && let Some(start) = self.reading.take()
                && let Err(error) = start()
            {
                // What the thread would have sent to is gone with it: nothing will come.
                tracing::error!("standard input cannot be read: {error}");
            }
            // What wants no answer, or has it, is done with when this is.
            let Some((incoming, _burden)) = self.incoming.recv().await else {
                self.ended.notify_one();
                return None;
            };
            match incoming {
                Incoming::Refused { id, code, reason } => self.refuse(id, code, reason),
                Incoming::Message(mut message) => {
                    match &mut *message {
                        JsonRpcMessage::Request(request) => {
                            self.begun = true;
                            request.request.extensions_mut().insert(Arc::new(Worked::on(&self.session)));
                            // the SDK answers an id that is used twice once
                            if !self.under_way.insert(request.id.clone()) {
                                self.session.answered();
                            }
                        }
                        JsonRpcMessage::Notification(note) => {
                            // a cancelled request gets no answer
                            if let ClientNotification::CancelledNotification(cancelled) = &note.notification
                                && let Some(id) = &cancelled.params.request_id
                                && self.under_way.remove(id)
                            {
                                self.session.answered();
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

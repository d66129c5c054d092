//! The agent's end: whole lines, from whichever thread.

use std::io::Write;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use super::message::Line;
use crate::error::{Code, Error};

/// JSON-RPC 2.0: the parameters are wrong.
const INVALID_PARAMS: i32 = -32602;
/// JSON-RPC 2.0: the message is wrong.
const INVALID_REQUEST: i32 = -32600;
/// Of the range for servers: there is no server any more.
const SERVER_GONE: i32 = -32000;

/// Where the agent reads.
pub(super) struct Agent(Mutex<Box<dyn Write + Send>>);

impl Agent {
    pub(super) fn new(output: impl Write + Send + 'static) -> Self {
        Self(Mutex::new(Box::new(output)))
    }

    /// Writes a line. An error: nobody reads any more.
    pub(super) fn write(&self, line: &[u8]) -> std::io::Result<()> {
        let mut output = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        output.write_all(line)?;
        output.flush()
    }
}

/// The answers to a line that does not go down: one for each request in it.
pub(super) fn refusals(text: &str, line: &Line, error: &Error) -> Vec<Vec<u8>> {
    let asked = line.messages.iter().filter(|message| message.method.is_some()).filter_map(|message| message.id.as_ref());
    let answers: Vec<String> = asked.map(|id| answer(&written(text, id), code(error), error)).collect();
    match (line.batch, answers.is_empty()) {
        (_, true) => Vec::new(),
        (true, false) => vec![format!("[{}]\n", answers.join(",")).into_bytes()],
        (false, false) => answers.into_iter().map(|answer| format!("{answer}\n").into_bytes()).collect(),
    }
}

/// What the server is told in the place of an answer of the agent that does not go down, so that it does not wait.
pub(super) fn instead_of_answer(text: &str, line: &Line, error: &Error) -> Option<Vec<u8>> {
    let [message] = &line.messages[..] else { return None };
    let id = message.id.as_ref().filter(|_| message.method.is_none())?;
    Some(format!("{}\n", answer(&written(text, id), INVALID_PARAMS, error)).into_bytes())
}

/// The answer to a request whose server is gone.
pub(super) fn gone(id: &str, error: &Error) -> Vec<u8> {
    format!("{}\n", answer(id, SERVER_GONE, error)).into_bytes()
}

/// The answer to a line that is no message or too long; its id is unknown unless it stands near the beginning.
pub(super) fn unreadable(id: Option<&str>, error: &Error) -> Vec<u8> {
    format!("{}\n", answer(id.unwrap_or("null"), INVALID_REQUEST, error)).into_bytes()
}

const fn code(error: &Error) -> i32 {
    match error.code() {
        Code::Limit => INVALID_REQUEST,
        _ => INVALID_PARAMS,
    }
}

/// An id as it was written, if it is one.
fn written(text: &str, id: &Range<usize>) -> String {
    let raw = text.get(id.clone()).unwrap_or_default();
    if raw.starts_with('"') || raw.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        raw.to_owned()
    } else {
        "null".to_owned()
    }
}

/// The id stands there byte for byte, whatever number or text it is.
fn answer(id: &str, code: i32, error: &Error) -> String {
    let data = json!({ "code": error.code().as_str(), "hint": error.hint() });
    let body = json!({ "code": code, "message": error.to_string(), "data": data });
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{body}}}"#)
}

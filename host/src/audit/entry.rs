//! One entry of the trail: what is said, and how it becomes JSON.

use std::borrow::Cow;
use std::time::SystemTime;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::{Code, foreign};

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done.
    #[default]
    Ok,
    /// Under way: a person has to act, or another line will follow.
    Pending,
    /// The broker, its operator or the person said no.
    Refused,
    /// It was tried and did not work.
    Failed,
}

/// One entry, its texts borrowed. What does not apply stays `None`: `Event { event: "get_secret", ..Event::default() }`.
pub type Event<'a> = Entry<&'a str>;

/// One entry, with texts of that kind.
#[derive(Debug, Clone, Copy, Default)]
pub struct Entry<T> {
    /// What was to be done: the tool's name, or a word of the broker's own such as `refresh`.
    pub event: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// The name of the secret.
    pub secret: Option<T>,
    /// The id of the reference, or of the minted token. Only a digest of it is written.
    pub reference: Option<T>,
    /// The provider.
    pub provider: Option<T>,
    /// What the agent says it is for.
    pub purpose: Option<T>,
    /// The id of the login.
    pub flow: Option<T>,
    /// Where the secret was spent: method and host, never a path or query, which may hold secrets of their own.
    pub destination: Option<T>,
    /// The program that was given the secret: its name, never its arguments.
    pub process: Option<T>,
    /// How many times the reference or grant has been used, this time included.
    pub uses: Option<u64>,
    /// Why it did not work.
    pub code: Option<Code>,
}

impl<T> Entry<T> {
    /// The same with texts of another kind.
    pub(super) fn with<'a, U>(&'a self, text: impl Fn(&'a T) -> U) -> Entry<U> {
        Entry {
            event: self.event,
            outcome: self.outcome,
            secret: self.secret.as_ref().map(&text),
            reference: self.reference.as_ref().map(&text),
            provider: self.provider.as_ref().map(&text),
            purpose: self.purpose.as_ref().map(&text),
            flow: self.flow.as_ref().map(&text),
            destination: self.destination.as_ref().map(&text),
            process: self.process.as_ref().map(&text),
            uses: self.uses,
            code: self.code,
        }
    }
}

/// Who is served.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) by: By,
    pub(super) name: String,
}

/// On whose word the client has its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum By {
    /// An MCP client's own: it may say anything.
    Agent,
    /// This program's: it is one of its commands.
    Command,
}

/// The members of an entry, in the order in which they are written.
#[derive(Serialize)]
struct Members<'a> {
    time: String,
    event: &'static str,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uses: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<By>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a str>,
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<u64>,
}

impl Event<'_> {
    /// The entry as one line of JSON, without a line break. `at` is when it happened, `client` who is served, `dropped` how
    /// many lines before this one nobody could read.
    pub(super) fn line(&self, at: SystemTime, client: Option<&Client>, dropped: u64) -> Option<String> {
        let members = Members {
            time: written(at),
            event: self.event,
            outcome: self.outcome,
            secret: self.secret.map(|text| bounded(text, 160)),
            reference: self.reference.map(digest),
            provider: self.provider.map(|text| bounded(text, 64)),
            purpose: self.purpose.map(|text| bounded(text, 256)),
            destination: self.destination.map(|text| bounded(text, 256)),
            process: self.process.map(|text| bounded(text, 128)),
            uses: self.uses,
            by: client.map(|client| client.by),
            client: client.map(|client| client.name.as_str()),
            pid: std::process::id(),
            flow: self.flow.map(|text| bounded(text, 64)),
            code: self.code.map(Code::as_str),
            dropped: (dropped > 0).then_some(dropped),
        };
        serde_json::to_string(&members).ok()
    }
}

/// The time of an entry: UTC, milliseconds.
fn written(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

/// The part of a reference's id that is written: the first 12 hexadecimal digits of its SHA-256.
#[must_use]
pub fn digest(id: &str) -> String {
    let hex = |digit: u8| char::from_digit(digit.into(), 16).unwrap_or_default();
    Sha256::digest(id).iter().take(6).flat_map(|byte| [hex(byte >> 4), hex(byte & 15)]).collect()
}

/// Somebody else's text, without the quotation marks that JSON sets anyway, cut to so many bytes. All members together,
/// each doubled by escaping, still fit into one of [`crate::telemetry::Lines`]' lines: a cut line would be no JSON any more.
pub(super) fn bounded(text: &str, bytes: usize) -> Cow<'_, str> {
    // Nearly all of it is plain, and stays as it is.
    if text.len() <= bytes && text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"') {
        return Cow::Borrowed(text);
    }
    let quoted = foreign(text);
    let text = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Cow::Owned(text[..end].to_owned())
}

/// An entry of the trail's own: something happened to `count` of its lines.
pub(super) fn note(event: &str, count: u64) -> String {
    serde_json::json!({ "time": written(SystemTime::now()), "event": event, "outcome": "failed", "lines": count, "pid": std::process::id() })
        .to_string()
}

/// How many entries these lines are, among others that are none, with those of which they say that they were dropped.
pub(super) fn counted(lines: &[u8]) -> u64 {
    let entries = lines.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok());
    entries.map(|entry| 1 + entry["dropped"].as_u64().unwrap_or(0)).sum()
}

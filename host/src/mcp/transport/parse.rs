//! A line becomes a message, or a reason why it is none.

use rmcp::RoleServer;
use rmcp::model::{ClientRequest, JsonRpcMessage, RequestId};
use rmcp::service::RxJsonRpcMessage;
use serde::Deserialize;
use serde_json::Value;

use super::Incoming;
use super::tool_call::ToolCall;

/// The most values in one message. Each takes far more room than its few bytes: without a limit, a line of 16 MiB
/// could become a gigabyte. What the tools take has less than a thousand.
const MAX_VALUES: usize = 50_000;

/// What is in a line.
pub(super) enum Parsed<'a> {
    /// A plain call of a tool.
    Call(ToolCall<'a>),
    /// Anything else.
    Other(Incoming),
}

impl Parsed<'_> {
    fn message(message: RxJsonRpcMessage<RoleServer>) -> Self {
        Self::Other(Incoming::Message(Box::new(message)))
    }

    pub(super) const fn refused(id: Option<RequestId>, code: i32, reason: String) -> Self {
        Self::Other(Incoming::Refused { id, code, reason })
    }
}

impl From<Parsed<'_>> for Incoming {
    fn from(parsed: Parsed<'_>) -> Self {
        match parsed {
            Parsed::Call(call) => Self::Message(Box::new(call.into())),
            Parsed::Other(incoming) => incoming,
        }
    }
}

/// What is in a line. None where it is empty.
pub(super) fn parse(line: &[u8]) -> Option<Parsed<'_>> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return None;
    }
    let Ok(text) = std::str::from_utf8(line) else {
        return Some(Parsed::refused(None, -32700, "The line is not UTF-8.".to_owned()));
    };
    if has_too_many_values(line) {
        let id = serde_json::from_str::<Envelope>(text).ok().and_then(|envelope| envelope.id);
        return Some(Parsed::refused(id, -32600, format!("The message has more than {MAX_VALUES} values; send a smaller one.")));
    }
    if let Some(call) = ToolCall::read(text) {
        return Some(Parsed::Call(call));
    }
    match serde_json::from_str::<RxJsonRpcMessage<RoleServer>>(text) {
        Ok(JsonRpcMessage::Request(request)) => {
            // A known method that does not fit its own type comes out as an unknown one: say what is wrong instead.
            if let ClientRequest::CustomRequest(custom) = &request.request
                && matches!(custom.method.as_str(), "initialize" | "tools/call" | "tools/list" | "completion/complete")
            {
                let reason = format!("The params of {} are missing or malformed.", custom.method);
                return Some(Parsed::refused(Some(request.id), -32602, reason));
            }
            Some(Parsed::message(JsonRpcMessage::Request(request)))
        }
        Ok(message) => Some(Parsed::message(message)),
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
fn explain(text: &str) -> Parsed<'static> {
    let refused = Parsed::refused;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(line: &[u8]) -> (Option<RequestId>, i32, String) {
        match parse(line) {
            Some(Parsed::Other(Incoming::Refused { id, code, reason })) => (id, code, reason),
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
}

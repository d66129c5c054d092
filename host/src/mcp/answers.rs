//! The shape of answers: the predecessor's JSON as text, and the same as `structuredContent`.

use std::io;

use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock, RequestId};
use serde::Serialize;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::error::{Code, Error};
use crate::vault::Account;

/// What a tool says: an object.
pub(super) struct Answer {
    document: Document,
    is_error: bool,
}

/// The tools that agents call all day have their answers in types of their own, which are written without a detour.
enum Document {
    Members(Value),
    Written(Zeroizing<Vec<u8>>),
}

/// `{"success": true, …}`.
pub(super) fn success(members: Value) -> Answer {
    Answer::new(true, members, false)
}

/// `{"success": true, …}`, with the members of a struct.
pub(super) fn written<T: Serialize>(members: &T) -> Answer {
    #[derive(Serialize)]
    struct Succeeded<'a, T> {
        success: bool,
        #[serde(flatten)]
        members: &'a T,
    }
    // Room for nearly every answer: what outgrows it leaves a copy behind.
    let mut text = Zeroizing::new(Vec::with_capacity(1024));
    match serde_json::to_writer(&mut *text, &Succeeded { success: true, members }) {
        Ok(()) => Answer { document: Document::Written(text), is_error: false },
        Err(error) => failure(&Error::new(Code::Internal, format!("The answer has no form in JSON: {error}."), "Report this.")),
    }
}

/// `{"success": false, …}` that is no error: a login that is pending, a token that was not there.
pub(super) fn unfinished(members: Value) -> Answer {
    Answer::new(false, members, false)
}

/// `{"success": false, "error": …, "code": …, "hint": …}`, marked as an error.
pub(super) fn failure(error: &Error) -> Answer {
    Answer::new(false, json!({ "error": error.message(), "code": error.code().as_str(), "hint": error.hint() }), true)
}

/// An account, with who vouches for it.
pub(super) fn account(account: &Account) -> Value {
    json!({
        "issuer": account.issuer, "subject": account.subject, "label": account.label, "vouched": account.vouched.as_str(),
    })
}

impl Answer {
    fn new(success: bool, members: Value, is_error: bool) -> Self {
        let mut all = if let Value::Object(members) = members { members } else { Map::new() };
        // absent, not null, as the predecessor left things out
        all.retain(|_, value| !value.is_null());
        all.shift_insert(0, "success".to_owned(), Value::Bool(success));
        Self { document: Document::Members(Value::Object(all)), is_error }
    }

    /// Writes it as the line that answers the request of that id, as revisions up to 2025-11-25 have it: what the SDK
    /// would write, but with one look at the document instead of two.
    pub(super) fn write(self, id: &RequestId, line: &mut Vec<u8>) -> io::Result<()> {
        let document = match self.document {
            Document::Members(members) => Zeroizing::new(serde_json::to_vec(&members)?),
            Document::Written(text) => text,
        };
        // As it is, and once more with its quotation marks escaped: with room for both, no half of a value stays behind.
        line.reserve(3 * document.len() + 256);
        line.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
        serde_json::to_writer(&mut *line, id)?;
        line.extend_from_slice(br#","result":{"content":[{"type":"text","text":"#);
        quote(&document, line);
        line.extend_from_slice(br#"}],"structuredContent":"#);
        line.extend_from_slice(&document);
        line.extend_from_slice(if self.is_error { br#","isError":true}}"# } else { b"}}" });
        line.push(b'\n');
        Ok(())
    }
}

/// JSON as a string in JSON. Of what has to be escaped there, JSON without white space has quotes and backslashes only.
fn quote(json: &[u8], line: &mut Vec<u8>) {
    line.push(b'"');
    let mut from = 0;
    for at in memchr::memchr2_iter(b'"', b'\\', json) {
        line.extend_from_slice(&json[from..at]);
        line.push(b'\\');
        from = at;
    }
    line.extend_from_slice(&json[from..]);
    line.push(b'"');
}

impl From<Answer> for CallToolResponse {
    fn from(answer: Answer) -> Self {
        let (text, members) = match answer.document {
            Document::Members(members) => (members.to_string(), Some(members)),
            Document::Written(text) => (String::from_utf8_lossy(&text).into_owned(), serde_json::from_slice(&text).ok()),
        };
        let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
        result.structured_content = members;
        result.is_error = answer.is_error.then_some(true);
        result.into()
    }
}

#[cfg(test)]
mod tests {
    use rmcp::RoleServer;
    use rmcp::model::{JsonRpcMessage, ServerResult};
    use rmcp::service::TxJsonRpcMessage;

    use super::*;

    #[test]
    fn what_is_written_here_is_what_the_sdk_writes() {
        for id in [RequestId::Number(7), RequestId::Number(i64::MIN), RequestId::String("a\"\\\u{7f}\né😀".into())] {
            for answer in [
                || {
                    success(
                        json!({ "value": "\"quoted\" \\ \n\t\u{0}\u{1f}\u{7f}\u{2028} é 😀 </script>", "n": [1, -2.5, 1e300, null, {}] }),
                    )
                },
                || success(json!({})),
                || success(json!({ "left out": null, "last": 1 })),
                || unfinished(json!({ "message": "Token not found" })),
                || written(&json!({ "value": "\"quoted\" \\ \n é", "kept": null })),
                || failure(&Error::new(Code::UnknownSecret, "Secret \"x\"\u{7} not found.", "Look.")),
            ] {
                let mut ours = Vec::new();
                answer().write(&id, &mut ours).unwrap();
                let mut theirs = ServerResult::from(CallToolResponse::from(answer()));
                theirs.strip_result_type_for_legacy_peer();
                theirs.strip_non_object_output_for_legacy_peer();
                let theirs: TxJsonRpcMessage<RoleServer> = JsonRpcMessage::response(theirs, id.clone());
                let theirs = format!("{}\n", serde_json::to_string(&theirs).unwrap());
                assert_eq!(String::from_utf8(ours).unwrap(), theirs);
            }
        }
    }
}

//! The shape of answers: the predecessor's JSON as text, and the same as `structuredContent`.

use std::io;

use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock, RequestId};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::vault::Account;

/// What a tool says.
pub(super) struct Answer {
    /// An object.
    document: Value,
    is_error: bool,
}

/// `{"success": true, …}`.
pub(super) fn success(members: Value) -> Answer {
    Answer::new(true, members, false)
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
        Self { document: Value::Object(all), is_error }
    }

    /// Writes it as the line that answers the request of that id, as revisions up to 2025-11-25 have it: what the SDK
    /// would write, but with one look at the document instead of two.
    pub(super) fn write(&self, id: &RequestId, line: &mut Vec<u8>) -> io::Result<()> {
        let document = Zeroizing::new(serde_json::to_string(&self.document)?);
        line.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
        serde_json::to_writer(&mut *line, id)?;
        line.extend_from_slice(br#","result":{"content":[{"type":"text","text":"#);
        quote(&document, line);
        line.extend_from_slice(br#"}],"structuredContent":"#);
        line.extend_from_slice(document.as_bytes());
        line.extend_from_slice(if self.is_error { br#","isError":true}}"# } else { b"}}" });
        line.push(b'\n');
        Ok(())
    }
}

/// JSON as a string in JSON. Of what has to be escaped there, JSON without white space has quotes and backslashes only.
fn quote(json: &str, line: &mut Vec<u8>) {
    line.push(b'"');
    for piece in json.as_bytes().split_inclusive(|byte| matches!(byte, b'"' | b'\\')) {
        if let [plain @ .., special @ (b'"' | b'\\')] = piece {
            line.extend_from_slice(plain);
            line.extend_from_slice(&[b'\\', *special]);
        } else {
            line.extend_from_slice(piece);
        }
    }
    line.push(b'"');
}

impl From<Answer> for CallToolResponse {
    fn from(answer: Answer) -> Self {
        let mut result = CallToolResult::success(vec![ContentBlock::text(answer.document.to_string())]);
        result.structured_content = Some(answer.document);
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
    use crate::error::Code;

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

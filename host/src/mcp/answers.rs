//! The shape of answers: the predecessor's JSON as text, and the same as `structuredContent`.

use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::vault::Account;

/// `{"success": true, …}`.
pub(super) fn success(members: Value) -> CallToolResult {
    answer(true, members, false)
}

/// `{"success": false, …}` that is no error: a login that is pending, a token that was not there.
pub(super) fn unfinished(members: Value) -> CallToolResult {
    answer(false, members, false)
}

/// `{"success": false, "error": …, "code": …, "hint": …}`, marked as an error.
pub(super) fn failure(error: &Error) -> CallToolResult {
    answer(false, json!({ "error": error.message(), "code": error.code().as_str(), "hint": error.hint() }), true)
}

/// An account, with who vouches for it.
pub(super) fn account(account: &Account) -> Value {
    json!({
        "issuer": account.issuer, "subject": account.subject, "label": account.label, "vouched": account.vouched.as_str(),
    })
}

fn answer(success: bool, members: Value, is_error: bool) -> CallToolResult {
    let mut all = Map::new();
    all.insert("success".to_owned(), Value::Bool(success));
    if let Value::Object(members) = members {
        // absent, not null, as the predecessor left things out
        all.extend(members.into_iter().filter(|(_, value)| !value.is_null()));
    }
    let document = Value::Object(all);
    let mut result = CallToolResult::success(vec![ContentBlock::text(document.to_string())]);
    result.structured_content = Some(document);
    result.is_error = is_error.then_some(true);
    result
}

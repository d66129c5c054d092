//! A plain `tools/call`, read without the SDK's detour.
//!
//! The SDK does not look at the method first: it keeps a message in an intermediate form and tries one kind after the
//! other, which takes several times as long as all that a call does. So the one kind that comes all day is read
//! straight. Whatever is not exactly of that form (a member that nobody knows, one that stands twice, an escaped name) is left
//! to the SDK, whose word holds; what is of that form becomes what the SDK would have made of it.

use std::borrow::Cow;

use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientRequest, JsonObject, JsonRpcMessage, JsonRpcRequest, RequestId,
    RequestMetaObject,
};
use rmcp::service::RxJsonRpcMessage;
use serde::Deserialize;

use crate::mcp::arguments::Members;

/// How the keys of `_meta` begin in which a request names its own revision of MCP, or other things for the SDK.
const PROTOCOL: &str = "io.modelcontextprotocol/";

/// A call of a tool.
pub(super) struct ToolCall<'a> {
    pub(super) id: RequestId,
    pub(super) name: Cow<'a, str>,
    pub(super) arguments: Option<Members>,
    meta: Option<JsonObject>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request<'a> {
    jsonrpc: &'a str,
    id: RequestId,
    method: &'a str,
    #[serde(borrow)]
    params: Params<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    arguments: Option<Members>,
    #[serde(rename = "_meta")]
    meta: Option<JsonObject>,
}

impl<'a> ToolCall<'a> {
    /// The call in this line, if it is a plain one.
    pub(super) fn read(line: &'a str) -> Option<Self> {
        // A greeting is not tried: what it would take to find out is not in memory yet.
        memchr::memmem::find(line.as_bytes(), b"tools/call")?;
        let Request { jsonrpc, id, method, params } = serde_json::from_str(line).ok()?;
        let Params { name, arguments, meta } = params;
        (jsonrpc == "2.0" && method == "tools/call").then_some(Self { id, name, arguments, meta })
    }

    /// Whether the SDK has to look at it: revisions without a handshake say what they are in every request.
    pub(super) fn names_its_revision(&self) -> bool {
        self.meta.iter().flat_map(JsonObject::keys).any(|key| key.starts_with(PROTOCOL))
    }
}

impl From<ToolCall<'_>> for RxJsonRpcMessage<RoleServer> {
    fn from(call: ToolCall<'_>) -> Self {
        let mut params = CallToolRequestParams::new(call.name.into_owned());
        params.arguments = call.arguments.map(JsonObject::from);
        let mut request = CallToolRequest::new(params);
        if let Some(meta) = call.meta {
            request.extensions.insert(RequestMetaObject::from(meta));
        }
        JsonRpcMessage::Request(JsonRpcRequest::new(call.id, ClientRequest::CallToolRequest(request)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Message = RxJsonRpcMessage<RoleServer>;

    /// Everything that can be told of a message: its form on the wire, which has `_meta` in it, and its inner form.
    fn told(message: &Message) -> (serde_json::Value, String) {
        (serde_json::to_value(message).unwrap(), format!("{message:?}"))
    }

    fn call(params: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{params}}}"#)
    }

    #[test]
    fn what_is_read_here_is_what_the_sdk_reads() {
        let plain = [
            call(r#"{"name":"a"}"#),
            call(r#"{"name":"a","arguments":{}}"#),
            call(r#"{"arguments":{"x":1,"y":[true,null,{"z":-1.5e3}]},"name":"get_secret"}"#),
            call(r#"{"name":"a","arguments":null}"#),
            call(r#"{"name":"a","arguments":{"x":1,"y":2,"x":3}}"#),
            call(
                r#"{"name":"a","arguments":{"n":[0,-0,-0.0,1.0,1e2,18446744073709551615,-9223372036854775808,18446744073709551616,1e-400]}}"#,
            ),
            call(r#"{"name":"a","arguments":{"t":"\u00e9\ud83d\ude00 ünï\n\"\\\/"}}"#),
            call(r#"{"name":"a","arguments":{"":"","\u0061":{"\u0062":1}}}"#),
            call(r#"{"name":"\u0061\n"}"#),
            call(r#"{"name":""}"#),
            call(r#"{"name":"a","_meta":null}"#),
            call(r#"{"name":"a","_meta":{}}"#),
            call(r#"{"_meta":{"progressToken":5,"claudecode/toolUseId":"x"},"name":"a","arguments":{"_meta":{"q":1}}}"#),
            call(r#"{"name":"a","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#),
            r#"{"params":{"name":"a"},"method":"tools/call","id":"text","jsonrpc":"2.0"}"#.to_owned(),
            r#" { "jsonrpc" : "2.0" , "id" : "" , "method" : "tools/call" , "params" : { "name" : "a" } } "#.to_owned(),
            r#"{"jsonrpc":"2.0","id":-9223372036854775808,"method":"tools/call","params":{"name":"a"}}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":1.0,"method":"tools/call","params":{"name":"a"}}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":1e2,"method":"tools/call","params":{"name":"a"}}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":"\ud83d\ude00\u0000","method":"tools/call","params":{"name":"a"}}"#.to_owned(),
            call(&format!(r#"{{"name":"a","arguments":{{"deep":{}1{}}}}}"#, "[".repeat(120), "]".repeat(120))),
        ];
        for line in plain {
            let ours = Message::from(ToolCall::read(&line).unwrap_or_else(|| panic!("not read: {line}")));
            let theirs: Message = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(told(&ours), told(&theirs), "{line}");
            let (Message::Request(ours), Message::Request(theirs)) = (ours, theirs) else { panic!("{line}") };
            let meta = |request: &ClientRequest| match request {
                ClientRequest::CallToolRequest(call) => call.extensions.get::<RequestMetaObject>().cloned(),
                _ => panic!("{line}"),
            };
            assert_eq!(meta(&ours.request), meta(&theirs.request), "{line}");
        }
    }

    #[test]
    fn everything_else_is_left_to_the_sdk() {
        let long = format!(r#"{{"name":"a","arguments":{{"deep":{}1{}}}}}"#, "[".repeat(130), "]".repeat(130));
        let others = [
            String::new(),
            "not json".to_owned(),
            "[]".to_owned(),
            call("[]"),
            call("null"),
            call("{}"),
            call(r#"{"name":1}"#),
            call(r#"{"name":"a","name":"a"}"#),
            call(r#"{"name":"a","arguments":[]}"#),
            call(r#"{"name":"a","arguments":{},"arguments":{}}"#),
            call(r#"{"name":"a","_meta":5}"#),
            call(r#"{"name":"a","_meta":{},"_meta":{}}"#),
            call(r#"{"name":"a","task":{}}"#),
            call(r#"{"name":"a","inputResponses":{}}"#),
            call(r#"{"name":"a","requestState":"s"}"#),
            call(r#"{"name":"a","other":1}"#),
            call(r#"{"name":"\ud800"}"#),
            call(&long),
            format!("{} x", call(r#"{"name":"a"}"#)),
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call"}"#.to_owned(),
            r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"a"}}"#.to_owned(),
            r#"{"jsonrpc":"1.0","id":7,"method":"tools/call","params":{"name":"a"}}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"name":"a"}}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":7,"id":7,"method":"tools/call","params":{"name":"a"}}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":7,"method":"ping","method":"tools/call","params":{"name":"a"}}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":7,"method":"tools\/call","params":{"name":"a"}}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a"},"result":{}}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a"},"x":1}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"a"}}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":1.5,"method":"tools/call","params":{"name":"a"}}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":9223372036854775808,"method":"tools/call","params":{"name":"a"}}"#.to_owned(),
        ];
        for line in others {
            assert!(ToolCall::read(&line).is_none(), "{line}");
        }
    }

    #[test]
    fn a_request_that_names_its_revision_is_the_sdks_to_judge() {
        let names = |params: &str| ToolCall::read(&call(params)).unwrap().names_its_revision();
        assert!(names(r#"{"name":"a","_meta":{"progressToken":1,"io.modelcontextprotocol/clientInfo":{}}}"#));
        assert!(!names(r#"{"name":"a","_meta":{"progressToken":1}}"#) && !names(r#"{"name":"a"}"#));
    }
}

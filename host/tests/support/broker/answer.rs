//! A tool's answer, with what holds for every one of them checked at once.

use std::ops::Index;

use serde_json::Value;

/// What a tool answered.
#[derive(Debug, Clone)]
pub struct ToolAnswer {
    /// The JSON in the text block.
    pub json: Value,
    /// Whether the tool failed.
    pub is_error: bool,
}

impl ToolAnswer {
    /// Reads the result of `tools/call`: one text block that is JSON with `success`, and the same as structured content
    /// (failures may leave that out).
    pub fn read(tool: &str, result: &Value) -> Self {
        let content = result["content"].as_array().unwrap_or_else(|| panic!("{tool} answers no content: {result}"));
        assert_eq!(content.len(), 1, "{tool} answers one block: {result}");
        assert_eq!(content[0]["type"], "text", "{tool}: {result}");
        let text = content[0]["text"].as_str().expect("text");
        let json: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{tool} answers no JSON ({error}): {text}"));
        assert!(json["success"].is_boolean(), "{tool} says whether it succeeded: {json}");
        let is_error = result["isError"].as_bool().unwrap_or(false);
        match result.get("structuredContent") {
            Some(structured) => assert_eq!(structured, &json, "{tool} says the same twice"),
            None => assert!(is_error, "{tool} answers with structured content: {result}"),
        }
        Self { json, is_error }
    }

    /// The answer of a tool that must have succeeded.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!(!self.is_error && self.json["success"] == true, "it failed: {:#}", self.json);
        self.json
    }

    /// The failure of a tool that must have failed with this code: a message and what to do now.
    #[track_caller]
    pub fn refused(self, code: &str) -> Failure {
        assert!(self.is_error && self.json["success"] == false, "it did not fail: {:#}", self.json);
        assert_eq!(self.json["code"], code, "{:#}", self.json);
        let text =
            |name: &str| self.json[name].as_str().unwrap_or_else(|| panic!("{name} is missing: {:#}", self.json)).to_owned();
        let failure = Failure { error: text("error"), hint: text("hint") };
        assert!(!failure.error.is_empty() && !failure.hint.is_empty(), "{:#}", self.json);
        failure
    }

    /// The answer of a login that waits for the person.
    #[track_caller]
    pub fn pending(self) -> Value {
        assert!(!self.is_error && self.json["success"] == false && self.json["status"] == "pending", "{:#}", self.json);
        for name in ["flow_id", "authorization_url", "message"] {
            assert!(self.json[name].as_str().is_some_and(|text| !text.is_empty()), "{name} is missing: {:#}", self.json);
        }
        assert!(self.json["expires_in"].as_u64().is_some_and(|seconds| (1..=1800).contains(&seconds)), "{:#}", self.json);
        self.json
    }
}

impl Index<&str> for ToolAnswer {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        &self.json[name]
    }
}

/// What a failure says.
#[derive(Debug, Clone)]
pub struct Failure {
    pub error: String,
    pub hint: String,
}

impl Failure {
    /// Fails unless every one of these words stands in the message or the hint.
    #[track_caller]
    pub fn names(&self, words: &[&str]) {
        for word in words {
            assert!(self.error.contains(word) || self.hint.contains(word), "{word:?} is not named: {self:?}");
        }
    }
}

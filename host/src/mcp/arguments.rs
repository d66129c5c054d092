//! Reads a tool call's arguments, and says in words which one is wrong.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::{Code, Error, Result, foreign};
use crate::secret::Secret;

/// The most entries in a list.
const MAX_ENTRIES: usize = 200;

/// The arguments of one call. What is taken is gone; what is left at the end is unknown.
pub(super) struct Arguments {
    tool: &'static str,
    members: Map<String, Value>,
}

impl Arguments {
    pub(super) const fn new(tool: &'static str, members: Map<String, Value>) -> Self {
        Self { tool, members }
    }

    /// An argument that must be there.
    pub(super) fn text(&mut self, name: &'static str) -> Result<String> {
        self.optional_text(name)?.ok_or_else(|| self.wrong(name, "a string", "it is missing"))
    }

    /// An argument that may be absent or null.
    pub(super) fn optional_text(&mut self, name: &'static str) -> Result<Option<String>> {
        match self.members.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(name, "a string", kind(&other))),
        }
    }

    /// A secret value, moved out without a copy.
    pub(super) fn secret(&mut self, name: &'static str) -> Result<Secret> {
        self.text(name).map(Secret::new)
    }

    /// A list of strings that must be there; it may be empty.
    pub(super) fn list(&mut self, name: &'static str) -> Result<Vec<String>> {
        const WANTED: &str = "an array of strings";
        let entries = match self.members.remove(name) {
            Some(Value::Array(entries)) => entries,
            None => return Err(self.wrong(name, WANTED, "it is missing")),
            Some(other) => return Err(self.wrong(name, WANTED, kind(&other))),
        };
        if entries.len() > MAX_ENTRIES {
            return Err(self.wrong(name, WANTED, "it has more than 200 entries"));
        }
        entries
            .into_iter()
            .map(|entry| match entry {
                Value::String(text) => Ok(text),
                other => {
                    Err(self.wrong(name, WANTED, &format!("one of its entries is {}", kind(&other).trim_start_matches("it is "))))
                }
            })
            .collect()
    }

    /// A list of strings that may be absent or null.
    pub(super) fn optional_list(&mut self, name: &'static str) -> Result<Option<Vec<String>>> {
        match self.members.get(name) {
            None => Ok(None),
            Some(Value::Null) => {
                self.members.remove(name);
                Ok(None)
            }
            Some(_) => self.list(name).map(Some),
        }
    }

    /// A whole number from 0 that may be absent or null.
    pub(super) fn optional_number(&mut self, name: &'static str) -> Result<Option<u64>> {
        match self.members.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or_else(|| self.wrong(name, "a whole number from 0", kind(&value))),
        }
    }

    /// An object of strings that may be absent.
    pub(super) fn tags(&mut self, name: &'static str) -> Result<BTreeMap<String, String>> {
        const WANTED: &str = "an object whose values are strings";
        match self.members.remove(name) {
            None | Some(Value::Null) => Ok(BTreeMap::new()),
            Some(Value::Object(members)) => members
                .into_iter()
                .map(|(key, value)| match value {
                    Value::String(text) => Ok((key, text)),
                    other => Err(self.wrong(
                        name,
                        WANTED,
                        &format!("one of its values is {}", kind(&other).trim_start_matches("it is ")),
                    )),
                })
                .collect(),
            Some(other) => Err(self.wrong(name, WANTED, kind(&other))),
        }
    }

    /// A value that somebody else will judge.
    pub(super) fn any(&mut self, name: &'static str) -> Option<Value> {
        self.members.remove(name)
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<()> {
        match self.members.keys().next() {
            None => Ok(()),
            Some(unknown) => Err(Error::new(
                Code::InvalidArgument,
                format!("{} has no argument {}.", self.tool, foreign(unknown)),
                "Leave it out; tools/list shows which there are.",
            )),
        }
    }

    fn wrong(&self, name: &str, wanted: &str, but: &str) -> Error {
        Error::new(
            Code::InvalidArgument,
            format!("{} needs the argument {name}, {wanted}; {but}.", self.tool),
            "Call it again with that argument corrected; tools/list shows an exact schema.",
        )
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "it is null",
        Value::Bool(_) => "it is a boolean",
        Value::Number(_) => "it is a number",
        Value::String(_) => "it is a string",
        Value::Array(_) => "it is an array",
        Value::Object(_) => "it is an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments(value: &Value) -> Arguments {
        Arguments::new("store_secret", value.as_object().unwrap().clone())
    }

    #[test]
    fn each_wrong_argument_is_named_with_what_it_must_be() {
        for (value, wanted) in [
            (json!({}), "a string; it is missing"),
            (json!({ "name": 123 }), "a string; it is a number"),
            (json!({ "name": null }), "a string; it is missing"),
        ] {
            let error = arguments(&value).text("name").unwrap_err();
            assert!(
                error.message().contains("store_secret needs the argument name") && error.message().contains(wanted),
                "{error}"
            );
        }
        for value in [json!({}), json!({ "scopes": "admin" }), json!({ "scopes": [1, null, {}] }), json!({ "scopes": null })] {
            assert!(arguments(&value).list("scopes").is_err());
        }
        assert!(arguments(&json!({ "tags": { "a": 1 } })).tags("tags").is_err());
        assert!(arguments(&json!({ "tags": null })).tags("tags").unwrap().is_empty());
    }

    #[test]
    fn a_wrong_value_is_not_repeated() {
        let error = arguments(&json!({ "value": { "s3cret": "s3cret" } })).secret("value").unwrap_err();
        assert!(!error.to_string().contains("s3cret"));
    }

    #[test]
    fn an_unknown_argument_is_named() {
        let error = arguments(&json!({ "valeu": 1 })).end().unwrap_err();
        assert!(error.message().contains("valeu"));
    }
}

//! Reads a tool call's arguments, and says in words which one is wrong.

use std::collections::BTreeMap;
use std::fmt;

use rmcp::model::JsonObject;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::error::{Code, Error, Result, foreign};
use crate::secret::Secret;

/// What a list has to be.
const WANTED: &str = "an array of strings";
/// The most entries in a list.
const MAX_ENTRIES: usize = 200;

/// The members of an object as they came: of so few, looking through them costs less than a table.
#[derive(Default)]
pub(super) struct Members(Vec<(String, Value)>);

impl Members {
    /// Takes a member out. Of one that stands twice the last counts, as for the SDK.
    fn remove(&mut self, name: &str) -> Option<Value> {
        self.0.extract_if(.., |(known, _)| known == name).last().map(|(_, value)| value)
    }
}

impl From<JsonObject> for Members {
    fn from(object: JsonObject) -> Self {
        Self(object.into_iter().collect())
    }
}

impl From<Members> for JsonObject {
    fn from(Members(members): Members) -> Self {
        members.into_iter().collect()
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> std::result::Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = object.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// The arguments of one call. What is taken is gone; what is left at the end is unknown.
pub(super) struct Arguments {
    tool: &'static str,
    members: Members,
}

impl Arguments {
    pub(super) const fn new(tool: &'static str, members: Members) -> Self {
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
        let entries = self.members.remove(name).ok_or_else(|| self.wrong(name, WANTED, "it is missing"))?;
        self.entries(name, entries)
    }

    fn entries(&self, name: &str, entries: Value) -> Result<Vec<String>> {
        let entries = match entries {
            Value::Array(entries) => entries,
            other => return Err(self.wrong(name, WANTED, kind(&other))),
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
        match self.members.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(entries) => self.entries(name, entries).map(Some),
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
        match self.members.0.first() {
            None => Ok(()),
            Some((unknown, _)) => Err(Error::new(
                Code::InvalidArgument,
                format!("{} has no argument {}.", self.tool, foreign(unknown)),
                "Correct its name or leave it out; tools/list shows which there are.",
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
        Arguments::new("store_secret", value.as_object().unwrap().clone().into())
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
    fn of_an_argument_that_stands_twice_the_last_counts_as_for_the_sdk() {
        let text = r#"{"name":"first","purpose":"a","name":"last"}"#;
        let mut arguments = Arguments::new("get_secret", serde_json::from_str(text).unwrap());
        assert_eq!((arguments.text("name").unwrap(), arguments.text("purpose").unwrap()), ("last".to_owned(), "a".to_owned()));
        arguments.end().unwrap();
        let (ours, theirs): (Members, JsonObject) = (serde_json::from_str(text).unwrap(), serde_json::from_str(text).unwrap());
        assert_eq!(JsonObject::from(ours), theirs);
        assert!(serde_json::from_str::<Members>("[]").is_err());
    }

    #[test]
    fn an_unknown_argument_is_named() {
        let error = arguments(&json!({ "valeu": 1 })).end().unwrap_err();
        assert!(error.message().contains("valeu"));
    }
}

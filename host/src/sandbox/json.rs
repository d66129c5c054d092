//! JSON documents that may hold secrets: read strictly, wiped when dropped.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use zeroize::Zeroize;

/// How deep a request's document may be made.
const MAX_DEPTH: usize = 16;

/// A JSON document whose strings are overwritten when it is dropped.
#[derive(Default)]
pub(super) struct Document(Value);

impl Document {
    /// Reads JSON. A member that stands twice is an error: two readers could take it for different things.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let Strict(value) = Strict::deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(Self(value))
    }

    /// Reads a form-encoded body into a flat object; `None` where a name stands twice.
    pub(super) fn from_form(bytes: &[u8]) -> Option<Self> {
        let mut document = Self(Value::Object(Map::new()));
        for (name, value) in form_urlencoded::parse(bytes) {
            let object = document.0.as_object_mut()?;
            if object.insert(name.into_owned(), Value::String(value.into_owned())).is_some() {
                return None;
            }
        }
        Some(document)
    }

    pub(super) const fn value(&self) -> &Value {
        &self.0
    }

    /// Sets the value at a JSON Pointer, making objects on the way. In an array that is there, the place after the last
    /// item makes it longer.
    pub(super) fn set(&mut self, pointer: &str, value: Value) -> Result<(), String> {
        let path = pointer.strip_prefix('/').ok_or_else(|| format!("\"{}\" is no JSON Pointer", pointer.escape_debug()))?;
        // whoever walks through a document does so by recursion
        if path.split('/').count() > MAX_DEPTH {
            return Err(format!("the pointer for a request's body has more than {MAX_DEPTH} parts"));
        }
        let mut place = &mut self.0;
        for name in path.split('/') {
            if place.is_null() {
                *place = Value::Object(Map::new());
            }
            let astray = || format!("{} leads into a value that has no such place", pointer.escape_debug());
            place = match place {
                Value::Object(object) => object.entry(name.replace("~1", "/").replace("~0", "~")).or_insert(Value::Null),
                Value::Array(items) => {
                    let index = index(name).ok_or_else(astray)?;
                    if index == items.len() {
                        items.push(Value::Null);
                    }
                    items.get_mut(index).ok_or_else(astray)?
                }
                _ => return Err(astray()),
            };
        }
        *place = value;
        Ok(())
    }
}

/// RFC 6901 section 4: digits without leading zeros.
fn index(name: &str) -> Option<usize> {
    let sound = name == "0" || !name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit());
    name.parse().ok().filter(|_| sound)
}

impl Drop for Document {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Shows nothing: the document may be a token answer.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[document]")
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        _ => {}
    }
}

/// A JSON value without duplicate members.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Strict, E> {
        Ok(Strict(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Strict, E> {
        Ok(Strict(Value::Bool(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Strict, E> {
        Ok(Strict(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Strict, E> {
        Ok(Strict(Value::String(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Strict, A::Error> {
        let mut array = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Strict(Value::Array(array)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Strict, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let Strict(value) = members.next_value()?;
            if object.insert(name, value).is_some() {
                return Err(de::Error::custom("a member stands twice"));
            }
        }
        Ok(Strict(Value::Object(object)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_stands_twice_is_an_error() {
        assert!(Document::parse(br#"{"a":1,"b":{"a":1}}"#).is_ok());
        assert!(Document::parse(br#"{"access_token":"a","access_token":"b"}"#).is_err());
        assert!(Document::from_form(b"a=1&a=2").is_none());
    }

    #[test]
    fn an_array_grows_at_its_end_and_has_no_other_places() {
        let mut document = Document::default();
        document.set("/list", serde_json::json!([])).unwrap();
        document.set("/list/0", "a".into()).unwrap();
        document.set("/list/1/b", "c".into()).unwrap();
        document.set("/list/0", "d".into()).unwrap();
        assert_eq!(document.value(), &serde_json::json!({ "list": ["d", { "b": "c" }] }));
        for wrong in ["/list/3", "/list/00", "/list/-", "/list/+1", "/list/", "/list/0/x"] {
            assert!(document.set(wrong, "x".into()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn trailing_text_is_an_error() {
        assert!(Document::parse(br#"{"a":1} x"#).is_err());
    }
}

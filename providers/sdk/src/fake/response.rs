//! An answer, of which only the public part can be read.

use serde_json::Value;

use super::{Secret, testing};

/// What RFC 6749, 7662, 8628 and 8693 make public in an answer.
const PUBLIC: &[&str] = &[
    "token_type",
    "scope",
    "expires_in",
    "refresh_token_expires_in",
    "refresh_expires_in",
    "issued_token_type",
    "error",
    "error_description",
    "error_uri",
    "active",
    "client_id",
    "username",
    "sub",
    "aud",
    "iss",
    "exp",
    "iat",
    "nbf",
    "user_code",
    "verification_uri",
    "verification_url",
    "verification_uri_complete",
    "interval",
];

/// The answer to a request; see `response` in `wit/host.wit`.
#[derive(Debug)]
pub struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Value,
    pub(super) table: Value,
}

impl Response {
    /// The HTTP status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// One of the readable headers.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let readable =
            matches!(name, "content-type" | "date" | "retry-after") || testing::lists(&self.table, "/readable_headers", name);
        testing::find(&self.headers, name).filter(|_| readable).map(str::to_owned)
    }

    /// The whole document, with an empty string in the place of every handle.
    #[must_use]
    pub fn body(&self) -> String {
        let mut document = self.body.clone();
        self.blank(&mut document, "");
        if document.is_null() { String::new() } else { document.to_string() }
    }

    /// A readable member.
    #[must_use]
    pub fn field(&self, pointer: &str) -> Option<String> {
        let mut value = self.body.pointer(pointer)?.clone();
        if value.is_string() && !self.readable(pointer) {
            return None;
        }
        self.blank(&mut value, pointer);
        match value {
            Value::Null => None,
            Value::String(text) => (!text.is_empty()).then_some(text),
            Value::Array(items) if items.iter().all(Value::is_string) => {
                Some(items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "))
            }
            other => Some(other.to_string()),
        }
    }

    /// A handle to a string member.
    #[must_use]
    pub fn secret(&self, pointer: &str) -> Option<Secret> {
        self.body.pointer(pointer)?.as_str().filter(|text| !text.is_empty())?;
        let declared = self.table["secrets"][pointer].as_str();
        Some(Secret::of(declared.unwrap_or(match pointer.rsplit('/').next() {
            Some("access_token") => "access",
            Some("refresh_token") => "refresh",
            Some("id_token") => "id-token",
            Some("device_code") => "device-code",
            _ => "other",
        })))
    }

    fn readable(&self, pointer: &str) -> bool {
        self.table["role"] == "metadata"
            || testing::lists(&self.table, "/readable", pointer)
            || pointer.strip_prefix('/').is_some_and(|name| PUBLIC.contains(&name))
    }

    fn blank(&self, value: &mut Value, pointer: &str) {
        match value {
            Value::String(text) if !self.readable(pointer) => text.clear(),
            // the elements of an array are as readable as the array
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    if !(item.is_string() && self.readable(pointer)) {
                        self.blank(item, &format!("{pointer}/{index}"));
                    }
                }
            }
            Value::Object(members) => {
                members.iter_mut().for_each(|(name, member)| self.blank(member, &format!("{pointer}/{name}")));
            }
            _ => {}
        }
    }
}

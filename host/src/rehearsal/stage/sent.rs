//! What a request carries, wherever it carries it: a service may take form or JSON, under names of its own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// The values of a request, by name or JSON Pointer.
#[derive(Debug, Default)]
pub(super) struct Sent {
    values: Vec<(String, String)>,
    basic: Option<(String, String)>,
}

impl Sent {
    pub(super) fn read(asked: &Parts, body: &[u8]) -> Self {
        let mut sent = Self::default();
        let kind = asked.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.starts_with("application/json") {
            if let Ok(document) = serde_json::from_slice(body) {
                leaves(&document, "", &mut sent.values);
            }
        } else {
            sent.values.extend(form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), value.into_owned())));
        }
        for (name, value) in &asked.headers {
            let Ok(value) = value.to_str() else { continue };
            match value.split_once(' ') {
                Some((scheme, credentials)) if name == AUTHORIZATION && scheme.eq_ignore_ascii_case("basic") => {
                    sent.basic = basic(credentials);
                }
                Some((_, token)) if name == AUTHORIZATION => sent.values.push((name.to_string(), token.to_owned())),
                _ => sent.values.push((name.to_string(), value.to_owned())),
            }
        }
        sent
    }

    /// Whether the value is carried anywhere.
    pub(super) fn carries(&self, value: &str) -> bool {
        self.values.iter().any(|(_, sent)| sent == value)
    }

    /// The first value that something is known of.
    pub(super) fn find(&self, known: impl Fn(&str) -> bool) -> Option<&str> {
        self.values.iter().map(|(_, value)| value.as_str()).find(|value| known(value))
    }

    /// The value of that name, as a form names it.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether the client's id comes along.
    pub(super) fn names(&self, client_id: &str) -> bool {
        self.carries(client_id) || self.basic.as_ref().is_some_and(|(user, _)| is_either(user, client_id))
    }

    /// The client's secret: right, wrong, or not there.
    pub(super) fn proves(&self, secret: &str) -> Option<bool> {
        match &self.basic {
            Some((_, given)) => Some(is_either(given, secret)),
            None if self.carries(secret) => Some(true),
            None => self.get("client_secret").map(|_| false),
        }
    }
}

/// With the form encoding of RFC 6749 section 2.3.1 or without: servers differ.
fn is_either(given: &str, known: &str) -> bool {
    given == known || percent_decode_str(given).decode_utf8().is_ok_and(|decoded| decoded == known)
}

fn basic(credentials: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
    text.split_once(':').map(|(user, key)| (user.to_owned(), key.to_owned()))
}

fn leaves(value: &Value, pointer: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => found.push((pointer.trim_start_matches('/').to_owned(), text.clone())),
        Value::Array(items) => items.iter().enumerate().for_each(|(at, item)| leaves(item, &format!("{pointer}/{at}"), found)),
        Value::Object(members) => members.iter().for_each(|(name, member)| leaves(member, &format!("{pointer}/{name}"), found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(headers: &[(&str, &str)], body: &str) -> Sent {
        let mut request = http::Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Sent::read(&request.body(()).unwrap().into_parts().0, body.as_bytes())
    }

    #[test]
    fn a_value_is_found_in_a_form_in_json_and_in_a_header() {
        assert!(sent(&[], "code=a%2Fb&x=y").carries("a/b"));
        assert!(sent(&[("content-type", "application/json")], r#"{"deep":[{"code":"a/b"}]}"#).carries("a/b"));
        assert!(sent(&[("authorization", "Bearer a/b")], "").carries("a/b"));
        assert!(!sent(&[("content-type", "application/json")], "code=a").carries("a"));
    }

    #[test]
    fn a_client_proves_itself_in_the_header_or_in_the_form() {
        let header = STANDARD.encode("me:a%2Bb");
        assert_eq!(sent(&[("authorization", &format!("Basic {header}"))], "").proves("a+b"), Some(true));
        assert_eq!(sent(&[("authorization", &format!("Basic {header}"))], "").proves("other"), Some(false));
        assert_eq!(sent(&[], "client_id=me&client_secret=a%2Bb").proves("a+b"), Some(true));
        assert_eq!(sent(&[], "client_id=me&client_secret=x").proves("a+b"), Some(false));
        assert_eq!(sent(&[], "client_id=me").proves("a+b"), None);
        assert!(sent(&[], "client_id=me").names("me") && sent(&[("authorization", &format!("Basic {header}"))], "").names("me"));
    }
}

//! A request as a look-alike received it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;

/// A request, read to its end.
#[derive(Debug, Clone)]
pub struct Request {
    /// The server name of the TLS handshake.
    pub sni: String,
    /// The `Host` header.
    pub host: String,
    pub method: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Request {
    /// A header's value, empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap_or(""))
    }

    /// The form in its body. A name that stands there twice is a mistake of the sender's and fails the test.
    pub fn form(&self) -> BTreeMap<String, String> {
        let mut form = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(self.body.as_bytes()) {
            let before = form.insert(name.to_string(), value.into_owned());
            assert!(before.is_none(), "the form has {name} twice: {}", self.body);
        }
        form
    }

    /// A member of the form, empty where there is none.
    pub fn field(&self, name: &str) -> String {
        self.form().remove(name).unwrap_or_default()
    }

    /// The user and password of `Authorization: Basic`, form-decoded as RFC 6749 section 2.3.1 wants it.
    pub fn basic(&self) -> Option<(String, String)> {
        let text = STANDARD.decode(self.header("authorization").strip_prefix("Basic ")?).ok()?;
        let text = String::from_utf8(text).ok()?;
        let (user, password) = text.split_once(':')?;
        let decode =
            |part: &str| url::form_urlencoded::parse(format!("v={part}").as_bytes()).next().map(|(_, value)| value.into_owned());
        Some((decode(user)?, decode(password)?))
    }

    /// The token of `Authorization: Bearer`.
    pub fn bearer(&self) -> Option<&str> {
        self.header("authorization").strip_prefix("Bearer ")
    }
}

//! An answer, split into what a component may read and what it only holds.

use http::HeaderMap;
use serde_json::{Map, Value};

use super::handles::SecretHandle;
use super::json::Document;
use super::scrub::Scrubber;
use crate::descriptor::{Endpoint, Listed, Role};
use crate::secret::{Kind, Secret};

/// Members that are public wherever they stand at the top of an answer: RFC 6749 sections 5.1 and 5.2, RFC 7662
/// section 2.2, RFC 8628 section 3.2, RFC 8693 section 2.2.1, and the refresh token's lifetime as servers name it.
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

/// Readable headers of every answer.
const HEADERS: &[&str] = &["content-type", "date", "retry-after"];

/// The answer to a component's request.
#[derive(Debug)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    document: Document,
    /// The document with an empty string in the place of every hidden one.
    visible: Value,
    endpoint: Listed,
}

impl Answer {
    /// Reads an answer. `scrubber` knows the call's secrets, and learns those of this answer.
    ///
    /// # Errors
    /// Where a JSON body is damaged or ambiguous.
    pub(super) fn read(
        endpoint: Listed,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
        scrubber: &mut Scrubber,
    ) -> Result<Self, String> {
        let document = parse(headers, body)?;
        learn(&endpoint, document.value(), scrubber);
        let visible = project(&endpoint, document.value(), &mut String::new(), scrubber);
        let headers = headers
            .iter()
            .filter(|(name, _)| {
                HEADERS.contains(&name.as_str()) || endpoint.readable_headers.iter().any(|known| known == name.as_str())
            })
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
            .filter(|(_, value)| !scrubber.finds(value))
            .collect();
        Ok(Self { status, headers, document, visible, endpoint })
    }

    pub(super) const fn status(&self) -> u16 {
        self.status
    }

    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
    }

    pub(super) fn body(&self) -> String {
        if self.visible.is_null() { String::new() } else { self.visible.to_string() }
    }

    pub(super) fn field(&self, pointer: &str) -> Option<String> {
        // An empty visible string stands for a hidden one unless the document's own is empty too.
        match at(&self.visible, pointer)? {
            Value::Null => None,
            Value::String(text) => (!text.is_empty()).then(|| text.clone()),
            Value::Array(items) if items.iter().all(Value::is_string) => {
                Some(items.iter().filter_map(Value::as_str).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" "))
            }
            other => Some(other.to_string()),
        }
    }

    pub(super) fn secret(&self, pointer: &str) -> Option<SecretHandle> {
        let text = at(self.document.value(), pointer)?.as_str().filter(|text| !text.is_empty())?;
        let kind = kind_at(&self.endpoint, pointer);
        let issued = match self.endpoint.role {
            Role::Token | Role::Mint => true,
            Role::Device => kind == Kind::DeviceCode,
            _ => false,
        };
        Some(SecretHandle { secret: Secret::from(text), kind, issued })
    }

    /// What a component may read of a device endpoint's answer.
    pub(super) fn device(&self) -> Option<&Value> {
        (self.endpoint.role == Role::Device).then_some(&self.visible)
    }

    /// The whole document of a metadata endpoint, in which nothing is hidden. What came with another status than 200 is
    /// an error page and speaks for nobody: a component may go on to the next address.
    pub(super) fn metadata(&self) -> Option<&Value> {
        (self.endpoint.role == Role::Metadata && self.status == 200).then(|| self.document.value())
    }
}

/// The value at a JSON Pointer. Most pointers name a member of the document itself: [`Value::pointer`] would copy that name
/// twice.
fn at<'a>(document: &'a Value, pointer: &str) -> Option<&'a Value> {
    match (document, pointer.strip_prefix('/')) {
        (Value::Object(members), Some(name)) if !name.contains(['/', '~']) => members.get(name),
        _ => document.pointer(pointer),
    }
}

fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Document, String> {
    let start = body.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(body.len());
    match body.get(start) {
        None => Ok(Document::default()),
        // serde's message names line and column, never the text
        Some(b'{' | b'[') => Document::parse(body).map_err(|error| format!("the answer is not sound JSON ({error})")),
        Some(_) => {
            let declared = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
            let form = declared.starts_with("application/x-www-form-urlencoded") || looks_form_encoded(body);
            if form {
                Document::from_form(body).ok_or_else(|| "the form-encoded answer names a member twice".to_owned())
            } else {
                Ok(Document::default())
            }
        }
    }
}

/// Whether a body that is declared as something else is form-encoded all the same. Every name must be a word: a bare
/// token that ends in `=` would otherwise become the name of a member, and names can be read.
fn looks_form_encoded(body: &[u8]) -> bool {
    body.split(|byte| *byte == b'&').all(|pair| {
        let name = pair.iter().position(|byte| *byte == b'=').and_then(|end| pair.get(..end)).unwrap_or_default();
        let word = (1..=32).contains(&name.len()) && name.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'_');
        word && pair.iter().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"'))
    })
}

fn kind_at(endpoint: &Endpoint, pointer: &str) -> Kind {
    if let Some(kind) = endpoint.secrets.get(pointer).and_then(|word| Kind::parse(word)) {
        return kind;
    }
    match pointer.rsplit('/').next() {
        Some("access_token") => Kind::Access,
        Some("refresh_token") => Kind::Refresh,
        Some("id_token") => Kind::IdToken,
        Some("device_code") => Kind::DeviceCode,
        _ => Kind::Other,
    }
}

fn readable(endpoint: &Endpoint, pointer: &str) -> bool {
    if endpoint.role == Role::Metadata {
        return true;
    }
    // an array's strings are readable where the array is
    let whole = |known: &str| {
        pointer == known
            || pointer
                .strip_prefix(known)
                .is_some_and(|rest| rest.starts_with('/') && rest[1..].bytes().all(|b| b.is_ascii_digit()))
    };
    let member = pointer.strip_prefix('/').and_then(|rest| rest.split('/').next()).unwrap_or_default();
    endpoint.readable.iter().any(|known| whole(known))
        || PUBLIC.contains(&member) && pointer.get(..=member.len()).is_some_and(whole)
}

fn learn(endpoint: &Endpoint, value: &Value, scrubber: &mut Scrubber) {
    walk(value, &mut String::new(), &mut |pointer, text| {
        if !readable(endpoint, pointer) {
            scrubber.add(Secret::from(text));
        }
    });
}

fn walk(value: &Value, pointer: &mut String, visit: &mut impl FnMut(&str, &str)) {
    match value {
        Value::String(text) => visit(pointer, text),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                within(pointer, &index.to_string(), |pointer| walk(item, pointer, visit));
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                within(pointer, name, |pointer| walk(member, pointer, visit));
            }
        }
        _ => {}
    }
}

fn project(endpoint: &Endpoint, value: &Value, pointer: &mut String, scrubber: &mut Scrubber) -> Value {
    match value {
        Value::String(text) if readable(endpoint, pointer) && !scrubber.finds(text) => value.clone(),
        Value::String(_) => Value::String(String::new()),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| within(pointer, &index.to_string(), |pointer| project(endpoint, item, pointer, scrubber)))
            .collect(),
        Value::Object(members) => {
            let mut visible = Map::new();
            for (name, member) in members {
                if !scrubber.finds(name) {
                    let member = within(pointer, name, |pointer| project(endpoint, member, pointer, scrubber));
                    visible.insert(name.clone(), member);
                }
            }
            visible.into()
        }
        Value::Number(number) if scrubber.finds(&number.to_string()) => Value::Null,
        other => other.clone(),
    }
}

fn within<T>(pointer: &mut String, name: &str, act: impl FnOnce(&mut String) -> T) -> T {
    let length = pointer.len();
    pointer.push('/');
    if name.contains(['~', '/']) {
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
    } else {
        pointer.push_str(name);
    }
    let result = act(pointer);
    pointer.truncate(length);
    result
}

#[cfg(test)]
mod tests {
    use http::header::{CONTENT_TYPE, HeaderValue};

    use super::*;

    fn endpoint(role: &str) -> Listed {
        Listed::alone(&serde_json::json!({
            "id": "e", "role": role, "method": "POST", "url": "https://id.example/token",
            "readable": ["/team/name", "/tags"], "secrets": { "/accessToken": "access" }, "readable_headers": ["x-oauth-scopes"]
        }))
    }

    fn answer(role: &str, content_type: &'static str, body: &str) -> Result<Answer, String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert("x-oauth-scopes", HeaderValue::from_static("repo"));
        headers.insert("x-echo", HeaderValue::from_static("t0ps3cr3t-token"));
        let mut scrubber = Scrubber::default();
        scrubber.add(Secret::from("the-client-secret"));
        Answer::read(endpoint(role), 200, &headers, body.as_bytes(), &mut scrubber)
    }

    #[test]
    fn strings_in_a_token_answer_are_handles_but_for_the_public_ones() {
        let answer = answer(
            "token",
            "application/json",
            r#"{"access_token":"t0ps3cr3t-token","token_type":"bearer","scope":["a","b"],"expires_in":"3600","custom":"t0ps3cr3t-other","team":{"name":"x","id":"y"},"tags":["p"],"n":7}"#,
        )
        .unwrap();
        assert!(!answer.body().contains("t0ps3cr3t"), "{}", answer.body());
        assert_eq!(answer.field("/token_type").as_deref(), Some("bearer"));
        assert_eq!(answer.field("/scope").as_deref(), Some("a b"));
        assert_eq!(answer.field("/expires_in").as_deref(), Some("3600"));
        assert_eq!(answer.field("/team/name").as_deref(), Some("x"));
        assert_eq!(answer.field("/tags").as_deref(), Some("p"));
        assert_eq!(answer.field("/n").as_deref(), Some("7"));
        assert_eq!(answer.field("/team/id"), None);
        assert_eq!(answer.field("/custom"), None);
        let handle = answer.secret("/access_token").unwrap();
        assert!(handle.kind == Kind::Access && handle.issued);
        assert_eq!(answer.secret("/custom").unwrap().kind, Kind::Other);
        assert_eq!(answer.header("X-OAuth-Scopes").as_deref(), Some("repo"));
        assert_eq!(answer.header("x-echo"), None);
    }

    #[test]
    fn a_secret_that_comes_back_in_a_public_member_is_hidden() {
        for body in [
            r#"{"error":"bad","error_description":"code the-client-secret is wrong"}"#,
            r#"{"access_token":"t0ps3cr3t-token","error_description":"t0ps3cr3t-token"}"#,
            r#"{"error":"bad","the-client-secret":1,"x":{"the-client-secret":2}}"#,
        ] {
            let answer = answer("token", "application/json", body).unwrap();
            assert!(!answer.body().contains("secret") && !answer.body().contains("t0ps3cr3t"), "{}", answer.body());
            assert_eq!(answer.field("/error_description"), None);
        }
    }

    #[test]
    fn a_form_encoded_answer_reads_like_json() {
        let answer =
            answer("token", "application/x-www-form-urlencoded", "access_token=gho_x&scope=repo%2Cgist&token_type=bearer")
                .unwrap();
        assert_eq!(answer.field("/scope").as_deref(), Some("repo,gist"));
        assert!(answer.secret("/access_token").is_some() && answer.field("/access_token").is_none());
    }

    #[test]
    fn a_bare_token_does_not_become_the_name_of_a_member() {
        for body in ["eyJhbGciOiJub25lIn0.c2VjcmV0cw==", "ZGVhZGJlZWY=", "0123456789abcdef0123456789abcdef=", "deadbeef==&x"] {
            assert_eq!(answer("token", "text/plain", body).unwrap().body(), "", "{body}");
        }
        let quirk = answer("token", "text/plain", "access_token=gho_x&scope=repo").unwrap();
        assert_eq!(quirk.field("/scope").as_deref(), Some("repo"));
    }

    #[test]
    fn metadata_is_readable_as_a_whole_and_an_account_answer_is_not() {
        let body = r#"{"issuer":"https://id.example","login":"alice"}"#;
        assert_eq!(answer("metadata", "application/json", body).unwrap().field("/login").as_deref(), Some("alice"));
        assert_eq!(answer("account", "application/json", body).unwrap().field("/login"), None);
    }

    #[test]
    fn an_error_page_at_a_metadata_address_is_no_metadata() {
        let page = |status| {
            let body = br#"{"issuer":"https://id.example"}"#;
            Answer::read(endpoint("metadata"), status, &HeaderMap::new(), body, &mut Scrubber::default()).unwrap()
        };
        assert!(page(200).metadata().is_some());
        assert!(page(404).metadata().is_none());
    }

    #[test]
    fn ambiguous_and_damaged_answers_are_errors_and_a_page_is_empty() {
        assert!(answer("token", "application/json", r#"{"access_token":"a","access_token":"b"}"#).is_err());
        assert!(answer("token", "application/json", r#"{"access_token":"a""#).is_err());
        assert_eq!(answer("token", "text/html", "<html><a href=\"x=y\">").unwrap().body(), "");
    }

    #[test]
    fn kinds_follow_the_name_or_the_table() {
        let answer = answer("token", "application/json", r#"{"accessToken":"a","sub":{"refresh_token":"b"}}"#).unwrap();
        assert_eq!(answer.secret("/accessToken").unwrap().kind, Kind::Access);
        assert_eq!(answer.secret("/sub/refresh_token").unwrap().kind, Kind::Refresh);
    }

    #[test]
    fn a_device_endpoint_issues_device_codes_and_no_tokens() {
        let body = r#"{"device_code":"d-0123456789","user_code":"WDJB-MJHT","access_token":"a-0123456789"}"#;
        let answer = answer("device", "application/json", body).unwrap();
        assert!(answer.secret("/device_code").unwrap().issued && !answer.secret("/access_token").unwrap().issued);
        assert_eq!(answer.device().unwrap()["user_code"], "WDJB-MJHT");
        assert_eq!(answer.device().unwrap()["device_code"], "");
    }
}

//! A request under construction, held against the endpoint table.
//!
//! Pure: nothing is sent from here. A component cannot be told much at the moment it makes a mistake (a constructor
//! cannot fail), so the first thing that the table does not allow is remembered, and [`Draft::finish`] refuses.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::handles::SecretHandle;
use super::json;
use crate::descriptor::{Listed, Role};
use crate::secret::{Kind, Secret};

/// The largest request body.
const MAX_BODY: usize = 256 * 1024;
/// The largest number of members, headers and so on.
const MAX_PARTS: usize = 64;

/// A request that a component puts together.
#[derive(Debug)]
pub struct Draft {
    endpoint: Option<Listed>,
    url: Option<Url>,
    headers: Vec<(String, Piece)>,
    form: Vec<(String, Piece)>,
    json: Vec<(String, Piece)>,
    authorization: Option<Authorization>,
    problem: Option<String>,
    renews: bool,
}

#[derive(Debug)]
enum Piece {
    Plain(String),
    Secret(Secret),
}

#[derive(Debug)]
enum Authorization {
    Basic { user: String, key: Secret },
    Bearer(Secret),
}

/// A request that the table allows.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) endpoint: Listed,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Zeroizing<Vec<u8>>>,
    /// Whether it carries a refresh token, which may work only once.
    pub(super) renews: bool,
}

impl Draft {
    /// A request to an endpoint whose address was made; or to none, with the reason.
    pub(super) fn new(target: Result<(Listed, Url), String>) -> Self {
        let (endpoint, url, problem) = match target {
            Ok((endpoint, url)) => (Some(endpoint), Some(url), None),
            Err(problem) => (None, None, Some(problem)),
        };
        Self { endpoint, url, headers: vec![], form: vec![], json: vec![], authorization: None, problem, renews: false }
    }

    fn refuse(&mut self, problem: String) {
        self.problem.get_or_insert(problem);
    }

    /// Whether the table has a slot for this secret: at a place of that space, such as `form`, with that name.
    fn slot(&mut self, space: &str, name: &str, secret: &SecretHandle) -> bool {
        let Some(endpoint) = &self.endpoint else { return false };
        let is_it = |slot: &str| slot.strip_prefix(space).and_then(|rest| rest.strip_prefix('.')) == Some(name);
        let kinds = endpoint.slots.iter().find(|(slot, _)| is_it(slot)).map(|(_, kinds)| kinds);
        let allowed = kinds.is_some_and(|kinds| kinds.iter().any(|kind| Kind::parse(kind) == Some(secret.kind)));
        if !allowed {
            let problem = format!(
                "its table has no slot {space}.{name} for a secret of the kind {} at the endpoint {}",
                secret.kind.as_str(),
                endpoint.id
            );
            self.refuse(problem);
        }
        self.renews |= allowed && secret.kind == Kind::Refresh;
        allowed
    }

    fn room(&mut self) -> bool {
        let room = self.headers.len() + self.form.len() + self.json.len() < MAX_PARTS;
        if !room {
            self.refuse(format!("the request has more than {MAX_PARTS} parts"));
        }
        room
    }

    pub(super) fn header(&mut self, name: &str, value: String) {
        let name = name.to_ascii_lowercase();
        let declared = name == "accept" || self.endpoint.as_ref().is_some_and(|endpoint| endpoint.headers.contains(&name));
        if !declared {
            self.refuse(format!("its table does not list the request header {}", name.escape_debug()));
        } else if self.room() {
            self.headers.push((name, Piece::Plain(value)));
        }
    }

    pub(super) fn header_secret(&mut self, name: &str, secret: &SecretHandle) {
        let name = name.to_ascii_lowercase();
        if self.slot("header", &name, secret) && self.room() {
            self.headers.push((name, Piece::Secret(secret.secret.clone())));
        }
    }

    pub(super) fn form(&mut self, name: String, value: String) {
        if self.room() {
            self.form.push((name, Piece::Plain(value)));
        }
    }

    pub(super) fn form_secret(&mut self, name: String, secret: &SecretHandle) {
        if self.slot("form", &name, secret) && self.room() {
            self.form.push((name, Piece::Secret(secret.secret.clone())));
        }
    }

    pub(super) fn json(&mut self, pointer: String, text: String) {
        if self.room() {
            self.json.push((pointer, Piece::Plain(text)));
        }
    }

    pub(super) fn json_secret(&mut self, pointer: String, secret: &SecretHandle) {
        if self.slot("json", &pointer, secret) && self.room() {
            self.json.push((pointer, Piece::Secret(secret.secret.clone())));
        }
    }

    pub(super) fn authenticate(&mut self, scheme: &str, user: String, key: &SecretHandle) {
        if !self.slot("authorization", scheme, key) {
            return;
        }
        match scheme {
            "basic" => {
                let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let key = Secret::new(encode(key.secret.expose()));
                self.authorization = Some(Authorization::Basic { user: encode(&user), key });
            }
            "basic-raw" => self.authorization = Some(Authorization::Basic { user, key: key.secret.clone() }),
            "bearer" => self.authorization = Some(Authorization::Bearer(key.secret.clone())),
            "post" => {
                self.form.push(("client_id".to_owned(), Piece::Plain(user)));
                self.form.push(("client_secret".to_owned(), Piece::Secret(key.secret.clone())));
            }
            other => self.refuse(format!("it asked for the unknown authentication scheme {}", other.escape_debug())),
        }
    }

    /// The request as it goes out.
    ///
    /// # Errors
    /// The first thing that the table does not allow, as half a sentence for the operator's log.
    pub(super) fn finish(self) -> Result<Ready, String> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let (Some(endpoint), Some(url)) = (self.endpoint, self.url) else { return Err("the request has no endpoint".to_owned()) };
        if matches!(endpoint.role, Role::Authorization | Role::Jwks) {
            return Err(format!("the endpoint {} has the role {:?}, which components cannot reach", endpoint.id, endpoint.role));
        }
        let method = Method::from_bytes(endpoint.method.as_bytes()).map_err(|_| "the method is none".to_owned())?;
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("mcp-credentials-broker/", env!("CARGO_PKG_VERSION"))));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        for (name, piece) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "a header's name is none".to_owned())?;
            headers.insert(name, header_value(piece)?);
        }
        match &self.authorization {
            Some(Authorization::Basic { user, key }) => {
                let pair = Zeroizing::new(format!("{user}:{}", key.expose()));
                let encoded = Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(pair.as_bytes())));
                headers.insert(AUTHORIZATION, secret_header(&encoded)?);
            }
            Some(Authorization::Bearer(key)) => {
                headers.insert(AUTHORIZATION, secret_header(&Zeroizing::new(format!("Bearer {}", key.expose())))?);
            }
            None => {}
        }
        let body = match (self.form.is_empty(), self.json.is_empty()) {
            (true, true) => None,
            (false, true) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
                Some(form_body(&self.form))
            }
            (true, false) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                Some(json_body(&self.json)?)
            }
            (false, false) => return Err("the request has a form body and a JSON body".to_owned()),
        };
        if body.as_ref().is_some_and(|body| body.len() > MAX_BODY) {
            return Err(format!("the request's body is larger than {MAX_BODY} bytes"));
        }
        if body.is_some() && method == Method::GET {
            return Err("a GET request has a body".to_owned());
        }
        Ok(Ready { endpoint, method, url, headers, body, renews: self.renews })
    }
}

fn header_value(piece: &Piece) -> Result<HeaderValue, String> {
    match piece {
        Piece::Plain(text) => {
            HeaderValue::from_str(text).map_err(|_| "a header's value has characters that no header may have".to_owned())
        }
        Piece::Secret(secret) => secret_header(secret.expose()),
    }
}

fn secret_header(text: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(text).map_err(|_| "a secret has characters that no header may have".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

fn form_body(members: &[(String, Piece)]) -> Zeroizing<Vec<u8>> {
    // Every byte may become three: no reallocation leaves a copy behind.
    let room: usize = members.iter().map(|(name, piece)| 3 * (name.len() + piece.text().len()) + 2).sum();
    let mut body = Zeroizing::new(Vec::with_capacity(room));
    for (name, piece) in members {
        if !body.is_empty() {
            body.push(b'&');
        }
        for part in form_urlencoded::byte_serialize(name.as_bytes()) {
            body.extend_from_slice(part.as_bytes());
        }
        body.push(b'=');
        for part in form_urlencoded::byte_serialize(piece.text().as_bytes()) {
            body.extend_from_slice(part.as_bytes());
        }
    }
    body
}

fn json_body(members: &[(String, Piece)]) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut document = json::Document::default();
    for (pointer, piece) in members {
        let value = match piece {
            Piece::Plain(text) => {
                serde_json::from_str(text).map_err(|_| format!("the value for {} is not JSON", pointer.escape_debug()))?
            }
            Piece::Secret(secret) => Value::String(secret.expose().to_owned()),
        };
        document.set(pointer, value)?;
    }
    serde_json::to_vec(document.value()).map(Zeroizing::new).map_err(|error| error.to_string())
}

impl Piece {
    fn text(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Secret(secret) => secret.expose(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> Listed {
        Listed::alone(&serde_json::json!({
            "id": "token", "role": "token", "method": "POST", "url": "https://id.example/token",
            "slots": { "form.code": ["code"], "authorization.basic": ["client-secret"], "authorization.bearer": ["access"], "json./a/b": ["code"] },
            "headers": ["x-version"]
        }))
    }

    fn draft() -> Draft {
        Draft::new(Ok((endpoint(), Url::parse("https://id.example/token").unwrap())))
    }

    fn secret(kind: Kind) -> SecretHandle {
        SecretHandle::given(Secret::from("s&cret/="), kind)
    }

    #[test]
    fn secrets_go_into_their_slots_encoded() {
        let mut draft = draft();
        draft.form("grant_type".to_owned(), "authorization_code".to_owned());
        draft.form_secret("code".to_owned(), &secret(Kind::Code));
        draft.authenticate("basic", "my id".to_owned(), &secret(Kind::ClientSecret));
        let ready = draft.finish().unwrap();
        assert_eq!(ready.body.unwrap().as_slice(), b"grant_type=authorization_code&code=s%26cret%2F%3D");
        let header = ready.headers.get(AUTHORIZATION).unwrap();
        assert!(header.is_sensitive());
        assert_eq!(header.to_str().unwrap(), format!("Basic {}", BASE64_STANDARD.encode("my+id:s%26cret%2F%3D")));
    }

    #[test]
    fn a_json_body_is_put_together_by_pointers() {
        let mut draft = draft();
        draft.json("/a/c".to_owned(), "[1]".to_owned());
        draft.json_secret("/a/b".to_owned(), &secret(Kind::Code));
        assert_eq!(draft.finish().unwrap().body.unwrap().as_slice(), br#"{"a":{"c":[1],"b":"s&cret/="}}"#);
    }

    #[test]
    fn a_secret_outside_its_slot_is_refused() {
        let attempts: [fn(&mut Draft); 10] = [
            |d| d.form_secret("state".to_owned(), &secret(Kind::Code)),
            |d| d.form_secret("code".to_owned(), &secret(Kind::ClientSecret)),
            |d| d.header_secret("x-version", &secret(Kind::Code)),
            |d| d.authenticate("post", "id".to_owned(), &secret(Kind::ClientSecret)),
            |d| d.authenticate("bearer", String::new(), &secret(Kind::Refresh)),
            |d| d.authenticate("hmac", String::new(), &secret(Kind::ClientSecret)),
            |d| d.header("host", "evil.example".to_owned()),
            |d| d.header("X-Version", "a\r\nb: c".to_owned()),
            |d| d.header("x-http-method-override", "GET".to_owned()),
            |d| {
                d.form("a".to_owned(), "b".to_owned());
                d.json("/a".to_owned(), "1".to_owned());
            },
        ];
        for (index, attempt) in attempts.into_iter().enumerate() {
            let mut draft = draft();
            attempt(&mut draft);
            assert!(draft.finish().is_err(), "attempt {index}");
        }
    }
}

//! Requests that the table does not allow. Every one of them must be refused, and none may leave.

use credentials_broker_provider::{Request, Secret, pair};

/// The secrets that a call has at hand.
#[derive(Clone, Copy, Default)]
pub(crate) struct Held<'a> {
    pub(crate) code: Option<&'a Secret>,
    pub(crate) verifier: Option<&'a Secret>,
    pub(crate) refresh: Option<&'a Secret>,
    pub(crate) client_secret: Option<&'a Secret>,
    pub(crate) key: Option<&'a Secret>,
}

impl Held<'_> {
    pub(crate) fn all(&self) -> impl Iterator<Item = &Secret> {
        [self.code, self.verifier, self.refresh, self.client_secret, self.key].into_iter().flatten()
    }

    /// What a login or a refresh is made of.
    fn grant(&self) -> Option<&Secret> {
        self.code.or(self.refresh)
    }
}

type Attempt = fn(&Held<'_>) -> Request;

const ATTEMPTS: &[(&str, Attempt)] = &[
    ("unknown-endpoint", |_| Request::new("nowhere", &[])),
    ("url-as-endpoint", |_| Request::new("https://evil.example/", &[])),
    ("authorization-endpoint", |_| Request::new("authorize", &[])),
    ("argument-dots", |_| Request::new("item", &[pair("id", "..")])),
    ("argument-missing", |_| Request::new("item", &[])),
    ("header-undeclared", |_| header("x-undeclared", "1")),
    ("header-host", |_| header("host", "evil.example")),
    ("header-authorization", |_| header("authorization", "Bearer mine")),
    ("header-injection", |_| header("x-note", "a\r\nx-evil: 1")),
    ("grant-to-metadata", |held| form("metadata", "code", held.grant())),
    ("grant-to-account", |held| form("account", "code", held.grant())),
    ("grant-under-another-name", |held| form("token", "state", held.grant())),
    ("verifier-as-code", |held| form("token", "code", held.verifier)),
    ("client-secret-as-code", |held| form("token", "code", held.client_secret)),
    ("key-in-the-form", |held| form("token", "client_assertion", held.key)),
    ("grant-as-client-secret", |held| authenticate("token", "post", held.grant())),
    ("client-secret-as-bearer", |held| authenticate("account", "bearer", held.client_secret)),
    ("grant-as-bearer", |held| authenticate("account", "bearer", held.grant())),
    ("scheme-undeclared", |held| authenticate("token", "basic", held.client_secret)),
    ("scheme-unknown", |held| authenticate("token", "digest", held.client_secret)),
    ("secret-in-a-plain-header", |held| {
        let request = Request::new("token", &[]);
        held.grant().inspect(|secret| request.header_secret("x-note", secret));
        request
    }),
    ("secret-in-json", |held| {
        let request = Request::new("token", &[]);
        held.grant().inspect(|secret| request.json_secret("/code", secret));
        request
    }),
    ("form-and-json", |_| {
        let request = Request::new("token", &[]);
        request.form("a", "b");
        request.json("/a", "\"b\"");
        request
    }),
    ("body-on-get", |_| {
        let request = Request::new("metadata", &[]);
        request.form("a", "b");
        request
    }),
];

/// All names, separated by spaces.
pub(crate) fn names() -> String {
    ATTEMPTS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
}

/// The attempt of that name.
pub(crate) fn find(name: &str) -> Option<Attempt> {
    ATTEMPTS.iter().find(|(known, _)| *known == name).map(|(_, attempt)| *attempt)
}

fn header(name: &str, value: &str) -> Request {
    let request = Request::new("token", &[]);
    request.header(name, value);
    request
}

/// A request without the secret, where this call has none of its kind, must be one that is refused anyway.
fn form(endpoint: &str, name: &str, secret: Option<&Secret>) -> Request {
    let Some(secret) = secret else { return Request::new("nowhere", &[]) };
    let request = Request::new(endpoint, &[]);
    request.form_secret(name, secret);
    request
}

fn authenticate(endpoint: &str, scheme: &str, key: Option<&Secret>) -> Request {
    let Some(key) = key else { return Request::new("nowhere", &[]) };
    let request = Request::new(endpoint, &[]);
    request.authenticate(scheme, "me", key);
    request
}

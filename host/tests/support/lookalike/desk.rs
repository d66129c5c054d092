//! Where a look-alike hands out codes and tokens: what all OAuth servers do alike, and check alike.

use std::collections::BTreeMap;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use url::Url;

use super::Request;

/// What the person decided at the sign-in page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Approve,
    Deny,
}

/// What was granted.
#[derive(Debug, Clone)]
pub struct Grant {
    pub scopes: Vec<String>,
    pub nonce: Option<String>,
    pub offline: bool,
}

/// A device code, and what the person decided.
struct Device {
    user_code: String,
    grant: Grant,
    decision: Option<Decision>,
}

struct Code {
    grant: Grant,
    redirect_uri: String,
    challenge: String,
}

#[derive(Default)]
struct Books {
    codes: BTreeMap<String, Code>,
    devices: BTreeMap<String, Device>,
    refresh: BTreeMap<String, Grant>,
    spent: Vec<String>,
    live: Vec<String>,
    secrets: Vec<String>,
    count: u64,
}

/// The desk.
pub struct Desk {
    client_id: String,
    client_secret: Option<String>,
    books: Mutex<Books>,
}

impl Desk {
    /// For one registered client; without a secret, a public one.
    pub fn new(client_id: &str, client_secret: Option<&str>) -> Self {
        let books = Books { secrets: client_secret.map(str::to_owned).into_iter().collect(), ..Books::default() };
        Self { client_id: client_id.to_owned(), client_secret: client_secret.map(str::to_owned), books: Mutex::new(books) }
    }

    /// The client's id.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The client's secret.
    pub fn client_secret(&self) -> Option<&str> {
        self.client_secret.as_deref()
    }

    /// Reads an authorization URL as a server does, failing the test where it is not what RFC 6749, RFC 7636 and the
    /// broker's own rules want, and answers with a code. Returns it and the parameters.
    pub fn authorize(&self, url: &Url) -> (String, BTreeMap<String, String>) {
        let mut parameters = BTreeMap::new();
        for (name, value) in url.query_pairs() {
            let before = parameters.insert(name.to_string(), value.into_owned());
            assert!(before.is_none(), "{name} stands twice in {url}");
        }
        let get = |name: &str| parameters.get(name).cloned().unwrap_or_default();
        assert_eq!(get("response_type"), "code", "{url}");
        assert_eq!(get("client_id"), self.client_id, "{url}");
        assert_eq!(get("code_challenge_method"), "S256", "{url}");
        assert_eq!(URL_SAFE_NO_PAD.decode(get("code_challenge")).expect("base64url").len(), 32, "{url}");
        assert!(get("state").len() >= 22, "128 bits of state: {url}");
        assert!(!url.as_str().contains("client_secret"), "no secret in the URL: {url}");
        let scopes: Vec<String> = get("scope").split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
        let offline = get("access_type") == "offline" || scopes.iter().any(|scope| scope == "offline_access");
        let grant = Grant { scopes, nonce: parameters.get("nonce").cloned(), offline };
        let code = self.make("code-", 40);
        let mut books = self.books();
        books.codes.insert(code.clone(), Code { grant, redirect_uri: get("redirect_uri"), challenge: get("code_challenge") });
        (code, parameters)
    }

    /// Redeems a code: once, for the same redirect URI, with the verifier that fits the challenge.
    pub fn redeem(&self, request: &Request) -> Result<Grant, &'static str> {
        let mut books = self.books();
        let verifier = request.field("code_verifier");
        books.secrets.extend(Some(verifier.clone()).filter(|verifier| verifier.len() >= 8));
        let code = books.codes.remove(&request.field("code")).ok_or("the code is not known or was used")?;
        if code.redirect_uri != request.field("redirect_uri") {
            return Err("the redirect_uri is another one");
        }
        let fits = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())) == code.challenge;
        if fits && (43..=128).contains(&verifier.len()) { Ok(code.grant) } else { Err("the code_verifier does not fit") }
    }

    /// Makes a token that looks like the provider's own.
    pub fn make(&self, prefix: &str, length: usize) -> String {
        use ring::rand::SecureRandom as _;
        let mut bytes = vec![0_u8; length];
        ring::rand::SystemRandom::new().fill(&mut bytes).expect("random bytes");
        let mut books = self.books();
        books.count += 1;
        let token = format!("{prefix}{}", &URL_SAFE_NO_PAD.encode(bytes).replace(['-', '_'], "x")[..length]);
        books.secrets.push(token.clone());
        token
    }

    /// Makes an access token that is alive.
    pub fn access(&self, prefix: &str) -> String {
        let token = self.make(prefix, 36);
        self.books().live.push(token.clone());
        token
    }

    /// Makes a refresh token for a grant.
    pub fn refresh(&self, prefix: &str, grant: &Grant) -> String {
        let token = self.make(prefix, 40);
        self.books().refresh.insert(token.clone(), grant.clone());
        token
    }

    /// The grant behind a refresh token, which stays good.
    pub fn keep(&self, token: &str) -> Option<Grant> {
        self.books().refresh.get(token).cloned()
    }

    /// The grant behind a refresh token, which is good no more. A spent one kills all others, and all access tokens.
    pub fn rotate(&self, token: &str) -> Option<Grant> {
        let mut books = self.books();
        if books.spent.iter().any(|spent| spent == token) {
            books.refresh.clear();
            books.live.clear();
            return None;
        }
        let grant = books.refresh.remove(token)?;
        books.spent.push(token.to_owned());
        books.live.clear();
        Some(grant)
    }

    /// Whether an access token is alive.
    pub fn is_live(&self, token: &str) -> bool {
        self.books().live.iter().any(|live| live == token)
    }

    /// Issues a device code; returns it and what the person enters.
    pub fn begin_device(&self, request: &Request, offline: bool) -> (String, String) {
        assert_eq!(request.field("client_id"), self.client_id, "a device authorization request names the client");
        let scopes: Vec<String> =
            request.field("scope").split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
        let offline = offline || scopes.iter().any(|scope| scope == "offline_access");
        let code = self.make("device-", 40);
        let mut books = self.books();
        let user_code = format!("WDJB-{:04}", books.count);
        let grant = Grant { scopes, nonce: None, offline };
        books.devices.insert(code.clone(), Device { user_code: user_code.clone(), grant, decision: None });
        (code, user_code)
    }

    /// The person enters the code and decides.
    pub fn decide(&self, user_code: &str, decision: Decision) {
        let mut books = self.books();
        let device = books.devices.values_mut().find(|device| device.user_code == user_code).expect("a code that was issued");
        device.decision = Some(decision);
    }

    /// What a poll gets: the grant, once, or the error's code, `declined` being the provider's own word.
    pub fn poll_device(&self, request: &Request, declined: &'static str) -> Result<Grant, &'static str> {
        let mut books = self.books();
        let code = request.field("device_code");
        match books.devices.get(&code).map(|device| device.decision) {
            None => Err("expired_token"),
            Some(None) => Err("authorization_pending"),
            Some(Some(Decision::Deny)) => Err(declined),
            Some(Some(Decision::Approve)) => Ok(books.devices.remove(&code).expect("there").grant),
        }
    }

    /// Ends one access token; false where it is not known.
    pub fn end_access(&self, token: &str) -> bool {
        let mut books = self.books();
        let before = books.live.len();
        books.live.retain(|live| live != token);
        books.live.len() < before
    }

    /// Ends one refresh token; false where it is not known.
    pub fn end_refresh(&self, token: &str) -> bool {
        self.books().refresh.remove(token).is_some()
    }

    /// How many refresh tokens and access tokens are good.
    pub fn alive(&self) -> (usize, usize) {
        let books = self.books();
        (books.refresh.len(), books.live.len())
    }

    /// Ends every grant: refresh tokens and access tokens.
    pub fn end_all(&self) {
        let mut books = self.books();
        books.refresh.clear();
        books.live.clear();
    }

    /// Every secret that came or went.
    pub fn secrets(&self) -> Vec<String> {
        self.books().secrets.clone()
    }

    /// Marks another value as secret.
    pub fn remember(&self, secret: &str) {
        self.books().secrets.push(secret.to_owned());
    }

    /// Whether the request authenticates the client: in the form, or by Basic.
    pub fn knows_client(&self, request: &Request) -> bool {
        let form = request.form();
        let basic = request.basic();
        if basic.is_some() && form.contains_key("client_secret") {
            return false;
        }
        let (id, secret) = basic.map_or_else(
            || (form.get("client_id").cloned().unwrap_or_default(), form.get("client_secret").cloned()),
            |(id, secret)| (id, Some(secret)),
        );
        id == self.client_id && secret == self.client_secret
    }

    fn books(&self) -> std::sync::MutexGuard<'_, Books> {
        self.books.lock().expect("sane")
    }
}

/// The callback that a browser is sent to, with these parameters.
pub fn callback(parameters: &BTreeMap<String, String>, answer: &[(&str, &str)]) -> Url {
    let redirect = parameters.get("redirect_uri").expect("a redirect_uri");
    let mut url = Url::parse(redirect).expect("a URL");
    assert!(matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")), "a loopback redirect: {redirect}");
    url.query_pairs_mut().extend_pairs(answer);
    if let Some(state) = parameters.get("state") {
        url.query_pairs_mut().append_pair("state", state);
    }
    url
}

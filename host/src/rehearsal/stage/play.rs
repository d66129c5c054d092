//! The answer to a request: what the service would say, in its own words where the fixtures have them.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Map, Value, json};
use url::Url;

use super::fixtures::When;
use super::ledger::{Asked, Ledger};
use super::place::Place;
use super::sent::Sent;
use super::{Fault, House};
use crate::descriptor::Role;
use crate::rehearsal::{keys, random};

/// An answer, or none for as long as the other side cares to wait.
pub(super) enum Played {
    Answer(Box<Response<Full<Bytes>>>),
    Silence,
}

/// How long access tokens live where the fixtures do not say.
const LIFE: u64 = 3600;
/// More than the broker takes.
const HUGE: usize = 2 << 20;

/// An answer before it is written out.
struct Draft {
    status: u16,
    headers: Vec<(String, String)>,
    body: Value,
}

impl Draft {
    fn new(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body }
    }
}

/// The grants of a token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grant {
    Code,
    Refresh,
    Device,
}

impl Grant {
    const fn name(self) -> &'static str {
        match self {
            Self::Code => "authorization_code",
            Self::Refresh => "refresh_token",
            Self::Device => "device_code",
        }
    }
}

impl House {
    /// Answers one request. `host` is the name in TLS.
    pub(super) fn answer(&self, asked: &Parts, body: &[u8]) -> Played {
        let host = asked.headers.get(http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let Ok(url) = Url::parse(&format!("https://{host}{}", asked.uri)) else { return written(Draft::new(400, Value::Null)) };
        let Some(place) = self.script.places.iter().find(|place| place.fits(asked.method.as_str(), &url)) else {
            let mut ledger = self.ledger();
            ledger.requests += 1;
            ledger.complain(format!("a request went to {} {}, which is not in the table", asked.method, url.path()));
            return written(Draft::new(404, Value::Null));
        };
        let sent = Sent::read(asked, body);
        self.ledger().touch(&place.endpoint);
        match place.role {
            Role::Token | Role::Mint => self.token(place, &sent),
            Role::Device => written(self.device(place, &sent)),
            Role::Revocation => written(self.revocation(place, &sent)),
            Role::Account => written(self.account(place, &sent)),
            Role::Metadata => written(self.metadata(place)),
            Role::Jwks => written(Draft::new(200, self.keys.jwks())),
            Role::Authorization => {
                self.ledger()
                    .complain("the component sent a request to the authorization endpoint, where only a browser belongs");
                written(Draft::new(400, Value::Null))
            }
        }
    }

    fn token(&self, place: &Place, sent: &Sent) -> Played {
        let (grant, asked) = {
            let mut ledger = self.ledger();
            match self.judge(&mut ledger, sent) {
                Ok(judged) => judged,
                Err(error) => {
                    drop(ledger);
                    return written(self.refusal(place, None, error));
                }
            }
        };
        match self.fault() {
            None | Some(Fault::TextExpiry | Fault::NoRefreshToken) => {}
            Some(Fault::Refused) => return written(self.refusal(place, Some(grant), "invalid_grant")),
            Some(Fault::RefusedWith200) => {
                return written(Draft { status: 200, ..self.refusal(place, Some(grant), "invalid_grant") });
            }
            Some(Fault::Busy) => {
                let headers = vec![(RETRY_AFTER.to_string(), Fault::RETRY_AFTER.to_string())];
                return written(Draft { status: 503, headers, body: json!({ "error": "temporarily_unavailable" }) });
            }
            Some(Fault::Redirect) => {
                let elsewhere = place.url.join("/rehearsal/elsewhere").map(String::from).unwrap_or_default();
                return written(Draft { status: 302, headers: vec![(LOCATION.to_string(), elsewhere)], body: Value::Null });
            }
            Some(Fault::Page) => {
                let headers = vec![(CONTENT_TYPE.to_string(), "text/html".to_owned())];
                let page = "<!doctype html><title>Maintenance</title><p>We will be back soon.</p>";
                return written(Draft { status: 200, headers, body: Value::String(page.to_owned()) });
            }
            Some(Fault::Huge) => return written(Draft::new(200, json!({ "access_token": "x".repeat(HUGE) }))),
            Some(Fault::Hanging) => return Played::Silence,
        }
        if grant == Grant::Device && self.is_pending(sent) {
            let pending = Draft::new(400, json!({ "error": "authorization_pending" }));
            return written(self.scripted(place, Some(grant.name()), When::Pending, &Fill::default()).unwrap_or(pending));
        }
        written(self.grant(place, grant, asked.as_ref()))
    }

    /// What the request asks for, and whether it may. Complaints are for the author; the error is what a server says.
    fn judge(&self, ledger: &mut Ledger, sent: &Sent) -> Result<(Grant, Option<Asked>), &'static str> {
        let script = &self.script;
        if !sent.names(&script.client_id)
            && script.client_secret.as_ref().and_then(|secret| sent.proves(secret.expose())).is_none()
        {
            ledger.complain("a token request does not say who the client is: send client_id, or authenticate the client");
        }
        if let Some(secret) = &script.client_secret {
            match sent.proves(secret.expose()) {
                Some(true) => {}
                Some(false) => {
                    ledger.complain("a token request carries another client secret than the configured one");
                    return Err("invalid_client");
                }
                None if sent.find(|value| ledger.codes.contains_key(value)).is_some() => ledger.complain(
                    "the code was redeemed without the client secret although one is set: see client_auth, or set \"client_secret\": null in the fixtures if this service takes none",
                ),
                None => {}
            }
        }
        if let Some(code) = sent.find(|value| ledger.codes.contains_key(value)).map(str::to_owned) {
            let Some(asked) = ledger.codes.remove(&code) else { return Err("invalid_grant") };
            ledger.redeemed.insert(code);
            if sent.find(|value| asked.is_verified_by(value)).is_none() {
                ledger.complain("the code was redeemed without its PKCE verifier: put it into a form or JSON member");
                return Err("invalid_grant");
            }
            if let Some(redirect_uri) = sent.get("redirect_uri")
                && redirect_uri != asked.redirect_uri.as_str()
            {
                ledger.complain("the code was redeemed with another redirect_uri than the one in the authorization request");
                return Err("invalid_grant");
            }
            ledger.scope.clone_from(&asked.scope);
            return Ok((Grant::Code, Some(asked)));
        }
        if sent.find(|value| ledger.redeemed.contains(value)).is_some() {
            ledger.complain("a code was sent a second time");
            return Err("invalid_grant");
        }
        if sent.find(|value| ledger.spent.contains(value)).is_some() {
            ledger.complain(
                "a refresh token was used that the one before had replaced: hand the new one over with tokens.set-refresh",
            );
            return Err("invalid_grant");
        }
        if sent.find(|value| ledger.refresh.as_deref() == Some(value)).is_some() {
            return Ok((Grant::Refresh, None));
        }
        if sent.find(|value| ledger.devices.contains_key(value)).is_some() {
            return Ok((Grant::Device, None));
        }
        ledger.complain("a token request carries neither a code nor a refresh token nor a device code that this server gave");
        Err("invalid_grant")
    }

    fn is_pending(&self, sent: &Sent) -> bool {
        let mut ledger = self.ledger();
        let Some(code) = sent.find(|value| ledger.devices.contains_key(value)).map(str::to_owned) else { return false };
        ledger.devices.get_mut(&code).is_some_and(|polls| {
            *polls += 1;
            *polls == 1
        })
    }

    fn grant(&self, place: &Place, grant: Grant, asked: Option<&Asked>) -> Draft {
        let (Some(access), Some(refresh)) = (random::text(), random::text()) else { return Draft::new(500, Value::Null) };
        let scope = self.ledger().scope.clone();
        let identifies = self.script.openid && grant != Grant::Refresh && scope.split(' ').any(|scope| scope == "openid");
        let nonce = asked.and_then(|asked| asked.nonce.as_deref());
        let id_token = if identifies { self.id_token(nonce, &access) } else { None };
        let gives_refresh = self.script.refreshes && self.fault() != Some(Fault::NoRefreshToken);
        let fill = Fill {
            access_token: access,
            refresh_token: if gives_refresh { refresh } else { String::new() },
            id_token: id_token.unwrap_or_default(),
            scope,
            client_id: self.script.client_id.clone(),
            ..Fill::default()
        };
        let usual = || {
            let body = json!({
                "access_token": "{access_token}", "refresh_token": "{refresh_token}", "id_token": "{id_token}",
                "token_type": "Bearer", "expires_in": LIFE, "scope": "{scope}",
            });
            Draft::new(200, fill.apply(&body))
        };
        let mut draft = self.scripted(place, Some(grant.name()), When::Granted, &fill).unwrap_or_else(usual);
        if self.fault() == Some(Fault::TextExpiry)
            && let Value::Object(members) = &mut draft.body
        {
            members.insert("expires_in".to_owned(), Value::String(LIFE.to_string()));
        }
        let mut ledger = self.ledger();
        for text in texts(&draft.body) {
            if text.contains(&fill.access_token) {
                ledger.newest = Some(text.clone());
                ledger.access.insert(text);
            } else if gives_refresh && text.contains(&fill.refresh_token) {
                let old = ledger.refresh.replace(text);
                ledger.spent.extend(old.filter(|_| grant == Grant::Refresh));
            }
        }
        draft
    }

    fn id_token(&self, nonce: Option<&str>, access: &str) -> Option<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let issuer = self.ledger().issuer.clone().or_else(|| self.script.issuer.clone())?;
        let mut claims = json!({
            "iss": issuer, "sub": "248289761001", "aud": self.script.client_id, "iat": now, "exp": now + LIFE,
            "at_hash": keys::access_token_hash(access),
            "name": "Alice", "preferred_username": "alice", "email": "alice@example.com", "email_verified": true,
        });
        if let Value::Object(members) = &mut claims {
            members.extend(nonce.map(|nonce| ("nonce".to_owned(), nonce.into())));
            members.extend(self.script.fixtures.claims.clone());
        }
        self.keys.sign(&claims)
    }

    fn refusal(&self, place: &Place, grant: Option<Grant>, error: &'static str) -> Draft {
        let usual = || Draft::new(if error == "invalid_client" { 401 } else { 400 }, json!({ "error": error }));
        let scripted = (error == "invalid_grant")
            .then(|| self.scripted(place, grant.map(Grant::name), When::Refused, &Fill::default()))
            .flatten();
        scripted.unwrap_or_else(usual)
    }

    fn device(&self, place: &Place, sent: &Sent) -> Draft {
        let Some(code) = random::text() else { return Draft::new(500, Value::Null) };
        let fill = Fill { device_code: code, client_id: self.script.client_id.clone(), ..Fill::default() };
        let usual = || {
            let verify = place.url.join("/device").map(String::from).unwrap_or_default();
            let body = json!({
                "device_code": "{device_code}", "user_code": "WDJB-MJHT", "verification_uri": verify,
                "expires_in": 900, "interval": 1,
            });
            Draft::new(200, fill.apply(&body))
        };
        let draft = self.scripted(place, None, When::Granted, &fill).unwrap_or_else(usual);
        let mut ledger = self.ledger();
        sent.get("scope").unwrap_or_default().clone_into(&mut ledger.scope);
        ledger
            .devices
            .extend(texts(&draft.body).into_iter().filter(|text| text.contains(&fill.device_code)).map(|text| (text, 0)));
        draft
    }

    fn revocation(&self, place: &Place, sent: &Sent) -> Draft {
        let mut ledger = self.ledger();
        let token =
            sent.find(|value| ledger.access.contains(value) || ledger.refresh.as_deref() == Some(value)).map(str::to_owned);
        match token {
            Some(token) => drop(ledger.revoked.insert(token)),
            None => ledger.complain("a revocation request carries no token that this server gave"),
        }
        drop(ledger);
        self.scripted(place, None, When::Granted, &Fill::default()).unwrap_or_else(|| Draft::new(200, Value::Null))
    }

    fn account(&self, place: &Place, sent: &Sent) -> Draft {
        let known = {
            let mut ledger = self.ledger();
            let known = sent.find(|value| ledger.access.contains(value)).is_some();
            if !known {
                ledger.complain("a request to an account endpoint carries no access token that this server gave");
            }
            known
        };
        if !known {
            return Draft::new(401, json!({ "error": "invalid_token" }));
        }
        let usual = json!({
            "sub": "248289761001", "id": 248_289_761, "login": "alice", "username": "alice", "preferred_username": "alice",
            "name": "Alice", "email": "alice@example.com",
        });
        self.scripted(place, None, When::Granted, &Fill::default()).unwrap_or_else(|| Draft::new(200, usual))
    }

    /// The document at this address (RFC 8414 section 3.2), with the endpoints of the table.
    fn metadata(&self, place: &Place) -> Draft {
        let Some(issuer) = place.issuer() else {
            let scripted = self.scripted(place, None, When::Granted, &Fill::default());
            return scripted.unwrap_or_else(|| Draft::new(404, Value::Null));
        };
        self.ledger().issuer = Some(issuer.clone());
        let mut document = Map::new();
        document.insert("issuer".to_owned(), issuer.into());
        for other in &self.script.places {
            let Some(name) = other.url.path().strip_prefix("/rehearsal/").filter(|_| other.url.origin() == place.url.origin())
            else {
                continue;
            };
            document.insert(name.to_owned(), other.url.as_str().into());
        }
        let more = json!({
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"], "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "authorization_response_iss_parameter_supported": true,
        });
        if let Value::Object(more) = more {
            document.extend(more);
        }
        match self.scripted(place, None, When::Granted, &Fill::default()) {
            Some(Draft { status: 200, body: Value::Object(members), .. }) => document.extend(members),
            Some(other) if other.status != 200 => return other,
            _ => {}
        }
        Draft::new(200, Value::Object(document))
    }

    fn scripted(&self, place: &Place, grant: Option<&str>, when: When, fill: &Fill) -> Option<Draft> {
        let answer = self.script.fixtures.answer(&place.endpoint, grant, when)?;
        let status = answer.status.unwrap_or(if when == When::Granted { 200 } else { 400 });
        let headers = answer.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Some(Draft { status, headers, body: fill.apply(&answer.body) })
    }
}

/// What the places in a fixture's texts stand for.
#[derive(Default)]
struct Fill {
    access_token: String,
    refresh_token: String,
    id_token: String,
    device_code: String,
    scope: String,
    client_id: String,
}

impl Fill {
    /// A value with its places filled in. A member that would be nothing but an empty token is left out, as servers do.
    fn apply(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.apply(item)).collect()),
            Value::Object(members) => {
                let kept = members.iter().filter(|(_, member)| !self.is_missing(member));
                Value::Object(kept.map(|(name, member)| (name.clone(), self.apply(member))).collect())
            }
            other => other.clone(),
        }
    }

    fn text(&self, text: &str) -> String {
        self.places().iter().fold(text.to_owned(), |text, (place, value)| text.replace(place, value))
    }

    fn is_missing(&self, member: &Value) -> bool {
        let tokens = ["{access_token}", "{refresh_token}", "{id_token}", "{device_code}"];
        member.as_str().is_some_and(|text| {
            self.places().iter().any(|(place, value)| value.is_empty() && tokens.contains(place) && text.contains(place))
        })
    }

    fn places(&self) -> [(&'static str, &str); 6] {
        [
            ("{access_token}", &self.access_token),
            ("{refresh_token}", &self.refresh_token),
            ("{id_token}", &self.id_token),
            ("{device_code}", &self.device_code),
            ("{scope}", &self.scope),
            ("{client_id}", &self.client_id),
        ]
    }
}

/// Every text of an answer: JSON's, or the values of a form.
fn texts(body: &Value) -> Vec<String> {
    match body {
        Value::String(form) => form_urlencoded::parse(form.as_bytes()).map(|(_, value)| value.into_owned()).collect(),
        _ => {
            let mut found = Vec::new();
            collect(body, &mut found);
            found
        }
    }
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(members) => members.values().for_each(|member| collect(member, found)),
        _ => {}
    }
}

fn written(draft: Draft) -> Played {
    let (kind, body) = match &draft.body {
        Value::Null => (None, Bytes::new()),
        Value::String(text) => (Some("application/x-www-form-urlencoded"), Bytes::from(text.clone())),
        json => (Some("application/json; charset=utf-8"), Bytes::from(json.to_string())),
    };
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = StatusCode::from_u16(draft.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(kind) = kind {
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    for (name, value) in draft.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            answer.headers_mut().insert(name, value);
        }
    }
    Played::Answer(Box::new(answer))
}

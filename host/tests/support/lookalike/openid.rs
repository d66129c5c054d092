//! An OpenID provider by the book, found by discovery: Okta's servers, and a team's own. What it says of itself and in its
//! id_tokens can be bent.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::{Value, json};
use url::Url;

use super::desk::{Decision, Desk, Grant, callback};
use super::signer::{Algorithm, Signer};
use super::{Answer, Request, Site};

/// What happens to a refresh token that is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// It stays good, and no new one comes.
    Keep,
    /// It is answered with itself.
    Echo,
    /// It works once; used again, it kills the family.
    Rotate,
}

struct Bent {
    claims: Value,
    algorithm: Algorithm,
    iss: Option<String>,
}

/// The site.
pub struct OpenId {
    host: String,
    /// The path of the issuer: empty, or `/oauth2/default`.
    path: String,
    /// Where the endpoints lie below the host.
    endpoints: String,
    desk: Desk,
    signer: Signer,
    rotation: Rotation,
    access_ttl: u64,
    redirect_uri: Option<String>,
    bent: Mutex<Bent>,
}

impl OpenId {
    /// A team's own, with one client, which a secret makes a confidential one.
    pub fn new(host: &str, secret: Option<&str>) -> Self {
        Self {
            host: host.to_owned(),
            path: String::new(),
            endpoints: "/oauth2/v1".to_owned(),
            desk: Desk::new("0oa1abc2DEF3ghi4J5d7", secret),
            signer: Signer::new(),
            rotation: Rotation::Rotate,
            access_ttl: 3600,
            redirect_uri: None,
            bent: Mutex::new(Bent { claims: json!({}), algorithm: Algorithm::Es256, iss: Some(String::new()) }),
        }
    }

    /// An Okta organization's own server (`""`) or a custom one of it (`default`). Callbacks carry no `iss`.
    pub fn okta(server: &str, secret: Option<&str>) -> Self {
        let mut this = Self::new("dev-1.okta.com", secret);
        if !server.is_empty() {
            this.path = format!("/oauth2/{server}");
            this.endpoints = format!("/oauth2/{server}/v1");
        }
        this.set_iss(None);
        this
    }

    /// What becomes of a used refresh token.
    pub fn rotation(mut self, rotation: Rotation) -> Self {
        self.rotation = rotation;
        self
    }

    /// How long access tokens live, in seconds.
    pub fn access_ttl(mut self, seconds: u64) -> Self {
        self.access_ttl = seconds;
        self
    }

    /// The one redirect URI that is registered, port included.
    pub fn registered(mut self, redirect_uri: &str) -> Self {
        self.redirect_uri = Some(redirect_uri.to_owned());
        self
    }

    /// Its issuer.
    pub fn issuer(&self) -> String {
        format!("https://{}{}", self.host, self.path)
    }

    /// The path of an endpoint: `token`, `keys`, `authorize`.
    pub fn path(&self, endpoint: &str) -> String {
        format!("{}/{endpoint}", self.endpoints)
    }

    /// The path of its discovery document.
    pub fn discovery_path(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.path)
    }

    /// Members of the id_token that are to be other than they should; null takes one out.
    pub fn bend_claims(&self, claims: Value) {
        self.bent.lock().expect("sane").claims = claims;
    }

    /// How id_tokens are signed from now on.
    pub fn bend_signature(&self, algorithm: Algorithm) {
        self.bent.lock().expect("sane").algorithm = algorithm;
    }

    /// What `iss` callbacks carry from now on: none, the right one (`""`), or this.
    pub fn set_iss(&self, iss: Option<&str>) {
        self.bent.lock().expect("sane").iss = iss.map(str::to_owned);
    }

    /// The person at the sign-in page. Returns the callback, and the request's parameters.
    pub fn sign_in(&self, url: &str, decision: Decision) -> (Url, BTreeMap<String, String>) {
        let url = Url::parse(url).expect("a URL");
        assert_eq!(url.host_str(), Some(self.host.as_str()), "{url}");
        assert_eq!(url.path(), self.path("authorize"), "{url}");
        let (code, parameters) = self.desk.authorize(&url);
        if let Some(registered) = &self.redirect_uri {
            assert_eq!(&parameters["redirect_uri"], registered, "the redirect URI is compared exactly");
        }
        let mut answer = match decision {
            Decision::Approve => vec![("code", code)],
            Decision::Deny => vec![
                ("error", "access_denied".to_owned()),
                ("error_description", "The resource owner denied the request.".to_owned()),
            ],
        };
        match self.bent.lock().expect("sane").iss.clone() {
            Some(iss) if iss.is_empty() => answer.push(("iss", self.issuer())),
            Some(iss) => answer.push(("iss", iss)),
            None => {}
        }
        let answer: Vec<(&str, &str)> = answer.iter().map(|(name, value)| (*name, value.as_str())).collect();
        (callback(&parameters, &answer), parameters)
    }

    fn token(&self, request: &Request) -> Answer {
        let error = |code: &str, text: &str| Answer::json(400, &json!({ "error": code, "error_description": text }));
        if !self.desk.knows_client(request) {
            return Answer::json(
                401,
                &json!({ "error": "invalid_client", "error_description": "Client authentication failed." }),
            );
        }
        match request.field("grant_type").as_str() {
            "authorization_code" => match self.desk.redeem(request) {
                Ok(grant) => Answer::json(200, &self.tokens(&grant, None)),
                Err(text) => error("invalid_grant", text),
            },
            "refresh_token" => {
                let token = request.field("refresh_token");
                let grant = if self.rotation == Rotation::Rotate { self.desk.rotate(&token) } else { self.desk.keep(&token) };
                grant.map_or_else(
                    || error("invalid_grant", "The refresh token is invalid or expired."),
                    |grant| Answer::json(200, &self.tokens(&grant, Some(&token))),
                )
            }
            "urn:ietf:params:oauth:grant-type:device_code" => match self.desk.poll_device(request, "access_denied") {
                Ok(grant) => Answer::json(200, &self.tokens(&grant, None)),
                Err(code) => error(code, "It is so."),
            },
            _ => error("unsupported_grant_type", "The grant type is not supported."),
        }
    }

    /// RFC 7009: a refresh token takes its access tokens along, an access token goes alone, and 200 is the answer to
    /// everything.
    fn revoke(&self, request: &Request) -> Answer {
        if !self.desk.knows_client(request) {
            return Answer::json(401, &json!({ "error": "invalid_client" }));
        }
        let token = request.field("token");
        if self.desk.end_refresh(&token) {
            self.desk.end_all();
        }
        self.desk.end_access(&token);
        Answer::text(200, "text/plain", "")
    }

    fn tokens(&self, grant: &Grant, used: Option<&str>) -> Value {
        let mut answer = json!({
            "token_type": "Bearer", "expires_in": self.access_ttl, "scope": grant.scopes.join(" "), "access_token": self.desk.access("acc-"),
        });
        if grant.offline {
            match (used, self.rotation) {
                (None, _) | (_, Rotation::Rotate) => answer["refresh_token"] = self.desk.refresh("ref-", grant).into(),
                (Some(used), Rotation::Echo) => answer["refresh_token"] = used.into(),
                (Some(_), Rotation::Keep) => {}
            }
        }
        if grant.scopes.iter().any(|scope| scope == "openid") {
            let token = self.id_token(grant);
            self.desk.remember(&token);
            answer["id_token"] = token.into();
        }
        answer
    }

    fn id_token(&self, grant: &Grant) -> String {
        let now = jsonwebtoken::get_current_timestamp();
        let mut claims = json!({
            "iss": self.issuer(), "aud": self.desk.client_id(), "sub": "00uid4BxXw6I6TV4m0g3", "email": "alice@example.test",
            "nonce": grant.nonce, "iat": now, "exp": now + 3600,
        });
        let bent = self.bent.lock().expect("sane");
        for (name, value) in bent.claims.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
        self.signer.id_token(bent.algorithm, &claims)
    }

    fn discovery(&self) -> Value {
        let at = |endpoint: &str| format!("https://{}{}", self.host, self.path(endpoint));
        json!({
            "issuer": self.issuer(), "authorization_endpoint": at("authorize"), "token_endpoint": at("token"), "jwks_uri": at("keys"),
            "revocation_endpoint": at("revoke"), "introspection_endpoint": at("introspect"), "userinfo_endpoint": at("userinfo"),
            "device_authorization_endpoint": at("device/authorize"),
            "response_types_supported": ["code"], "grant_types_supported": ["authorization_code", "refresh_token"],
            "scopes_supported": ["openid", "email", "profile", "offline_access"], "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "authorization_response_iss_parameter_supported": self.bent.lock().expect("sane").iss.is_some(),
        })
    }
}

impl Site for OpenId {
    fn hosts(&self) -> Vec<String> {
        vec![self.host.clone()]
    }

    fn desk(&self) -> &Desk {
        &self.desk
    }

    fn answer(&self, request: &Request) -> Answer {
        let path = request.path.as_str();
        match request.method.as_str() {
            "GET" if path == self.discovery_path() => Answer::json(200, &self.discovery()),
            "GET" if path == self.path("keys") => Answer::json(200, &self.signer.jwks()),
            "POST" if path == self.path("token") => self.token(request),
            "POST" if path == self.path("revoke") => self.revoke(request),
            "POST" if path == self.path("device/authorize") => {
                let (code, user_code) = self.desk.begin_device(request, false);
                let uri = format!("https://{}/activate", self.host);
                Answer::json(
                    200,
                    &json!({
                        "device_code": code, "user_code": user_code, "verification_uri": uri,
                        "verification_uri_complete": format!("{uri}?user_code={user_code}"), "expires_in": 600, "interval": 1,
                    }),
                )
            }
            _ => Answer::json(
                404,
                &json!({ "errorCode": "E0000022", "errorSummary": "The endpoint does not support the provided HTTP method" }),
            ),
        }
    }
}

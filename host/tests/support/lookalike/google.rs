//! Google: a refresh token at the first consent only, a secret that native apps need, `iss` with and without scheme.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use url::Url;

use super::desk::{Decision, Desk, Grant, callback};
use super::signer::{Algorithm, Signer};
use super::{Answer, Request, Site};

/// The site.
pub struct Google {
    desk: Desk,
    signer: Signer,
    consented: AtomicBool,
    /// Whether id_tokens name the issuer without its scheme, as some do.
    bare_issuer: AtomicBool,
}

impl Google {
    /// With one registered "Desktop" client.
    pub fn new() -> Self {
        Self {
            desk: Desk::new("1234-abc.apps.googleusercontent.com", Some("GOCSPX-abcdefghijklmnopqrstuvwx")),
            signer: Signer::new(),
            consented: AtomicBool::new(false),
            bare_issuer: AtomicBool::new(false),
        }
    }

    /// id_tokens name the issuer without its scheme from now on.
    pub fn use_bare_issuer(&self) {
        self.bare_issuer.store(true, Ordering::Relaxed);
    }

    /// The person at the sign-in page. Returns the callback, and the request's parameters.
    pub fn sign_in(&self, url: &str, decision: Decision) -> (Url, BTreeMap<String, String>) {
        let url = Url::parse(url).expect("a URL");
        assert_eq!((url.host_str(), url.path()), (Some("accounts.google.com"), "/o/oauth2/v2/auth"), "{url}");
        if url.query_pairs().any(|(name, value)| name == "prompt" && value.split(' ').any(|prompt| prompt == "consent")) {
            self.consented.store(false, Ordering::Relaxed);
        }
        let (code, parameters) = self.desk.authorize(&url);
        let back = match decision {
            Decision::Approve => callback(
                &parameters,
                &[
                    ("iss", "https://accounts.google.com"),
                    ("code", &code),
                    ("scope", &parameters["scope"]),
                    ("authuser", "0"),
                    ("prompt", "consent"),
                ],
            ),
            Decision::Deny => callback(&parameters, &[("iss", "https://accounts.google.com"), ("error", "access_denied")]),
        };
        (back, parameters)
    }

    fn token(&self, request: &Request) -> Answer {
        let error = |code: &str, text: &str| Answer::json(400, &json!({ "error": code, "error_description": text }));
        if request.basic().is_none() && request.field("client_secret").is_empty() {
            return error("invalid_request", "client_secret is missing.");
        }
        if !self.desk.knows_client(request) {
            return Answer::json(
                401,
                &json!({ "error": "invalid_client", "error_description": "The provided client secret is invalid." }),
            );
        }
        match request.field("grant_type").as_str() {
            "authorization_code" => match self.desk.redeem(request) {
                Ok(grant) => Answer::json(200, &self.first(&grant)),
                Err(_) => error("invalid_grant", "Malformed auth code."),
            },
            "urn:ietf:params:oauth:grant-type:device_code" => match self.desk.poll_device(request, "access_denied") {
                Ok(grant) => {
                    let grant = Grant { offline: true, ..grant };
                    self.consented.store(false, Ordering::Relaxed);
                    Answer::json(200, &self.first(&grant))
                }
                Err("authorization_pending") => {
                    Answer::json(428, &json!({ "error": "authorization_pending", "error_description": "Precondition Required" }))
                }
                Err(code) => Answer::json(403, &json!({ "error": code, "error_description": "Forbidden" })),
            },
            "refresh_token" => match self.desk.keep(&request.field("refresh_token")) {
                Some(grant) => Answer::json(200, &self.plain(&grant)),
                None => error("invalid_grant", "Token has been expired or revoked."),
            },
            _ => error("unsupported_grant_type", "Invalid grant_type"),
        }
    }

    /// Revoking one token ends all of them.
    fn revoke(&self, request: &Request) -> Answer {
        let token = request.field("token");
        if self.desk.is_live(&token) || self.desk.keep(&token).is_some() {
            self.desk.end_all();
            return Answer::json(200, &json!({}));
        }
        Answer::json(400, &json!({ "error": "invalid_token", "error_description": "Token expired or revoked" }))
    }

    fn userinfo(&self, request: &Request) -> Answer {
        if request.bearer().is_some_and(|token| self.desk.is_live(token)) {
            return Answer::json(200, &json!({ "sub": SUBJECT, "email": "alice@example.test", "email_verified": true }));
        }
        Answer::json(401, &json!({ "error": "invalid_request", "error_description": "Invalid Credentials" }))
    }

    fn plain(&self, grant: &Grant) -> Value {
        let scopes: Vec<&str> = grant.scopes.iter().map(|scope| long_name(scope)).collect();
        json!({ "access_token": self.desk.access("ya29.a0"), "expires_in": 3599, "scope": scopes.join(" "), "token_type": "Bearer" })
    }

    fn first(&self, grant: &Grant) -> Value {
        let mut answer = self.plain(grant);
        if grant.offline && !self.consented.swap(true, Ordering::Relaxed) {
            answer["refresh_token"] = self.desk.refresh("1//0e", grant).into();
        }
        if grant.scopes.iter().any(|scope| scope == "openid") {
            let issuer =
                if self.bare_issuer.load(Ordering::Relaxed) { "accounts.google.com" } else { "https://accounts.google.com" };
            let now = jsonwebtoken::get_current_timestamp();
            let claims = json!({
                "iss": issuer, "aud": self.desk.client_id(), "azp": self.desk.client_id(), "sub": SUBJECT,
                "email": "alice@example.test", "email_verified": true, "nonce": grant.nonce, "iat": now, "exp": now + 3600,
            });
            let token = self.signer.id_token(Algorithm::Es256, &claims);
            self.desk.remember(&token);
            answer["id_token"] = token.into();
        }
        answer
    }
}

const SUBJECT: &str = "10769150350006150715113082367";

/// Scopes of the device flow.
const OF_DEVICES: [&str; 4] = ["openid", "email", "profile", "https://www.googleapis.com/auth/drive.file"];

/// Google answers with the long names of the scopes that OpenID names shortly.
fn long_name(scope: &str) -> &str {
    match scope {
        "email" => "https://www.googleapis.com/auth/userinfo.email",
        "profile" => "https://www.googleapis.com/auth/userinfo.profile",
        other => other,
    }
}

impl Site for Google {
    fn hosts(&self) -> Vec<String> {
        ["accounts.google.com", "oauth2.googleapis.com", "www.googleapis.com", "openidconnect.googleapis.com"]
            .map(str::to_owned)
            .to_vec()
    }

    fn desk(&self) -> &Desk {
        &self.desk
    }

    fn answer(&self, request: &Request) -> Answer {
        match (request.host.as_str(), request.method.as_str(), request.path.as_str()) {
            ("oauth2.googleapis.com", "POST", "/token") => self.token(request),
            ("oauth2.googleapis.com", "POST", "/revoke") => self.revoke(request),
            ("openidconnect.googleapis.com", "GET", "/v1/userinfo") => self.userinfo(request),
            ("oauth2.googleapis.com", "POST", "/device/code") => {
                if request.field("scope").split(' ').any(|scope| !OF_DEVICES.contains(&scope)) {
                    return Answer::json(
                        400,
                        &json!({ "error": "invalid_scope", "error_description": "Invalid device flow scope" }),
                    );
                }
                assert!(!request.form().contains_key("client_secret"), "the id alone");
                let (code, user_code) = self.desk.begin_device(request, true);
                Answer::json(
                    200,
                    &json!({
                        "device_code": code, "user_code": user_code, "verification_url": "https://www.google.com/device",
                        "expires_in": 1800, "interval": 1,
                    }),
                )
            }
            ("www.googleapis.com", "GET", "/oauth2/v3/certs") => Answer::json(200, &self.signer.jwks()),
            _ => Answer::text(404, "text/html", "<h1>Not Found</h1>"),
        }
    }
}

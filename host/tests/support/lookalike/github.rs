//! github.com: errors with status 200, forms unless JSON is asked for, scopes with commas, a secret always needed.

use std::sync::Mutex;

use serde_json::{Value, json};
use url::Url;

use super::desk::{Decision, Desk, Grant, callback};
use super::{Answer, Request, Site};

/// Which kind of app is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum App {
    /// An OAuth App: tokens without expiry, no refresh tokens.
    OAuth,
    /// A GitHub App: tokens expire, refresh tokens work once and take the old access token with them.
    GitHub,
}

/// The site.
pub struct GitHub {
    desk: Desk,
    app: App,
    host: String,
    /// Who signs in: number and login.
    user: Mutex<(u64, String)>,
}

impl GitHub {
    /// With one registered client.
    pub fn new(app: App) -> Self {
        let desk = Desk::new("Iv1.0123456789abcdef", Some("0123456789abcdef0123456789abcdef01234567"));
        Self { desk, app, host: "github.com".to_owned(), user: Mutex::new((583_231, "octocat".to_owned())) }
    }

    /// An Enterprise Server: the same under another name, with its API below it.
    pub fn enterprise(app: App, host: &str) -> Self {
        Self { host: host.to_owned(), ..Self::new(app) }
    }

    /// Another person signs in from now on.
    pub fn become_user(&self, id: u64, login: &str) {
        *self.user.lock().expect("sane") = (id, login.to_owned());
    }

    /// The path of an API call.
    pub fn api(&self, path: &str) -> String {
        if self.host == "github.com" { path.to_owned() } else { format!("/api/v3{path}") }
    }

    /// What `iss` a callback carries (RFC 9207).
    fn issuer(&self) -> String {
        format!("https://{}/login/oauth", self.host)
    }

    /// The person at the sign-in page.
    pub fn sign_in(&self, url: &str, decision: Decision) -> Url {
        let url = Url::parse(url).expect("a URL");
        assert_eq!((url.host_str(), url.path()), (Some(self.host.as_str()), "/login/oauth/authorize"), "{url}");
        let (code, parameters) = self.desk.authorize(&url);
        match decision {
            Decision::Approve => callback(&parameters, &[("code", &code), ("iss", &self.issuer())]),
            Decision::Deny => callback(
                &parameters,
                &[
                    ("error", "access_denied"),
                    ("error_description", "The user has denied your application access."),
                    ("iss", &self.issuer()),
                ],
            ),
        }
    }

    fn token(&self, request: &Request) -> Value {
        let error = |code: &str| json!({ "error": code, "error_description": "It does not fit.", "error_uri": "https://docs.github.com/" });
        if request.field("grant_type") == "urn:ietf:params:oauth:grant-type:device_code" {
            // The device flow takes no secret.
            if request.form().contains_key("client_secret") || request.field("client_id") != self.desk.client_id() {
                return error("incorrect_client_credentials");
            }
            return match self.desk.poll_device(request, "access_denied") {
                Ok(grant) => self.tokens(&grant),
                Err("authorization_pending") => json!({ "error": "authorization_pending", "interval": 1 }),
                Err(code) => error(code),
            };
        }
        if !request.header("authorization").is_empty() || !self.desk.knows_client(request) {
            return error("incorrect_client_credentials");
        }
        match request.field("grant_type").as_str() {
            "" | "authorization_code" => match self.desk.redeem(request) {
                Ok(grant) => self.tokens(&grant),
                Err(_) => error("bad_verification_code"),
            },
            "refresh_token" => match self.desk.rotate(&request.field("refresh_token")) {
                Some(grant) => self.tokens(&grant),
                None => error("bad_refresh_token"),
            },
            _ => error("unsupported_grant_type"),
        }
    }

    fn tokens(&self, grant: &Grant) -> Value {
        match self.app {
            App::OAuth => {
                json!({ "access_token": self.desk.access("gho_"), "scope": grant.scopes.join(","), "token_type": "bearer" })
            }
            App::GitHub => json!({
                "access_token": self.desk.access("ghu_"), "expires_in": "28800", "refresh_token": self.desk.refresh("ghr_", grant),
                "refresh_token_expires_in": 15_811_200, "scope": "", "token_type": "bearer",
            }),
        }
    }
}

impl Site for GitHub {
    fn hosts(&self) -> Vec<String> {
        vec![self.host.clone(), "api.github.com".to_owned()]
    }

    fn desk(&self) -> &Desk {
        &self.desk
    }

    fn answer(&self, request: &Request) -> Answer {
        let json_or_form = |answer: &Value| {
            if request.header("accept").contains("application/json") { Answer::json(200, answer) } else { form(answer) }
        };
        let public = self.host == "github.com";
        let at_api = request.host == if public { "api.github.com" } else { self.host.as_str() };
        let call = if public { Some(request.path.as_str()) } else { request.path.strip_prefix("/api/v3") };
        let token = format!("/applications/{}/token", self.desk.client_id());
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/login/oauth/access_token") if request.host == self.host => json_or_form(&self.token(request)),
            ("POST", "/login/device/code") if request.host == self.host => {
                let (code, user_code) = self.desk.begin_device(request, self.app == App::GitHub);
                json_or_form(&json!({
                    "device_code": code, "user_code": user_code, "verification_uri": format!("https://{}/login/device", self.host),
                    "expires_in": 900, "interval": 1,
                }))
            }
            (method, _) if at_api => match (method, call) {
                ("GET", Some("/user")) => self.user(request),
                ("POST", Some("/credentials/revoke")) => self.report(request),
                ("DELETE", Some(path)) if path == token => self.delete(request),
                _ => Answer::json(404, &json!({ "message": "Not Found" })),
            },
            _ => Answer::text(404, "text/html", "<h1>Not Found</h1>"),
        }
    }
}

impl GitHub {
    /// `DELETE /applications/{client_id}/token`, by the app itself.
    fn delete(&self, request: &Request) -> Answer {
        let (id, secret) = request.basic().unwrap_or_default();
        if id != self.desk.client_id() || Some(secret.as_str()) != self.desk.client_secret() {
            return Answer::json(401, &json!({ "message": "Bad credentials" }));
        }
        let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
        match body["access_token"].as_str() {
            Some(token) if self.desk.end_access(token) => Answer::text(204, "text/plain", ""),
            Some(_) => Answer::json(404, &json!({ "message": "Not Found" })),
            None => Answer::json(422, &json!({ "message": "Validation Failed" })),
        }
    }

    /// `POST /credentials/revoke`, by anybody, without authentication.
    fn report(&self, request: &Request) -> Answer {
        if !request.header("authorization").is_empty() {
            return Answer::json(403, &json!({ "message": "This endpoint must be called without authentication" }));
        }
        let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
        let Some(credentials) = body["credentials"].as_array() else {
            return Answer::json(422, &json!({ "message": "Validation Failed" }));
        };
        for credential in credentials.iter().filter_map(Value::as_str) {
            self.desk.end_refresh(credential);
        }
        Answer::json(202, &json!({}))
    }

    fn user(&self, request: &Request) -> Answer {
        if request.header("user-agent").is_empty() {
            return Answer::text(
                403,
                "text/plain",
                "Request forbidden by administrative rules. Please make sure your request has a User-Agent header",
            );
        }
        if request.bearer().is_some_and(|token| self.desk.is_live(token)) {
            let (id, login) = self.user.lock().expect("sane").clone();
            Answer::json(200, &json!({ "login": login, "id": id, "name": "The Octocat" }))
        } else {
            Answer::json(401, &json!({ "message": "Bad credentials", "status": "401" }))
        }
    }
}

fn form(answer: &Value) -> Answer {
    let pairs = answer.as_object().into_iter().flatten();
    let pairs = pairs.map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    Answer::text(200, "application/x-www-form-urlencoded; charset=utf-8", body)
}

//! github.com: errors with status 200, forms unless JSON is asked for, scopes with commas, a secret always needed.

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
}

/// What `iss` a callback carries (RFC 9207).
const ISSUER: &str = "https://github.com/login/oauth";

impl GitHub {
    /// With one registered client.
    pub fn new(app: App) -> Self {
        Self { desk: Desk::new("Iv1.0123456789abcdef", Some("0123456789abcdef0123456789abcdef01234567")), app }
    }

    /// The person at the sign-in page.
    pub fn sign_in(&self, url: &str, decision: Decision) -> Url {
        let url = Url::parse(url).expect("a URL");
        assert_eq!((url.host_str(), url.path()), (Some("github.com"), "/login/oauth/authorize"), "{url}");
        let (code, parameters) = self.desk.authorize(&url);
        match decision {
            Decision::Approve => callback(&parameters, &[("code", &code), ("iss", ISSUER)]),
            Decision::Deny => callback(
                &parameters,
                &[
                    ("error", "access_denied"),
                    ("error_description", "The user has denied your application access."),
                    ("iss", ISSUER),
                ],
            ),
        }
    }

    fn token(&self, request: &Request) -> Value {
        let error = |code: &str| json!({ "error": code, "error_description": "It does not fit.", "error_uri": "https://docs.github.com/" });
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
        ["github.com", "api.github.com"].map(str::to_owned).to_vec()
    }

    fn desk(&self) -> &Desk {
        &self.desk
    }

    fn answer(&self, request: &Request) -> Answer {
        match (request.host.as_str(), request.method.as_str(), request.path.as_str()) {
            ("github.com", "POST", "/login/oauth/access_token") => {
                let answer = self.token(request);
                if request.header("accept").contains("application/json") { Answer::json(200, &answer) } else { form(&answer) }
            }
            ("api.github.com", "GET", "/user") => self.user(request),
            _ => Answer::text(404, "text/html", "<h1>Not Found</h1>"),
        }
    }
}

impl GitHub {
    fn user(&self, request: &Request) -> Answer {
        if request.header("user-agent").is_empty() {
            return Answer::text(
                403,
                "text/plain",
                "Request forbidden by administrative rules. Please make sure your request has a User-Agent header",
            );
        }
        if request.bearer().is_some_and(|token| self.desk.is_live(token)) {
            Answer::json(200, &json!({ "login": "octocat", "id": 583_231, "name": "The Octocat" }))
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

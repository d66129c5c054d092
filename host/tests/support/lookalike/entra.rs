//! Microsoft Entra v2.0: an issuer that is a template, errors in numbers, public clients that must not send a secret, no
//! `resource`, no `iss` in the callback, scopes reordered and without `offline_access`.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use url::Url;

use super::desk::{Decision, Desk, Grant, callback};
use super::signer::{Algorithm, Signer};
use super::{Answer, Request, Site};

/// The person's tenant, whatever tenant the URL names.
pub const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

/// The site.
pub struct Entra {
    desk: Desk,
    signer: Signer,
    tenant: String,
    /// The tenant that id_tokens name as issuer.
    issuing_tenant: String,
}

impl Entra {
    /// With one registered client, reached by that tenant's URLs.
    pub fn new(tenant: &str, secret: Option<&str>) -> Self {
        Self {
            desk: Desk::new("6731de76-14a6-49ae-97bc-6eba6914391e", secret),
            signer: Signer::new(),
            tenant: tenant.to_owned(),
            issuing_tenant: TENANT.to_owned(),
        }
    }

    /// id_tokens whose issuer is another tenant than their `tid`.
    pub fn with_foreign_issuer(mut self) -> Self {
        "11111111-2222-3333-4444-555555555555".clone_into(&mut self.issuing_tenant);
        self
    }

    /// The person at the sign-in page. Returns the callback, and the request's parameters.
    pub fn sign_in(&self, url: &str, decision: Decision) -> (Url, BTreeMap<String, String>) {
        let url = Url::parse(url).expect("a URL");
        assert_eq!(url.host_str(), Some("login.microsoftonline.com"), "{url}");
        assert_eq!(url.path(), format!("/{}/oauth2/v2.0/authorize", self.tenant), "{url}");
        let (code, parameters) = self.desk.authorize(&url);
        assert!(!parameters.contains_key("resource"), "AADSTS901002: {url}");
        let back = match decision {
            Decision::Approve => {
                callback(&parameters, &[("code", &code), ("session_state", "7b29111d-c220-4263-99ab-6f6e135d75ef")])
            }
            Decision::Deny => callback(
                &parameters,
                &[
                    ("error", "access_denied"),
                    ("error_description", "AADSTS65004: User declined to consent to access the app."),
                    ("error_subcode", "cancel"),
                ],
            ),
        };
        (back, parameters)
    }

    /// An error as Entra writes it.
    pub fn error(status: u16, code: &str, number: u32, text: &str) -> Answer {
        Answer::json(
            status,
            &json!({
                "error": code, "error_description": format!("AADSTS{number}: {text} Trace ID: 255d1aef-8c98-452f-ac51-23d051240864 Correlation ID: fb3d2015-bc17-4bb9-bb85-30c5cf1aaaa7 Timestamp: 2026-01-09 02:02:12Z"),
                "error_codes": [number], "timestamp": "2026-01-09 02:02:12Z", "trace_id": "255d1aef-8c98-452f-ac51-23d051240864",
                "correlation_id": "fb3d2015-bc17-4bb9-bb85-30c5cf1aaaa7", "error_uri": format!("https://login.microsoftonline.com/error?code={number}"),
            }),
        )
    }

    fn token(&self, request: &Request) -> Answer {
        if request.form().contains_key("resource") {
            return Self::error(400, "invalid_target", 901_002, "The 'resource' request parameter is not supported.");
        }
        let sent_secret = request.basic().is_some() || request.form().contains_key("client_secret");
        match (self.desk.client_secret(), sent_secret) {
            (None, true) => {
                return Self::error(
                    401,
                    "invalid_client",
                    700_025,
                    "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
                );
            }
            (Some(_), false) => {
                return Self::error(
                    401,
                    "invalid_client",
                    7_000_218,
                    "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
                );
            }
            _ if !self.desk.knows_client(request) => {
                return Self::error(401, "invalid_client", 7_000_215, "Invalid client secret provided.");
            }
            _ => {}
        }
        match request.field("grant_type").as_str() {
            "authorization_code" => match self.desk.redeem(request) {
                Ok(grant) => Answer::json(200, &self.tokens(&grant)),
                Err(_) => Self::error(400, "invalid_grant", 54_005, "OAuth2 Authorization code was already redeemed."),
            },
            "urn:ietf:params:oauth:grant-type:device_code" => match self.desk.poll_device(request, "authorization_declined") {
                Ok(grant) => Answer::json(200, &self.tokens(&grant)),
                Err(code @ "authorization_pending") => {
                    Self::error(400, code, 70_016, "OAuth 2.0 device flow error. Authorization is pending.")
                }
                Err(code) => Self::error(400, code, 70_018, "The person declined the request."),
            },
            // A new one each time; the old one stays good.
            "refresh_token" => match self.desk.keep(&request.field("refresh_token")) {
                Some(grant) => Answer::json(200, &self.tokens(&grant)),
                None => Self::error(400, "invalid_grant", 700_082, "The refresh token has expired due to inactivity."),
            },
            _ => Self::error(400, "unsupported_grant_type", 70_003, "The app returned an unsupported grant type."),
        }
    }

    fn tokens(&self, grant: &Grant) -> Value {
        let mut scopes: Vec<&str> = grant.scopes.iter().map(String::as_str).filter(|scope| *scope != "offline_access").collect();
        scopes.reverse();
        scopes.push("email");
        let mut answer = json!({
            "token_type": "Bearer", "scope": scopes.join(" "), "expires_in": 3599, "ext_expires_in": 3599,
            "access_token": self.desk.access("EwB"),
        });
        if grant.offline {
            answer["refresh_token"] = self.desk.refresh("0.AX", grant).into();
        }
        if grant.scopes.iter().any(|scope| scope == "openid") {
            let now = jsonwebtoken::get_current_timestamp();
            let claims = json!({
                "iss": format!("https://login.microsoftonline.com/{}/v2.0", self.issuing_tenant), "tid": TENANT, "ver": "2.0",
                "aud": self.desk.client_id(), "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", "oid": "00000000-0000-0000-66f3-3332eca7ea81",
                "preferred_username": "alice@example.test", "nonce": grant.nonce, "iat": now, "nbf": now, "exp": now + 3600,
            });
            let token = self.signer.id_token(Algorithm::Es256, &claims);
            self.desk.remember(&token);
            answer["id_token"] = token.into();
        }
        answer
    }

    fn discovery(&self) -> Value {
        let base = format!("https://login.microsoftonline.com/{}", self.tenant);
        json!({
            // For `common` it is this very text.
            "issuer": if self.tenant == "common" { "https://login.microsoftonline.com/{tenantid}/v2.0".to_owned() } else { format!("{base}/v2.0") },
            "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"), "token_endpoint": format!("{base}/oauth2/v2.0/token"),
            "jwks_uri": format!("{base}/discovery/v2.0/keys"), "id_token_signing_alg_values_supported": ["RS256"],
        })
    }
}

impl Site for Entra {
    fn hosts(&self) -> Vec<String> {
        vec!["login.microsoftonline.com".to_owned()]
    }

    fn desk(&self) -> &Desk {
        &self.desk
    }

    fn answer(&self, request: &Request) -> Answer {
        let Some(path) = request.path.strip_prefix(&format!("/{}/", self.tenant)) else {
            return Self::error(400, "invalid_tenant", 90_002, "Tenant not found.");
        };
        match (request.method.as_str(), path) {
            ("POST", "oauth2/v2.0/token") => self.token(request),
            ("POST", "oauth2/v2.0/devicecode") => {
                let (code, user_code) = self.desk.begin_device(request, false);
                Answer::json(
                    200,
                    &json!({
                        "device_code": code, "user_code": user_code, "verification_uri": "https://microsoft.com/devicelogin",
                        "expires_in": 900, "interval": 1, "message": "To sign in, use a web browser.",
                    }),
                )
            }
            ("GET", "discovery/v2.0/keys") => Answer::json(200, &self.signer.jwks()),
            ("GET", "v2.0/.well-known/openid-configuration") => Answer::json(200, &self.discovery()),
            _ => Answer::text(404, "text/html", ""),
        }
    }
}

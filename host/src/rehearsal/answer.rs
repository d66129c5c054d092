//! Answers, each with the headers that it must never go without.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, LOCATION, REFERRER_POLICY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

pub(super) type Answer = Response<Full<Bytes>>;

/// Why the server says no to the client (RFC 6749 section 5.2, RFC 6750 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) error: &'static str,
    pub(super) description: &'static str,
    /// What the header `WWW-Authenticate` has to say.
    pub(super) challenge: Option<&'static str>,
}

impl Refusal {
    pub(super) const fn new(error: &'static str, description: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description, challenge: None }
    }

    pub(super) const fn unauthorized(challenge: &'static str, error: &'static str, description: &'static str) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, error, description, challenge: Some(challenge) }
    }

    /// A table is full or the machine has no randomness: nothing that the client did wrong.
    pub(super) const fn unavailable() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            error: "temporarily_unavailable",
            description: "Too much is under way. Try again in a minute.",
            challenge: None,
        }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let mut answer = json(refusal.status, &json!({ "error": refusal.error, "error_description": refusal.description }));
        if let Some(challenge) = refusal.challenge {
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        answer
    }
}

pub(super) fn json(status: StatusCode, value: &Value) -> Answer {
    with(status, value.to_string(), &[(CONTENT_TYPE, "application/json")])
}

pub(super) fn html(status: StatusCode, page: String, policy: &str) -> Answer {
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, policy)];
    with(status, page, &headers)
}

/// 303, so that the browser follows with a GET and carries nothing of a form along (RFC 9700 section 4.12).
pub(super) fn redirect(to: &str) -> Answer {
    with(StatusCode::SEE_OTHER, String::new(), &[(LOCATION, to)])
}

pub(super) fn empty(status: StatusCode) -> Answer {
    with(status, String::new(), &[])
}

pub(super) fn wrong_method(allowed: &'static str) -> Answer {
    with(StatusCode::METHOD_NOT_ALLOWED, String::new(), &[(ALLOW, allowed)])
}

fn with(status: StatusCode, body: String, headers: &[(HeaderName, &str)]) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    // `same-origin` and not `no-referrer`: with the latter, browsers send `Origin: null` with the page's own form.
    let always = [(CACHE_CONTROL, "no-store"), (REFERRER_POLICY, "same-origin"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    for (name, value) in always.iter().chain(headers) {
        match HeaderValue::from_str(value) {
            Ok(value) => drop(answer.headers_mut().insert(name, value)),
            Err(_) => return empty(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
    answer
}

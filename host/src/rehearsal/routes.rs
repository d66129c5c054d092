//! Which request is answered by whom.

use std::time::Instant;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, ORIGIN};
use http::request::Parts;
use http::{Method, StatusCode};

use super::answer::{Answer, Refusal, empty, html, json, redirect, wrong_method};
use super::authorize::Problem;
use super::parameters::Parameters;
use super::{Server, page};

pub(super) const METADATA: &str = "/.well-known/openid-configuration";
pub(super) const AUTHORIZE: &str = "/authorize";
pub(super) const DECISION: &str = "/authorize/decision";
pub(super) const TOKEN: &str = "/token";
pub(super) const REVOKE: &str = "/revoke";
pub(super) const JWKS: &str = "/jwks";
pub(super) const USERINFO: &str = "/userinfo";

/// Answers one request. `body` is empty for anything but a POST.
pub(super) fn answer(server: &Server, asked: &Parts, body: &Bytes, now: Instant) -> Answer {
    if !is_for_us(server, asked) {
        return empty(StatusCode::MISDIRECTED_REQUEST);
    }
    let query = asked.uri.query().unwrap_or_default();
    let method = match asked.uri.path() {
        METADATA | JWKS | AUTHORIZE | USERINFO => Method::GET,
        DECISION | TOKEN | REVOKE => Method::POST,
        _ => return empty(StatusCode::NOT_FOUND),
    };
    if asked.method != method {
        return wrong_method(if method == Method::GET { "GET" } else { "POST" });
    }
    match asked.uri.path() {
        METADATA => json(StatusCode::OK, &server.metadata()),
        JWKS => json(StatusCode::OK, &server.keys.jwks()),
        AUTHORIZE => authorize(server, query, now),
        DECISION => decision(server, &asked.headers, body, now),
        TOKEN => form(&asked.headers, body)
            .and_then(|form| server.token(&asked.headers, &form, now))
            .map_or_else(Answer::from, |tokens| json(StatusCode::OK, &tokens)),
        REVOKE => form(&asked.headers, body)
            .and_then(|form| server.revoke(&asked.headers, &form, now))
            .map_or_else(Answer::from, |()| empty(StatusCode::OK)),
        _ => userinfo(server, &asked.headers, now),
    }
}

/// Whether the request names this very address. A page whose name was made to point here by DNS does not.
fn is_for_us(server: &Server, asked: &Parts) -> bool {
    let mut hosts = asked.headers.get_all(HOST).iter();
    let named = hosts.next().is_some_and(|host| host.as_bytes() == server.address.to_string().as_bytes());
    named && hosts.next().is_none() && asked.uri.authority().is_none()
}

fn authorize(server: &Server, query: &str, now: Instant) -> Answer {
    match server.show(query, now) {
        Ok(shown) => html(StatusCode::OK, page::sign_in(&shown, server.address), &page::policy(Some(&shown.origin))),
        Err(Problem::Page(reason)) => problem(server, reason),
        Err(Problem::Client(back, error, reason)) => {
            redirect(back.with(&[("error", error), ("error_description", reason)], &server.issuer).as_str())
        }
    }
}

fn decision(server: &Server, headers: &HeaderMap, body: &Bytes, now: Instant) -> Answer {
    // The ticket already shows that the sender has seen the page; this keeps another site from sending one that it
    // fetched itself, which would sign the person in to somebody else's account.
    let from_elsewhere = |name: &str, ours: &str| headers.get(name).is_some_and(|value| value.as_bytes() != ours.as_bytes());
    if from_elsewhere("sec-fetch-site", "same-origin") || from_elsewhere(ORIGIN.as_str(), &server.issuer) {
        return problem(server, "the button was not pressed on this server's own page");
    }
    let decided = form(headers, body).map_err(|refusal| refusal.description).and_then(|form| server.decide(&form, now));
    decided.map_or_else(|reason| problem(server, reason), |url| redirect(url.as_str()))
}

fn problem(server: &Server, reason: &str) -> Answer {
    html(StatusCode::BAD_REQUEST, page::problem(reason, server.address), &page::policy(None))
}

fn form(headers: &HeaderMap, body: &Bytes) -> Result<Parameters, Refusal> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).and_then(|kind| kind.split(';').next());
    if !kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")) {
        return Err(Refusal::new("invalid_request", "The body must be application/x-www-form-urlencoded."));
    }
    Parameters::parse(body).map_err(|_| Refusal::new("invalid_request", "A parameter comes twice."))
}

/// A protected resource (RFC 6750): the token comes in the header, or there is none.
fn userinfo(server: &Server, headers: &HeaderMap, now: Instant) -> Answer {
    const CHALLENGE: &str = "Bearer realm=\"rehearsal\"";
    const INVALID: &str = "Bearer realm=\"rehearsal\", error=\"invalid_token\"";
    let bearer = headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok()?.split_once(' '));
    let Some((_, token)) = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) else {
        return Refusal::unauthorized(CHALLENGE, "invalid_request", "Bring an access token.").into();
    };
    server.userinfo(token.trim(), now).map_or_else(
        || Refusal::unauthorized(INVALID, "invalid_token", "This access token is unknown, revoked or expired.").into(),
        |shown| json(StatusCode::OK, &shown),
    )
}

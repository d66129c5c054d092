//! The whole server over real HTTP, request by request, as a client and a browser send them.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

use super::Rehearsal;

const REDIRECT: &str = "http://localhost:9876/oauth/callback";
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

struct Answer {
    status: u16,
    headers: HashMap<String, String>,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{} {:?}", self.status, self.body))
    }

    fn error(&self) -> (u16, String) {
        (self.status, self.json()["error"].as_str().unwrap().to_owned())
    }

    /// Where it redirects to, and with which parameters.
    fn redirect(&self) -> (String, HashMap<String, String>) {
        assert_eq!(self.status, 303, "{}", self.body);
        let mut url = Url::parse(&self.headers["location"]).unwrap();
        let parameters = url.query_pairs().into_owned().collect();
        url.set_query(None);
        (url.into(), parameters)
    }
}

async fn raw(server: &Rehearsal, request: &str) -> Answer {
    #[expect(clippy::disallowed_methods, reason = "the test plays the client, byte by byte")]
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await.unwrap();
    let text = String::from_utf8(text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.map(|line| line.split_once(": ").unwrap());
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    Answer { status, headers, body: body.to_owned() }
}

async fn get(server: &Rehearsal, path: &str, headers: &str) -> Answer {
    raw(server, &format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", server.address())).await
}

async fn post(server: &Rehearsal, path: &str, headers: &str, form: &[(&str, &str)]) -> Answer {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {}\r\n{headers}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        server.address(),
        body.len(),
    );
    raw(server, &request).await
}

fn authorization_url(server: &Rehearsal, scope: &str) -> Url {
    let parameters = [
        ("response_type", "code"),
        ("client_id", server.client_id()),
        ("redirect_uri", REDIRECT),
        ("scope", scope),
        ("state", "st&te"),
        ("nonce", "n-1"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    Url::parse_with_params(&format!("{}/authorize", server.issuer()), parameters).unwrap()
}

/// Presses a button of the page that the server really shows.
async fn press(server: &Rehearsal, url: &Url, decision: &str) -> Answer {
    let page = get(server, &url[url::Position::BeforePath..], "").await;
    assert_eq!(page.status, 200, "{}", page.body);
    let (_, rest) = page.body.split_once("name=\"ticket\" value=\"").unwrap();
    let ticket = rest.split('"').next().unwrap();
    let headers = format!("Origin: {}\r\nSec-Fetch-Site: same-origin\r\n", server.issuer());
    post(server, "/authorize/decision", &headers, &[("ticket", ticket), ("decision", decision)]).await
}

async fn signed_in(server: &Rehearsal, scope: &str) -> String {
    let answer = press(server, &authorization_url(server, scope), "sign-in").await;
    answer.redirect().1.remove("code").unwrap()
}

async fn token(server: &Rehearsal, members: &[(&str, &str)]) -> Answer {
    let client = [("client_id", server.client_id()), ("client_secret", server.client_secret().expose())];
    post(server, "/token", "", &[&client, members].concat()).await
}

async fn redeem(server: &Rehearsal, code: &str) -> Answer {
    let members = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT), ("code_verifier", VERIFIER)];
    token(server, &members).await
}

async fn refresh(server: &Rehearsal, refresh_token: &Value) -> Answer {
    token(server, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str().unwrap())]).await
}

async fn visit(server: &Rehearsal, access_token: &Value) -> Answer {
    let header = format!("Authorization: Bearer {}\r\n", access_token.as_str().unwrap());
    get(server, server.resource().path(), &header).await
}

#[tokio::test]
async fn a_login_ends_at_the_resource() {
    let server = Rehearsal::start().await.unwrap();
    let answer = press(&server, &authorization_url(&server, "openid profile email offline_access"), "sign-in").await;
    let (uri, back) = answer.redirect();
    assert_eq!(uri, REDIRECT);
    assert_eq!((back["state"].as_str(), back["iss"].as_str()), ("st&te", server.issuer()));

    let tokens = redeem(&server, &back["code"]).await;
    assert_eq!((tokens.status, tokens.headers["cache-control"].as_str()), (200, "no-store"));
    let tokens = tokens.json();
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["scope"], "openid profile email offline_access");
    assert_eq!(tokens["expires_in"], 900);

    let shown = visit(&server, &tokens["access_token"]).await;
    assert_eq!(
        (shown.status, shown.json()),
        (200, json!({ "sub": "alice", "name": "Alice Example", "email": "alice@example.com", "email_verified": true }))
    );
}

#[tokio::test]
async fn the_id_token_verifies_with_the_published_key() {
    let server = Rehearsal::start().await.unwrap();
    let tokens = redeem(&server, &signed_in(&server, "openid email").await).await.json();
    let id_token = tokens["id_token"].as_str().unwrap();
    let metadata = get(&server, "/.well-known/openid-configuration", "").await.json();
    assert_eq!(metadata["issuer"], server.issuer());
    let jwks = Url::parse(metadata["jwks_uri"].as_str().unwrap()).unwrap();
    let keys: JwkSet = serde_json::from_str(&get(&server, jwks.path(), "").await.body).unwrap();
    let key = keys.find(&decode_header(id_token).unwrap().kid.unwrap()).unwrap();
    let mut checks = Validation::new(Algorithm::ES256);
    checks.set_audience(&[server.client_id()]);
    checks.set_issuer(&[server.issuer()]);
    let claims = decode::<Value>(id_token, &DecodingKey::from_jwk(key).unwrap(), &checks).unwrap().claims;
    assert_eq!(
        (&claims["sub"], &claims["nonce"], &claims["email"]),
        (&json!("alice"), &json!("n-1"), &json!("alice@example.com"))
    );
    assert_eq!(claims.get("name"), None, "profile was not asked for");

    let other = Rehearsal::start().await.unwrap();
    let keys: JwkSet = serde_json::from_str(&get(&other, "/jwks", "").await.body).unwrap();
    assert!(decode::<Value>(id_token, &DecodingKey::from_jwk(&keys.keys[0]).unwrap(), &checks).is_err());
}

#[tokio::test]
async fn without_openid_there_is_no_id_token_and_without_offline_access_no_refresh_token() {
    let server = Rehearsal::start().await.unwrap();
    let tokens = redeem(&server, &signed_in(&server, "email").await).await.json();
    assert_eq!((tokens.get("id_token"), tokens.get("refresh_token")), (None, None));
}

#[tokio::test]
async fn cancelling_is_told_to_the_client_and_nothing_is_given() {
    let server = Rehearsal::start().await.unwrap();
    let (uri, back) = press(&server, &authorization_url(&server, "openid"), "cancel").await.redirect();
    assert_eq!((uri.as_str(), back["error"].as_str(), back["state"].as_str()), (REDIRECT, "access_denied", "st&te"));
    assert_eq!((back.get("code"), back["iss"].as_str()), (None, server.issuer()));
}

#[tokio::test]
async fn a_demonstration_can_press_the_button_itself() {
    let server = Rehearsal::start().await.unwrap();
    let form = server.sign_in_form(&authorization_url(&server, "openid")).unwrap();
    assert_eq!(form.action.as_str(), format!("{}/authorize/decision", server.issuer()));
    let fields: Vec<(&str, &str)> = form.fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert!(form_urlencoded::parse(form.body().as_bytes()).eq(fields.iter().map(|(n, v)| ((*n).into(), (*v).into()))));
    let (_, back) = post(&server, form.action.path(), "", &fields).await.redirect();
    assert_eq!(redeem(&server, &back["code"]).await.status, 200);

    let elsewhere = Url::parse("http://127.0.0.1:1/authorize").unwrap();
    let mut wrong = authorization_url(&server, "openid");
    wrong.set_query(Some("client_id=x"));
    for url in [elsewhere, wrong, authorization_url(&server, "admin")] {
        assert!(server.sign_in_form(&url).is_err(), "{url}");
    }
}

#[tokio::test]
async fn a_code_works_once_and_its_second_use_ends_what_it_gave() {
    let server = Rehearsal::start().await.unwrap();
    let code = signed_in(&server, "openid offline_access").await;
    let tokens = redeem(&server, &code).await.json();
    assert_eq!(visit(&server, &tokens["access_token"]).await.status, 200);
    assert_eq!(redeem(&server, &code).await.error(), (400, "invalid_grant".to_owned()));
    assert_eq!(visit(&server, &tokens["access_token"]).await.status, 401);
    assert_eq!(refresh(&server, &tokens["refresh_token"]).await.error(), (400, "invalid_grant".to_owned()));
}

#[tokio::test]
async fn a_code_needs_its_verifier_its_redirect_uri_and_its_client() {
    let server = Rehearsal::start().await.unwrap();
    let good = [("grant_type", "authorization_code"), ("redirect_uri", REDIRECT), ("code_verifier", VERIFIER)];
    for (name, wrong) in [
        ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl"),
        ("code_verifier", CHALLENGE),
        ("code_verifier", ""),
        ("redirect_uri", "http://localhost:9877/oauth/callback"),
        ("redirect_uri", "http://localhost:9876/oauth/callback/"),
        ("redirect_uri", ""),
        ("code", "guessed"),
    ] {
        let code = signed_in(&server, "openid").await;
        let mut members: HashMap<&str, &str> = good.into();
        members.insert("code", &code);
        members.insert(name, wrong);
        let members: Vec<_> = members.into_iter().collect();
        assert_eq!(token(&server, &members).await.error(), (400, "invalid_grant".to_owned()), "{name}={wrong}");
    }

    let code = signed_in(&server, "openid").await;
    let stranger = [&good[..], &[("code", code.as_str()), ("client_id", server.client_id()), ("client_secret", "x")]].concat();
    assert_eq!(post(&server, "/token", "", &stranger).await.error(), (401, "invalid_client".to_owned()));
    assert_eq!(redeem(&server, &code).await.status, 200, "the stranger has not used it up");
}

#[tokio::test]
async fn a_client_may_authenticate_in_the_header() {
    let server = Rehearsal::start().await.unwrap();
    let code = signed_in(&server, "openid").await;
    let members =
        [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", REDIRECT), ("code_verifier", VERIFIER)];
    let header =
        |secret: &str| format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{}:{secret}", server.client_id())));
    let refused = post(&server, "/token", &header("wrong"), &members).await;
    assert_eq!(refused.error(), (401, "invalid_client".to_owned()));
    assert!(refused.headers["www-authenticate"].starts_with("Basic"));
    assert_eq!(post(&server, "/token", &header(server.client_secret().expose()), &members).await.status, 200);
}

#[tokio::test]
async fn refresh_tokens_rotate_and_a_used_one_ends_the_login() {
    let server = Rehearsal::start().await.unwrap();
    let first = redeem(&server, &signed_in(&server, "openid offline_access").await).await.json();
    let second = refresh(&server, &first["refresh_token"]).await.json();
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_eq!(visit(&server, &second["access_token"]).await.status, 200);

    assert_eq!(refresh(&server, &first["refresh_token"]).await.error(), (400, "invalid_grant".to_owned()));
    assert_eq!(refresh(&server, &second["refresh_token"]).await.error(), (400, "invalid_grant".to_owned()));
    assert_eq!(visit(&server, &second["access_token"]).await.status, 401);
}

#[tokio::test]
async fn a_refresh_narrows_and_never_widens() {
    let server = Rehearsal::start().await.unwrap();
    let tokens = redeem(&server, &signed_in(&server, "openid email offline_access").await).await.json();
    let mut members = vec![("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    members.push(("scope", "openid profile"));
    assert_eq!(token(&server, &members).await.error(), (400, "invalid_scope".to_owned()));
    members[2].1 = "openid";
    let narrow = token(&server, &members).await.json();
    assert_eq!(narrow["scope"], "openid");
    assert_eq!(visit(&server, &narrow["access_token"]).await.json(), json!({ "sub": "alice" }));
    assert_eq!(refresh(&server, &narrow["refresh_token"]).await.json()["scope"], "openid email offline_access");
}

#[tokio::test]
async fn a_revoked_token_opens_nothing() {
    let server = Rehearsal::start().await.unwrap();
    let client = [("client_id", server.client_id()), ("client_secret", server.client_secret().expose())];
    let tokens = redeem(&server, &signed_in(&server, "openid offline_access").await).await.json();
    let (access, refresh_token) = (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());

    let stranger = post(&server, "/revoke", "", &[("token", access)]).await;
    assert_eq!(stranger.error(), (401, "invalid_client".to_owned()));
    assert_eq!(visit(&server, &tokens["access_token"]).await.status, 200);

    let revoke = async |token: &str| post(&server, "/revoke", "", &[&client[..], &[("token", token)]].concat()).await.status;
    assert_eq!(revoke(access).await, 200);
    assert_eq!(visit(&server, &tokens["access_token"]).await.status, 401);
    let again = refresh(&server, &tokens["refresh_token"]).await.json();
    assert_eq!(visit(&server, &again["access_token"]).await.status, 200, "revoking one access token is not signing out");

    assert_eq!(revoke(again["refresh_token"].as_str().unwrap()).await, 200);
    assert_eq!(visit(&server, &again["access_token"]).await.status, 401, "it belonged to the same login");
    assert_eq!(refresh(&server, &again["refresh_token"]).await.status, 400);
    assert_eq!(revoke("never issued").await, 200);
    assert_eq!(revoke(refresh_token).await, 200);
}

#[tokio::test]
async fn the_resource_wants_a_token_in_the_header() {
    let server = Rehearsal::start().await.unwrap();
    let none = get(&server, "/userinfo", "").await;
    assert_eq!((none.status, none.headers["www-authenticate"].as_str()), (401, "Bearer realm=\"rehearsal\""));
    let wrong = get(&server, "/userinfo", "Authorization: Bearer made-up\r\n").await;
    assert_eq!(wrong.error(), (401, "invalid_token".to_owned()));
    let tokens = redeem(&server, &signed_in(&server, "openid").await).await.json();
    let in_query = format!("/userinfo?access_token={}", tokens["access_token"].as_str().unwrap());
    assert_eq!(get(&server, &in_query, "").await.status, 401);
    assert_eq!(visit(&server, &tokens["id_token"]).await.status, 401, "an id_token is no access token");
}

#[tokio::test]
async fn another_site_cannot_press_the_button() {
    let server = Rehearsal::start().await.unwrap();
    let fields = |server: &Rehearsal| server.sign_in_form(&authorization_url(server, "openid")).unwrap().fields;
    for headers in
        ["Origin: http://evil.example\r\n", "Origin: null\r\n", "Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-site\r\n"]
    {
        let fields = fields(&server);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = post(&server, "/authorize/decision", headers, &fields).await;
        assert_eq!((answer.status, answer.headers.get("location")), (400, None), "{headers}");
    }
    let answer = post(&server, "/authorize/decision", "", &[("ticket", "guessed"), ("decision", "sign-in")]).await;
    assert_eq!((answer.status, answer.headers.get("location")), (400, None));
}

#[tokio::test]
async fn the_form_works_once() {
    let server = Rehearsal::start().await.unwrap();
    let fields = server.sign_in_form(&authorization_url(&server, "openid")).unwrap().fields;
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(post(&server, "/authorize/decision", "", &fields).await.status, 303);
    let again = post(&server, "/authorize/decision", "", &fields).await;
    assert_eq!(again.status, 400);
    assert!(again.body.contains("already finished"), "{}", again.body);
}

#[tokio::test]
async fn a_page_repeats_nothing_of_a_bad_request_and_may_load_nothing() {
    let server = Rehearsal::start().await.unwrap();
    let page = get(&server, "/authorize?client_id=%3Cscript%3Ealert(1)%3C/script%3E&redirect_uri=http://evil.example", "").await;
    assert_eq!((page.status, page.headers.get("location")), (400, None));
    assert!(!page.body.contains("alert(1)") && !page.body.contains("evil.example"), "{}", page.body);
    let policy = &page.headers["content-security-policy"];
    assert!(policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn a_bad_request_of_the_client_goes_back_to_it() {
    let server = Rehearsal::start().await.unwrap();
    let mut url = authorization_url(&server, "openid");
    url.set_query(Some(&url.query().unwrap().replace("S256", "plain")));
    let (uri, back) = get(&server, &url[url::Position::BeforePath..], "").await.redirect();
    assert_eq!((uri.as_str(), back["error"].as_str(), back["state"].as_str()), (REDIRECT, "invalid_request", "st&te"));
    assert_eq!(back["iss"], server.issuer());
}

#[tokio::test]
async fn requests_that_are_not_for_it_get_short_answers() {
    let server = Rehearsal::start().await.unwrap();
    let host = server.address();
    for (request, expected) in [
        (format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), 404),
        (format!("GET /favicon.ico HTTP/1.1\r\nHost: {host}\r\n\r\n"), 404),
        (format!("GET //authorize HTTP/1.1\r\nHost: {host}\r\n\r\n"), 404),
        (format!("GET /token HTTP/1.1\r\nHost: {host}\r\n\r\n"), 405),
        (format!("HEAD /authorize HTTP/1.1\r\nHost: {host}\r\n\r\n"), 405),
        (format!("POST /authorize HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"), 405),
        (format!("POST /token HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\n\r\n{{}}"), 400),
        (format!("POST /token HTTP/1.1\r\nHost: {host}\r\nContent-Length: 999999\r\n\r\n"), 413),
        ("GET /jwks HTTP/1.1\r\nHost: rebound.example\r\n\r\n".to_owned(), 421),
        (format!("GET /jwks HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n"), 421),
        (format!("GET http://{host}/jwks HTTP/1.1\r\nHost: {host}\r\n\r\n"), 421),
        ("GET /jwks HTTP/1.0\r\n\r\n".to_owned(), 421),
    ] {
        assert_eq!(raw(&server, &request).await.status, expected, "{request}");
    }
}

#[tokio::test]
async fn it_ends_when_it_is_dropped() {
    let server = Rehearsal::start().await.unwrap();
    let address = server.address();
    drop(server);
    for _ in 0..200 {
        if tokio::net::TcpListener::bind(address).await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the port is still taken");
}

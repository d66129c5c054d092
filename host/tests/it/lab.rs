//! The lab itself works: what the other tests stand on, without the broker.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use url::Url;

use crate::support::agent::{Agent, Mood};
use crate::support::browser::Browser;
use crate::support::idp::Idp;
use crate::support::lookalike::{Answer, App, Decision, GitHub, Lookalike, OpenId, Site};
use crate::support::{http, place};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn authorization_url(endpoint: &str, client: &str, redirect: &str, scope: &str) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let mut url = Url::parse(endpoint).unwrap();
    url.query_pairs_mut().extend_pairs([
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", redirect),
        ("scope", scope),
        ("state", "0123456789abcdef0123456789abcdef"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("prompt", "consent"),
    ]);
    url.into()
}

/// A page on loopback that answers anything, in the broker's place.
async fn landing() -> (String, tokio::task::JoinHandle<()>) {
    use hyper_util::rt::TokioIo;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://127.0.0.1:{}/oauth/callback", listener.local_addr().unwrap().port());
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = hyper::service::service_fn(|_| async {
                let page = "<!doctype html><p>Arrived in the lab</p>".to_owned();
                let page = ::http::Response::builder().header("content-type", "text/html").body(page);
                Ok::<_, std::convert::Infallible>(page.unwrap())
            });
            drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        }
    });
    (url, task)
}

#[tokio::test]
async fn a_person_without_a_browser_signs_in_and_declines_at_the_identity_provider() {
    let mut idp = Idp::start().await;
    let (landing, _task) = landing().await;
    let url = authorization_url(&format!("{}/auth", idp.issuer()), "public-client", &landing, "openid offline_access");
    let page = Agent::default().sign_in(&url).await;
    let query: std::collections::BTreeMap<_, _> = page.url.query_pairs().collect();
    assert!(query.contains_key("code") && query["iss"] == idp.issuer(), "{}", page.url);
    let code = query["code"].to_string();
    assert!(idp.secrets().await.contains(&code), "the provider tells which code it issued");

    let page = Agent::default().act(&url, Mood::Unwilling).await;
    assert!(page.url.query().unwrap().contains("error=access_denied"), "{}", page.url);
}

#[tokio::test]
async fn a_person_with_chromium_signs_in_at_the_identity_provider() {
    let idp = Idp::start().await;
    let (landing, _task) = landing().await;
    let browser = Browser::start().await;
    browser.sign_in(&authorization_url(&format!("{}/auth", idp.issuer()), "public-client", &landing, "openid")).await;
    assert_eq!(browser.text_with("Arrived in the lab").await, "Arrived in the lab");
    browser.close().await;
}

/// A client that finds these hosts at the look-alike, and trusts it.
fn client(lookalike: &Lookalike, hosts: &[&str]) -> reqwest::Client {
    let mut roots = rustls::RootCertStore::empty();
    let pem = std::fs::read(lookalike.ca()).unwrap();
    for certificate in <rustls::pki_types::CertificateDer<'_> as rustls::pki_types::pem::PemObject>::pem_slice_iter(&pem) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    #[expect(clippy::disallowed_methods, reason = "a test meets the look-alike without the broker's own door")]
    let mut client =
        reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().redirect(reqwest::redirect::Policy::none());
    for host in hosts {
        client = client.resolve(host, lookalike.address());
    }
    client.build().unwrap()
}

#[tokio::test]
async fn a_lookalike_hands_out_tokens_with_its_quirks_and_faults() {
    let github = Arc::new(GitHub::new(App::GitHub));
    let lookalike = Lookalike::of(&github).await;
    let http = client(&lookalike, &["github.com", "api.github.com"]);
    let redirect = "http://localhost:9876/oauth/callback";
    let url = authorization_url("https://github.com/login/oauth/authorize", github.desk().client_id(), redirect, "repo");
    let back = github.sign_in(&url, Decision::Approve);
    let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let secret = github.desk().client_secret().unwrap();
    let fields = [
        ("client_id", github.desk().client_id()),
        ("client_secret", secret),
        ("code", &code),
        ("redirect_uri", redirect),
        ("code_verifier", VERIFIER),
    ];
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let token = |accept: &'static str| {
        let request = http.post("https://github.com/login/oauth/access_token").header("accept", accept);
        request.body(body.clone()).send()
    };
    let answer = token("application/json").await.unwrap().text().await.unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert!(answer["access_token"].as_str().unwrap().starts_with("ghu_") && answer["expires_in"] == "28800", "{answer}");

    let again = token("*/*").await.unwrap();
    assert_eq!(again.status(), 200, "GitHub's errors come with status 200");
    assert!(again.text().await.unwrap().starts_with("error=bad_verification_code"), "a code works once");

    lookalike.once("/login/oauth/access_token", Answer::Close);
    token("application/json").await.expect_err("the connection closes");
    lookalike.once("/login/oauth/access_token", Answer::redirect(307, "https://evil.test/").after(Duration::from_millis(10)));
    assert_eq!(token("application/json").await.unwrap().status(), 307);
    assert_eq!(lookalike.requests("/login/oauth/access_token").len(), 4);
    assert_eq!(lookalike.requests("/login/oauth/access_token")[0].sni, "github.com");
    assert!(lookalike.secrets().contains(&code) && lookalike.secrets().iter().any(|known| known == VERIFIER));
}

#[tokio::test]
async fn a_lookalike_publishes_metadata_that_can_be_bent() {
    let okta = Arc::new(OpenId::okta("default", None));
    let lookalike = Lookalike::of(&okta).await;
    lookalike.edit(&okta.discovery_path(), |document| document["token_endpoint"] = "http://169.254.169.254/".into());
    let request = client(&lookalike, &["dev-1.okta.com"]).get(format!("{}/.well-known/openid-configuration", okta.issuer()));
    let document = request.send().await.unwrap().text().await.unwrap();
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["issuer"], "https://dev-1.okta.com/oauth2/default");
    assert_eq!(document["token_endpoint"], "http://169.254.169.254/");
}

#[tokio::test]
async fn a_free_port_answers_nothing() {
    let url = Url::parse(&format!("http://127.0.0.1:{}/", place::free_port())).unwrap();
    http::get(&url).await.expect_err("nobody listens there");
}

//! Paste-back: the address that the browser ended at, brought by hand. It is held to what a browser is held to.

use std::sync::Arc;
use std::time::Duration;

use credentials_broker::broker::flows::Status;
use credentials_broker::error::Code;
use credentials_broker::secret::Secret;

use crate::support::agent::Agent;
use crate::support::broker::Launch;
use crate::support::http;
use crate::support::idp::Idp;
use crate::support::inside::Inside;
use crate::support::lookalike::{App, Decision, GitHub, Lookalike, Site};

async fn github() -> (Arc<GitHub>, Lookalike, Inside) {
    let github = Arc::new(GitHub::new(App::OAuth));
    let lookalike = Lookalike::of(&github).await;
    let (id, secret) = (github.desk().client_id(), github.desk().client_secret().unwrap());
    let settings = format!("[providers.github]\nclient_id = \"{id}\"\nclient_secret = \"{secret}\"");
    let inside = Inside::of(Launch::new().at(&lookalike).toml(&settings));
    (github, lookalike, inside)
}

#[tokio::test]
async fn a_person_without_a_reachable_loopback_signs_in_at_a_real_provider_by_pasting_the_address() {
    let idp = Idp::start().await;
    let settings = format!(
        "[egress]\nallow_loopback = [\"{}\"]\n[providers.oauth2]\nclient_id = \"public-client\"\nissuer = \"{}\"",
        idp.address(),
        idp.issuer()
    );
    let inside = Inside::of(Launch::new().toml(&settings));
    let started = inside.begin("oauth2", "team", |request| request.scopes = vec!["openid".to_owned()]).await.unwrap();
    let url = &started.flow.authorization_url;
    let redirect = url.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1.into_owned();
    // the browser is elsewhere: it only shows the address
    let stopped = Agent::stopping_at(&redirect).sign_in(url.as_str()).await;
    let address = stopped.location().unwrap();
    let pasted = Secret::new(format!("  {address}#_=_\n"));
    inside.broker.complete_login(&started.flow.id, &pasted).unwrap();
    let Status::Done(done) = inside.end(&started).await else { panic!("not signed in") };
    assert_eq!(done.account.as_ref().unwrap().subject, "alice");

    let again = inside.broker.complete_login(&started.flow.id, &pasted).unwrap_err();
    assert_eq!(again.code(), Code::Expired, "{again}");
}

#[tokio::test]
async fn what_is_not_this_logins_address_leaves_it_pending() {
    let (github, lookalike, inside) = github().await;
    let started = inside.begin("github", "t", |_| {}).await.unwrap();
    let other = inside.begin("github", "u", |_| {}).await.unwrap();
    let address = github.sign_in(started.flow.authorization_url.as_str(), Decision::Approve).to_string();
    let others = github.sign_in(other.flow.authorization_url.as_str(), Decision::Approve).to_string();
    let code = address.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let state = address.split("state=").nth(1).unwrap().to_owned();
    for pasted in [
        String::new(),
        code.clone(),
        address.replace(&state, "another-state"),
        address.replace("/oauth/callback", "/oauth/callback/acme"),
        address.replace("/oauth/callback", "/x/../oauth/callback"),
        address.replace("http://localhost", "https://localhost"),
        address.replace("localhost", "127.0.0.1"),
        address.replace("localhost", "evil.example"),
        address.replace("http://", "http://user@"),
        format!("{address}&code=another"),
        format!("{address}&state={state}"),
        format!("{address}&error=access_denied"),
        format!("{address}\r\nx-header: 1"),
        others,
    ] {
        let refused = inside.broker.complete_login(&started.flow.id, &Secret::from(pasted.as_str())).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{pasted}: {refused}");
        assert!(!refused.to_string().contains(&code) && !refused.to_string().contains(&state), "{refused}");
    }
    assert!(lookalike.all_requests().is_empty(), "no code was redeemed");
    assert!(started.flow.is_pending() && other.flow.is_pending());
    let unknown = inside.broker.complete_login("nope", &Secret::from(address.as_str())).unwrap_err();
    assert_eq!(unknown.code(), Code::UnknownFlow);

    inside.broker.complete_login(&started.flow.id, &Secret::from(address.as_str())).unwrap();
    assert!(matches!(inside.end(&started).await, Status::Done(_)));
}

#[tokio::test]
async fn a_wrong_issuer_and_a_refusal_that_are_pasted_end_the_login_as_in_a_browser() {
    let (github, lookalike, inside) = github().await;
    for (decision, from, to, code) in [
        (Decision::Approve, "iss=https%3A%2F%2Fgithub.com", "iss=https%3A%2F%2Fevil.example", Code::ProviderError),
        (Decision::Deny, "", "", Code::Denied),
    ] {
        let started = inside.begin("github", "t", |_| {}).await.unwrap();
        let address = github.sign_in(started.flow.authorization_url.as_str(), decision).to_string().replace(from, to);
        inside.broker.complete_login(&started.flow.id, &Secret::from(address.as_str())).unwrap();
        let Status::Failed(error) = inside.end(&started).await else { panic!("signed in") };
        assert_eq!(error.code(), code, "{error}");
    }
    assert!(lookalike.all_requests().is_empty());
}

#[tokio::test]
async fn a_browser_that_comes_back_after_all_finds_the_login_done() {
    let (github, lookalike, inside) = github().await;
    let started = inside.begin("github", "t", |_| {}).await.unwrap();
    let other = inside.begin("github", "u", |_| {}).await.unwrap();
    let address = github.sign_in(started.flow.authorization_url.as_str(), Decision::Approve);
    inside.broker.complete_login(&started.flow.id, &Secret::from(address.as_str())).unwrap();
    assert!(matches!(inside.end(&started).await, Status::Done(_)));
    let page = http::get(&address).await.unwrap();
    assert!(page.body.contains("already"), "{}", page.body);
    assert_eq!(lookalike.requests("/login/oauth/access_token").len(), 1);
    inside.broker.cancel_login(&other.flow);
    tokio::time::sleep(Duration::from_millis(10)).await;
    let late = inside.broker.complete_login(&other.flow.id, &Secret::from(address.as_str())).unwrap_err();
    assert!(matches!(late.code(), Code::Expired | Code::InvalidArgument), "{late}");
}

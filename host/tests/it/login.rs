//! Signing in at a real OpenID provider, npm `oidc-provider`: as each kind of client, and everything that can come of it.

use serde_json::{Value, json};
use url::Url;

use crate::support::agent::{Agent, Mood};
use crate::support::broker::{Broker, Launch};
use crate::support::idp::Idp;
use crate::support::{http, place};

/// A broker whose `oauth2` provider is this one, found by discovery.
pub fn at(idp: &Idp, client: &str) -> Launch {
    let toml = format!("[egress]\nallow_loopback = [\"{}\"]", idp.address());
    let secret = idp.secret(client);
    Launch::new().toml(&toml).env("OAUTH2_ISSUER", idp.issuer()).client("OAUTH2", client, secret.as_deref())
}

/// Signs a person in, and returns what await_oauth_flow says.
pub async fn signed_in(broker: &mut Broker, name: &str) -> Value {
    let pending = broker.begin_login("oauth2", &["openid", "offline_access"], name).await;
    let page = Agent::default().sign_in(url(&pending)).await;
    assert!(page.status.is_success() && page.body.contains("You are signed in"), "{}", page.body);
    broker.end_login(&pending).await.ok()
}

/// The authorization URL of a pending login.
pub fn url(pending: &Value) -> &str {
    pending["authorization_url"].as_str().unwrap()
}

/// Tokens of a kind that the provider issued: `access`, `refresh`, `code`.
pub async fn issued(idp: &mut Idp, kind: &str) -> Vec<String> {
    let events = idp.events().await.iter().filter(|event| event["issued"] == kind);
    events.map(|event| event["value"].as_str().unwrap().to_owned()).collect()
}

/// How often the provider served a grant: `authorization_code`, `refresh_token`.
pub async fn granted(idp: &mut Idp, grant: &str) -> usize {
    idp.events().await.iter().filter(|event| event["granted"] == grant).count()
}

#[tokio::test]
async fn each_kind_of_client_signs_in_and_the_agent_sees_nothing_but_the_access_token() {
    let mut idp = Idp::start().await;
    for (client, auth) in [
        ("public-client", None),
        ("basic-client", None),
        ("basic-client", Some("basic")),
        ("post-client", Some("post")),
        ("public-client", Some("none")),
    ] {
        let mut launch = at(&idp, client);
        if let Some(auth) = auth {
            launch = launch.env("OAUTH2_CLIENT_AUTH", auth);
        }
        let mut broker = launch.ready().await;
        let done = signed_in(&mut broker, "test-login").await;
        assert_eq!(done["tokenType"], "Bearer", "{client}");
        assert_eq!(done["scope"], "openid offline_access", "{client}");
        assert!(done["expiresIn"].as_u64().is_some_and(|seconds| (3500..=3600).contains(&seconds)), "{done}");
        assert_eq!(done["hasRefreshToken"], true, "{client}");
        assert_eq!(done["account"]["issuer"], idp.issuer());
        assert_eq!(done["account"]["subject"], "alice");
        assert!(done.get("missingScopes").is_none() && done.get("extraScopes").is_none(), "{done}");
        assert!(done["message"].as_str().unwrap().contains("test-login"), "{done}");

        let token = broker.reveal("test-login").await;
        assert!(issued(&mut idp, "access").await.contains(&token), "{client}: the token is the provider's");
        let listed = broker.call("list_secrets", json!({})).await.ok();
        assert_eq!(listed["secrets"][0]["kind"], "oauth");
        assert_eq!(listed["secrets"][0]["state"], "signed_in");
        assert_eq!(listed["secrets"][0]["scopes"], json!(["openid", "offline_access"]));
        assert_eq!(listed["secrets"][0]["account"]["subject"], "alice");

        broker.finish().await;
        let secrets = idp.secrets().await;
        let unseen: Vec<&String> = secrets.iter().filter(|secret| **secret != token).collect();
        broker.assert_unseen(&unseen);
        broker.assert_unseen_beside_stdout(&secrets);
    }
    assert_eq!(granted(&mut idp, "authorization_code").await, 5);
}

#[tokio::test]
async fn a_wrong_client_secret_says_which_settings_to_compare() {
    let idp = Idp::start().await;
    let mut broker = at(&idp, "basic-client").env("OAUTH2_CLIENT_SECRET", "not-the-right-secret").ready().await;
    let pending = broker.begin_login("oauth2", &["openid"], "test-login").await;
    let page = Agent::default().sign_in(url(&pending)).await;
    assert!(page.body.contains("You are not signed in") && !page.status.is_success(), "{}", page.body);
    let failure = broker.end_login(&pending).await.refused("provider_error");
    failure.names(&["invalid_client", "OAUTH2_CLIENT_SECRET", "OAUTH2_CLIENT_AUTH"]);
    broker.assert_unseen(&["not-the-right-secret"]);
    assert_eq!(broker.call("list_secrets", json!({})).await.ok()["secrets"], json!([]));
}

#[tokio::test]
async fn explicit_endpoints_need_no_issuer() {
    let mut idp = Idp::start().await;
    let mut broker = at(&idp, "public-client")
        .env("OAUTH2_ISSUER", "")
        .env("OAUTH2_AUTHORIZATION_ENDPOINT", &format!("{}/auth", idp.issuer()))
        .env("OAUTH2_TOKEN_ENDPOINT", &format!("{}/token", idp.issuer()))
        .ready()
        .await;
    let done = signed_in(&mut broker, "test-login").await;
    assert_eq!(done["hasRefreshToken"], true, "prompt=consent was asked for: {done}");
    assert!(done.get("account").is_none(), "no keys are known, so nobody's word is taken for it: {done}");
    let token = broker.reveal("test-login").await;
    assert!(issued(&mut idp, "access").await.contains(&token));
}

#[tokio::test]
async fn an_agent_may_repeat_the_endpoints_and_never_choose_them() {
    let idp = Idp::start().await;
    let mut broker = at(&idp, "basic-client").ready().await;
    let arguments = |authorization: &str, token: &str| {
        json!({ "provider": "oauth2", "scopes": ["openid"], "secret_name": "test-login",
            "authorization_endpoint": authorization, "token_endpoint": token })
    };
    let (auth, token) = (format!("{}/auth", idp.issuer()), format!("{}/token", idp.issuer()));
    for (wrong_auth, wrong_token, name) in [
        (auth.as_str(), "https://evil.example/token", "token_endpoint"),
        ("https://evil.example/auth", token.as_str(), "authorization_endpoint"),
        (token.as_str(), auth.as_str(), "authorization_endpoint"),
        (auth.as_str(), "http://127.0.0.1:1/token", "token_endpoint"),
        (auth.as_str(), &format!("{token}?x"), "token_endpoint"),
        (auth.as_str(), &token.replace("127.0.0.1", "localhost"), "token_endpoint"),
        (auth.as_str(), "not a url", "token_endpoint"),
    ] {
        let failure = broker.call("start_oauth_flow", arguments(wrong_auth, wrong_token)).await.refused("not_allowed");
        failure.names(&[name, "[providers.oauth2]", "broker.toml"]);
    }
    broker.call("start_oauth_flow", arguments(&auth, &token)).await.pending();
}

#[tokio::test]
async fn a_person_who_declines_is_told_and_so_is_the_agent() {
    let mut idp = Idp::start().await;
    let mut broker = at(&idp, "public-client").ready().await;
    let pending = broker.begin_login("oauth2", &["openid"], "test-login").await;
    let page = Agent::default().act(url(&pending), Mood::Unwilling).await;
    assert!(page.status.is_success() && page.body.contains("Sign-in declined"), "{}", page.body);
    broker.end_login(&pending).await.refused("denied").names(&["declined", "Ask the person"]);
    place::freed(broker.port()).await;
    broker.call("get_secret", json!({ "name": "test-login", "purpose": "a test" })).await.refused("unknown_secret");
    assert_eq!(granted(&mut idp, "authorization_code").await, 0);

    signed_in(&mut broker, "test-login").await;
}

#[tokio::test]
async fn a_code_of_another_flow_is_worth_nothing() {
    let mut idp = Idp::start().await;
    let mut broker = at(&idp, "public-client").ready().await;
    let callback = format!("http://localhost:{}/", broker.port());
    let theirs = broker.begin_login("oauth2", &["openid"], "theirs").await;
    let ours = broker.begin_login("oauth2", &["openid"], "ours").await;
    let stolen = Agent::stopping_at(&callback).sign_in(url(&theirs)).await.location().unwrap();
    let stolen = stolen.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let mut injected = Agent::stopping_at(&callback).sign_in(url(&ours)).await.location().unwrap();
    let answer: Vec<(String, String)> = injected.query_pairs().into_owned().filter(|(name, _)| name != "code").collect();
    injected.query_pairs_mut().clear().extend_pairs(answer).append_pair("code", &stolen);

    let page = http::get(&injected).await.unwrap();
    assert!(page.body.contains("You are not signed in"), "{}", page.body);
    broker.end_login(&ours).await.refused("provider_error").names(&["invalid_grant"]);
    assert_eq!(broker.call("list_secrets", json!({})).await.ok()["secrets"], json!([]), "the code is bound to its verifier");
    assert_eq!(granted(&mut idp, "authorization_code").await, 0);
}

#[tokio::test]
async fn a_code_works_once_at_the_provider_and_its_verifier_is_not_to_be_had() {
    let idp = Idp::start().await;
    let mut broker = at(&idp, "public-client").ready().await;
    let pending = broker.begin_login("oauth2", &["openid"], "test-login").await;
    let page = Agent::default().sign_in(url(&pending)).await;
    let query: std::collections::BTreeMap<String, String> = page.url.query_pairs().into_owned().collect();
    broker.end_login(&pending).await.ok();
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("grant_type", "authorization_code"), ("client_id", "public-client"), ("code", &query["code"])])
        .append_pair("redirect_uri", &format!("http://localhost:{}/oauth/callback", broker.port()))
        .append_pair("code_verifier", &"v".repeat(43))
        .finish();
    let token = Url::parse(&format!("{}/token", idp.issuer())).unwrap();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer = http::send(::http::Method::POST, &token, &headers, body).await.unwrap();
    assert!(answer.body.contains("invalid_grant"), "{}", answer.body);
}

#[tokio::test]
async fn the_callback_may_be_another_loopback_address_port_and_path() {
    let idp = Idp::start().await;
    let port = place::free_port();
    let launch = at(&idp, "public-client").toml(&format!("[callback]\nurl = \"http://127.0.0.1:{port}/oauth/callback\""));
    let mut broker = launch.ready().await;
    let pending = broker.begin_login("oauth2", &["openid"], "test-login").await;
    assert!(url(&pending).contains(&format!("redirect_uri=http%3A%2F%2F127.0.0.1%3A{port}%2Foauth%2Fcallback")), "{pending}");
    let page = Agent::default().sign_in(url(&pending)).await;
    assert_eq!(page.url.port(), Some(port));
    broker.end_login(&pending).await.ok();
}

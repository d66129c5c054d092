//! An agent that was talked into sending codes and secrets elsewhere (the predecessor gave its client secret away to whoever
//! was named in `token_endpoint`), and everything else that could be slipped into an argument (T44, T47).

use std::net::TcpListener;
use std::sync::Arc;

use serde_json::json;

use crate::support::broker::{Broker, Launch};
use crate::support::lookalike::{App, Decision, GitHub, Lookalike, OpenId, Site};
use crate::support::visit::{login, parameter, with_parameter};

/// Somebody who would like to be sent a secret.
struct Thief(TcpListener);

impl Thief {
    fn new() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    #[track_caller]
    fn assert_untouched(&self) {
        assert!(self.0.accept().is_err(), "somebody connected");
    }
}

/// Every provider configured, and the thief's address even allowed for requests: only the rule on arguments is left.
async fn start(thief: &Thief) -> (Arc<GitHub>, Arc<OpenId>, Lookalike, Broker) {
    let github = Arc::new(GitHub::new(App::OAuth));
    let okta = Arc::new(OpenId::okta("default", None));
    let lookalike = Lookalike::start(vec![Arc::clone(&github) as Arc<dyn Site>, Arc::clone(&okta) as Arc<dyn Site>]).await;
    let launch = Launch::new().at(&lookalike).toml(&format!("[egress]\nallow_loopback = [\"{}\"]", thief.address()));
    let broker = launch
        .client("GITHUB", github.desk().client_id(), github.desk().client_secret())
        .client("OKTA", okta.desk().client_id(), None)
        .env("OKTA_DOMAIN", "dev-1.okta.com")
        .env("OKTA_AUTHORIZATION_SERVER", "default")
        .client("GCP", "1234.apps.googleusercontent.com", Some("GOCSPX-abcdefghijkl"))
        .client("AZURE", "6731de76-14a6-49ae-97bc-6eba6914391e", None)
        .client("OAUTH2", "client", Some("the-oauth2-client-secret"))
        .env("OAUTH2_AUTHORIZATION_ENDPOINT", "https://id.example.test/authorize")
        .env("OAUTH2_TOKEN_ENDPOINT", "https://id.example.test/token")
        .ready()
        .await;
    (github, okta, lookalike, broker)
}

#[tokio::test]
async fn an_endpoint_that_the_agent_names_is_refused_with_the_line_that_would_allow_it_and_no_packet_leaves() {
    let thief = Thief::new();
    let (_github, _okta, lookalike, mut broker) = start(&thief).await;
    let steal = format!("http://{}/steal", thief.address());
    for (provider, table) in [
        ("github", "[providers.oauth2]"),
        ("google", "[providers.oauth2]"),
        ("azure", "[providers.oauth2]"),
        ("okta", "authorization_endpoint"),
        ("oauth2", "[providers.oauth2]"),
    ] {
        for argument in ["token_endpoint", "authorization_endpoint"] {
            let arguments = json!({ "provider": provider, "scopes": ["repo"], "secret_name": "t", (argument): steal });
            let failure = broker.call("start_oauth_flow", arguments).await.refused("not_allowed");
            failure.names(&[argument, "only the operator"]);
            if provider != "okta" {
                failure.names(&[table, &format!("{argument} = "), "broker.toml"]);
            }
        }
    }
    thief.assert_untouched();
    let sent: Vec<String> = lookalike.all_requests().into_iter().map(|request| request.path).collect();
    assert!(
        sent.iter().all(|path| path.ends_with("/.well-known/openid-configuration")),
        "only Okta was asked who it is: {sent:?}"
    );
    assert_eq!(broker.call("get_broker_stats", json!({})).await.ok()["stats"]["pendingFlows"], 0);
}

#[tokio::test]
async fn the_fixed_providers_do_not_take_their_own_endpoints_either() {
    let thief = Thief::new();
    let (_github, _okta, lookalike, mut broker) = start(&thief).await;
    let arguments = json!({ "provider": "github", "scopes": [], "secret_name": "t", "token_endpoint": "https://github.com/login/oauth/access_token" });
    broker.call("start_oauth_flow", arguments).await.refused("not_allowed");
    assert!(lookalike.all_requests().is_empty());
}

#[tokio::test]
async fn what_only_looks_like_the_configured_endpoint_is_another_one() {
    let thief = Thief::new();
    let (_github, _okta, lookalike, mut broker) = start(&thief).await;
    for trick in [
        "https://id.example.test.evil.test/token",
        "https://id.example.test@evil.test/token",
        "https://evil.test/https://id.example.test/token",
        "https://id.example.test:8443/token",
        "http://id.example.test/token",
        "https://id.example.test./token",
        "https://id.example.test/token/",
        "https://id.example.test/token?x=1",
        "https://id.example.test/token#x",
        "https://id.example.test/TOKEN",
        "https://id.example.test/a/../token2",
        "https://id.ex\u{430}mple.test/token",
        "https://user:pw@id.example.test/token",
        "//id.example.test/token",
        "id.example.test/token",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://id.example.test/token",
        "https://[::1]/token",
        "https://127.0.0.1/token",
        "https://0x7f.1/token",
        "$(touch /tmp/x)",
        "",
    ] {
        for argument in ["token_endpoint", "authorization_endpoint"] {
            let arguments = json!({ "provider": "oauth2", "scopes": [], "secret_name": "t", (argument): trick });
            let failure = broker.call("start_oauth_flow", arguments).await.refused("not_allowed");
            assert!(!failure.error.chars().any(char::is_control), "{failure:?}");
        }
    }
    let long = json!({ "provider": "oauth2", "scopes": [], "secret_name": "t", "token_endpoint": format!("https://{}", "x".repeat(1_000_000)) });
    assert!(broker.call("start_oauth_flow", long).await.refused("not_allowed").error.len() < 1000);
    assert!(lookalike.all_requests().is_empty());
}

#[tokio::test]
async fn nothing_in_an_argument_becomes_a_parameter_of_the_authorization_request() {
    let thief = Thief::new();
    let (github, _okta, _lookalike, mut broker) = start(&thief).await;
    let scopes = ["repo&redirect_uri=https://evil.test", "x#y", "a?b=c", "%26state=1", "read:user+gist"];
    // The look-alike fails where a parameter stands twice.
    let visit = login(&mut broker, "github", &scopes, "t", |url| github.sign_in(url, Decision::Approve)).await;
    visit.answer.ok();
    assert_eq!(parameter(&visit.url, "scope"), scopes.join(" "));
    assert_eq!(parameter(&visit.url, "redirect_uri"), format!("http://localhost:{}/oauth/callback", broker.port()));
    assert_eq!(visit.url.fragment(), None);

    for scope in ["a\"b", "a\\b", "a\u{7f}b", "a\u{0}b", "\u{202e}x", "\u{e9}", &"x".repeat(600)] {
        let arguments = json!({ "provider": "github", "scopes": [scope], "secret_name": "u" });
        broker.call("start_oauth_flow", arguments).await.refused("invalid_argument");
    }
    let parted = login(&mut broker, "github", &["repo\r\ngist"], "t", |url| github.sign_in(url, Decision::Approve)).await;
    assert_eq!(parameter(&parted.url, "scope"), "repo gist", "a line break parts scopes as a space does");
}

#[tokio::test]
async fn a_provider_is_named_exactly_and_nothing_else_can_be() {
    let thief = Thief::new();
    let (_github, _okta, lookalike, mut broker) = start(&thief).await;
    for name in [
        "../github",
        "github/../okta",
        "https://evil.test",
        "github\u{0}",
        "github ",
        "g\u{131}thub",
        "",
        "*",
        "/etc/passwd",
        "acme.wasm",
    ] {
        let arguments = json!({ "provider": name, "scopes": [], "secret_name": "t" });
        broker.call("start_oauth_flow", arguments).await.refused("unknown_provider").names(&["github"]);
    }
    for (name, value) in
        [("client_id", "evil"), ("redirect_uri", "https://evil.test"), ("issuer", "https://evil.test"), ("resolve", "x")]
    {
        let arguments = json!({ "provider": "github", "scopes": [], "secret_name": "t", (name): value });
        broker.call("start_oauth_flow", arguments).await.refused("invalid_argument").names(&[name]);
    }
    assert!(lookalike.all_requests().is_empty());
}

#[tokio::test]
async fn a_setting_that_no_browser_and_no_request_should_follow_is_refused() {
    for (variable, value) in [
        ("OAUTH2_AUTHORIZATION_ENDPOINT", "file:///etc/passwd"),
        ("OAUTH2_AUTHORIZATION_ENDPOINT", "javascript:alert(1)"),
        ("OAUTH2_AUTHORIZATION_ENDPOINT", "https://user:pw@id.example.test/authorize"),
        ("OAUTH2_AUTHORIZATION_ENDPOINT", "http://id.example.test/authorize"),
        ("OAUTH2_AUTHORIZATION_ENDPOINT", "http://127.0.0.1:4000/authorize"),
        ("OAUTH2_TOKEN_ENDPOINT", "http://id.example.test/token"),
        ("OAUTH2_TOKEN_ENDPOINT", "https://169.254.169.254/latest/meta-data"),
        ("OAUTH2_TOKEN_ENDPOINT", "https://[::ffff:10.0.0.1]/token"),
        ("OAUTH2_TOKEN_ENDPOINT", "https://localhost/token"),
        ("OAUTH2_TOKEN_ENDPOINT", "ftp://id.example.test/token"),
    ] {
        let launch = Launch::new().client("OAUTH2", "client", None);
        let launch = launch.env("OAUTH2_AUTHORIZATION_ENDPOINT", "https://id.example.test/authorize");
        let launch = launch.env("OAUTH2_TOKEN_ENDPOINT", "https://id.example.test/token");
        let mut broker = launch.env(variable, value).ready().await;
        let answer = broker.call("start_oauth_flow", json!({ "provider": "oauth2", "scopes": [], "secret_name": "t" })).await;
        let code = answer["code"].as_str().unwrap_or_default().to_owned();
        assert!(["invalid_configuration", "not_allowed"].contains(&code.as_str()), "{variable}={value}: {:#}", answer.json);
        answer.refused(&code);
    }
}

#[tokio::test]
async fn what_a_callback_says_is_text_and_leads_nowhere() {
    let thief = Thief::new();
    let (github, _okta, lookalike, mut broker) = start(&thief).await;
    let script = "<script>alert(document.domain)</script>";
    let visit = login(&mut broker, "github", &["repo"], "t", |url| {
        let back = with_parameter(&github.sign_in(url, Decision::Deny), "error", Some(script));
        with_parameter(&back, "error_description", Some(&format!("{script}\r\nSet-Cookie: a=b\u{202e}").repeat(20)))
    })
    .await;
    assert!(!visit.page.body.contains("script") && !visit.page.body.contains("Cookie"), "{}", visit.page.body);
    assert_eq!(visit.page.header("set-cookie"), "");
    let failure = visit.answer.refused("provider_error");
    assert!(failure.error.len() < 1000 && !failure.error.contains('\n'), "{failure:?}");

    let visit = login(&mut broker, "github", &["repo"], "t", |url| {
        let back = github.sign_in(url, Decision::Approve);
        let elsewhere = format!("http://{}/", thief.address());
        ["redirect", "next", "url", "return_to", "continue"]
            .iter()
            .fold(back, |back, name| with_parameter(&back, name, Some(&elsewhere)))
    })
    .await;
    assert_eq!((visit.page.status.as_u16(), visit.page.header("location"), visit.page.header("refresh")), (200, "", ""));
    assert!(!visit.page.body.contains(&thief.address()));
    visit.answer.ok();
    thief.assert_untouched();
    assert_eq!(lookalike.requests("/login/oauth/access_token").len(), 1);
}

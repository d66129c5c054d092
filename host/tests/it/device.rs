//! The device flow: a person enters a code anywhere, and the broker asks until they have.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::login::at;
use crate::support::agent::{Agent, Mood};
use crate::support::broker::{Broker, Launch, ToolAnswer};
use crate::support::idp::Idp;
use crate::support::lookalike::{Answer, App, Decision, Entra, GitHub, Google, Lookalike, OpenId, Site};

async fn begin(broker: &mut Broker, provider: &str, scopes: &[&str], name: &str) -> Value {
    started(broker, provider, scopes, name).await.pending()
}

async fn started(broker: &mut Broker, provider: &str, scopes: &[&str], name: &str) -> ToolAnswer {
    let arguments = json!({ "provider": provider, "scopes": scopes, "secret_name": name, "mode": "device" });
    broker.call("start_oauth_flow", arguments).await
}

fn text<'a>(pending: &'a Value, name: &str) -> &'a str {
    pending[name].as_str().unwrap_or_else(|| panic!("{name} is missing: {pending:#}"))
}

/// A team's own server, found by discovery.
async fn team() -> (Arc<OpenId>, Lookalike, Broker) {
    let site = Arc::new(OpenId::new("id.example", None));
    let lookalike = Lookalike::of(&site).await;
    let launch = Launch::new().at(&lookalike).env("OAUTH2_ISSUER", &site.issuer());
    let broker = launch.client("OAUTH2", site.desk().client_id(), None).ready().await;
    (site, lookalike, broker)
}

fn polls(lookalike: &Lookalike, path: &str) -> usize {
    lookalike.requests(path).iter().filter(|request| !request.field("device_code").is_empty()).count()
}

#[tokio::test]
async fn t32_a_person_enters_the_code_at_a_real_provider_and_nobody_sees_the_device_code() {
    let mut idp = Idp::start().await;
    for client in ["public-client", "basic-client"] {
        let mut broker = at(&idp, client).ready().await;
        let pending = begin(&mut broker, "oauth2", &["openid", "offline_access"], "team").await;
        let (code, uri) = (text(&pending, "user_code"), text(&pending, "verification_uri"));
        assert!(text(&pending, "message").contains(code) && text(&pending, "message").contains(uri), "{pending:#}");
        assert_eq!(text(&pending, "verification_uri_complete"), text(&pending, "authorization_url"));
        assert_eq!(pending["browser_opened"], false);
        let page = Agent::default().enter_code(uri, code, Mood::Willing).await;
        assert!(page.body.contains("Sign-in Success"), "{}", page.body);
        let done = broker.end_login(&pending).await.ok();
        assert_eq!((&done["account"]["subject"], &done["account"]["vouched"]), (&json!("alice"), &json!("id_token")));
        assert_eq!((&done["hasRefreshToken"], &done["scope"]), (&json!(true), &json!("openid offline_access")));
        assert!(idp.is_active(&broker.reveal("team").await).await || client != "public-client");
        broker.finish().await;
        let devices: Vec<String> = idp
            .events()
            .await
            .iter()
            .filter(|event| event["issued"] == "device")
            .map(|event| event["value"].as_str().unwrap().to_owned())
            .collect();
        assert!(!devices.is_empty());
        broker.assert_unseen(&devices);
    }
}

#[tokio::test]
async fn a_person_who_aborts_and_one_who_never_comes_end_it_at_a_real_provider() {
    let idp = Idp::start().await;
    let mut broker = at(&idp, "public-client").ready().await;
    let pending = begin(&mut broker, "oauth2", &["openid"], "team").await;
    Agent::default().enter_code(text(&pending, "verification_uri"), text(&pending, "user_code"), Mood::Unwilling).await;
    broker.end_login(&pending).await.refused("denied").names(&["Ask the person"]);

    let idp = Idp::with_device_ttl(7).await;
    let mut broker = at(&idp, "public-client").ready().await;
    let pending = begin(&mut broker, "oauth2", &["openid"], "team").await;
    assert!(pending["expires_in"].as_u64().unwrap() <= 7);
    broker.end_login(&pending).await.refused("expired").names(&["Nobody entered the code", "start_oauth_flow"]);
}

#[tokio::test]
async fn github_google_and_entra_each_in_their_own_way() {
    let github = Arc::new(GitHub::new(App::OAuth));
    let google = Arc::new(Google::new());
    let entra = Arc::new(Entra::new("common", None));
    let sites: Vec<Arc<dyn Site>> = vec![Arc::clone(&github) as Arc<dyn Site>, Arc::clone(&google) as _, Arc::clone(&entra) as _];
    let lookalike = Lookalike::start(sites).await;
    let mut broker = Launch::new()
        .at(&lookalike)
        .client("GITHUB", github.desk().client_id(), github.desk().client_secret())
        .client("GCP", google.desk().client_id(), google.desk().client_secret())
        .client("AZURE", entra.desk().client_id(), None)
        .ready()
        .await;
    let cases = [
        ("github", github.as_ref() as &dyn Site, ["repo"].as_slice(), "https://github.com/login/device", "component"),
        ("google", google.as_ref(), &["openid", "email"], "https://www.google.com/device", "id_token"),
        ("azure", entra.as_ref(), &["openid"], "https://microsoft.com/devicelogin", "id_token"),
    ];
    for (provider, site, scopes, uri, vouched) in cases {
        let pending = begin(&mut broker, provider, scopes, provider).await;
        assert_eq!(text(&pending, "verification_uri"), uri);
        assert_eq!(text(&pending, "authorization_url"), uri, "none of them fills the code in");
        site.desk().decide(text(&pending, "user_code"), Decision::Approve);
        let done = broker.end_login(&pending).await.ok();
        assert_eq!(done["account"]["vouched"], vouched, "{provider}: {done:#}");
        assert!(site.desk().is_live(&broker.reveal(provider).await));

        let name = format!("{provider}-no");
        let pending = begin(&mut broker, provider, scopes, &name).await;
        site.desk().decide(text(&pending, "user_code"), Decision::Deny);
        broker.end_login(&pending).await.refused("denied");
        broker.call("get_secret", json!({ "name": name, "purpose": "a test" })).await.refused("unknown_secret");
    }
    let refused =
        started(&mut broker, "google", &["https://www.googleapis.com/auth/calendar"], "g").await.refused("provider_error");
    refused.names(&["device flow knows only", "drive.file"]);
    lookalike.once("/login/device/code", Answer::json(200, &json!({ "error": "device_flow_disabled" })));
    let refused = started(&mut broker, "github", &["repo"], "x").await.refused("unsupported");
    refused.names(&["Enable Device Flow", "mode \"browser\""]);
    broker.finish().await;
    let devices: Vec<String> = lookalike.secrets().into_iter().filter(|secret| secret.starts_with("device-")).collect();
    assert_eq!(devices.len(), 6);
    broker.assert_unseen(&devices);
}

#[tokio::test]
async fn t31_a_server_in_trouble_is_asked_again_and_every_other_answer_is_the_end() {
    let (site, lookalike, mut broker) = team().await;
    let token = site.path("token");
    for fault in [
        Answer::text(500, "text/html", "<h1>Oops</h1>"),
        Answer::json(503, &json!({ "error": "temporarily_unavailable" })),
        Answer::Close,
        Answer::json(400, &json!({ "error": "authorization_pending" })),
    ] {
        lookalike.once(&token, fault);
    }
    let pending = begin(&mut broker, "oauth2", &["openid"], "team").await;
    site.desk().decide(text(&pending, "user_code"), Decision::Approve);
    broker.end_login(&pending).await.ok();
    assert_eq!(polls(&lookalike, &token), 5, "each of them once, and then the tokens");

    for (fault, code) in [
        (Answer::json(400, &json!({ "error": "expired_token" })), "expired"),
        (Answer::json(400, &json!({ "error": "access_denied" })), "denied"),
        (Answer::json(400, &json!({ "error": "authorization_declined" })), "denied"),
        (Answer::json(400, &json!({ "error": "invalid_grant" })), "provider_error"),
        (Answer::text(200, "text/html", "<h1>Hello</h1>"), "provider_error"),
        (Answer::json(200, &json!({ "token_type": "Bearer" })), "provider_error"),
        (Answer::redirect(302, "https://evil.example/token"), "provider_error"),
    ] {
        let before = polls(&lookalike, &token);
        lookalike.once(&token, fault.clone());
        let pending = begin(&mut broker, "oauth2", &["openid"], "next").await;
        broker.end_login(&pending).await.refused(code);
        assert_eq!(polls(&lookalike, &token), before + 1, "{fault:?}");
    }
}

#[tokio::test]
async fn nobody_asks_after_a_cancelled_flow_and_its_name_is_free() {
    let (site, lookalike, mut broker) = team().await;
    let token = site.path("token");
    let arguments = json!({ "provider": "oauth2", "scopes": ["openid"], "secret_name": "team", "mode": "device" });
    let first = begin(&mut broker, "oauth2", &["openid"], "team").await;
    broker.call("start_oauth_flow", arguments).await.refused("conflict").names(&[text(&first, "flow_id")]);
    // One poller a code, however many wait for it.
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(broker.begin("await_oauth_flow", &json!({ "flow_id": first["flow_id"] })).await);
    }
    tokio::time::sleep(Duration::from_millis(3500)).await;
    let asked = polls(&lookalike, &token);
    assert!((1..=3).contains(&asked), "{asked} polls in three and a half seconds");
    site.desk().decide(text(&first, "user_code"), Decision::Approve);
    for id in waiting {
        broker.tool_answer("await_oauth_flow", id).await.ok();
    }
    // A process that ends stops asking.
    let pending = begin(&mut broker, "oauth2", &["openid"], "other").await;
    broker.finish().await;
    let asked = polls(&lookalike, &token);
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(polls(&lookalike, &token), asked, "{pending}");
}

#[tokio::test]
async fn where_it_does_not_exist_the_answer_says_so_and_the_operator_may_make_it_the_default() {
    let site = Arc::new(OpenId::new("id.example", None));
    let lookalike = Lookalike::of(&site).await;
    let launch = Launch::new().at(&lookalike).env("OAUTH2_ISSUER", &site.issuer()).toml("[providers.oauth2]\nlogin = \"device\"");
    let mut broker = launch.client("OAUTH2", site.desk().client_id(), None).ready().await;
    started(&mut broker, "aws", &[], "t").await.refused("unsupported");
    let arguments = json!({ "provider": "oauth2", "scopes": ["openid"], "secret_name": "t", "mode": "smoke" });
    broker.call("start_oauth_flow", arguments).await.refused("invalid_argument").names(&["smoke", "device"]);

    let pending = broker.begin_login("oauth2", &["openid"], "configured").await;
    assert!(!text(&pending, "user_code").is_empty());
    let arguments = json!({ "provider": "oauth2", "scopes": ["openid"], "secret_name": "asked", "mode": "browser" });
    let pending = broker.call("start_oauth_flow", arguments).await.pending();
    assert_eq!(pending["user_code"], Value::Null);

    lookalike
        .edit(&site.discovery_path(), |document| drop(document.as_object_mut().unwrap().remove("device_authorization_endpoint")));
    started(&mut broker, "oauth2", &["openid"], "t").await.refused("unsupported").names(&["no device flow", "browser"]);
    lookalike.heal();
    lookalike.once(&site.path("device/authorize"), Answer::json(400, &json!({ "error": "unauthorized_client" })));
    let refused = started(&mut broker, "oauth2", &["openid"], "t").await.refused("unsupported");
    refused.names(&["registration", "unauthorized_client"]);
}

#[tokio::test]
async fn a_person_is_sent_to_no_address_that_is_none() {
    let (site, lookalike, mut broker) = team().await;
    let device = site.path("device/authorize");
    for (name, value) in [
        ("verification_uri", "javascript:alert(1)"),
        ("verification_uri", "http://id.example/activate"),
        ("verification_uri", "https://169.254.169.254/activate"),
        ("verification_uri", ""),
        ("user_code", ""),
        ("user_code", "A\u{202e}B"),
        ("device_code", ""),
    ] {
        lookalike.edit(&device, move |answer| answer[name] = value.into());
        let answer = started(&mut broker, "oauth2", &["openid"], "t").await;
        assert!(answer.is_error, "{name} {value}: {:#}", answer.json);
    }
    assert_eq!(polls(&lookalike, &site.path("token")), 0);
}

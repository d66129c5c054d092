//! One run of everything, failures included, at the highest log level; then every secret that came or went is searched in
//! everything that the broker wrote, in every usual writing (T41).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::support::broker::{Broker, Launch};
use crate::support::command::run;
use crate::support::lookalike::{Algorithm, Answer, App, Decision, Entra, GitHub, Google, Lookalike, OpenId, Request, Site};
use crate::support::visit::{login, parameter};
use crate::support::{canary, http};

const OKTA_SECRET: &str = "okta-client-secret-0123456789/+";
const STORED: &str = "a stored value: \"quoted\" & more";

struct World {
    github: Arc<GitHub>,
    google: Arc<Google>,
    entra: Arc<Entra>,
    okta: Arc<OpenId>,
    lookalike: Lookalike,
    broker: Broker,
    /// States and nonces: they stand in the URL that the agent is told, and nowhere else.
    told: Vec<String>,
    /// What `resolve_secret` was asked for, and so rightly stands on standard output.
    asked_for: Vec<String>,
}

impl World {
    async fn new(on_disk: bool) -> Self {
        let github = Arc::new(GitHub::new(App::GitHub));
        let google = Arc::new(Google::new());
        let entra = Arc::new(Entra::new("common", Some("abc8Q~abcdefghijklmnopqrstuvwxyz0123456")));
        let okta = Arc::new(OpenId::okta("default", Some(OKTA_SECRET)));
        let lookalike = Lookalike::start(vec![
            Arc::clone(&github) as Arc<dyn Site>,
            Arc::clone(&google) as Arc<dyn Site>,
            Arc::clone(&entra) as Arc<dyn Site>,
            Arc::clone(&okta) as Arc<dyn Site>,
        ])
        .await;
        let mut launch = Launch::new().at(&lookalike).env("MCP_CREDENTIALS_BROKER_LOG", "trace");
        for (prefix, desk) in [("GITHUB", github.desk()), ("GCP", google.desk()), ("AZURE", entra.desk()), ("OKTA", okta.desk())]
        {
            launch = launch.client(prefix, desk.client_id(), desk.client_secret());
        }
        let launch = launch.env("OKTA_DOMAIN", "dev-1.okta.com").env("OKTA_AUTHORIZATION_SERVER", "default");
        if on_disk {
            let key = launch.home().join("vault-key").display().to_string();
            run(&launch, &["vault", "init", "--key-file", &key], b"").await.ok();
        }
        let broker = launch.ready().await;
        Self { github, google, entra, okta, lookalike, broker, told: Vec::new(), asked_for: Vec::new() }
    }

    fn token_path(&self, provider: &str) -> String {
        match provider {
            "github" => "/login/oauth/access_token".to_owned(),
            "google" => "/token".to_owned(),
            "azure" => "/common/oauth2/v2.0/token".to_owned(),
            _ => self.okta.path("token"),
        }
    }

    async fn sign_in(&mut self, provider: &str, decision: Decision) -> Value {
        let (github, google, entra, okta) =
            (Arc::clone(&self.github), Arc::clone(&self.google), Arc::clone(&self.entra), Arc::clone(&self.okta));
        let scopes: &[&str] = if provider == "github" { &["repo"] } else { &["openid"] };
        let visit = login(&mut self.broker, provider, scopes, &format!("{provider}-token"), |url| match provider {
            "github" => github.sign_in(url, decision),
            "google" => google.sign_in(url, decision).0,
            "azure" => entra.sign_in(url, decision).0,
            _ => okta.sign_in(url, decision).0,
        })
        .await;
        self.told.extend(["state", "nonce"].map(|name| parameter(&visit.url, name)).into_iter().filter(|text| !text.is_empty()));
        self.check_page(&visit.page);
        visit.answer.json
    }

    fn check_page(&self, page: &http::Answer) {
        canary::assert_unseen("the page", page.body.as_bytes(), self.lookalike.secrets());
        canary::assert_unseen("the page", page.body.as_bytes(), &self.told);
        canary::assert_unseen("the page's headers", format!("{:?}", page.headers).as_bytes(), self.lookalike.secrets());
    }
}

#[tokio::test]
async fn no_secret_of_a_whole_run_stands_in_anything_that_the_broker_wrote() {
    whole_run(&mut World::new(false).await).await;
}

#[tokio::test]
async fn nor_in_the_vaults_files_and_the_audit_trail_where_there_is_a_vault() {
    let mut world = World::new(true).await;
    let files = world.broker.home().join("data/mcp-credentials-broker");
    whole_run(&mut world).await;
    assert!(std::fs::metadata(files.join("vault.db")).unwrap().len() > 0);
    let trail = std::fs::read_to_string(files.join("vault.audit.jsonl")).unwrap();
    assert!(trail.lines().count() > 50, "it is what was searched: {trail}");
}

async fn whole_run(world: &mut World) {
    for provider in ["github", "google", "azure", "okta"] {
        everything(world, provider).await;
    }
    wrong_id_tokens(world).await;
    stored_values(world).await;
    time_out(world).await;

    let broker = &mut world.broker;
    broker.send_raw(format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"params\":\"{}\n", "not json").as_bytes()).await;
    let ended = broker.finish().await;
    assert!(ended.status.success(), "{:?}", ended.status);
    assert!(ended.stderr.lines().count() > 50, "the log is turned up:\n{}", ended.stderr);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);

    let secrets = world.lookalike.secrets();
    assert!(secrets.len() > 60, "{}", secrets.len());
    world.broker.assert_unseen_beside_stdout(&secrets);
    world.broker.assert_unseen_beside_stdout(&world.told);
    world.broker.assert_unseen_beside_stdout(&[STORED]);
    let unseen: Vec<&String> = secrets.iter().filter(|secret| !world.asked_for.contains(secret)).collect();
    assert!(unseen.len() > secrets.len() / 2);
    world.broker.assert_unseen(&unseen);
    // A state stands where the agent was told the URL, once when it began the login.
    for state in &world.told {
        assert_eq!(ended.stdout.matches(state.as_str()).count(), 2, "in the text and in the structured content");
    }
}

/// A login, its refresh, and every way in which the two fail.
async fn everything(world: &mut World, provider: &str) {
    let path = world.token_path(provider);
    let name = format!("{provider}-token");
    world.sign_in(provider, Decision::Deny).await;
    for answer in [
        Answer::Close,
        Answer::redirect(307, "https://evil.test/steal"),
        Answer::text(200, "text/html", "<html>"),
        Answer::json(400, &json!({ "error": "invalid_grant", "error_description": "No." })),
        Answer::json(500, &json!({})),
    ] {
        world.lookalike.once(&path, answer);
        assert_eq!(world.sign_in(provider, Decision::Approve).await["success"], false);
    }
    quoting(world, provider, &path).await;

    world.lookalike.edit(&path, |answer| answer["expires_in"] = 0.into());
    assert_eq!(world.sign_in(provider, Decision::Approve).await["success"], true, "{provider}");
    world.lookalike.once(&path, Answer::Close);
    let ask = json!({ "name": name, "purpose": "a test" });
    world.broker.call("get_secret", ask.clone()).await.refused("unavailable");
    world.lookalike.heal();
    let token = world.broker.reveal(&name).await;
    world.asked_for.push(token);

    for tool in ["list_secrets", "list_providers", "get_broker_stats"] {
        world.broker.call(tool, json!({})).await.ok();
    }
    world.lookalike.edit(&path, |answer| answer["expires_in"] = 0.into());
    assert_eq!(world.sign_in(provider, Decision::Approve).await["success"], true, "{provider}");
    world.lookalike.heal();
    world.lookalike.once(&path, Answer::json(400, &json!({ "error": "invalid_grant", "error_description": "Revoked." })));
    world.broker.call("get_secret", ask.clone()).await.refused("sign_in_again");
    world.broker.call("delete_secret", json!({ "name": name })).await.ok();
    world.broker.call("get_secret", ask).await.refused("unknown_secret");
}

/// A server that sends back what it was sent, in several writings.
async fn quoting(world: &mut World, provider: &str, path: &str) {
    let quotes: [fn(&Request) -> String; 7] = [
        |request| request.body.clone(),
        |request| BASE64_STANDARD.encode(&request.body),
        |request| request.header("authorization").to_owned(),
        |request| request.field("code"),
        |request| request.field("code_verifier"),
        |request| request.field("client_secret").bytes().map(|byte| format!("{byte:02X}")).collect(),
        |request| request.basic().map(|(_, secret)| secret).unwrap_or_default(),
    ];
    for quote in quotes {
        world.lookalike.once(path, Answer::Quote(quote));
        assert_eq!(world.sign_in(provider, Decision::Approve).await["success"], false);
    }
}

async fn wrong_id_tokens(world: &mut World) {
    for algorithm in [Algorithm::None, Algorithm::ForeignKey, Algorithm::Hs256WithPublicKey] {
        world.okta.bend_signature(algorithm);
        assert_eq!(world.sign_in("okta", Decision::Approve).await["success"], false);
    }
    world.okta.bend_signature(Algorithm::Es256);
    world.okta.bend_claims(json!({ "nonce": "another-nonce" }));
    assert_eq!(world.sign_in("okta", Decision::Approve).await["success"], false);
    world.okta.bend_claims(json!({}));
}

async fn stored_values(world: &mut World) {
    let broker = &mut world.broker;
    broker.call("store_secret", json!({ "name": "static", "value": STORED })).await.ok();
    assert_eq!(broker.reveal("static").await, STORED);
    for wrong in
        [json!({ "name": "static", "value": [STORED] }), json!({ "value": STORED }), json!({ "name": "x y", "value": STORED })]
    {
        assert!(broker.call("store_secret", wrong).await.is_error);
    }
}

async fn time_out(world: &mut World) {
    let path = world.token_path("okta");
    world.lookalike.once(&path, Answer::json(200, &json!({})).after(Duration::from_secs(60)));
    let answer = world.sign_in("okta", Decision::Approve).await;
    assert_eq!(answer["code"], "unavailable", "{answer:#}");
}

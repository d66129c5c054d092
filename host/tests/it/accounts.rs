//! Whose login it is, who says so, and that nothing is replaced or picked silently.

use std::sync::Arc;

use credentials_broker::broker::flows::Status;
use credentials_broker::error::Code;
use serde_json::{Value, json};

use crate::support::broker::{Broker, Launch};
use crate::support::http;
use crate::support::inside::Inside;
use crate::support::lookalike::{Answer, App, Decision, GitHub, Google, Lookalike, OpenId, Site};
use crate::support::visit::{login, parameter};

async fn github() -> (Arc<GitHub>, Lookalike, Broker) {
    let github = Arc::new(GitHub::new(App::OAuth));
    let lookalike = Lookalike::of(&github).await;
    let desk = github.desk();
    let broker = Launch::new().at(&lookalike).client("GITHUB", desk.client_id(), desk.client_secret()).ready().await;
    (github, lookalike, broker)
}

async fn listed(broker: &mut Broker, name: &str) -> Value {
    let listed = broker.call("list_secrets", json!({})).await.ok();
    listed["secrets"].as_array().unwrap().iter().find(|secret| secret["name"] == name).unwrap().clone()
}

#[tokio::test]
async fn github_has_no_id_tokens_and_the_components_word_is_marked_as_that() {
    let (github, lookalike, mut broker) = github().await;
    let answer = login(&mut broker, "github", &["repo"], "t", |url| github.sign_in(url, Decision::Approve)).await.answer.ok();
    let account = json!({ "issuer": "embedded:github", "subject": "583231", "label": "octocat", "vouched": "component" });
    assert_eq!(answer["account"], account);
    assert_eq!(listed(&mut broker, "t").await["account"], account);
    let asked = &lookalike.requests("/user")[0];
    assert_eq!((asked.host.as_str(), asked.bearer().is_some()), ("api.github.com", true));
}

#[tokio::test]
async fn an_id_token_counts_more_than_the_component_and_says_so() {
    let google = Arc::new(Google::new());
    let lookalike = Lookalike::of(&google).await;
    let desk = google.desk();
    let mut broker = Launch::new().at(&lookalike).client("GCP", desk.client_id(), desk.client_secret()).ready().await;
    let sign_in = |url: &str| google.sign_in(url, Decision::Approve).0;
    let answer = login(&mut broker, "google", &["email"], "g", sign_in).await.answer.ok();
    assert_eq!((&answer["account"]["vouched"], &answer["account"]["label"]), (&json!("component"), &json!("alice@example.test")));
    assert_eq!(lookalike.requests("/v1/userinfo").len(), 1);

    // A verified id_token confirms what the component said ...
    let answer = login(&mut broker, "google", &["openid", "email"], "g", sign_in).await.answer.ok();
    assert_eq!(
        (&answer["account"]["vouched"], &answer["account"]["issuer"]),
        (&json!("id_token"), &json!("https://accounts.google.com"))
    );
    assert_eq!(lookalike.requests("/v1/userinfo").len(), 1, "nobody asks where an id_token says");

    // ... and a component's word does not stand in for it.
    let refused = login(&mut broker, "google", &["email"], "g", sign_in).await.answer.refused("conflict");
    refused.names(&["another account", "--replace", "another secret_name"]);
    assert_eq!(listed(&mut broker, "g").await["account"]["vouched"], "id_token");
}

#[tokio::test]
async fn another_account_does_not_take_a_name_and_a_second_one_has_its_own() {
    let (github, _lookalike, mut broker) = github().await;
    login(&mut broker, "github", &["repo"], "work", |url| github.sign_in(url, Decision::Approve)).await.answer.ok();
    let first = broker.reveal("work").await;

    github.become_user(7, "hubot");
    let visit = login(&mut broker, "github", &["repo"], "work", |url| github.sign_in(url, Decision::Approve)).await;
    visit.answer.refused("conflict").names(&["\"work\"", "octocat", "another account", "login github --name work --replace"]);
    assert_eq!(broker.reveal("work").await, first, "the old login is untouched");

    login(&mut broker, "github", &["repo"], "private", |url| github.sign_in(url, Decision::Approve)).await.answer.ok();
    assert_eq!(listed(&mut broker, "work").await["account"]["label"], "octocat");
    assert_eq!(listed(&mut broker, "private").await["account"]["label"], "hubot");
    assert_ne!(broker.reveal("private").await, first);
    // No tool takes a provider in the place of a name: nothing is picked.
    broker.call("get_secret", json!({ "name": "github", "purpose": "a test" })).await.refused("unknown_secret");
    // And no agent can say that it may be replaced.
    let arguments = json!({ "provider": "github", "scopes": ["repo"], "secret_name": "work", "replace": true });
    broker.call("start_oauth_flow", arguments).await.refused("invalid_argument").names(&["replace"]);
}

#[tokio::test]
async fn an_account_that_cannot_be_learned_is_no_reason_to_refuse_a_login_and_none_to_replace_a_known_one() {
    let (github, lookalike, mut broker) = github().await;
    for fault in [
        Answer::Close,
        Answer::text(503, "text/html", "<h1>Unicorn</h1>"),
        Answer::json(401, &json!({ "message": "Bad credentials" })),
        Answer::json(200, &json!({ "login": "octocat" })),
        Answer::text(200, "text/html", "<h1>Hello</h1>"),
    ] {
        lookalike.once("/user", fault.clone());
        let answer = login(&mut broker, "github", &["repo"], "t", |url| github.sign_in(url, Decision::Approve)).await.answer.ok();
        assert_eq!(answer["account"], Value::Null, "{fault:?}");
        assert_eq!(listed(&mut broker, "t").await["account"], Value::Null);
    }
    login(&mut broker, "github", &["repo"], "t", |url| github.sign_in(url, Decision::Approve)).await.answer.ok();
    assert_eq!(listed(&mut broker, "t").await["account"]["label"], "octocat", "now somebody says");
    let known = broker.reveal("t").await;
    lookalike.once("/user", Answer::Close);
    let visit = login(&mut broker, "github", &["repo"], "t", |url| github.sign_in(url, Decision::Approve)).await;
    visit.answer.refused("conflict").names(&["known account", "did not say"]);
    assert_eq!(broker.reveal("t").await, known);
}

#[tokio::test]
async fn whoever_signs_in_again_need_not_name_the_account() {
    let (github, _lookalike, mut broker) = github().await;
    let sign_in = |url: &str| github.sign_in(url, Decision::Approve);
    let first = login(&mut broker, "github", &["repo"], "t", sign_in).await;
    assert_eq!((parameter(&first.url, "login"), parameter(&first.url, "login_hint")), (String::new(), String::new()));
    let again = login(&mut broker, "github", &["repo"], "t", sign_in).await;
    assert_eq!((parameter(&again.url, "login"), parameter(&again.url, "login_hint")), ("octocat".to_owned(), String::new()));
    let other = login(&mut broker, "github", &["repo"], "another", sign_in).await;
    assert_eq!(parameter(&other.url, "login"), "", "another name is another login");

    let okta = Arc::new(OpenId::okta("default", None));
    let lookalike = Lookalike::of(&okta).await;
    let launch = Launch::new().at(&lookalike).client("OKTA", okta.desk().client_id(), None);
    let mut broker = launch.env("OKTA_DOMAIN", "dev-1.okta.com").env("OKTA_AUTHORIZATION_SERVER", "default").ready().await;
    let sign_in = |url: &str| okta.sign_in(url, Decision::Approve).0;
    login(&mut broker, "okta", &["openid", "email"], "o", sign_in).await.answer.ok();
    let again = login(&mut broker, "okta", &["openid", "email"], "o", sign_in).await;
    assert_eq!(parameter(&again.url, "login_hint"), "alice@example.test");

    // Nobody signs in with a name such as this.
    okta.bend_claims(json!({ "email": Value::Null, "name": "Alice Example" }));
    login(&mut broker, "okta", &["openid", "email"], "o", sign_in).await.answer.ok();
    let again = login(&mut broker, "okta", &["openid", "email"], "o", sign_in).await;
    assert_eq!(parameter(&again.url, "login_hint"), "");
}

#[tokio::test]
async fn a_person_may_say_that_another_accounts_login_is_replaced_but_not_a_value_or_another_providers() {
    let github = Arc::new(GitHub::new(App::OAuth));
    let okta = Arc::new(OpenId::okta("default", None));
    let sites: Vec<Arc<dyn Site>> = vec![Arc::clone(&github) as Arc<dyn Site>, Arc::clone(&okta) as Arc<dyn Site>];
    let lookalike = Lookalike::start(sites).await;
    let settings = format!(
        "[providers.github]\nclient_id = \"{}\"\nclient_secret = \"{}\"\n[providers.okta]\nclient_id = \"{}\"\ndomain = \"dev-1.okta.com\"\nauthorization_server = \"default\"",
        github.desk().client_id(),
        github.desk().client_secret().unwrap(),
        okta.desk().client_id()
    );
    let inside = Inside::of(Launch::new().at(&lookalike).toml(&settings));
    let sign_in = async |replace: bool| {
        let started = inside.begin("github", "t", |request| request.replace = replace).await.unwrap();
        assert!(!replace || !started.flow.authorization_url.as_str().contains("login="), "another account is wanted");
        let back = github.sign_in(started.flow.authorization_url.as_str(), Decision::Approve);
        let (page, status) = tokio::join!(http::get(&back), inside.end(&started));
        page.unwrap();
        status
    };
    assert!(matches!(sign_in(false).await, Status::Done(_)));
    github.become_user(7, "hubot");
    assert!(matches!(sign_in(false).await, Status::Failed(error) if error.code() == Code::Conflict));
    let Status::Done(done) = sign_in(true).await else { panic!("not replaced") };
    assert_eq!(done.account.as_ref().unwrap().label.as_deref(), Some("hubot"));

    let refused = inside.begin("okta", "t", |request| request.replace = true).await.err().unwrap();
    assert_eq!(refused.code(), Code::Conflict);
    inside.broker.store_secret("value", "a static value".into(), Default::default()).unwrap();
    let refused = inside.begin("github", "value", |request| request.replace = true).await.err().unwrap();
    assert_eq!(refused.code(), Code::Conflict);
}

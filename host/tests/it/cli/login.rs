//! `login`: a person signs in from the command line, and every broker has the login.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Child;

use super::with_vault;
use crate::login::issued;
use crate::support::agent::{Agent, Mood};
use crate::support::broker::Launch;
use crate::support::command::run;
use crate::support::idp::Idp;
use crate::support::{canary, place};

/// A launch with a vault, whose `oauth2` is this provider.
async fn at(idp: &Idp) -> Launch {
    let toml = format!("[egress]\nallow_loopback = [\"{}\"]", idp.address());
    with_vault().await.toml(&toml).env("OAUTH2_ISSUER", idp.issuer()).client("OAUTH2", "public-client", None)
}

/// A login under way.
struct Waiting {
    child: Child,
    url: String,
    stderr: BufReader<tokio::process::ChildStderr>,
}

async fn begin(launch: &Launch, arguments: &[&str]) -> Waiting {
    let mut command = launch.command();
    command.arg("login").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let url = loop {
        let mut line = String::new();
        let read = tokio::time::timeout(Duration::from_secs(60), stderr.read_line(&mut line)).await.unwrap().unwrap();
        assert!(read > 0, "it ended before it told a URL");
        if line.trim_start().starts_with("http") {
            break line.trim().to_owned();
        }
    };
    Waiting { child, url, stderr }
}

impl Waiting {
    /// Its exit code, standard output and the rest of standard error.
    async fn end(mut self) -> (i32, String, String) {
        let (mut out, mut told) = (String::new(), String::new());
        let mut stdout = self.child.stdout.take().unwrap();
        tokio::time::timeout(Duration::from_secs(60), async {
            stdout.read_to_string(&mut out).await.unwrap();
            self.stderr.read_to_string(&mut told).await.unwrap();
        })
        .await
        .unwrap();
        (self.child.wait().await.unwrap().code().unwrap(), out, told)
    }
}

#[tokio::test]
async fn a_person_signs_in_and_every_broker_has_the_login() {
    let mut idp = Idp::start().await;
    let launch = at(&idp).await;
    let waiting = begin(&launch, &["oauth2", "--name", "mine", "--scope", "openid", "--scope", "offline_access", "--json"]).await;
    let page = Agent::default().sign_in(&waiting.url).await;
    assert!(page.body.contains("You are signed in"), "{}", page.body);
    let (code, out, told) = waiting.end().await;
    assert_eq!(code, 0, "{told}");
    let done: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&done["name"], &done["account"]["subject"]), (&json!("mine"), &json!("alice")), "{done}");
    place::freed(launch.port()).await;
    let secrets = idp.secrets().await;
    canary::assert_unseen("standard error", told.as_bytes(), &secrets);
    canary::assert_unseen("standard output", out.as_bytes(), &secrets);

    let listed = run(&launch, &["secrets", "list"], b"").await.ok();
    assert!(listed.contains("mine") && listed.contains("alice") && listed.contains("signed in"), "{listed}");
    let entries = run(&launch, &["audit", "show", "--secret", "mine", "--json"], b"").await.ok();
    assert!(entries.contains("\"event\":\"login\"") && entries.contains("mcp-credentials-broker login"), "{entries}");
    let mut broker = launch.ready().await;
    let token = broker.reveal("mine").await;
    assert!(issued(&mut idp, "access").await.contains(&token));
}

#[tokio::test]
async fn a_login_that_is_declined_or_cannot_begin_says_so() {
    let idp = Idp::start().await;
    let launch = at(&idp).await;
    let waiting = begin(&launch, &["oauth2", "--scope", "openid"]).await;
    Agent::default().act(&waiting.url, Mood::Unwilling).await;
    let (code, out, told) = waiting.end().await;
    assert!(code == 4 && out.is_empty() && told.contains("Error: ") && told.contains("declined"), "{code} {told}");
    assert!(run(&launch, &["login", "githb"], b"").await.failed(2).contains("github"));
    run(&launch, &["login", "github"], b"").await.failed(2);
    run(&launch, &["login", "aws"], b"").await.failed(3);
}

#[tokio::test]
async fn ctrl_c_ends_a_login_and_frees_the_port() {
    let idp = Idp::start().await;
    let launch = at(&idp).await;
    for signal in ["-INT", "-TERM"] {
        let waiting = begin(&launch, &["oauth2", "--scope", "openid"]).await;
        let id = waiting.child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args([signal, &id]).status().unwrap().success());
        let (code, _, told) = waiting.end().await;
        assert!(code == 4 && told.contains("Nothing was stored"), "{code} {told}");
        place::freed(launch.port()).await;
    }
    let entries = run(&launch, &["audit", "show"], b"").await.ok();
    assert_eq!(entries.matches("cancel_oauth_flow").count(), 2, "{entries}");
    assert_eq!(run(&launch, &["secrets", "list", "--json"], b"").await.json()["secrets"], json!([]));
}

//! `login`: a person signs in from the command line, and every broker has the login.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
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
    /// The next line that is not empty, after one with these words.
    async fn line_after(&mut self, words: &str) -> String {
        let mut found = false;
        loop {
            let mut line = String::new();
            let read = tokio::time::timeout(Duration::from_secs(60), self.stderr.read_line(&mut line)).await.unwrap().unwrap();
            assert!(read > 0, "it ended before it said {words}");
            if found && !line.trim().is_empty() {
                return line.trim().to_owned();
            }
            found = found || line.contains(words);
        }
    }

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
    assert_eq!(done["provider"], "oauth2", "by its name, as everywhere: {done}");
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
    let told = run(&launch, &["login", "github"], b"").await.failed(2);
    assert!(told.contains("Hint: Set it in the environment, or in [providers.github]") && !told.contains("operator"), "{told}");
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

#[tokio::test]
async fn the_address_is_pasted_where_the_browser_cannot_reach_this_machine_and_its_code_is_said_nowhere() {
    let idp = Idp::start().await;
    let launch = at(&idp).await.env("MCP_CREDENTIALS_BROKER_LOG", "trace");
    let mut waiting = begin(&launch, &["oauth2", "--paste", "--scope", "openid"]).await;
    let callback = format!("http://localhost:{}/", launch.port());
    let address = Agent::stopping_at(&callback).sign_in(&waiting.url).await.location().unwrap();
    let query: std::collections::BTreeMap<String, String> = address.query_pairs().into_owned().collect();
    waiting.child.stdin.take().unwrap().write_all(format!("{address}\n").as_bytes()).await.unwrap();
    let (code, out, told) = waiting.end().await;
    assert!(code == 0 && out.contains("Signed in") && out.contains("alice"), "{code} {out} {told}");
    canary::assert_unseen("the output", format!("{out}{told}").as_bytes(), [&query["code"]]);
    let trail = std::fs::read(crate::audit::trail(&launch)).unwrap();
    canary::assert_unseen("the audit trail", &trail, [&query["code"], &query["state"]]);
}

#[tokio::test]
async fn what_is_pasted_and_is_not_this_logins_address_ends_it() {
    let idp = Idp::start().await;
    let launch = at(&idp).await;
    let mut waiting = begin(&launch, &["oauth2", "--paste", "--scope", "openid"]).await;
    waiting.child.stdin.take().unwrap().write_all(b"http://evil.example/?code=canary-code-0123\n").await.unwrap();
    let (code, _, told) = waiting.end().await;
    assert!(code == 2 && told.contains("Error: ") && !told.contains("canary-code"), "{code} {told}");
    place::freed(launch.port()).await;
}

#[tokio::test]
async fn a_code_is_entered_at_another_machine() {
    let idp = Idp::start().await;
    let launch = at(&idp).await;
    let mut waiting = begin(&launch, &["oauth2", "--device", "--scope", "openid"]).await;
    let code = waiting.line_after("enter this code").await;
    let page = Agent::default().enter_code(&waiting.url, &code, Mood::Willing).await;
    assert!(page.status.is_success(), "{}", page.body);
    let (code, out, told) = waiting.end().await;
    assert!(code == 0 && out.contains("alice"), "{code} {out} {told}");
}

#[tokio::test]
async fn logging_out_ends_the_login_at_the_provider_and_says_how_each_step_went() {
    let mut idp = Idp::start().await;
    let launch = at(&idp).await;
    for json in [false, true] {
        let waiting = begin(&launch, &["oauth2", "--name", "mine", "--scope", "openid", "--scope", "offline_access"]).await;
        Agent::default().sign_in(&waiting.url).await;
        assert_eq!(waiting.end().await.0, 0);
        let token = issued(&mut idp, "access").await.pop().unwrap();
        assert!(idp.is_active(&token).await);
        if json {
            let told = run(&launch, &["logout", "mine", "--json"], b"").await.json();
            assert_eq!((&told["name"], told["steps"].as_array().unwrap().len()), (&json!("mine"), 2), "{told}");
        } else {
            let told = run(&launch, &["logout", "mine"], b"").await.ok();
            insta::assert_snapshot!(told);
        }
        assert!(!idp.is_active(&token).await);
    }
    run(&launch, &["logout", "mine"], b"").await.failed(2);
    run(&launch, &["secrets", "set", "value"], b"0123456789").await.ok();
    run(&launch, &["logout", "value"], b"").await.failed(3);
    let taken = run(&launch, &["login", "oauth2", "--name", "value"], b"").await.failed(3);
    assert!(
        taken.contains("Use another --name, or delete \"value\" first with `mcp-credentials-broker secrets delete`"),
        "{taken}"
    );
    let entries = run(&launch, &["audit", "show", "--secret", "mine"], b"").await.ok();
    assert!(entries.matches("revoke_secret").count() == 3 && entries.contains("mcp-credentials-broker logout"), "{entries}");
}

//! `git-credential`: real git clones and pushes over TLS, with a token that only the broker has.

mod declared;

use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt as _;

use crate::support::broker::Launch;
use crate::support::canary;
use crate::support::command::run;
use crate::support::git_server::GitServer;

const TOKEN: &str = "gho_canary0123456789";
const USER: &str = "x-access-token";

/// git in the launch's home, as a person without a terminal runs it, with the broker as its helper.
async fn git(launch: &Launch, server: &GitServer, words: &[&str]) -> Output {
    let (program, arguments, environment) = launch.plan();
    let helper = std::iter::once(program.display().to_string()).chain(arguments).map(|word| format!("'{word}'"));
    let helper = format!("credential.helper=!{} git-credential", helper.collect::<Vec<_>>().join(" "));
    let mut git = tokio::process::Command::new("git");
    git.args(["-c", &helper, "-c", "user.name=lab", "-c", "user.email=lab@example.com"])
        .args(["-c", &format!("http.sslCAInfo={}", server.ca().display())])
        .args(words)
        .current_dir(launch.home())
        .env_clear()
        .envs(environment)
        .envs([("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_TERMINAL_PROMPT", "0"), ("GIT_TRACE", "1"), ("GIT_TRACE_CURL", "1")])
        .stdin(Stdio::null());
    let output = git.output().await.unwrap();
    canary::assert_unseen("git's trace of commands", &trace(&output, "run_command"), [TOKEN]);
    output
}

/// The lines of git's trace with a word in them.
fn trace(output: &Output, word: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines().filter(|line| line.contains(word)).collect::<Vec<_>>().join("\n").into_bytes()
}

fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines().filter(|line| !line.contains(".c:")).collect::<Vec<_>>().join("\n")
}

async fn ask(launch: &Launch, operation: &str, lines: &str) -> Output {
    let mut command = launch.command();
    command.args(["git-credential", operation]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).await.unwrap();
    child.wait_with_output().await.unwrap()
}

#[tokio::test]
async fn git_clones_and_pushes_with_the_operators_line() {
    let server = GitServer::start(&["localhost"], USER, TOKEN).await;
    let host = format!("localhost:{}", server.port());
    let launch = Launch::new().toml(&format!("[git]\n\"{host}\" = \"hub\"")).vaulted(&[("hub", TOKEN)]).await;
    let url = format!("https://{host}/repo.git");

    let cloned = git(&launch, &server, &["clone", "-q", &url, "work"]).await;
    assert!(cloned.status.success(), "{}", said(&cloned));
    assert_eq!(std::fs::read_to_string(launch.home().join("work/file")).unwrap(), "first\n");
    std::fs::write(launch.home().join("work/file"), "second\n").unwrap();
    let committed = git(&launch, &server, &["-C", "work", "commit", "-aqm", "second"]).await;
    assert!(committed.status.success(), "{}", said(&committed));
    let pushed = git(&launch, &server, &["-C", "work", "push", "-q", "origin", "main"]).await;
    assert!(pushed.status.success(), "{}", said(&pushed));
    assert_eq!(server.newest().await, "second");
    assert!(server.given().iter().all(|given| *given == format!("{USER}:{TOKEN}")), "{:?}", server.given());
    // nothing of it is left where an agent could read it
    let config = std::fs::read(launch.home().join("work/.git/config")).unwrap();
    canary::assert_unseen("the repository's configuration", &config, [TOKEN]);
}

#[tokio::test]
async fn a_refused_token_is_not_forgotten_and_the_person_hears_what_to_do() {
    let server = GitServer::start(&["localhost"], USER, "another-token").await;
    let host = format!("localhost:{}", server.port());
    let launch = Launch::new().toml(&format!("[git]\n\"{host}\" = \"hub\"")).vaulted(&[("hub", TOKEN)]).await;
    let url = format!("https://{host}/repo.git");
    let refused = git(&launch, &server, &["clone", "-q", &url, "work"]).await;
    assert!(!refused.status.success());
    let told = said(&refused);
    assert!(
        told.contains("refused the login \"hub\"")
            && told.contains("Hint: Look at its scopes and sign in again")
            && told.contains("logout hub")
            && !told.contains("revoke_secret"),
        "{told}"
    );
    server.take(USER, TOKEN);
    assert!(git(&launch, &server, &["clone", "-q", &url, "work"]).await.status.success(), "it is still there");
}

#[tokio::test]
async fn a_host_that_nobody_listed_and_plain_http_get_nothing() {
    let toml = "[git]\n\"git.example\" = \"hub\"\n\"gitlab.example\" = { secret = \"hub\", username = \"oauth2\" }\n\"127.0.0.1:4999\" = \"hub\"\n[egress]\nallow_loopback = [\"127.0.0.1:4999\"]";
    let launch = Launch::new().toml(toml).vaulted(&[("hub", TOKEN)]).await;
    let get = async |protocol: &str, host: &str| ask(&launch, "get", &format!("protocol={protocol}\nhost={host}\n\n")).await;
    let answer = |output: &Output| String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(answer(&get("https", "git.example").await), format!("username={USER}\npassword={TOKEN}\n"));
    assert_eq!(answer(&get("https", "gitlab.example").await), format!("username=oauth2\npassword={TOKEN}\n"));
    assert_eq!(answer(&get("http", "127.0.0.1:4999").await), format!("username={USER}\npassword={TOKEN}\n"));
    for host in ["example.com", "git.example.evil.com", "git.example:8443", "xgit.example", "", "github.com"] {
        let output = get("https", host).await;
        assert!(output.status.success() && output.stdout.is_empty(), "{host}: {output:?}");
    }
    for (protocol, host) in [("http", "git.example"), ("ssh", "git.example"), ("http", "gitlab.example")] {
        let output = get(protocol, host).await;
        assert_eq!(answer(&output), "quit=1\n", "git asks nobody else");
        assert_eq!(output.status.code(), Some(3));
        assert!(String::from_utf8_lossy(&output.stderr).contains("https"), "{output:?}");
    }
}

/// What git signs in with is the operator's word: an agent that could put another token there would push as somebody else.
#[tokio::test]
async fn an_agent_cannot_give_git_another_token() {
    let launch = Launch::new().toml("[git]\n\"git.example\" = \"hub\"").vaulted(&[("hub", TOKEN)]).await;
    let mut broker = launch.twin().ready().await;
    for tool in ["store_secret", "delete_secret"] {
        let arguments = serde_json::json!({ "name": "hub", "value": "gho_attackers-token" });
        let arguments = if tool == "delete_secret" { serde_json::json!({ "name": "hub" }) } else { arguments };
        broker.call(tool, arguments).await.refused("not_allowed").names(&["operator's file", "A person can"]);
    }
    let got = ask(&launch, "get", "protocol=https\nhost=git.example\n\n").await;
    assert!(String::from_utf8_lossy(&got.stdout).contains(TOKEN), "{got:?}");
}

/// Pasted into an interactive shell, as a person does, where an exclamation mark is a word of history unless it is quoted.
#[tokio::test]
async fn doctors_line_makes_git_ask_for_that_very_vault_by_the_scheme_that_is_spoken_there() {
    let toml = "[git]\n\"git.example\" = \"hub\"\n\"127.0.0.1:4999\" = \"hub\"\n\"none.example\" = \"nobody\"\n[egress]\nallow_loopback = [\"127.0.0.1:4999\"]";
    let launch = Launch::new().toml(toml).vaulted(&[("hub", "another-token")]).await;
    let other = launch.home().join("other vault/o.db").display().to_string();
    let key = launch.home().join("other.key").display().to_string();
    let there = ["--vault", other.as_str()];
    // else the file says which key opens any vault
    let launch = launch.toml(&format!("[vault]\nkey_file = \"{key}\""));
    run(&launch, &[&["vault", "init", "--key-file", &key], &there[..]].concat(), b"").await.ok();
    run(&launch, &[&["secrets", "set", "hub"], &there[..]].concat(), TOKEN.as_bytes()).await.ok();
    let told = run(&launch, &[&["doctor"], &there[..]].concat(), b"").await.stdout;
    let lines: Vec<&str> = told.lines().map(str::trim).filter(|line| line.starts_with("git config")).collect();
    assert_eq!(lines.len(), 2, "{told}");
    assert!(told.contains("warning  git") && told.contains("\"nobody\""), "{told}");

    let (_, _, environment) = launch.plan();
    let shell = async |program: &str, arguments: &[&str], input: &str| {
        let mut command = tokio::process::Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(environment.clone())
            .envs([("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_TERMINAL_PROMPT", "0")]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        child.wait_with_output().await.unwrap()
    };
    shell("bash", &["--norc", "--noprofile", "-i"], &format!("{}\nexit\n", lines.join("\n"))).await;
    for (protocol, host) in [("https", "git.example"), ("http", "127.0.0.1:4999")] {
        let filled = shell("git", &["credential", "fill"], &format!("protocol={protocol}\nhost={host}\n\n")).await;
        let answer = String::from_utf8_lossy(&filled.stdout);
        assert!(answer.contains(&format!("password={TOKEN}\n")), "{protocol}: {answer}\n{}\n{told}", said(&filled));
    }
}

#[tokio::test]
async fn store_changes_nothing_and_a_missing_secret_is_named() {
    let launch =
        Launch::new().toml("[git]\n\"git.example\" = \"hub\"\n\"none.example\" = \"nobody\"").vaulted(&[("hub", TOKEN)]).await;
    let stored = ask(&launch, "store", "protocol=https\nhost=git.example\nusername=x\npassword=another\n\n").await;
    assert!(stored.status.success() && stored.stdout.is_empty() && stored.stderr.is_empty(), "{stored:?}");
    let got = ask(&launch, "get", "protocol=https\nhost=git.example\n\n").await;
    assert!(String::from_utf8_lossy(&got.stdout).contains(TOKEN), "{got:?}");
    let missing = ask(&launch, "get", "protocol=https\nhost=none.example\n\n").await;
    assert!(missing.status.code() == Some(2) && missing.stdout == b"quit=1\n", "{missing:?}");
    assert!(String::from_utf8_lossy(&missing.stderr).contains("'nobody' not found"), "{missing:?}");
    let erased = ask(&launch, "erase", "protocol=https\nhost=elsewhere.example\n\n").await;
    assert!(erased.status.success() && erased.stderr.is_empty(), "{erased:?}");
}

#[tokio::test]
async fn where_nothing_is_revealed_the_operators_line_opens_one_host_under_its_own_name() {
    let server = GitServer::start(&["github.com", "gitlab.com"], USER, TOKEN).await;
    let proxy = format!("http.proxy=http://127.0.0.1:{}", server.proxy().await);
    let launch = Launch::new().toml("[policy]\nreveal = \"deny\"").vaulted(&[("hub", TOKEN)]).await;
    let listed = launch.twin().toml("[git]\n\"github.com\" = \"hub\"");
    let cloned = git(&listed, &server, &["-c", &proxy, "clone", "-q", "https://github.com/repo.git", "one"]).await;
    assert!(cloned.status.success(), "{}", said(&cloned));
    for (launch, host) in [(&listed, "gitlab.com"), (&launch, "github.com")] {
        let before = server.given().len();
        let refused = git(launch, &server, &["-c", &proxy, "clone", "-q", &format!("https://{host}/repo.git"), "two"]).await;
        assert!(!refused.status.success());
        assert_eq!(server.given().len(), before, "{host} was given nothing");
    }
}

//! `secrets`: a value comes in by standard input or a hidden prompt, and goes out to nobody but who resolves it.

use serde_json::json;

use super::{steady, with_vault};
use crate::support::broker::Launch;
use crate::support::canary;
use crate::support::command::{on_terminal, run};

const VALUE: &str = "sk-0123456789-canary";

#[tokio::test]
async fn a_value_is_read_from_standard_input_and_listed_without_itself() {
    let launch = with_vault().await;
    for (name, given, arguments) in [
        ("plain", format!("{VALUE}\n"), &[][..]),
        ("windows", format!("{VALUE}\r\n"), &[]),
        ("none", VALUE.to_owned(), &["--tag", "team=lab"]),
        ("exact", format!("{VALUE}\n"), &["--exact"]),
    ] {
        let done = run(&launch, &[&["secrets", "set", name], arguments].concat(), given.as_bytes()).await;
        canary::assert_unseen("the output", done.shown().as_bytes(), [VALUE]);
        done.ok();
    }
    let listed = run(&launch, &["secrets", "list"], b"").await.ok();
    insta::assert_snapshot!(steady(&launch, &listed));
    let json = run(&launch, &["secrets", "list", "--json"], b"").await.json();
    assert_eq!(json["secrets"][1]["tags"], json!({ "team": "lab" }), "{json}");
    for text in [listed, json.to_string()] {
        canary::assert_unseen("the list", text.as_bytes(), [VALUE]);
    }

    let mut broker = launch.ready().await;
    for (name, value) in [("plain", VALUE), ("windows", VALUE), ("none", VALUE), ("exact", &format!("{VALUE}\n"))] {
        assert_eq!(broker.reveal(name).await, value, "{name}");
    }
}

#[tokio::test]
async fn a_value_is_typed_unseen() {
    let launch = with_vault().await;
    let (shown, code) = on_terminal(&launch, &["secrets", "set", "typed"], "not shown: ", &format!("{VALUE}\n")).await;
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("Value of \"typed\", not shown:") && shown.contains("\"typed\" is stored."), "{shown}");
    canary::assert_unseen("the terminal", shown.as_bytes(), [VALUE]);
    let mut broker = launch.ready().await;
    assert_eq!(broker.reveal("typed").await, VALUE);
    broker.finish().await;
    broker.assert_unseen_beside_stdout(&[VALUE]);
}

#[tokio::test]
async fn a_value_on_the_command_line_is_refused_and_not_repeated() {
    let launch = with_vault().await;
    let told = run(&launch, &["secrets", "set", "a", VALUE], b"").await.failed(2);
    assert!(told.contains("secrets set NAME") && !told.contains(VALUE), "{told}");
    assert_eq!(run(&launch, &["secrets", "list", "--json"], b"").await.json()["secrets"], json!([]));
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused_and_nothing_changes() {
    let launch = with_vault().await;
    let large = "x".repeat((1 << 20) + 1);
    for (name, value, words) in [
        ("a", &b""[..], "0 bytes"),
        ("a", b"\n", "0 bytes"),
        ("a", b"\xff\xfe", "UTF-8"),
        ("a", large.as_bytes(), "1048577 bytes"),
        ("a", "x".repeat(2 << 20).as_bytes(), "bytes"),
        ("no name!", b"x", "no name for a secret"),
    ] {
        let told = run(&launch, &["secrets", "set", name], value).await.failed(2);
        assert!(told.contains(words), "{told}");
    }
    assert_eq!(
        run(&launch, &["secrets", "list"], b"").await.ok(),
        "Nothing is stored. To sign in: mcp-credentials-broker login PROVIDER\n"
    );
    run(&launch, &["secrets", "delete", "a"], b"").await.failed(2);
}

#[tokio::test]
async fn a_running_broker_and_a_command_share_the_vault() {
    let launch = with_vault().await;
    let vault = launch.home().join("data/mcp-credentials-broker/vault.db").display().to_string();
    let key = launch.home().join("vault-key").display().to_string();
    let toml = format!("[vault]\npath = '{vault}'\nkey_file = '{key}'");
    let mut broker = Launch::new().toml(&toml).ready().await;
    run(&launch, &["secrets", "set", "shared"], VALUE.as_bytes()).await.ok();
    assert_eq!(broker.reveal("shared").await, VALUE);
    let told = run(&launch, &["secrets", "delete", "shared"], b"").await.ok();
    assert!(told.contains("Nothing was revoked"), "{told}");
    broker.call("get_secret", json!({ "name": "shared", "purpose": "a test" })).await.refused("unknown_secret");
}

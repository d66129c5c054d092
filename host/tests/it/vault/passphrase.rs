//! A vault with a passphrase: typed on a terminal or printed by a command, unlocked for a time and locked again.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Home, bytes_of};
use crate::support::canary;
use crate::support::terminal::type_into;

const PASSPHRASE: &str = "canary correct horse battery";
const WRONG: &str = "canary wrong horse battery";

async fn typed(home: &Home, arguments: &[&str], answers: &[&str]) -> (i32, String) {
    let screen = type_into(&home.command(arguments), answers).await;
    // A shorter one stands in everything.
    for answer in answers.iter().filter(|answer| answer.len() > 6) {
        assert!(!screen.text.contains(answer), "what is typed is not shown: {}", screen.text);
    }
    (screen.code, screen.text)
}

async fn with_passphrase() -> Home {
    let home = Home::new();
    let (code, text) = typed(&home, &["vault", "init", "--passphrase"], &[PASSPHRASE, PASSPHRASE]).await;
    assert_eq!(code, 0, "{text}");
    home
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_locked_vault_is_named_by_every_tool_and_a_running_broker_follows_unlock_and_lock() {
    let home = with_passphrase().await;
    let mut broker = home.launch().ready().await;
    let tools = [
        ("list_secrets", json!({})),
        ("store_secret", json!({ "name": "k", "value": "v" })),
        ("get_secret", json!({ "name": "k", "purpose": "a test" })),
        ("delete_secret", json!({ "name": "k" })),
        ("list_providers", json!({})),
        ("get_broker_stats", json!({})),
        ("mint_token", json!({ "provider": "aws", "scopes": ["x"] })),
    ];
    for (tool, arguments) in &tools {
        broker.call(tool, arguments.clone()).await.refused("vault_locked").names(&["vault unlock --for 8h"]);
    }
    let (code, text) = typed(&home, &["vault", "unlock", "--for", "1h"], &[PASSPHRASE]).await;
    assert!(code == 0 && text.contains("unlocked until"), "{text}");
    broker.call("store_secret", json!({ "name": "k", "value": "kept in the vault" })).await.ok();
    let mut other = home.launch().ready().await;
    assert_eq!(other.reveal("k").await, "kept in the vault");
    assert!(home.run(&["vault", "status"]).await.ok().contains("unlocked until"));

    let doctor = home.run(&["doctor"]).await;
    assert!(doctor.out.contains("To take it away: mcp-credentials-broker vault lock\n"), "{doctor:?}");
    assert!(!doctor.out.contains(" keychain "), "nobody needs one here: {doctor:?}");

    home.run(&["vault", "lock"]).await.ok();
    let doctor = home.run(&["doctor"]).await;
    assert!(doctor.out.contains("Run: mcp-credentials-broker vault unlock") && !doctor.out.contains("operator"), "{doctor:?}");
    for broker in [&mut broker, &mut other] {
        for (tool, arguments) in &tools {
            broker.call(tool, arguments.clone()).await.refused("vault_locked");
        }
    }
    let status = home.run(&["vault", "status"]).await.ok();
    assert!(status.contains("vault_locked") && !status.contains("operator"), "{status}");
    let status: serde_json::Value = serde_json::from_str(&home.run(&["vault", "status", "--json"]).await.ok()).unwrap();
    assert_eq!((&status["code"], &status["keyVersion"]), (&json!("vault_locked"), &json!(1)), "{status}");
    typed(&home, &["vault", "unlock", "--for", "1h"], &[PASSPHRASE]).await;
    assert_eq!(broker.reveal("k").await, "kept in the vault");
    home.run(&["vault", "lock"]).await.ok();
    broker.finish().await;
    for broker in [&broker, &other] {
        broker.assert_unseen(&[PASSPHRASE]);
        broker.assert_unseen_beside_stdout(&["kept in the vault"]);
    }
    canary::assert_unseen("the vault", &bytes_of(&home.vault()), [PASSPHRASE]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_unlocked_vault_locks_itself_when_its_time_is_over() {
    let home = with_passphrase().await;
    let mut broker = home.launch().ready().await;
    typed(&home, &["vault", "unlock", "--for", "3s"], &[PASSPHRASE]).await;
    let begun = Instant::now();
    // On a machine under load its time may be over already.
    let mut open = !broker.call("list_secrets", json!({})).await.is_error;
    while open {
        assert!(begun.elapsed() < Duration::from_secs(80), "it stays open");
        tokio::time::sleep(Duration::from_millis(200)).await;
        open = !broker.call("list_secrets", json!({})).await.is_error;
    }
    broker.call("list_secrets", json!({})).await.refused("vault_locked");
    home.launch().ready().await.call("list_secrets", json!({})).await.refused("vault_locked");
}

/// A session that does not hold the user's keyring, as one of a system service.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_broker_in_another_session_of_the_user_finds_the_unlocked_key() {
    let home = with_passphrase().await;
    typed(&home, &["vault", "unlock", "--for", "1h"], &[PASSPHRASE]).await;
    let command = home.command(&["vault", "status"]);
    let command = command.as_std();
    let mut elsewhere = tokio::process::Command::new("keyctl");
    elsewhere.args(["session", "-"]).arg(command.get_program()).args(command.get_args());
    elsewhere.env_clear().envs(home.variables()).kill_on_drop(true);
    let said = super::said(elsewhere).await;
    assert!(said.err.contains("Joined session keyring"), "{said:?}");
    assert!(said.out.contains("unlocked until"), "{said:?}");
    home.run(&["vault", "lock"]).await.ok();
}

#[tokio::test]
async fn a_wrong_passphrase_takes_a_second_and_says_nothing_more() {
    let home = with_passphrase().await;
    for wrong in [WRONG, "x", "", PASSPHRASE.trim_end_matches('y')] {
        let begun = Instant::now();
        let (code, text) = typed(&home, &["vault", "unlock"], &[wrong]).await;
        if wrong.len() > 1 {
            assert!(begun.elapsed() >= Duration::from_secs(1));
        }
        assert_eq!(code, 6, "{text}");
        assert!(text.contains("The passphrase does not open this vault."), "{text}");
    }
    home.run(&["vault", "status"]).await.ok();
}

#[tokio::test]
async fn a_slip_or_a_short_passphrase_makes_no_vault() {
    let home = Home::new();
    let (code, text) = typed(&home, &["vault", "init", "--passphrase"], &[PASSPHRASE, WRONG]).await;
    assert!(code == 2 && text.contains("differ"), "{text}");
    let (code, text) = typed(&home, &["vault", "init", "--passphrase"], &["canary7", "canary7"]).await;
    assert!(code == 2 && text.contains("fewer than 8"), "{text}");
    assert!(!home.vault().exists());
}

#[tokio::test]
async fn a_script_gives_each_passphrase_once_as_one_line() {
    let home = Home::new();
    let made = home.piped(&["vault", "init", "--passphrase"], &format!("{PASSPHRASE}\n")).await.ok();
    assert!(made.contains("vault unlock --for 8h\nBrokers use it from their next start on"), "{made}");
    let archive = home.path("out.age").display().to_string();
    for (arguments, words) in [
        (&["vault", "export", &archive, "--recipient", "age1x"][..], ["is locked", "Run: mcp-credentials-broker vault unlock"]),
        (&["vault", "rekey"], ["is locked", "vault unlock"]),
    ] {
        home.run(arguments).await.failed(6, &words);
    }
    home.run(&["vault", "unlock"]).await.failed(4, &["before the vault's passphrase came"]);
    let export = ["vault", "export", archive.as_str()];
    home.piped(&export, &format!("{PASSPHRASE}\n")).await.failed(4, &["before the passphrase for the exported file came"]);
    home.piped(&export, &format!("{PASSPHRASE}\n{WRONG}\n")).await.ok();
    home.piped(&["vault", "rekey"], &format!("{PASSPHRASE}\n{WRONG}\n")).await.ok();
    home.piped(&["vault", "import", &archive], &format!("{WRONG}\n{WRONG}\n")).await.ok();
    home.piped(&["vault", "export", &archive], &format!("{PASSPHRASE}\n")).await.failed(6, &["does not open"]);
}

#[tokio::test]
async fn a_vault_at_another_place_is_told_of_with_the_words_that_reach_it() {
    let home = Home::new();
    let told = home.piped(&["vault", "init", "--vault", "v/o.db", "--passphrase"], &format!("{PASSPHRASE}\n")).await.ok();
    let file = home.path("v/o.db").canonicalize().unwrap().display().to_string();
    assert!(told.contains(&format!("vault unlock --for 8h --vault {file}\n")), "{told}");
    assert!(told.contains("[vault] path") && !told.contains("next start"), "{told}");
    // the same file by way of the configuration is found by itself
    std::fs::write(home.path("broker.toml"), "[vault]\npath = \"w/o.db\"\n").unwrap();
    let arguments = ["vault", "init", "--config", "broker.toml", "--vault", "w/o.db", "--passphrase"];
    assert!(home.piped(&arguments, &format!("{PASSPHRASE}\n")).await.ok().contains("from their next start on"));
}

#[tokio::test]
async fn the_configuration_is_no_key_and_a_file_that_was_there_is_the_key_as_it_is() {
    let home = Home::new();
    let (configuration, key) = (home.path("broker.toml"), home.path("found"));
    for file in [&configuration, &key] {
        std::fs::write(file, "# more than thirty-two bytes of anything\n").unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    let init = async |key: &str| home.run(&["vault", "init", "--config", "broker.toml", "--key-file", key]).await;
    init("./broker.toml").await.failed(2, &["is the configuration file"]);
    assert!(!home.vault().exists());
    let told = init("found").await.ok();
    assert!(told.contains("This file was there already: it is the key now; never change it."), "{told}");
    let told = home.run(&["vault", "rekey", "--key-file", "new"]).await.ok();
    assert!(!told.contains("there already"), "{told}");
    home.run(&["vault", "rekey", "--key-file", "broker.toml", "--config", "broker.toml"])
        .await
        .failed(2, &["configuration file"]);
    assert!(home.run(&["vault", "rekey", "--key-file", "found"]).await.ok().contains("there already"));
}

/// A `broker.toml` with a command that prints what is in a file.
fn by_command(home: &Home) -> String {
    let configuration = home.path("broker.toml");
    let text = format!("[vault]\nkey_command = [\"cat\", \"{}\"]\n", home.path("passphrase").display());
    std::fs::write(&configuration, text).unwrap();
    configuration.display().to_string()
}

#[tokio::test]
async fn a_command_that_prints_the_passphrase_needs_no_terminal_and_no_unlocking() {
    let home = Home::new();
    let configuration = by_command(&home);
    std::fs::write(home.path("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
    home.run(&["vault", "init", "--config", &configuration]).await.ok();
    let launch =
        || home.launch().env("MCP_CREDENTIALS_BROKER_LOG", "trace").toml(&std::fs::read_to_string(&configuration).unwrap());
    let mut broker = launch().ready().await;
    broker.call("store_secret", json!({ "name": "k", "value": "kept" })).await.ok();
    assert_eq!(launch().ready().await.reveal("k").await, "kept");
    for command in ["lock", "unlock"] {
        home.run(&["vault", command, "--config", &configuration]).await.failed(3, &["key_command"]);
    }
    std::fs::write(home.path("passphrase"), WRONG).unwrap();
    let mut broker = launch().ready().await;
    broker.call("list_secrets", json!({})).await.refused("wrong_key");
    std::fs::remove_file(home.path("passphrase")).unwrap();
    broker.call("list_secrets", json!({})).await.refused("vault_locked").names(&["key_command"]);
    std::fs::write(home.path("passphrase"), PASSPHRASE).unwrap();
    assert_eq!(broker.reveal("k").await, "kept", "without a restart");
    broker.finish().await;
    broker.assert_unseen(&[PASSPHRASE, WRONG]);
}

#[tokio::test]
async fn another_passphrase_by_rekey_locks_the_old_one_out() {
    let home = with_passphrase().await;
    let (code, text) = typed(&home, &["vault", "rekey"], &[PASSPHRASE, WRONG, WRONG]).await;
    assert!(code == 0 && text.contains("new key"), "{text}");
    let (code, _) = typed(&home, &["vault", "unlock"], &[PASSPHRASE]).await;
    assert_eq!(code, 6);
    let key = home.path("vault.key").display().to_string();
    let (code, text) = typed(&home, &["vault", "rekey", "--key-file", &key], &[WRONG]).await;
    assert_eq!(code, 0, "{text}");
    home.launch().ready().await.call("list_secrets", json!({})).await.ok();
}

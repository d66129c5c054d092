//! What commands say, word for word: help, errors, completions.

use super::steady;
use crate::support::broker::Launch;
use crate::support::command::run;

#[tokio::test]
async fn help_says_what_each_command_does() {
    let launch = Launch::new();
    let mut told = String::new();
    let pages: [&[&str]; 17] = [
        &["--help"],
        &["login", "--help"],
        &["logout", "--help"],
        &["secrets", "--help"],
        &["secrets", "list", "--help"],
        &["secrets", "set", "--help"],
        &["secrets", "delete", "--help"],
        &["audit", "--help"],
        &["audit", "show", "--help"],
        &["audit", "verify", "--help"],
        &["doctor", "--help"],
        &["completions", "--help"],
        &["request", "--help"],
        &["exec", "--help"],
        &["wrap", "--help"],
        &["git-credential", "--help"],
        &["token-command", "--help"],
    ];
    for page in pages {
        let done = run(&launch, page, b"").await;
        assert!(done.stderr.is_empty(), "{done:?}");
        told.push_str(&format!("$ mcp-credentials-broker {}\n{}\n", page.join(" "), done.ok()));
    }
    insta::assert_snapshot!(told);
}

#[tokio::test]
async fn every_failure_is_an_error_a_hint_and_a_code_by_kind() {
    let launch = Launch::new();
    let mut told = String::new();
    let wrong: [&[&str]; 17] = [
        &["logn"],
        &["--confg", "x"],
        &["login"],
        &["login", "github", "--nmae", "x"],
        &["completions", "tcsh"],
        &["audit", "show", "--since", "yesterday"],
        &["secrets", "set", "a", "--tag", "x"],
        &["secrets", "set", "a", "--json"],
        &["vault", "unlock", "--for", "10x"],
        &["vault", "rekey", "--passphrase", "--keychain"],
        &["login", "github"],
        &["login", "github", "--device", "--paste"],
        &["logout", "github"],
        &["secrets", "list"],
        &["secrets", "set", "a"],
        &["audit", "show"],
        &["audit", "verify"],
    ];
    for arguments in wrong {
        let done = run(&launch, arguments, b"").await;
        assert!(done.stdout.is_empty() && done.stderr.starts_with("Error: ") && done.stderr.contains("\nHint: "), "{done:?}");
        told.push_str(&format!("$ mcp-credentials-broker {}\n{}\n", arguments.join(" "), done.shown()));
    }
    insta::assert_snapshot!(steady(&launch, &told));
}

#[tokio::test]
async fn a_program_that_asks_for_json_gets_the_failure_as_a_document_too() {
    let launch = Launch::new();
    for (arguments, code, exit) in [
        (&["secrets", "list", "--json"][..], "vault_missing", 6),
        (&["vault", "status", "--json"], "vault_missing", 6),
        (&["audit", "show", "--json"], "vault_missing", 6),
        (&["request", "--json", "--secret", "x", "https://example.com/"], "vault_missing", 6),
        (&["providers", "inspect", "--json", "nobody"], "unknown_provider", 2),
    ] {
        let done = run(&launch, arguments, b"").await;
        let document: serde_json::Value = serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{done:?}"));
        assert_eq!((&document["code"], done.code), (&code.into(), exit), "{done:?}");
        assert!(done.stderr.contains(document["error"].as_str().unwrap()), "{done:?}");
        assert!(done.stderr.contains(document["hint"].as_str().unwrap()), "{done:?}");
    }
    // One that has printed its document prints no other.
    let broken = Launch::new().toml("[callback]\nurl = \"https://example.com/\"");
    let done = run(&broken, &["doctor", "--json"], b"").await;
    let document: serde_json::Value = serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{done:?}"));
    assert_eq!((&document["problems"], done.code), (&1.into(), 1));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_cannot_be_written_is_an_error_and_a_reader_that_has_gone_is_none() {
    let launch = super::with_vault().await.toml("[token_command]\nsecrets = [\"a\"]");
    run(&launch, &["secrets", "set", "a"], b"12345678").await.ok();
    for arguments in [
        &["secrets", "list"][..],
        &["secrets", "list", "--json"],
        &["audit", "show"],
        &["vault", "status"],
        &["doctor"],
        &["token-command", "a"],
        &["completions", "bash"],
        &["providers", "schema"],
        &["--help"],
    ] {
        let ended = async |stdout: std::process::Stdio| {
            let mut command = launch.command();
            command.args(arguments).stdout(stdout).stderr(std::process::Stdio::piped());
            let output = command.spawn().unwrap().wait_with_output().await.unwrap();
            (output.status.code(), String::from_utf8(output.stderr).unwrap())
        };
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let (code, told) = ended(full.into()).await;
        assert!(code == Some(1) && told.contains("Error: Standard output cannot be written"), "{arguments:?}: {told}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(ended(writer.into()).await, (Some(0), String::new()), "{arguments:?}");
    }
}

#[tokio::test]
async fn options_may_stand_before_and_after_a_command() {
    let launch = Launch::new().bare();
    for arguments in [["--config", "/nowhere/x.toml", "secrets", "list"], ["secrets", "list", "--config", "/nowhere/x.toml"]] {
        assert!(run(&launch, &arguments, b"").await.failed(2).contains("/nowhere/x.toml"), "{arguments:?}");
    }
}

#[tokio::test]
async fn shells_take_the_completions() {
    let launch = Launch::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&launch, &["completions", shell], b"").await.ok();
        for word in ["login", "secrets", "audit", "doctor", "config", "no-browser"] {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
        let file = launch.home().join(shell);
        std::fs::write(&file, script).unwrap();
        // bash is everywhere; the others are asked where they are installed
        let Ok(parsed) = std::process::Command::new(shell).arg("-n").arg(&file).output() else {
            assert_ne!(shell, "bash");
            continue;
        };
        assert!(parsed.status.success(), "{shell}: {}", String::from_utf8_lossy(&parsed.stderr));
    }
}

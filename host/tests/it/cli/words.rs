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
    let wrong: [&[&str]; 14] = [
        &["logn"],
        &["--confg", "x"],
        &["login"],
        &["login", "github", "--nmae", "x"],
        &["completions", "tcsh"],
        &["audit", "show", "--since", "yesterday"],
        &["secrets", "set", "a", "--tag", "x"],
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

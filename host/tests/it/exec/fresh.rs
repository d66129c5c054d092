//! Tokens are renewed for a program: at its start, and in a kept file while it runs.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::login::{at, granted, issued, signed_in};
use crate::support::broker::Broker;
use crate::support::idp::Idp;

/// A login in a vault, and the broker's command for another process with the same vault.
async fn login(idp: &Idp) -> (Broker, impl Fn() -> Command + use<>) {
    let launch = at(idp, "public-client").toml("[token_command]\nsecrets = [\"login\"]").vaulted(&[]).await;
    let (program, arguments, environment) = launch.plan();
    let mut broker = launch.ready().await;
    signed_in(&mut broker, "login").await;
    let command = move || {
        let mut command = Command::new(&program);
        command.args(&arguments).env_clear().envs(&environment).stdin(Stdio::null());
        command
    };
    (broker, command)
}

#[tokio::test]
async fn a_token_that_is_due_is_renewed_before_a_program_starts() {
    let mut idp = Idp::with_access_ttl(3).await;
    let (_broker, command) = login(&idp).await;
    tokio::time::sleep(Duration::from_millis(3100)).await;
    let output = command().args(["exec", "--env", "T=login", "--", "printenv", "T"]).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let token = String::from_utf8(output.stdout).unwrap().trim_end().to_owned();
    assert_eq!(granted(&mut idp, "refresh_token").await, 1);
    assert_eq!(issued(&mut idp, "access").await.last(), Some(&token));
    tokio::time::sleep(Duration::from_millis(3100)).await;
    let output = command().args(["token-command", "login"]).output().await.unwrap();
    let printed = String::from_utf8(output.stdout).unwrap().trim_end().to_owned();
    assert!(printed != token && issued(&mut idp, "access").await.last() == Some(&printed));
}

#[tokio::test]
async fn a_kept_file_is_current_as_long_as_the_program_runs_and_then_it_is_gone() {
    let mut idp = Idp::with_access_ttl(4).await;
    let (broker, command) = login(&idp).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let given = format!("{}=login", file.display());
    let script = "i=0; while [ $i -lt 200 ]; do cat \"$0\"; echo; i=$((i+1)); sleep 0.05; done; stat -c %a \"$0\"";
    let mut child = command()
        .args(["exec", "--refresh-file", &given, "--", "sh", "-c", script, file.to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        seen.push(line);
    }
    assert!(child.wait().await.unwrap().success());
    assert_eq!(seen.pop().unwrap(), "600");
    assert_eq!(seen.len(), 200);
    let tokens: BTreeSet<_> = seen.into_iter().collect();
    let all = issued(&mut idp, "access").await;
    assert!(tokens.iter().all(|token| all.contains(token)), "every reader found a whole token");
    assert!(tokens.len() >= 3, "it was renewed while the program ran: {}", tokens.len());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
    drop(broker);
}

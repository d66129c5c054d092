//! What the program gets, and what comes out of it.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::{KEY, TOKEN, launch, stderr, stdout, unseen};
use crate::support::canary;

#[tokio::test]
async fn a_program_has_the_values_in_its_environment_and_in_private_files_and_nobody_else_has() {
    let launch = launch().await;
    let script =
        "printf '%s' \"$A\"; echo; cat \"$B\"; cat \"$B\"; printf '%s' \"$B\"; cat <\"/proc/$PPID/cmdline\" | tr '\\0' ' '";
    let words = ["exec", "--env", "A=github-token", "--file", "B=key", "--", "sh", "-c", script];
    let output = launch.output(&words).await;
    let said = stdout(&output);
    assert!(said.starts_with(&format!("{TOKEN}\n{KEY}{KEY}/proc/self/fd/")), "{said} {}", stderr(&output));
    unseen(&launch, &output);
}

#[tokio::test]
async fn no_process_of_the_machine_shows_a_value_in_its_arguments() {
    let launch = launch().await;
    for mask in [&["--mask"][..], &[]] {
        let mut command = launch.command();
        command.arg("exec").args(mask).args([
            "--env",
            "A=github-token",
            "--file",
            "B=key",
            "--",
            "sh",
            "-c",
            "echo ready; read x",
        ]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next_line().await.unwrap().unwrap(), "ready");
        let mut seen = 0;
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            if let Ok(line) = std::fs::read(entry.path().join("cmdline")) {
                seen += usize::from(!line.is_empty());
                canary::assert_unseen(&entry.path().display().to_string(), &line, [TOKEN, KEY]);
            }
        }
        assert!(seen > 2);
        child.stdin.take().unwrap().write_all(b"x\n").await.unwrap();
        child.wait().await.unwrap();
    }
}

#[tokio::test]
async fn the_exit_code_is_the_programs_and_a_shells_where_there_is_none() {
    let launch = launch().await;
    for mask in [&["--mask"][..], &[]] {
        for (script, code) in [("exit 0", 0), ("exit 7", 7), ("exit 255", 255)] {
            let words = [&["exec"][..], mask, &["--env", "A=github-token", "--", "sh", "-c", script]].concat();
            assert_eq!(launch.output(&words).await.status.code(), Some(code), "{mask:?} {script}");
        }
        for (program, code) in [("no-such-program-1f", 127), ("/no/such/program", 127), ("/etc/passwd", 126), ("/etc", 126)] {
            let words = [&["exec"][..], mask, &["--env", "A=github-token", "--", program]].concat();
            let output = launch.output(&words).await;
            assert_eq!(output.status.code(), Some(code), "{program}: {}", stderr(&output));
            assert!(stderr(&output).contains("Error: ") && stderr(&output).contains(program), "{}", stderr(&output));
        }
    }
    // what ends by a signal ends so for whoever waits, and with a shell's code where the broker stands between
    let killed = launch.output(&["exec", "--env", "A=github-token", "--", "sh", "-c", "kill -TERM $$"]).await;
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&killed.status), Some(15));
    let killed = launch.output(&["exec", "--mask", "--", "sh", "-c", "kill -TERM $$"]).await;
    assert_eq!(killed.status.code(), Some(128 + 15));
}

#[tokio::test]
async fn what_is_masked_shows_no_value_however_it_is_cut_and_encoded() {
    let launch = launch().await;
    let script = r#"
import base64, os, sys, time
token = os.environ["A"].encode()
for out in (sys.stdout.buffer, sys.stderr.buffer):
    for byte in token:
        out.write(bytes([byte])); out.flush()
    out.write(b"\n" + base64.b64encode(b"x" + token) + b"\n" + token.hex().encode() + b"\nplain \xff\n" + token[:-1])
    out.flush()
"#;
    let output = launch.output(&["exec", "--mask", "--env", "A=github-token", "--", "python3", "-c", script]).await;
    assert!(output.status.success(), "{}", stderr(&output));
    for (place, said) in [("standard output", &output.stdout), ("standard error", &output.stderr)] {
        canary::assert_unseen(place, said, [TOKEN]);
        let text = String::from_utf8_lossy(said);
        assert!(text.starts_with("[secret:github-token]\n") && text.contains("\nplain \u{fffd}\n"), "{text}");
        // what only begins like it is not held back for ever
        assert!(said.ends_with(&TOKEN.as_bytes()[..TOKEN.len() - 1]), "{text}");
    }
}

#[tokio::test]
async fn the_brokers_own_secrets_are_not_inherited_unless_that_is_asked_for() {
    let launch =
        launch().await.env("JWT_SECRET", "canary-jwt-secret-0123456789abcdef").env("GITHUB_CLIENT_SECRET", "canary-client");
    let launch = launch.env("OTHER", "stays");
    let words = ["exec", "--env", "A=key", "--", "env"];
    let said = stdout(&launch.output(&words).await);
    assert!(said.contains("OTHER=stays") && !said.contains("canary-jwt") && !said.contains("canary-client"), "{said}");
    let words = ["exec", "--keep", "GITHUB_CLIENT_SECRET", "--", "env"];
    let said = stdout(&launch.output(&words).await);
    assert!(said.contains("canary-client") && !said.contains("canary-jwt"), "{said}");
}

#[tokio::test]
async fn what_is_masked_shows_no_setting_of_the_brokers_either() {
    let settings = [("JWT_SECRET", "canary-jwt-secret-0123456789abcdef"), ("GITHUB_CLIENT_SECRET", "canary-client-variable")];
    let launch = settings.iter().fold(launch().await, |launch, (name, value)| launch.env(name, value));
    let file = launch.home().join("client");
    std::fs::write(&file, "canary-client-of-a-file\n").unwrap();
    let launch = launch.toml(&format!(
        "[providers.google]\nclient_secret = {{ file = \"{}\" }}\n[providers.okta]\nclient_secret = \"canary-client-text\"",
        file.display()
    ));
    let keep = settings.iter().flat_map(|(name, _)| ["--keep", name]);
    let script = format!("env; cat {}; echo canary-client-text", file.display());
    let words: Vec<&str> = ["exec", "--mask"].into_iter().chain(keep).chain(["--", "sh", "-c", &script]).collect();
    let output = launch.output(&words).await;
    let said = stdout(&output);
    canary::assert_unseen(
        "standard output",
        said.as_bytes(),
        ["canary-jwt-secret-0123456789abcdef", "canary-client-variable", "canary-client-of-a-file", "canary-client-text"],
    );
    for name in ["JWT_SECRET=[secret:JWT_SECRET]", "GITHUB_CLIENT_SECRET=[secret:", "[secret:google:client_secret]"] {
        assert!(said.contains(name), "{name}: {said}{}", stderr(&output));
    }
}

#[tokio::test]
async fn signals_reach_the_program() {
    let launch = launch().await;
    let script = "trap 'echo got; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    for mask in [&["--mask"][..], &[]] {
        let mut command = launch.command();
        command.arg("exec").args(mask).args(["--env", "A=github-token", "--", "sh", "-c", script]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next_line().await.unwrap().unwrap(), "ready");
        let id = child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert_eq!(lines.next_line().await.unwrap().unwrap(), "got");
        assert_eq!(child.wait().await.unwrap().code(), Some(9));
    }
}

#[tokio::test]
async fn what_is_typed_wrong_is_said_without_repeating_it() {
    let launch = launch().await;
    for (given, code) in [
        (["--env", "canary-typed-value"], 2),
        (["--env", "A=no such name"], 2),
        (["--env", "A B=github-token"], 2),
        (["--env", "A=nobody"], 2),
        (["--refresh-file", "/no/such/folder/x=github-token"], 2),
    ] {
        let words = [&["exec"][..], &given, &["--", "true"]].concat();
        let output = launch.output(&words).await;
        assert_eq!(output.status.code(), Some(code), "{given:?}: {}", stderr(&output));
        assert!(!stderr(&output).contains("canary-typed") && stderr(&output).contains("Hint: "), "{}", stderr(&output));
    }
    assert_eq!(launch.output(&["exec", "--env", "A=key"]).await.status.code(), Some(2), "a command is needed");
}

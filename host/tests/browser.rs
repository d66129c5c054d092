//! The browser opener, in a process of its own: `$BROWSER` is a script that writes down what it was started with.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use credentials_broker::browser;
use url::Url;

/// Not a test by itself: the process that the others start, with an environment of their making. Prints what came out.
#[tokio::test]
#[ignore = "is started by the other tests, with an environment of their making"]
async fn child() {
    let Ok(url) = std::env::var("TEST_URL") else { return };
    let url = Url::parse(&url).unwrap();
    let outcome = match browser::open(&url) {
        Ok(opened) => opened.started().await,
        Err(error) => Err(error),
    };
    println!("outcome={}", outcome.map_or_else(|error| error.code().as_str(), |()| "opened"));
}

/// What the child printed, on both streams, and what the browser was started with.
fn open(url: &str, script: &str, variables: &[(&str, &str)]) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let (record, program) = (folder.path().join("record"), folder.path().join("browser"));
    std::fs::write(&program, script.replace("RECORD", record.to_str().unwrap())).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--ignored", "--nocapture"]).env("TEST_URL", url);
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").env("BROWSER", &program);
    for (name, value) in variables {
        command.env(name, value);
    }
    let output = command.output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8(printed).unwrap();
    let recorded = if printed.contains("outcome=opened") { wait_for(&record) } else { String::new() };
    (printed, recorded)
}

fn wait_for(file: &Path) -> String {
    let started = Instant::now();
    loop {
        match std::fs::read_to_string(file) {
            Ok(text) if text.ends_with("end\n") => return text,
            _ if started.elapsed() > Duration::from_secs(10) => panic!("the browser was never started"),
            _ => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

const RECORDER: &str = "#!/bin/sh\necho noise; echo noise >&2\n{ echo \"$#\"; printf '%s\\n' \"$@\"; echo end; } > RECORD\n";

#[test]
fn t47_the_browser_gets_the_address_as_one_argument_and_no_shell_reads_it() {
    let (printed, recorded) = open("https://id.example/a?x='\"$(touch /tmp/x)`id`;&y=%0a|z #f\n", RECORDER, &[]);
    assert!(printed.contains("outcome=opened"), "{printed}");
    assert_eq!(recorded, "1\nhttps://id.example/a?x=%27%22$(touch%20/tmp/x)`id`;&y=%0a|z%20#f\nend\n");
    // nothing that the browser writes reaches the streams of the broker
    assert!(!printed.contains("noise"), "{printed}");
}

#[test]
fn t47_other_schemes_start_nothing() {
    for url in ["file:///etc/passwd", "javascript:alert(1)", "data:text/html,x", "vscode://x"] {
        let (printed, _) = open(url, RECORDER, &[]);
        assert!(printed.contains("outcome=invalid_argument"), "{url}: {printed}");
    }
}

#[test]
fn a_browser_that_does_not_end_holds_nobody_up() {
    let started = Instant::now();
    // It lets go of its own accord, so that no test leaves it behind.
    let (printed, _) = open("https://id.example/", &RECORDER.replace("> RECORD", "> RECORD; sleep 8"), &[]);
    assert!(printed.contains("outcome=opened"), "{printed}");
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
}

#[test]
fn without_a_display_or_a_browser_the_answer_says_so() {
    let (printed, _) = open("https://id.example/", RECORDER, &[("BROWSER", "")]);
    assert!(printed.contains("outcome=unavailable"), "{printed}");
    let (printed, _) = open("https://id.example/", RECORDER, &[("BROWSER", "/usr/bin/lynx"), ("DISPLAY", ":0")]);
    assert!(printed.contains("outcome=unavailable"), "{printed}");
}

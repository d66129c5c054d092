//! What is written, and what is not.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{sharing, trail};
use crate::cli::with_vault;
use crate::support::broker::Launch;
use crate::support::canary;
use crate::support::command::run;
use crate::support::place;

const VALUE: &str = "canary-value-0123456789";

#[tokio::test]
async fn who_asked_for_what_and_why_and_what_came_of_it() {
    let launch = with_vault().await;
    let mut broker = Launch::new().toml(&sharing(&launch)).ready().await;
    broker.call("store_secret", json!({ "name": "key", "value": VALUE })).await.ok();
    broker.reveal("key").await;
    broker.call("get_secret", json!({ "name": "none", "purpose": "to look" })).await.refused("unknown_secret");
    let pid = broker.id();
    broker.finish().await;

    let text = run(&launch, &["audit", "show", "--json"], b"").await.ok();
    let entries: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<&str> = entries.iter().map(|entry| entry["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["store_secret", "get_secret", "resolve_secret", "get_secret"]);
    for entry in &entries {
        assert_eq!((&entry["client"], &entry["pid"]), (&json!("lab 1"), &json!(pid)), "{entry}");
    }
    assert_eq!((&entries[1]["secret"], &entries[1]["purpose"]), (&json!("key"), &json!("a test")));
    assert_eq!((&entries[3]["outcome"], &entries[3]["code"]), (&json!("refused"), &json!("unknown_secret")));
    assert_eq!(entries[1]["reference"], entries[2]["reference"], "a digest tells that they belong together");

    let report = run(&launch, &["audit", "verify", "--json"], b"").await.json();
    assert_eq!((&report["lines"], &report["rotatedAway"], &report["findings"]), (&json!(4), &json!(0), &json!([])));
    let of_one = run(&launch, &["audit", "show", "--secret", "none"], b"").await.ok();
    assert!(
        of_one.contains("refused (unknown_secret)") && of_one.contains("to look") && !of_one.contains("store_secret"),
        "{of_one}"
    );
    let recent = run(&launch, &["audit", "show", "--since", "1d", "--json"], b"").await.ok();
    assert_eq!(recent.lines().count(), 4);
}

#[tokio::test]
async fn no_value_stands_in_any_file_of_the_trail() {
    let launch = with_vault().await;
    let mut broker = Launch::new().toml(&sharing(&launch)).ready().await;
    for wrong in [
        json!({ "name": "key", "value": VALUE }),
        json!({ "name": "no name!", "value": VALUE }),
        json!({ "name": "key", "value": [VALUE] }),
        json!({ "value": VALUE }),
    ] {
        broker.call("store_secret", wrong).await;
    }
    broker.reveal("key").await;
    let reference = broker.call("get_secret", json!({ "name": "key", "purpose": "a test" })).await.ok();
    let reference = reference["reference"]["id"].as_str().unwrap().to_owned();
    broker.finish().await;
    run(&launch, &["secrets", "set", "key"], VALUE.as_bytes()).await.ok();
    run(&launch, &["secrets", "delete", "key"], b"").await.ok();
    let text = std::fs::read(trail(&launch)).unwrap();
    assert!(text.split(|byte| *byte == b'\n').count() > 5);
    canary::assert_unseen("the audit trail", &text, [VALUE, &reference]);
}

#[tokio::test]
async fn an_agents_words_stay_inside_their_line() {
    let launch = with_vault().await;
    let mut broker = Launch::new().toml(&sharing(&launch)).ready().await;
    let purpose = "a\",\"outcome\":\"ok\",\"mac\":\"00\"}\n{\"n\":1,\"event\":\"forged\"}\u{1b}[2J\u{202e}";
    broker.call("get_secret", json!({ "name": "x", "purpose": purpose })).await.refused("unknown_secret");
    broker.finish().await;
    let report = run(&launch, &["audit", "verify", "--json"], b"").await.json();
    assert_eq!((&report["lines"], &report["findings"]), (&json!(1), &json!([])));
    let shown = run(&launch, &["audit", "show"], b"").await.ok();
    assert!(shown.lines().count() == 2 && !shown.contains(['\u{1b}', '\u{202e}']), "{shown}");
}

#[test]
fn the_documentation_names_every_event() {
    let documentation = std::fs::read_to_string(place::repository("docs/audit.md")).unwrap();
    let mut folders = vec![place::repository("host/src")];
    let mut found = BTreeSet::from(["exec".to_owned()]);
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.extend(Some(path).filter(|path| !path.ends_with("tests")));
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let code = text.split("#[cfg(test)]").next().unwrap();
            let marks = ["event: ", "note(\"", "record_simple(\""];
            for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
                let after = marks.iter().filter_map(|mark| line.find(mark)).min().map(|at| &line[at..]);
                let words = after.and_then(|after| after.split(',').next()).unwrap_or_default().split('"').skip(1).step_by(2);
                found.extend(
                    words.filter(|word| word.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase())).map(str::to_owned),
                );
            }
        }
    }
    assert!(found.len() > 20 && found.contains("revoke_access_token"), "{found:?}");
    let missing: Vec<_> = found.iter().filter(|event| !documentation.contains(&format!("`{event}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test]
async fn without_a_vault_nothing_is_on_disk_and_standard_error_has_it() {
    let launch = Launch::new();
    let data = launch.home().join("data");
    let mut broker = launch.ready().await;
    broker.call("store_secret", json!({ "name": "key", "value": VALUE })).await.ok();
    let ended = broker.finish().await;
    assert!(ended.stderr.contains("\"event\":\"store_secret\"") && !data.exists(), "{}", ended.stderr);
}

/// A command's person sees what comes of it; where the file cannot be written, standard error is the only place left.
#[tokio::test]
async fn a_command_says_what_it_cannot_write_into_the_file() {
    let launch = with_vault().await;
    let set = async || run(&launch, &["secrets", "set", "key"], VALUE.as_bytes()).await;
    let quiet = set().await;
    assert!(quiet.code == 0 && !quiet.stderr.contains("store_secret"), "{quiet:?}");
    std::fs::remove_file(trail(&launch)).unwrap();
    std::fs::create_dir(trail(&launch)).unwrap();
    let told = set().await;
    assert_eq!(told.stderr.matches("\"event\":\"store_secret\"").count(), 1, "{told:?}");
    assert!(told.stderr.contains("on standard error only: 1"), "{told:?}");
    // it ends twice: when the command starts, and when that has ended
    let told = run(&launch, &["exec", "--mask", "--env", "K=key", "--", "true"], b"").await;
    assert_eq!((told.code, told.stderr.matches("\"event\":\"exec\"").count()), (0, 1), "{told:?}");
}

#[tokio::test]
async fn what_a_door_refused_is_in_the_trail() {
    let launch = with_vault().await;
    run(&launch, &["exec", "--env", "K=nobody", "--", "true"], b"").await.failed(2);
    let calls = [
        json!({ "name": "write", "arguments": { "content": "secret:nobody" } }),
        json!({ "name": "write", "arguments": { "content": "x" } }),
    ];
    let lines: String = calls
        .iter()
        .map(|params| format!("{}\n", json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params })))
        .collect();
    run(&launch, &["wrap", "--name", "server", "--", "cat"], lines.as_bytes()).await;
    let text = run(&launch, &["audit", "show", "--json"], b"").await.ok();
    let entries: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [exec, wrap] = &entries[..] else { panic!("{text}") };
    for (entry, event) in [(exec, "exec"), (wrap, "wrap")] {
        assert_eq!((&entry["event"], &entry["outcome"]), (&json!(event), &json!("refused")), "{entry}");
        assert_eq!((&entry["secret"], &entry["code"]), (&json!("nobody"), &json!("unknown_secret")), "{entry}");
    }
    assert_eq!((&wrap["process"], &wrap["destination"]), (&json!("server"), &json!("write")), "{wrap}");
}

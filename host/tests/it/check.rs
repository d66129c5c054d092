//! `providers check`, over the real binary: what passes, what fails, and what it says then.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::guest::Guest;
use crate::support::place;

const OFFICIAL: [&str; 6] = ["aws", "azure", "github", "google", "oauth2", "okta"];

/// Runs `providers ARGUMENTS` with nothing of this machine's configuration.
pub async fn providers(home: &Path, arguments: &[&str]) -> Output {
    tokio::process::Command::new(env!("CARGO_BIN_EXE_mcp-credentials-broker"))
        .arg("providers")
        .args(arguments)
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .env("TMPDIR", home)
        .env("PATH", std::env::var("PATH").unwrap_or_default())
        .env("XDG_CACHE_HOME", place::target("tmp/cache"))
        .output()
        .await
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The verdict on each part, by its word.
pub fn verdicts(output: &Output) -> Vec<(String, String)> {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let findings = report["findings"].as_array().unwrap().iter();
    findings.map(|found| (found["id"].as_str().unwrap().to_owned(), found["verdict"].as_str().unwrap().to_owned())).collect()
}

pub fn of<'a>(verdicts: &'a [(String, String)], verdict: &str) -> Vec<&'a str> {
    verdicts.iter().filter(|(_, found)| found == verdict).map(|(id, _)| id.as_str()).collect()
}

fn put(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let file = folder.path().join(name);
    std::fs::write(&file, bytes).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    file
}

#[tokio::test]
async fn every_official_provider_passes_with_its_services_own_answers() {
    let home = TempDir::new().unwrap();
    let check = |name: &'static str| {
        let component = place::repository(&format!("plugins/{name}.wasm"));
        let fixtures = place::repository(&format!("providers/{name}/fixtures.json"));
        let home = home.path().to_owned();
        tokio::spawn(async move {
            let (component, fixtures) = (component.display().to_string(), fixtures.display().to_string());
            providers(&home, &["check", &component, "--fixtures", &fixtures, "--json"]).await
        })
    };
    for (name, running) in OFFICIAL.map(|name| (name, check(name))) {
        let output = running.await.unwrap();
        let verdicts = verdicts(&output);
        assert!(output.status.success(), "{name}: {}", text(&output.stdout));
        assert!(of(&verdicts, "failed").is_empty(), "{name}: {verdicts:?}");
        // a check that plays nothing passes everything
        let played = of(&verdicts, "passed");
        if name != "aws" {
            for scene in ["sign-in", "wrong-state", "hanging", "huge-body", "refresh", "refresh-refused", "device"] {
                assert!(played.contains(&scene), "{name}: {scene}, {verdicts:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_check_leaves_nothing_behind() {
    let home = TempDir::new().unwrap();
    let component = place::repository("plugins/github.wasm").display().to_string();
    let fixtures = place::repository("providers/github/fixtures.json").display().to_string();
    let output = providers(home.path(), &["check", &component, "--fixtures", &fixtures]).await;
    assert!(output.status.success(), "{}", text(&output.stdout));
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn what_a_component_does_wrong_is_named_with_what_to_change() {
    let home = TempDir::new().unwrap();
    // it redeems codes without saying who the client is, and calls every failure invalid_grant
    let careless = put(&home, "careless.wasm", &Guest::new("careless").bytes());
    let trapping = put(&home, "trapping.wasm", &Guest::new("trapping").exchange("(unreachable)").bytes());
    let (careless, trapping) = (careless.display().to_string(), trapping.display().to_string());
    let (as_text, as_json) = (["check", &careless], ["check", &careless, "--json"]);
    let other = ["check", &trapping, "--json"];
    let (plain, json, trapped) =
        tokio::join!(providers(home.path(), &as_text), providers(home.path(), &as_json), providers(home.path(), &other));
    let report = text(&plain.stdout);
    assert_eq!(plain.status.code(), Some(5), "{report}");
    for said in ["FAILED  sign-in", "without the client secret", "To change: ", "temporarily_unavailable"] {
        assert!(report.contains(said), "{said} is not in:\n{report}");
    }
    assert!(text(&plain.stderr).contains("parts of the check failed"), "{}", text(&plain.stderr));
    let failed = verdicts(&json);
    let failed = of(&failed, "failed");
    assert!(failed.contains(&"sign-in") && failed.contains(&"busy"), "{failed:?}");
    assert!(!failed.contains(&"describe") && !failed.contains(&"variables"), "{failed:?}");
    let failed = verdicts(&trapped);
    let failed = of(&failed, "failed");
    for scene in ["sign-in", "refused", "error-with-200", "redirect", "hanging"] {
        assert!(failed.contains(&scene), "{scene}, {failed:?}");
    }
}

#[tokio::test]
async fn a_descriptor_that_claims_what_is_not_exported_is_told_so() {
    let home = TempDir::new().unwrap();
    let mut descriptor = crate::support::guest::descriptor("boaster");
    descriptor["grants"] = json!(["authorization_code", "refresh_token"]);
    let file = put(&home, "boaster.wasm", &Guest::new("boaster").describing(&descriptor).bytes());
    let output = providers(home.path(), &["check", &file.display().to_string(), "--json"]).await;
    assert!(!output.status.success());
    assert!(of(&verdicts(&output), "failed").contains(&"exports-refresh"), "{}", text(&output.stdout));
}

#[tokio::test]
async fn fixtures_that_speak_of_something_else_are_refused_by_name() {
    let home = TempDir::new().unwrap();
    let component = place::repository("plugins/github.wasm").display().to_string();
    for (fixtures, expected) in [
        (r#"{ "answers": [{ "endpoint": "tokens" }] }"#, "tokens"),
        (r#"{ "settings": { "hots": "x" } }"#, "hots"),
        (r#"{ "anwsers": [] }"#, "anwsers"),
        ("not json", "fixtures.json"),
    ] {
        let file = put(&home, "fixtures.json", fixtures.as_bytes());
        let output = providers(home.path(), &["check", &component, "--fixtures", &file.display().to_string()]).await;
        assert_eq!(output.status.code(), Some(2), "{fixtures}");
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_loaded_is_told_of_as_everywhere() {
    let home = TempDir::new().unwrap();
    let file = put(&home, "page.wasm", b"<!doctype html>");
    let output = providers(home.path(), &["check", &file.display().to_string()]).await;
    assert_eq!(output.status.code(), Some(5));
    assert!(text(&output.stderr).contains("not a WebAssembly file"), "{}", text(&output.stderr));
}

#[tokio::test]
async fn a_new_provider_is_written_once_and_never_over_something() {
    let home = TempDir::new().unwrap();
    let output = providers(home.path(), &["new", "acme-id"]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("acme_id.wasm"), "{}", text(&output.stdout));
    let again = providers(home.path(), &["new", "acme-id"]).await;
    assert_eq!(again.status.code(), Some(3));
    for (name, why) in
        [("github", "brings along"), ("gcp", "brings along"), ("Acme", "cannot be the name"), ("fn", "keeps for itself")]
    {
        let output = providers(home.path(), &["new", name]).await;
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(text(&output.stderr).contains(why), "{name}: {}", text(&output.stderr));
    }
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["acme-id"]);
}

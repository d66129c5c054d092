//! `doctor`: what is as it should be, what is not, and the command that helps.

use super::{steady, with_vault};
use crate::support::broker::Launch;
use crate::support::command::run;

/// Whether a debugger may read a broker's memory, and a keychain answers, is the machine's business.
fn without_the_machine(text: &str) -> String {
    text.lines()
        .filter(|line| {
            !line.contains("with a debugger") && !line.contains("  keychain  ") && !line.contains("Unlock the keychain")
        })
        .map(|line| format!("{line}\n"))
        .collect()
}

#[tokio::test]
async fn without_a_vault_it_says_how_to_make_one_and_nothing_is_wrong() {
    let launch = Launch::new().client("GITHUB", "id", Some("github-client-secret")).env("OKTA_CLIENT_ID", "id");
    let done = run(&launch, &["doctor"], b"").await;
    assert!(!done.shown().contains("github-client-secret"), "{done:?}");
    insta::assert_snapshot!(steady(&launch, &without_the_machine(&done.ok())));
}

#[tokio::test]
async fn with_a_vault_it_looks_into_it() {
    let launch = with_vault().await;
    run(&launch, &["secrets", "set", "short"], b"1234567").await.ok();
    run(&launch, &["secrets", "set", "long"], b"12345678").await.ok();
    let told = run(&launch, &["doctor"], b"").await.ok();
    assert!(!told.contains("  keychain  "), "its key is a file: {told}");
    insta::assert_snapshot!(steady(&launch, &without_the_machine(&told)));
    let json = run(&launch, &["doctor", "--json"], b"").await.json();
    let of = |name: &str| {
        let checks = json["checks"].as_array().unwrap();
        checks.iter().find(|check| check["check"] == name).unwrap_or_else(|| panic!("{name}: {json:#}")).clone()
    };
    assert_eq!(json["problems"], 0, "{json:#}");
    assert_eq!((&of("vault")["state"], &of("audit")["state"]), (&"ok".into(), &"ok".into()));
    assert!(of("redaction")["message"].as_str().unwrap().ends_with(": short."), "{json:#}");
}

#[tokio::test]
async fn what_the_operators_file_names_and_is_not_there_is_a_warning_with_its_remedy() {
    let launch = with_vault().await.toml(
        r#"
[providers.okta]
domain = "dev-1.okta.com"
client_id = "id"
client_secret = { file = "/nonexistent" }
[providers.github]
client_id = "id"
client_secret = { secret = "nosuch" }
[providers.google]
client_id = "id"
client_secret = { secret = "there" }
[exec.gh]
program = "/nonexistent/gh"
secrets = ["there", "no-token"]
[wrap.server]
program = "/nonexistent/node"
allow = [{ tool = "*", argument = "/a", secret = "no-key" }, { tool = "*", argument = "/b", secret = "no-key" }]
[git]
"git.example" = "no-login"
[token_command]
secrets = ["no-token", "there"]
"#,
    );
    run(&launch, &["secrets", "set", "there"], b"0123456789").await.ok();
    let told = run(&launch, &["doctor"], b"").await.ok();
    insta::assert_snapshot!(steady(&launch, &without_the_machine(&told)));
}

#[tokio::test]
async fn what_does_not_work_is_a_problem_with_its_remedy_and_an_exit_code() {
    let launch = with_vault().await;
    let _holder = std::net::TcpListener::bind(("127.0.0.1", launch.port())).unwrap();
    let done = run(&launch, &["doctor"], b"").await;
    assert!(done.stdout.contains("problem  callback") && done.stdout.contains("is held by"), "{done:?}");
    assert!(done.stdout.contains(&format!("(process {})", std::process::id())), "{done:?}");
    done.failed(1);

    let trail = launch.home().join("data/mcp-credentials-broker/vault.audit.jsonl");
    run(&launch, &["secrets", "set", "a"], b"12345678").await.ok();
    let text = std::fs::read_to_string(&trail).unwrap();
    std::fs::write(&trail, text.replace("\"secret\":\"a\"", "\"secret\":\"b\"")).unwrap();
    let done = run(&launch, &["doctor"], b"").await;
    assert!(done.stdout.contains("problem  audit") && done.stdout.contains("audit verify"), "{done:?}");

    let broken = Launch::new().toml("[callback]\nurl = \"https://example.com/\"");
    let done = run(&broken, &["doctor", "--json"], b"").await;
    let json: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(
        (done.code, &json["checks"][0]["check"], &json["checks"][0]["state"]),
        (1, &"configuration".into(), &"problem".into())
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_others_can_read_is_a_warning() {
    use std::os::unix::fs::PermissionsExt as _;
    let launch = Launch::new().bare();
    let file = launch.home().join("broker.toml");
    // Another test may hold the port that counts without a line.
    std::fs::write(&file, format!("[callback]\nurl = \"http://localhost:{}/cb\"", launch.port())).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let told = run(&launch, &["doctor", "--config", &file.display().to_string()], b"").await.ok();
    assert!(told.contains("warning  configuration") && told.contains(&format!("chmod 600 '{}'", file.display())), "{told}");
}

#[tokio::test]
async fn an_interpreter_that_may_have_a_secret_whatever_it_is_told_is_a_warning() {
    let launch = with_vault().await;
    run(&launch, &["secrets", "set", "key"], b"0123456789").await.ok();
    let sh = crate::support::place::program("sh");
    let table = |more: &str| format!("[policy]\nreveal = \"deny\"\n[exec.sh]\nprogram = \"{sh}\"\nsecrets = [\"key\"]\n{more}");
    let launch = launch.toml(&table(""));
    let told = run(&launch, &["doctor"], b"").await.ok();
    assert!(told.contains("warning  exec") && told.contains("can have \"key\" printed"), "{told}");
    let launch = launch.toml(&table("arguments = [\"/opt/script\"]"));
    let told = run(&launch, &["doctor"], b"").await.ok();
    assert!(!told.contains("printed"), "{told}");
}

#[tokio::test]
async fn a_vault_whose_key_file_is_gone_does_not_work() {
    let launch = with_vault().await;
    std::fs::remove_file(launch.home().join("vault-key")).unwrap();
    let told = run(&launch, &["doctor"], b"").await;
    assert!(told.code == 1 && told.stdout.contains("problem  vault"), "{told:?}");
}

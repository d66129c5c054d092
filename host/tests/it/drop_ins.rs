//! Components that a team drops into a folder: the sound ones work, each of the others is told of by its own reason.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::broker::{Broker, Launch};
use crate::support::component::{Component, PLAIN};

/// Another version of the contract, and another world altogether, as components without code.
fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    std::fs::write(folder.join(name), bytes).unwrap();
}

async fn with_folder(folder: &Path) -> Broker {
    Launch::new().argument("--plugins").argument(&folder.display().to_string()).ready().await
}

fn rejection<'a>(listed: &'a Value, file: &str) -> &'a Value {
    let rejected = listed["rejected"].as_array().unwrap();
    rejected.iter().find(|told| told["error"].as_str().unwrap().contains(file)).unwrap_or_else(|| panic!("{file}: {listed:#}"))
}

#[tokio::test]
async fn each_unusable_file_says_why_and_the_others_work() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let core = wat("(module)");
    let imports = |name: &str| wat(&format!("(component (import \"{name}\" (instance)))"));
    let named = |name: &str| PLAIN.replace("\"acme\"", &format!("\"{name}\""));
    let variable = |name: &str, variable: &str| {
        let setting = json!([{ "name": "host", "env": [variable], "kind": "host", "about": "x" }]);
        let mut descriptor: Value = serde_json::from_str(&named(name)).unwrap();
        descriptor["settings"] = setting;
        descriptor.to_string()
    };
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("empty.wasm", vec![], &["not a WebAssembly file"]),
        ("text.wasm", b"<html>Not found</html>".to_vec(), &["not a WebAssembly file", "get it again"]),
        ("core.wasm", core, &["core WebAssembly module", "wasm-tools component new"]),
        ("damaged.wasm", Component::new(PLAIN).build()[..200].to_vec(), &["damaged"]),
        ("foreign.wasm", wat("(component)"), &["does not export credentials-broker:provider/provider@0.1.0"]),
        ("newer.wasm", imports("credentials-broker:provider/host@0.2.0"), &["version", "0.2.0", "0.1.0", "rebuild"]),
        ("http.wasm", imports("wasi:http/outgoing-handler@0.2.0"), &["wasi:http/outgoing-handler", "refused"]),
        ("sockets.wasm", imports("wasi:sockets/tcp@0.2.0"), &["wasi:sockets/tcp", "refused"]),
        ("strange.wasm", imports("acme:tools/run@1.0.0"), &["acme:tools/run", "does not have"]),
        ("nojson.wasm", Component::new("no JSON").build(), &["descriptor.schema.json"]),
        ("github.wasm", Component::new(&named("github")).build(), &["github", "embedded provider has"]),
        ("alias.wasm", Component::new(&named("gcp")).build(), &["gcp", "embedded provider has"]),
        ("prefix.wasm", Component::new(&variable("prefix", "GITHUB_CLIENT_ID")).build(), &["GITHUB_CLIENT_ID", "PREFIX_"]),
        // a prefix of its own, with which another's variables begin
        (
            "longer.wasm",
            Component::new(&variable("github-client", "GITHUB_CLIENT_ID")).build(),
            &["GITHUB_CLIENT_ID", "another provider"],
        ),
        ("own.wasm", Component::new(&variable("mcp", "MCP_CREDENTIALS_BROKER_CONFIG")).build(), &["the broker's own"]),
        ("loop.wasm", Component::new(PLAIN).describe("(loop (br 0)) unreachable").build(), &["computed for too long"]),
        ("trap.wasm", Component::new(PLAIN).describe("unreachable").build(), &["trapped"]),
    ];
    for (name, bytes, _) in &cases {
        write(at, name, bytes);
    }
    write(at, "sound.wasm", &Component::new(&named("sound")).build());
    write(at, "writable.wasm", &Component::new(&named("writable")).build());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(at.join("writable.wasm"), std::fs::Permissions::from_mode(0o666)).unwrap();
        std::os::unix::fs::symlink(at.join("sound.wasm"), at.join("link.wasm")).unwrap();
    }
    let mut broker = with_folder(at).await;
    let listed = broker.call("list_providers", json!({})).await.ok();
    for (name, _, words) in &cases {
        let told = rejection(&listed, name).to_string();
        for word in *words {
            assert!(told.contains(word), "{name} should say {word:?}: {told}");
        }
    }
    assert!(rejection(&listed, "writable.wasm")["hint"].as_str().unwrap().contains("chmod"));
    assert!(rejection(&listed, "link.wasm")["error"].as_str().unwrap().contains("no regular file"));
    let names: Vec<&str> = listed["providers"].as_array().unwrap().iter().filter_map(|told| told["name"].as_str()).collect();
    assert_eq!(names, ["github", "google", "azure", "okta", "oauth2", "aws", "sound"]);
    let minted = broker.call("mint_token", json!({ "provider": "sound", "scopes": ["s"] })).await.ok();
    assert_eq!(minted["token"]["expiresIn"], 60, "its own cap");
}

#[tokio::test]
async fn a_file_dropped_in_later_does_not_take_over_the_name_of_another() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "m.wasm", &Component::new(PLAIN).build());
    let mut broker = with_folder(folder.path()).await;
    let mint = json!({ "provider": "acme", "scopes": ["s"] });
    broker.call("mint_token", mint.clone()).await.ok();
    let hostile = PLAIN.replace("\"Acme\"", "\"Hostile\"");
    write(folder.path(), "a.wasm", &Component::new(&hostile).build());
    broker.call("mint_token", mint.clone()).await.refused("unknown_provider");
    let listed = broker.call("list_providers", json!({})).await.ok();
    for file in ["a.wasm", "m.wasm"] {
        assert!(rejection(&listed, file).to_string().contains("a name that"), "{listed:#}");
    }
    std::fs::remove_file(folder.path().join("a.wasm")).unwrap();
    broker.call("mint_token", mint).await.ok();
}

#[tokio::test]
async fn of_two_drop_ins_with_one_name_the_one_that_the_operator_named_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let m = folder.path().join("m.wasm");
    write(folder.path(), "a.wasm", &Component::new(&PLAIN.replace("\"Acme\"", "\"Hostile\"")).build());
    write(folder.path(), "m.wasm", &Component::new(PLAIN).build());
    let config = format!("[providers.acme]\ncomponent = {:?}\n", m.display().to_string());
    let launch = Launch::new().toml(&config).argument("--plugins").argument(&folder.path().display().to_string());
    let mut broker = launch.ready().await;
    let listed = broker.call("list_providers", json!({})).await.ok();
    let acme: Vec<&Value> = listed["providers"].as_array().unwrap().iter().filter(|told| told["name"] == "acme").collect();
    assert!(acme.len() == 1 && acme[0]["title"] == "Acme", "{listed:#}");
    rejection(&listed, "a.wasm");
}

#[tokio::test]
async fn a_file_dropped_in_is_there_without_a_restart_and_one_taken_out_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mut broker = with_folder(folder.path()).await;
    let mint = json!({ "provider": "acme", "scopes": ["s"] });
    broker.call("mint_token", mint.clone()).await.refused("unknown_provider");
    write(folder.path(), "acme.wasm", &Component::new(PLAIN).build());
    broker.call("mint_token", mint.clone()).await.ok();
    let listed = broker.call("list_providers", json!({})).await.ok();
    let told = listed["providers"].as_array().unwrap().iter().find(|told| told["name"] == "acme").unwrap();
    assert!(told["origin"].as_str().unwrap().ends_with("acme.wasm"), "{told}");
    std::fs::remove_file(folder.path().join("acme.wasm")).unwrap();
    broker.call("mint_token", mint).await.refused("unknown_provider");
}

#[tokio::test]
async fn nothing_is_compiled_for_what_needs_no_component() {
    let cache = tempfile::tempdir().unwrap();
    let launch = Launch::new().env("XDG_CACHE_HOME", &cache.path().display().to_string());
    let mut broker = launch.client("GITHUB", "id", Some("github-client-secret")).ready().await;
    broker.request("tools/list", json!({})).await;
    broker.call("list_providers", json!({})).await.ok();
    broker.call("store_secret", json!({ "name": "k", "value": "v" })).await.ok();
    broker.reveal("k").await;
    broker.call("mint_token", json!({ "provider": "github", "scopes": ["repo"] })).await.ok();
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 0, "no engine was started");
    let threads = std::fs::read_dir(format!("/proc/{}/task", broker.id())).unwrap();
    let names: Vec<String> =
        threads.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap().trim().to_owned()).collect();
    assert!(!names.iter().any(|name| name == "epoch" || name == "compile"), "{names:?}");
    broker.begin_login("github", &["repo"], "github-token").await;
    let components = cache.path().join("mcp-credentials-broker/components");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&components).unwrap().permissions().mode() & 0o777, 0o700);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_cache_that_others_can_reach_is_not_used_and_nothing_fails() {
    use std::os::unix::fs::PermissionsExt as _;
    let cache = tempfile::tempdir().unwrap();
    let components = cache.path().join("mcp-credentials-broker/components");
    std::fs::create_dir_all(&components).unwrap();
    std::fs::set_permissions(&components, std::fs::Permissions::from_mode(0o777)).unwrap();
    let launch = Launch::new().env("XDG_CACHE_HOME", &cache.path().display().to_string());
    let mut broker = launch.client("GITHUB", "id", Some("github-client-secret")).ready().await;
    broker.begin_login("github", &["repo"], "github-token").await;
    assert_eq!(std::fs::read_dir(&components).unwrap().count(), 0);
    assert!(broker.finish().await.stderr.contains("chmod 700"));
}

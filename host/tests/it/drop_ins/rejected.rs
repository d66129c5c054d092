//! Components that cannot be used: each is told of by name with what to do, and hides nobody else.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::*;
use crate::support::guest::descriptor;

/// What is told of every component in the folder that cannot be used, without the folder's name.
fn told_without(listed: &Value, folder: &Folder) -> String {
    let mut told = String::new();
    for rejected in listed["rejected"].as_array().map_or(&[][..], Vec::as_slice) {
        let _ = writeln!(told, "{}\n    {}", rejected["error"].as_str().unwrap(), rejected["hint"].as_str().unwrap());
    }
    told.replace(&format!("{}/", folder.0.display()), "")
}

fn changed(name: &str, pointer: &str, value: Value) -> Guest {
    let mut descriptor = descriptor(name);
    *descriptor.pointer_mut(pointer).unwrap() = value;
    Guest::new(name).describing(&descriptor)
}

/// Every way to be no good, in files whose names say which.
fn fill(folder: &Folder) {
    let good = Guest::new("acme");
    folder.put("corrupt.wasm", b"\0asm\x0d\0\x01\0\x01\xff\xff\x03");
    folder.put("empty.wasm", b"");
    folder.put("page.wasm", b"<!doctype html><title>404</title>");
    folder.put("core-module.wasm", &wat::parse_str("(module (memory 1))").unwrap());
    folder.put("compiled.wasm", b"\x7fELF\x02\x01\x01");
    folder.put("foreign.wasm", &wat::parse_str("(component)").unwrap());
    folder.put("half.wasm", &half());
    folder.put("half-refresh.wasm", &good.clone().beside(HALF_REFRESH).bytes());
    folder.put("other-types.wasm", &exporting(&["describe", "resolve", "authorization", "exchange"], "u32"));
    folder.put_guest(&good.clone().beside(NEWER_HOST), "wants-more-of-the-host.wasm");
    folder.put_guest(&good.clone().version("0.2.0"), "newer-contract.wasm");
    folder.put_guest(&good.clone().version("0.0.9"), "older-contract.wasm");
    let import = |name: &str| good.clone().beside(&format!("(import \"{name}\" (instance))"));
    folder.put_guest(&import("wasi:http/outgoing-handler@0.2.0"), "wants-http.wasm");
    folder.put_guest(&import("wasi:sockets/tcp@0.2.0"), "wants-sockets.wasm");
    folder.put_guest(&import("acme:tools/things@1.0.0"), "wants-else.wasm");
    folder.put_guest(&good.clone().describe("(unreachable)"), "traps.wasm");
    folder.put_guest(&good.clone().describe("(call $for-ever) (unreachable)"), "loops.wasm");
    folder.put_guest(&good.clone().with("(func $f (call $for-ever)) (start $f)"), "loops-at-start.wasm");
    folder.put_guest(&good.clone().describe(r#"(call $log $"info" $"hello") (call $described)"#), "asks-in-describe.wasm");
    folder.put_guest(&good.clone().describing_as("acme"), "no-json.wasm");
    folder.put_guest(&good.clone().describing_as(&" ".repeat(70_000)), "huge-descriptor.wasm");
    folder.put_guest(&changed("acme", "/ttl/maximum", json!(u64::MAX)), "for-ever-valid.wasm");
    folder.put_guest(&changed("acme", "/endpoints/1/url", json!("{resolved.anywhere}")), "goes-anywhere.wasm");
    folder.put_guest(&changed("acme", "/endpoints/1/url", json!("http://evil.example/token")), "plain-http.wasm");
    folder.put_guest(&Guest::new("github"), "takes-a-name.wasm");
    folder.put_guest(&changed("gcp", "/title", json!("Not Google")), "takes-an-alias.wasm");
    folder.put_guest(&changed("steals", "/settings/1/env/0", json!("GITHUB_CLIENT_SECRET")), "other-variables.wasm");
    folder.put_guest(&Guest::new("github-client").describing(&stealing()), "others-variable.wasm");
    folder.put_guest(&changed("aws-secret", "/settings/1/env/0", json!("AWS_SECRET_ACCESS_KEY")), "others-prefix.wasm");
    let own = changed("mcp", "/settings/2/env/0", json!("MCP_CREDENTIALS_BROKER_CONFIG"));
    folder.put_guest(&own, "brokers-variable.wasm");
    folder.put_guest(&changed("leaks", "/settings/2/env/0", json!("LEAKS_API_KEY")), "readable-key.wasm");
    folder.put_guest(&Guest::new("twin"), "twin-one.wasm");
    folder.put_guest(&changed("twin", "/title", json!("Twin")), "twin-two.wasm");
    mode(&folder.put_guest(&Guest::new("writable"), "writable.wasm"), 0o666);
    let elsewhere = folder.0.parent().unwrap().join("linked.wasm");
    std::fs::write(&elsewhere, Guest::new("linked").bytes()).unwrap();
    std::os::unix::fs::symlink(&elsewhere, folder.0.join("link.wasm")).unwrap();
    std::os::unix::fs::symlink("/nowhere", folder.0.join("dangling.wasm")).unwrap();
    std::fs::create_dir(folder.0.join("folder.wasm")).unwrap();
    let giant = folder.put("giant.wasm", b"");
    std::fs::File::options().write(true).open(giant).unwrap().set_len(65 << 20).unwrap();
    folder.put("notes.txt", b"no component, and none of the broker's business");
}

/// Exports the provider's interface with one function of the four.
fn half() -> Vec<u8> {
    exporting(&["describe"], "string")
}

/// Exports the optional interface with nothing in it.
const HALF_REFRESH: &str = r#"(instance $nothing) (export "credentials-broker:provider/refresh@0.1.0" (instance $nothing))"#;

/// Imports something of a later host that this one does not have.
const NEWER_HOST: &str = r#"(import "credentials-broker:provider/host@0.1.1" (instance (export "remember" (func))))"#;

/// Exports the provider's interface with functions of that result.
fn exporting(functions: &[&str], result: &str) -> Vec<u8> {
    let (mut core, mut lifted, mut exports) = (String::new(), String::new(), String::new());
    for name in functions {
        let _ = write!(core, r#"(func (export "{name}") (result i32) (i32.const 0))"#);
        let _ = write!(
            lifted,
            r#"(alias core export $i "{name}" (core func ${name}-core)) (func ${name} (result {result}) (canon lift (core func ${name}-core) (memory $memory)))"#
        );
        let _ = write!(exports, r#"(export "{name}" (func ${name}))"#);
    }
    let text = format!(
        r#"(component
        (core module $m (memory (export "memory") 1) {core})
        (core instance $i (instantiate $m))
        (alias core export $i "memory" (core memory $memory)) {lifted}
        (instance $provider {exports})
        (export "credentials-broker:provider/provider@0.1.0" (instance $provider)))"#
    );
    wat::parse_str(text).unwrap()
}

/// Its own prefix, and yet GitHub's variable.
fn stealing() -> Value {
    let mut descriptor = descriptor("github-client");
    descriptor["settings"][0]["env"] = json!(["GITHUB_CLIENT_ID"]);
    descriptor["settings"][1]["env"] = json!(["GITHUB_CLIENT_SECRET"]);
    descriptor
}

#[tokio::test]
async fn every_component_that_cannot_be_used_is_told_of_and_hides_nobody() {
    let launch = Launch::new();
    let folder = Folder::of(&launch);
    fill(&folder);
    folder.put_guest(&Guest::new("acme"), "acme.wasm");
    folder.put_guest(&Guest::new("zeta"), "zeta.wasm");
    let mut broker = with_plugins(launch, &folder).ready().await;

    let start = Instant::now();
    let first = listed(&mut broker).await;
    assert!(start.elapsed() < Duration::from_secs(60), "it took {:?}", start.elapsed());
    assert_eq!(names(&first), [&EMBEDDED[..], &["acme", "zeta"]].concat());
    insta::assert_snapshot!(told_without(&first, &folder));

    // what did not load is not tried again by everybody who asks for something else
    let start = Instant::now();
    assert_eq!(told_without(&listed(&mut broker).await, &folder), told_without(&first, &folder));
    assert!(start.elapsed() < Duration::from_secs(2), "it took {:?}", start.elapsed());

    // and a name that none could take still means what it meant
    let failure = broker.call("start_oauth_flow", json!({ "provider": "github", "scopes": [], "secret_name": "a" })).await;
    failure.refused("not_configured").names(&["GITHUB_CLIENT_ID"]);
    let unknown = broker.call("start_oauth_flow", json!({ "provider": "steals", "scopes": [], "secret_name": "a" })).await;
    unknown.refused("unknown_provider").names(&["acme", "list_providers"]);
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_told_of() {
    let launch = Launch::new();
    let folder = Folder(launch.home().join("nowhere"));
    let mut broker = with_plugins(launch, &folder).ready().await;
    let listed = listed(&mut broker).await;
    assert_eq!(names(&listed), EMBEDDED);
    let told = told_without(&listed, &folder);
    assert!(told.contains("nowhere cannot be read") && told.contains("--plugins"), "{told}");
}

#[tokio::test]
async fn a_folder_named_twice_holds_each_component_once() {
    let launch = Launch::new();
    let folder = Folder::of(&launch);
    folder.put_guest(&Guest::new("acme"), "acme.wasm");
    let again = format!("{}/../plugins/", folder.0.display());
    let mut broker = with_plugins(launch, &folder).argument("--plugins").argument(&again).ready().await;
    let listed = listed(&mut broker).await;
    assert_eq!(names(&listed), [&EMBEDDED[..], &["acme"]].concat());
    assert_eq!(told_without(&listed, &folder), "");
}

#[tokio::test]
async fn a_file_that_comes_later_takes_no_name_that_is_in_use() {
    let launch = Launch::new();
    let folder = Folder::of(&launch);
    folder.put_guest(&Guest::new("acme"), "m.wasm");
    let mut broker = with_plugins(launch, &folder).ready().await;
    assert_eq!(names(&listed(&mut broker).await), [&EMBEDDED[..], &["acme"]].concat());

    let late = folder.put_guest(&changed("acme", "/title", json!("Impostor")), "a.wasm");
    let both = listed(&mut broker).await;
    assert_eq!(names(&both), EMBEDDED, "neither has the name while two claim it");
    let told = told_without(&both, &folder);
    assert!(told.contains("a.wasm: it calls itself acme") && told.contains("m.wasm: it calls itself acme"), "{told}");

    std::fs::remove_file(late).unwrap();
    let after = listed(&mut broker).await;
    assert_eq!(names(&after), [&EMBEDDED[..], &["acme"]].concat());
    assert_eq!(after["providers"][6]["title"], "Guest");
}

#[tokio::test]
async fn the_operators_file_says_whose_a_name_is() {
    let launch = Launch::new();
    let folder = Folder::of(&launch);
    let chosen = folder.put_guest(&Guest::new("acme"), "m.wasm");
    folder.put_guest(&changed("acme", "/title", json!("Impostor")), "a.wasm");
    let launch = launch.toml(&format!("[providers.acme]\ncomponent = {:?}", chosen.display().to_string()));
    let mut broker = with_plugins(launch, &folder).ready().await;
    let listed = listed(&mut broker).await;
    assert_eq!(names(&listed), [&EMBEDDED[..], &["acme"]].concat());
    assert_eq!(listed["providers"][6]["title"], "Guest");
    let told = told_without(&listed, &folder);
    assert!(told.starts_with("a.wasm: it calls itself acme"), "{told}");
}

#[tokio::test]
async fn of_too_many_files_the_rest_is_not_looked_at() {
    let launch = Launch::new();
    let folder = Folder::of(&launch);
    for number in 0..1000 {
        folder.put(&format!("junk-{number:04}.wasm"), b"junk");
    }
    let mut broker = with_plugins(launch, &folder).ready().await;
    let told = told_without(&listed(&mut broker).await, &folder);
    assert!(told.contains("There are 1000 component files; only 256 are looked at."), "{told}");
    assert!(told.contains("junk-0255.wasm") && !told.contains("junk-0256.wasm"), "{told}");
}

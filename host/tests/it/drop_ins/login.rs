//! Components that can be used.

use url::Url;

use super::*;
use crate::support::guest::descriptor;
use crate::support::http;
use crate::support::server::Server;

pub(super) const ANSWER: &str = r#"{"access_token":"acme-access-token-1","token_type":"bearer"}"#;

pub(super) fn configured(launch: Launch, server: &Server, prefix: &str) -> Launch {
    let address = server.address();
    launch
        .toml(&format!("[egress]\nallow_loopback = [\"{address}\"]"))
        .client(prefix, "me", None)
        .env(&format!("{prefix}_BASE"), &format!("http://{address}"))
}

/// Comes back from the provider as a browser does.
pub(super) async fn come_back(pending: &Value) -> http::Answer {
    let url = Url::parse(pending["authorization_url"].as_str().unwrap()).unwrap();
    let asked: std::collections::BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    let mut back = Url::parse(&asked["redirect_uri"]).unwrap();
    back.query_pairs_mut().append_pair("code", "the-code-from-acme").append_pair("state", &asked["state"]);
    http::get(&back).await.unwrap()
}

#[tokio::test]
async fn a_drop_in_signs_in_at_its_own_callback_and_a_new_one_needs_no_restart() {
    let server = Server::start(Some(ANSWER.to_owned())).await;
    let launch = configured(Launch::new(), &server, "ACME");
    let folder = Folder::of(&launch);
    let mut broker = with_plugins(launch, &folder).ready().await;
    assert_eq!(names(&listed(&mut broker).await), EMBEDDED);

    folder.put_guest(&Guest::new("acme"), "acme.wasm");
    let shown = listed(&mut broker).await;
    let acme = &shown["providers"][6];
    let callback = format!("http://localhost:{}/oauth/callback/acme", broker.port());
    assert_eq!(acme["callbackUrl"], callback);
    assert_eq!(acme["origin"], folder.0.join("acme.wasm").display().to_string());
    assert_eq!((&acme["configured"], &acme["ttl"]), (&json!(true), &json!({ "default": 60, "maximum": 120 })));

    let pending = broker.begin_login("acme", &["read"], "acme-token").await;
    let url = Url::parse(pending["authorization_url"].as_str().unwrap()).unwrap();
    assert!(url.query_pairs().any(|(name, value)| name == "redirect_uri" && value == callback), "{url}");
    let page = come_back(&pending).await;
    assert_eq!(page.status, 200, "{}", page.body);
    broker.end_login(&pending).await.ok();
    assert_eq!(broker.reveal("acme-token").await, "acme-access-token-1");
    assert_eq!(server.asked(), 1);
    broker.assert_unseen(&["the-code-from-acme"]);

    let minted = broker.call("mint_token", json!({ "provider": "acme", "scopes": ["read"] })).await.ok();
    assert_eq!(minted["token"]["expiresIn"], 60, "its own lifetime");

    // gone is gone, at once
    std::fs::remove_file(folder.0.join("acme.wasm")).unwrap();
    broker.call("mint_token", json!({ "provider": "acme", "scopes": ["read"] })).await.refused("unknown_provider");
    assert_eq!(names(&listed(&mut broker).await), EMBEDDED);
}

#[tokio::test]
async fn a_component_that_imports_wasi_finds_an_empty_world() {
    let launch = Launch::new().env("A_VARIABLE_OF_THE_OPERATOR", "seen");
    let folder = Folder::of(&launch);
    // describes itself only where there is no variable, no argument and no folder
    let guest = Guest::new("acme")
        .beside(
            r#"(import "wasi:cli/environment@0.2.0" (instance $env
                 (export "get-environment" (func (result (list (tuple string string)))))
                 (export "get-arguments" (func (result (list string))))))
               (import "wasi:filesystem/types@0.2.0" (instance $files (export "descriptor" (type (sub resource)))))
               (alias export $files "descriptor" (type $file))
               (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
                 (alias outer 1 $file (type $outer))
                 (export "descriptor" (type $opened (eq $outer)))
                 (export "get-directories" (func (result (list (tuple (own $opened) string)))))))
               (core func $environment (canon lower (func $env "get-environment") (memory $memory) (realloc $realloc)))
               (core func $arguments (canon lower (func $env "get-arguments") (memory $memory) (realloc $realloc)))
               (core func $directories (canon lower (func $preopens "get-directories") (memory $memory) (realloc $realloc)))"#,
        )
        .lowered("environment", "(param i32)")
        .lowered("arguments", "(param i32)")
        .lowered("directories", "(param i32)")
        .describe(
            "(call $environment (i32.const 32)) (if (i32.load (i32.const 36)) (then (unreachable)))
             (call $arguments (i32.const 32)) (if (i32.load (i32.const 36)) (then (unreachable)))
             (call $directories (i32.const 32)) (if (i32.load (i32.const 36)) (then (unreachable)))
             (call $described)",
        );
    folder.put_guest(&guest, "acme.wasm");
    let mut broker = with_plugins(launch, &folder).ready().await;
    let listed = listed(&mut broker).await;
    assert_eq!(names(&listed), [&EMBEDDED[..], &["acme"]].concat(), "{listed:#}");
}

#[tokio::test]
async fn a_component_that_fails_at_its_login_stops_no_other() {
    let server = Server::start(Some(ANSWER.to_owned())).await;
    let launch = configured(configured(Launch::new(), &server, "ACME"), &server, "BAD");
    let folder = Folder::of(&launch);
    folder.put_guest(&Guest::new("acme"), "acme.wasm");
    let mut bad = descriptor("bad");
    bad["title"] = json!("Bad");
    let bad = Guest::new("bad").describing(&bad);
    folder.put_guest(&bad.clone().resolve("(unreachable)"), "bad.wasm");
    let mut broker = with_plugins(launch, &folder).ready().await;
    let start = |name: &str| json!({ "provider": name, "scopes": [], "secret_name": format!("{name}-token") });

    broker.call("start_oauth_flow", start("bad")).await.refused("component_fault").names(&["bad", "author"]);
    // an address that comes from nowhere
    folder.put_guest(
        &bad.clone()
            .with(r#"(func $keep (param i32 i32 i32) (i32.store (local.get 0) (local.get 1)) (i32.store offset=4 (local.get 0) (local.get 2)))"#)
            .resolve(
                r#"(call $keep (i32.const 64) $"token_endpoint") (call $keep (i32.const 72) $"https://evil.example/token")
                   (call $pairs (i32.const 64) (i32.const 1))"#,
            ),
        "bad.wasm",
    );
    broker.call("start_oauth_flow", start("bad")).await.refused("component_fault").names(&["evil.example", "Nothing was sent"]);
    // a parameter that is the broker's own
    folder.put_guest(
        &bad.clone()
            .with(r#"(func $keep (param i32 i32 i32) (i32.store (local.get 0) (local.get 1)) (i32.store offset=4 (local.get 0) (local.get 2)))"#)
            .authorization(
                r#"(call $keep (i32.const 64) $"redirect_uri") (call $keep (i32.const 72) $"https://evil.example/")
                   (call $pairs (i32.const 64) (i32.const 1))"#,
            ),
        "bad.wasm",
    );
    broker.call("start_oauth_flow", start("bad")).await.refused("component_fault").names(&["redirect_uri"]);
    // breaks with the code in its hands
    folder.put_guest(&bad.exchange("(unreachable)"), "bad.wasm");
    let pending = broker.begin_login("bad", &[], "bad-token").await;
    let page = come_back(&pending).await;
    assert!(!page.body.contains("Signed in"), "{}", page.body);
    broker.end_login(&pending).await.refused("component_fault");
    assert_eq!(server.asked(), 0);

    let pending = broker.begin_login("acme", &[], "acme-token").await;
    come_back(&pending).await;
    broker.end_login(&pending).await.ok();
    assert_eq!(broker.reveal("acme-token").await, "acme-access-token-1");
}

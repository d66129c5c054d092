//! When components are compiled, and where what was compiled rests: it is executed, so it is the user's alone.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

fn cache(launch: Launch) -> (Launch, PathBuf) {
    let cache = launch.home().join("cache");
    (launch.env("XDG_CACHE_HOME", &cache.display().to_string()), cache.join("mcp-credentials-broker/components"))
}

/// The threads of a process by name: the engine's clock and compiler have their own.
fn threads(broker: &Broker) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", broker.id())).unwrap();
    let names = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}

#[tokio::test]
async fn nothing_is_compiled_for_what_needs_no_component() {
    let (launch, cache) = cache(Launch::new());
    let mut broker = launch.client("GITHUB", "an-id", Some("a-client-secret")).ready().await;
    broker.request("tools/list", json!({})).await;
    assert_eq!(names(&listed(&mut broker).await), EMBEDDED);
    broker.call("store_secret", json!({ "name": "a", "value": "a-static-value" })).await.ok();
    assert_eq!(broker.reveal("a").await, "a-static-value");
    broker.call("mint_token", json!({ "provider": "github", "scopes": ["repo"] })).await.ok();
    broker.call("mint_token", json!({ "provider": "aws", "scopes": ["s3"], "ttl_seconds": 43200 })).await.ok();
    assert!(!cache.exists(), "the engine was not even started");
    assert!(!threads(&broker).iter().any(|name| name == "epoch" || name == "compile"), "{:?}", threads(&broker));

    // the control: a login needs its component
    broker.begin_login("github", &["repo"], "b").await;
    assert!(threads(&broker).iter().any(|name| name == "epoch"), "{:?}", threads(&broker));
    assert!(!is_empty(&cache));
    assert_eq!(std::fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
}

/// With a component in its folder of plugins, the cache folder having been made like this.
async fn started_with(make: impl FnOnce(&Path)) -> (Broker, PathBuf) {
    let (launch, cache) = cache(Launch::new());
    let folder = Folder::of(&launch);
    folder.put_guest(&Guest::new("acme"), "acme.wasm");
    std::fs::create_dir_all(cache.parent().unwrap()).unwrap();
    make(&cache);
    let mut broker = with_plugins(launch, &folder).ready().await;
    assert_eq!(names(&listed(&mut broker).await), [&EMBEDDED[..], &["acme"]].concat(), "it works all the same");
    (broker, cache)
}

#[tokio::test]
async fn a_cache_of_the_users_own_is_used() {
    let (broker, cache) = started_with(|cache| {
        std::fs::create_dir(cache).unwrap();
        mode(cache, 0o700);
    })
    .await;
    assert!(!is_empty(&cache));
    assert!(!broker.stderr().contains("cache folder"), "{}", broker.stderr());
}

#[tokio::test]
async fn a_cache_that_others_could_write_to_is_not_used() {
    for open in [0o777, 0o770, 0o702] {
        let (broker, cache) = started_with(|cache| {
            std::fs::create_dir(cache).unwrap();
            mode(cache, open);
        })
        .await;
        assert!(is_empty(&cache), "{open:o}");
        broker.tells("chmod 700").await;
    }
}

#[tokio::test]
async fn a_cache_that_is_a_link_or_a_file_is_not_used() {
    let (broker, cache) = started_with(|cache| {
        let elsewhere = cache.with_file_name("elsewhere");
        std::fs::create_dir(&elsewhere).unwrap();
        mode(&elsewhere, 0o700);
        symlink(elsewhere, cache).unwrap();
    })
    .await;
    assert!(is_empty(&cache.with_file_name("elsewhere")));
    broker.tells("compiled anew each time").await;
    let (broker, _) = started_with(|cache| std::fs::write(cache, b"").unwrap()).await;
    broker.tells("compiled anew each time").await;
}

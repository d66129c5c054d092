//! Compiling is done by a child: what it takes, the server never has; what it does wrong, the server survives.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use credentials_broker::error::{Code, Error};
use credentials_broker::sandbox::{Prepared, Sandbox, Workshop};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::broker::{Broker, Launch};
use crate::support::guest::Guest;

const BROKER: &str = env!("CARGO_BIN_EXE_mcp-credentials-broker");

/// A cache of its own, and a compiler that does what a script says. In the script, `$BROKER` is the real one, and `$HERE`
/// the folder.
struct Shop {
    folder: TempDir,
    workshop: Workshop,
}

impl Shop {
    fn of(script: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let compiler = folder.path().join("compiler");
        let here = folder.path().display();
        std::fs::write(&compiler, format!("#!/bin/sh\nBROKER={BROKER}\nHERE={here}\n{script}\n")).unwrap();
        mode(&compiler, 0o700);
        let workshop = Workshop::keeping(folder.path().join("cache")).compiled_by(compiler);
        Self { folder, workshop }
    }

    /// As a process that has just started.
    async fn prepare(&self, bytes: Vec<u8>) -> Result<Prepared, Error> {
        Sandbox::new(&self.workshop).unwrap().prepare(bytes).await
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// What stands in the cache, by the names of its folders.
    fn cached(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path().join("cache")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }
}

fn mode(file: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn refused(outcome: Result<Prepared, Error>) -> Error {
    match outcome {
        Ok(_) => panic!("it was compiled"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_child_compiles_once_and_is_told_nothing_but_the_component() {
    let shop = Shop::of(
        "echo run >> $HERE/runs\n/bin/cat /proc/$$/environ > $HERE/environment\necho \"$@\" > $HERE/arguments\nexec $BROKER \"$@\"",
    );
    for _ in 0..3 {
        let prepared = shop.prepare(Guest::new("acme").bytes()).await.unwrap();
        assert!(prepared.describe().await.unwrap().contains("acme"));
    }
    assert_eq!(shop.read("runs"), "run\n", "what was compiled is kept, for other processes too");
    assert_eq!(shop.read("environment"), "");
    assert!(shop.read("arguments").starts_with("compile-component --into "), "{}", shop.read("arguments"));
    assert_eq!(shop.cached(), ["known", "modules"], "nothing is left of the child");
    shop.prepare(Guest::new("other").bytes()).await.unwrap();
    assert_eq!(shop.read("runs"), "run\nrun\n");
}

#[tokio::test]
async fn who_comes_while_it_is_compiled_waits_for_the_same_child() {
    let shop = Shop::of("echo run >> $HERE/runs\nexec $BROKER \"$@\"");
    let sandbox = Sandbox::new(&shop.workshop).unwrap();
    let bytes = Guest::new("acme").bytes();
    let (one, two, three) =
        tokio::join!(sandbox.prepare(bytes.clone()), sandbox.prepare(bytes.clone()), sandbox.prepare(bytes.clone()));
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    assert_eq!(shop.read("runs"), "run\n");
}

#[tokio::test]
async fn what_is_no_component_is_refused_with_the_reason() {
    let shop = Shop::of("exec $BROKER \"$@\"");
    let mut damaged = Guest::new("acme").bytes();
    damaged.truncate(damaged.len() / 2);
    let (here, child) = (Sandbox::new(&Workshop::here()).unwrap().prepare(damaged.clone()).await, shop.prepare(damaged).await);
    let (here, child) = (refused(here), refused(child));
    assert_eq!(child.code(), Code::ComponentRejected);
    assert_eq!(child, here, "as if it had been compiled here");
    assert!(refused(shop.prepare(b"no wasm".to_vec()).await).message().contains("not a WebAssembly file"));
}

#[tokio::test]
async fn a_child_that_is_killed_is_told_of_and_the_next_try_works() {
    let shop = Shop::of("[ -e $HERE/once ] && exec $BROKER \"$@\"\necho > $HERE/once\nkill -9 $$");
    let error = refused(shop.prepare(Guest::new("acme").bytes()).await);
    assert_eq!(error.code(), Code::Unavailable);
    assert!(error.message().contains("signal 9") && error.hint().contains("Try again"), "{error}");
    assert_eq!(shop.cached(), Vec::<String>::new(), "nothing is left of it");
    shop.prepare(Guest::new("acme").bytes()).await.unwrap();
}

#[tokio::test]
async fn a_child_that_fails_is_told_of_and_the_next_try_works() {
    let shop = Shop::of("[ -e $HERE/once ] && exec $BROKER \"$@\"\necho > $HERE/once\nexit 101");
    let error = refused(shop.prepare(Guest::new("acme").bytes()).await);
    assert!(error.message().contains("exit code 101"), "{error}");
    shop.prepare(Guest::new("acme").bytes()).await.unwrap();
}

#[tokio::test]
async fn a_child_that_hangs_is_ended_and_the_next_try_works() {
    // it reads nothing and says nothing; the bytes are more than a pipe holds
    let mut shop = Shop::of("[ -e $HERE/once ] && exec $BROKER \"$@\"\necho $$ > $HERE/once\nexec /bin/sleep 1000");
    let patient = shop.workshop.clone();
    shop.workshop = shop.workshop.patient(Duration::from_secs(1));
    let bytes = Guest::new("acme").with(&busywork(200)).bytes();
    assert!(bytes.len() > 100_000, "{}", bytes.len());
    let error = refused(shop.prepare(bytes.clone()).await);
    assert!(error.message().contains("within 1 second"), "{error}");
    let child = PathBuf::from(format!("/proc/{}", shop.read("once").trim()));
    while child.exists() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    shop.workshop = patient;
    shop.prepare(bytes).await.unwrap();
}

#[tokio::test]
async fn a_child_ends_when_nobody_waits_for_it_any_more() {
    use tokio::io::AsyncReadExt as _;
    let folder = TempDir::new().unwrap();
    mode(folder.path(), 0o700);
    let arguments = ["compile-component", "--seconds", "600", "--into"];
    let mut child = tokio::process::Command::new(BROKER)
        .args(arguments)
        .arg(folder.path())
        .env_clear()
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // half a component, and then the server is gone
    let mut input = child.stdin.take().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut input, &1000_u64.to_le_bytes()).await.unwrap();
    drop(input);
    assert_eq!(child.wait().await.unwrap().code(), Some(65));
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).await.unwrap();
    assert!(said.contains("could not be read"), "{said}");
}

#[tokio::test]
async fn where_no_child_can_be_started_or_keep_anything_the_process_compiles_itself() {
    for script in ["", "exit 74"] {
        let mut shop = Shop::of(script);
        if script.is_empty() {
            shop.workshop = shop.workshop.compiled_by("/no/such/compiler".into());
        }
        let prepared = shop.prepare(Guest::new("acme").bytes()).await.unwrap();
        assert!(prepared.describe().await.unwrap().contains("acme"));
    }
}

/// Functions that take a compiler time and memory, and are never called.
fn busywork(functions: usize) -> String {
    let statements: String = (0..60)
        .map(|number| format!("(local.set 0 (i32.add (i32.mul (local.get 0) (local.get 1)) (i32.const {number}1357)))"))
        .collect();
    (0..functions).map(|_| format!("(func (param i32 i32) (result i32) {statements} (local.get 0))")).collect()
}

/// A broker with a large component in its folder of plugins, and this folder for caches.
async fn with_large_plugin(caches: &Path) -> Broker {
    let launch = Launch::new();
    let plugins = launch.home().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    let file = plugins.join("acme.wasm");
    std::fs::write(&file, Guest::new("acme").with(&busywork(800)).bytes()).unwrap();
    mode(&file, 0o600);
    let caches = caches.display().to_string();
    launch.env("XDG_CACHE_HOME", &caches).argument("--plugins").argument(&plugins.display().to_string()).ready().await
}

/// The most memory that it ever had resident, in KiB.
fn peak(broker: &Broker) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", broker.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

async fn grown_by_compiling(mut broker: Broker) -> u64 {
    let before = peak(&broker);
    let listed = broker.call("list_providers", json!({})).await.ok();
    assert!(listed.to_string().contains("acme"), "{listed}");
    peak(&broker) - before
}

#[tokio::test]
async fn the_server_never_has_the_memory_that_compiling_takes() {
    let (caches, open) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let cold = grown_by_compiling(with_large_plugin(caches.path()).await).await;
    let warm = grown_by_compiling(with_large_plugin(caches.path()).await).await;
    // the control: others can reach the cache, so the server compiles
    let cache = open.path().join("mcp-credentials-broker/components");
    std::fs::create_dir_all(&cache).unwrap();
    mode(&cache, 0o755);
    let itself = grown_by_compiling(with_large_plugin(open.path()).await).await;
    assert!(itself > warm + 10_000, "the control takes {itself} KiB, loading what was compiled {warm} KiB");
    assert!(cold < warm + (itself - warm) / 4, "{cold} KiB where a child compiled, {warm} KiB where it was compiled before");
}

#[tokio::test]
async fn who_waits_for_a_component_is_told_so_where_it_asked_to_be() {
    let caches = TempDir::new().unwrap();
    let mut broker = with_large_plugin(caches.path()).await;
    let params = json!({ "name": "list_providers", "arguments": {}, "_meta": { "progressToken": "token-5" } });
    let id = broker.ask("tools/call", params).await;
    let answer = broker.answer(id).await;
    assert_eq!(answer["result"]["structuredContent"]["success"], true, "{answer}");
    let told: Vec<&Value> = broker.notifications.iter().filter(|note| note["method"] == "notifications/progress").collect();
    assert!(!told.is_empty());
    for note in told {
        assert_eq!(note["params"]["progressToken"], "token-5");
        assert!(note["params"]["message"].as_str().unwrap().starts_with("Compiling a provider's component"), "{note}");
    }
}

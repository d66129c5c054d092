//! A real Secret Service: gnome-keyring on a bus of its own, unlocked, locked, stopped and missing.

use std::process::Stdio;

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

use super::{Home, said};

/// A session bus with a keychain on it. Both end with this.
struct Session {
    address: String,
    home: Home,
    keychain: Child,
    _bus: Child,
}

/// A bus that starts nothing by itself.
const CONFIGURATION: &str = "<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen><auth>EXTERNAL</auth>
<policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/><allow own=\"*\"/></policy>
</busconfig>";

impl Session {
    async fn new() -> Self {
        let home = Home::new();
        let configuration = home.path("bus.conf");
        std::fs::write(&configuration, CONFIGURATION).unwrap();
        let mut bus = Command::new("dbus-daemon");
        bus.arg(format!("--config-file={}", configuration.display())).args(["--nofork", "--print-address=1"]);
        let mut bus = bus.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("dbus-daemon: run `cargo xtask test`");
        let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(bus.stdout.take().unwrap()));
        let address = lines.next_line().await.unwrap().expect("an address");
        let home = home.env("DBUS_SESSION_BUS_ADDRESS", &address);
        std::fs::create_dir_all(home.path("run")).unwrap();
        let keychain = keychain(&home).await;
        let session = Self { address, home, keychain, _bus: bus };
        session.is_there().await;
        session
    }

    async fn is_there(&self) {
        for _ in 0..600 {
            let asked = self
                .ask(
                    "/org/freedesktop/DBus",
                    "org.freedesktop.DBus",
                    "org.freedesktop.DBus.NameHasOwner",
                    &["string:org.freedesktop.secrets"],
                )
                .await;
            if asked.contains("boolean true") {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("the keychain does not come");
    }

    async fn ask(&self, object: &str, destination: &str, method: &str, arguments: &[&str]) -> String {
        let mut send = Command::new("dbus-send");
        send.arg(format!("--bus={}", self.address)).arg(format!("--dest={destination}"));
        send.args(["--print-reply", "--type=method_call", object, method]).args(arguments).kill_on_drop(true);
        said(send).await.out
    }

    async fn lock(&self) {
        let collection = "array:objpath:/org/freedesktop/secrets/collection/login";
        let locked = self
            .ask("/org/freedesktop/secrets", "org.freedesktop.secrets", "org.freedesktop.Secret.Service.Lock", &[collection])
            .await;
        assert!(locked.contains("collection/login"), "{locked}");
    }

    fn signal(&self, signal: &str) {
        let id = self.keychain.id().unwrap();
        assert!(std::process::Command::new("sh").args(["-c", &format!("kill -{signal} {id}")]).status().unwrap().success());
    }
}

/// The daemon, unlocked with a login password as a display manager does it.
async fn keychain(home: &Home) -> Child {
    let mut daemon = Command::new("gnome-keyring-daemon");
    daemon.args(["--unlock", "--foreground", "--components=secrets"]).env_clear().envs(home.variables());
    daemon.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let mut daemon = daemon.spawn().expect("gnome-keyring-daemon: run `cargo xtask test`");
    let mut input = daemon.stdin.take().unwrap();
    input.write_all(b"the login password").await.unwrap();
    drop(input);
    daemon
}

#[tokio::test]
async fn a_vault_whose_key_is_in_the_keychain_opens_while_the_keychain_does() {
    let mut session = Session::new().await;
    session.home.run(&["vault", "init"]).await.ok();
    let mut broker = session.home.launch().ready().await;
    broker.call("store_secret", json!({ "name": "k", "value": "kept" })).await.ok();
    assert_eq!(session.home.launch().ready().await.reveal("k").await, "kept");
    session.home.run(&["vault", "lock"]).await.failed(3, &["keychain"]);
    session.home.run(&["vault", "rekey"]).await.ok();
    assert_eq!(broker.reveal("k").await, "kept", "a running broker takes the new key");

    session.lock().await;
    let mut late = session.home.launch().ready().await;
    late.call("list_secrets", json!({})).await.refused("keychain_unavailable").names(&["keychain", "Unlock"]);
    assert_eq!(broker.reveal("k").await, "kept", "who has the key goes on");
    // Unlocked again, by its password; nothing has to be started anew.
    drop(session.keychain.kill().await);
    session.keychain = keychain(&session.home).await;
    session.is_there().await;
    assert_eq!(late.reveal("k").await, "kept");
}

#[tokio::test]
async fn a_keychain_that_never_answers_is_left_in_time() {
    let session = Session::new().await;
    session.home.run(&["vault", "init"]).await.ok();
    session.signal("STOP");
    let mut broker = session.home.launch().ready().await;
    let waiting = broker.begin("list_secrets", &json!({})).await;
    assert!(broker.request("ping", serde_json::Value::Null).await["result"].is_object(), "others do not wait for it");
    broker
        .tool_answer("list_secrets", waiting)
        .await
        .refused("keychain_unavailable")
        .names(&["The keychain of the operating system", "waiting for you"]);
    session.signal("CONT");
    let begun = std::time::Instant::now();
    while broker.call("list_secrets", json!({})).await.is_error {
        assert!(begun.elapsed() < std::time::Duration::from_secs(80), "it stays unavailable");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn without_a_keychain_init_makes_nothing_and_offers_the_other_two() {
    let home = Home::new();
    home.run(&["vault", "init"]).await.failed(6, &["keychain", "--passphrase", "--key-file FILE"]);
    assert!(!home.vault().exists());
    let left = std::fs::read_dir(home.vault().parent().unwrap()).unwrap().count();
    assert_eq!(left, 0, "no plaintext, no half vault");
}

#[tokio::test]
async fn a_keychain_without_the_vaults_key_is_the_wrong_one() {
    let session = Session::new().await;
    session.home.run(&["vault", "init"]).await.ok();
    let other = Session::new().await;
    let vault = session.home.vault().display().to_string();
    let mut broker = other.home.launch().argument("--vault").argument(&vault).ready().await;
    broker.call("list_secrets", json!({})).await.refused("wrong_key");
}

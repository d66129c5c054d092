//! What is in the lock: exactly these bytes, and the logins that were made with them.

use std::os::unix::fs::PermissionsExt as _;

use super::login::{ANSWER, come_back, configured};
use super::*;
use crate::support::server::Server;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

async fn sign_in(broker: &mut Broker, name: &str) {
    let pending = broker.begin_login("acme", &[], name).await;
    come_back(&pending).await;
    broker.end_login(&pending).await.ok();
}

/// Whether a login may take the name of the one that is there: only where it is the same provider's.
async fn is_the_same(broker: &mut Broker, name: &str) -> bool {
    let start = json!({ "provider": "acme", "scopes": [], "secret_name": name });
    let answer = broker.call("start_oauth_flow", start).await;
    if answer.is_error {
        answer.refused("conflict").names(&["is a login with acme"]);
        return false;
    }
    let pending = answer.pending();
    come_back(&pending).await;
    broker.end_login(&pending).await.ok();
    true
}

#[tokio::test]
async fn a_lock_records_digest_and_capabilities_for_the_user_alone() {
    let launch = Launch::new();
    let terminal = Terminal::of(&launch);
    let guest = Guest::new("acme");
    // whose the downloaded file is does not matter: what was shown is what is copied
    let file = terminal.download("whatever.wasm", &guest.bytes());
    mode(&file, 0o666);
    let said = terminal.providers(&["add", text(&file), "--yes"]).await;
    let kept = terminal.data().join("plugins/acme.wasm");
    assert!(said.contains(text(&kept)), "{said}");
    assert_eq!(std::fs::read(&kept).unwrap(), guest.bytes());
    let lock = terminal.data().join("plugins.lock");
    for (path, expected) in [(&lock, 0o600), (&kept, 0o600), (&terminal.data().join("plugins"), 0o700)] {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, expected, "{}", path.display());
    }
    let lock: toml::Table = std::fs::read_to_string(&lock).unwrap().parse().unwrap();
    let entry = &lock["plugins"]["acme"];
    assert_eq!(entry["sha256"].as_str(), Some(digest(&guest.bytes()).as_str()));
    assert_eq!(entry["component"]["contract"].as_str(), Some("0.1.0"));
    assert!(entry["component"]["imports"].as_array().unwrap()[0].as_str().unwrap().contains("provider/host@0.1.0"));
    assert!(entry["descriptor"].as_str().unwrap().contains("{base}/token"));

    let again = terminal.providers(&["add", text(&file)]).await;
    assert!(again.contains("acme is approved"), "asked once is enough: {again}");
}

#[tokio::test]
async fn other_bytes_under_an_approved_name_are_refused_with_both_digests_and_the_command() {
    let server = Server::start(Some(ANSWER.to_owned())).await;
    let launch = configured(Launch::new(), &server, "ACME");
    let folder = Folder::of(&launch);
    let launch = with_plugins(launch, &folder);
    let terminal = Terminal::of(&launch);
    let good = Guest::new("acme").bytes();
    let other = with_change("acme", |descriptor| descriptor["title"] = json!("Impostor")).bytes();
    let kept = terminal.download("acme.wasm", &good);
    terminal.providers(&["add", text(&kept), "--yes"]).await;
    let mut broker = launch.ready().await;
    sign_in(&mut broker, "acme-token").await;

    // in the place of the approved file; and elsewhere, where the operator's folder would approve it
    for place in [terminal.data().join("plugins/acme.wasm"), folder.0.join("harmless.wasm")] {
        let file = Folder(place.parent().unwrap().to_owned()).put(place.file_name().unwrap().to_str().unwrap(), &other);
        let listed_now = listed(&mut broker).await;
        let told = told(&listed_now);
        for word in [text(&file), &digest(&good), &digest(&other), &format!("providers update '{}'", file.display())] {
            assert!(told.contains(word), "{word} is not in {told}");
        }
        assert!(!listed_now.to_string().contains("Impostor"), "{listed_now}");
        if place.starts_with(terminal.data()) {
            let start = json!({ "provider": "acme", "scopes": [], "secret_name": "b" });
            broker.call("start_oauth_flow", start).await.refused("not_allowed").names(&[&digest(&good), &digest(&other)]);
            assert_eq!(names(&listed_now), EMBEDDED);
            terminal.put("acme.wasm", &good);
        } else {
            assert_eq!(names(&listed_now), [&EMBEDDED[..], &["acme"]].concat(), "the approved one is still there");
        }
    }
    assert!(is_the_same(&mut broker, "acme-token").await);
}

#[tokio::test]
async fn an_update_shows_what_changes_and_keeps_the_logins() {
    let server = Server::start(Some(ANSWER.to_owned())).await;
    let launch = configured(Launch::new(), &server, "ACME");
    let terminal = Terminal::of(&launch);
    let old = terminal.download("acme-1.wasm", &Guest::new("acme").bytes());
    terminal.providers(&["add", text(&old), "--yes"]).await;
    let mut broker = launch.ready().await;
    sign_in(&mut broker, "acme-token").await;

    let newer = with_change("acme", |descriptor| {
        descriptor["version"] = json!("2.0.0");
        descriptor["endpoints"][1]["readable"] = json!(["/team"]);
        descriptor["endpoints"][1]["slots"]["form.key"] = json!(["client-secret"]);
        descriptor["spend"] = json!([{ "host": "api.acme.example" }]);
    });
    let new = terminal.download("acme-2.wasm", &newer.bytes());
    let said = terminal.refused(3, &["add", text(&new), "--yes"]).await;
    assert!(said.contains("providers update"), "{said}");
    let said = terminal.refused(3, &["update", text(&new)]).await;
    for shown in [
        "+ endpoint token (token): may read /team",
        "+ endpoint token (token): form.key takes client-secret",
        "+ its tokens may be spent at: api.acme.example",
        "- provider: acme, Guest 1.0.0",
        "+ provider: acme, Guest 2.0.0",
    ] {
        assert!(said.contains(shown), "{shown} is not in {said}");
    }
    assert!(!said.contains("authorization.post"), "only what changes: {said}");
    assert_eq!(listed(&mut broker).await["providers"][6]["title"], "Guest");

    terminal.providers(&["update", text(&new), "--yes"]).await;
    assert_eq!(names(&listed(&mut broker).await), [&EMBEDDED[..], &["acme"]].concat());
    assert!(terminal.providers(&["list"]).await.contains("Guest 2.0.0 (in the lock)"));
    assert_eq!(broker.reveal("acme-token").await, "acme-access-token-1");
    assert!(is_the_same(&mut broker, "acme-token").await, "its logins are those of the approved name");
    assert!(terminal.providers(&["update", text(&new)]).await.contains("up to date"));

    // an update that asks for nothing more says so
    let same = terminal.download("acme-3.wasm", &newer.authorization("(nop) (call $pairs (i32.const 0) (i32.const 0))").bytes());
    let said = terminal.refused(3, &["update", text(&same)]).await;
    assert!(said.contains("says and asks for the same as before"), "{said}");
}

#[tokio::test]
async fn a_file_replaced_where_it_lies_is_updated_by_its_name() {
    let launch = Launch::new();
    let folder = Folder::of(&launch);
    let launch = with_plugins(launch, &folder);
    let terminal = Terminal::of(&launch);
    let file = folder.put_guest(&Guest::new("acme"), "some.wasm");
    terminal.providers(&["add", text(&file), "--yes"]).await;
    assert!(!terminal.data().join("plugins").exists(), "what lies where the broker looks is pinned there");
    assert!(terminal.refused(3, &["update", "acme"]).await.contains("no other file"), "nothing to do yet");

    let newer = with_change("acme", |descriptor| descriptor["version"] = json!("2.0.0"));
    let elsewhere = terminal.download("new.wasm", &newer.bytes());
    let said = terminal.refused(3, &["update", text(&elsewhere), "--yes"]).await;
    assert!(said.contains("the broker writes nothing there"), "{said}");
    folder.put_guest(&newer, "some.wasm");
    terminal.providers(&["update", "acme", "--yes"]).await;
    assert!(terminal.providers(&["list"]).await.contains("Guest 2.0.0 (in the lock)"));
    assert!(terminal.refused(2, &["update", "nobody"]).await.contains("Approved are: acme"));
}

#[tokio::test]
async fn bytes_that_only_lie_in_a_folder_come_by_no_logins_of_others_and_approving_them_keeps_their_own() {
    let server = Server::start(Some(ANSWER.to_owned())).await;
    let launch = configured(Launch::new(), &server, "ACME");
    let folder = Folder::of(&launch);
    let launch = with_plugins(launch, &folder);
    let terminal = Terminal::of(&launch);
    let file = folder.put_guest(&Guest::new("acme"), "acme.wasm");
    let mut broker = launch.ready().await;
    sign_in(&mut broker, "acme-token").await;

    let other = with_change("acme", |descriptor| descriptor["title"] = json!("Other"));
    folder.put_guest(&other, "acme.wasm");
    assert!(!is_the_same(&mut broker, "acme-token").await, "nobody has approved these bytes for that login");

    folder.put_guest(&Guest::new("acme"), "acme.wasm");
    terminal.providers(&["add", text(&file), "--yes"]).await;
    assert!(is_the_same(&mut broker, "acme-token").await, "the same bytes, approved");
    folder.put_guest(&other, "acme.wasm");
    terminal.providers(&["update", "acme", "--yes"]).await;
    assert!(is_the_same(&mut broker, "acme-token").await, "and an approved update");
}

#[tokio::test]
async fn a_digest_that_is_not_the_expected_one_is_refused_before_anything_is_compiled() {
    let launch = Launch::new();
    let cache = launch.home().join("cache");
    let launch = launch.env("XDG_CACHE_HOME", text(&cache));
    let terminal = Terminal::of(&launch);
    let guest = Guest::new("acme");
    let file = terminal.download("acme.wasm", &guest.bytes());
    let (right, wrong) = (digest(&guest.bytes()), digest(b"another"));
    let said = terminal.refused(5, &["add", text(&file), "--sha256", &wrong, "--yes"]).await;
    assert!(said.contains(&right) && said.contains(&wrong), "{said}");
    terminal.refused(2, &["add", text(&file), "--sha256", "12ab", "--yes"]).await;
    assert!(!cache.exists() && !terminal.data().exists());
    terminal.providers(&["add", text(&file), "--sha256", &right, "--yes"]).await;
    let said = terminal.refused(5, &["update", text(&file), "--sha256", &wrong, "--yes"]).await;
    assert!(said.contains("not the file that you expect"), "{said}");
}

#[tokio::test]
async fn with_require_lock_nothing_is_used_that_is_not_in_the_lock() {
    let launch = Launch::new().toml("require_lock = true");
    let folder = Folder::of(&launch);
    let acme = folder.put_guest(&Guest::new("acme"), "acme.wasm");
    let named = folder.put_guest(&Guest::new("named"), "named.wasm");
    let launch = with_plugins(launch, &folder).toml(&format!("[providers.named]\ncomponent = {:?}", text(&named)));
    let terminal = Terminal::of(&launch);
    let mut broker = launch.ready().await;
    let before = listed(&mut broker).await;
    assert_eq!(names(&before), EMBEDDED);
    assert_eq!(told(&before).matches("require_lock").count(), 2, "{}", told(&before));
    terminal.providers(&["add", text(&acme), "--yes"]).await;
    assert_eq!(names(&listed(&mut broker).await), [&EMBEDDED[..], &["acme"]].concat());
    terminal.providers(&["remove", "acme"]).await;
    assert_eq!(names(&listed(&mut broker).await), EMBEDDED);
}

#[tokio::test]
async fn removing_takes_the_approval_and_the_file() {
    let launch = Launch::new();
    let folder = Folder::of(&launch);
    let launch = with_plugins(launch, &folder);
    let terminal = Terminal::of(&launch);
    let file = terminal.download("acme.wasm", &Guest::new("acme").bytes());
    terminal.providers(&["add", text(&file), "--yes"]).await;
    let said = terminal.providers(&["remove", "acme"]).await;
    assert!(said.contains("Deleted:") && !terminal.data().join("plugins/acme.wasm").exists(), "{said}");
    terminal.refused(2, &["remove", "acme"]).await;
    // what the configuration names is not the broker's to delete
    let file = folder.put_guest(&Guest::new("acme"), "acme.wasm");
    terminal.providers(&["add", text(&file), "--yes"]).await;
    let said = terminal.providers(&["remove", "acme"]).await;
    assert!(said.contains("Still used") && file.exists(), "{said}");
}

#[tokio::test]
async fn a_lock_that_cannot_be_relied_on_takes_all_drop_ins_out_and_hides_no_embedded_one() {
    let launch = Launch::new();
    let folder = Folder::of(&launch);
    folder.put_guest(&Guest::new("acme"), "acme.wasm");
    let launch = with_plugins(launch, &folder);
    let terminal = Terminal::of(&launch);
    std::fs::create_dir_all(terminal.data()).unwrap();
    let lock = terminal.data().join("plugins.lock");
    std::fs::write(&lock, "version = 1\n").unwrap();
    mode(&lock, 0o666);
    let mut broker = launch.ready().await;
    let shown = listed(&mut broker).await;
    assert_eq!(names(&shown), EMBEDDED);
    assert!(told(&shown).contains("others may write to it"), "{}", told(&shown));
    mode(&lock, 0o600);
    assert_eq!(names(&listed(&mut broker).await), [&EMBEDDED[..], &["acme"]].concat());
    std::fs::write(&lock, "half a lo").unwrap();
    assert_eq!(names(&listed(&mut broker).await), EMBEDDED);
}

/// What is approved is not compiled to be listed: its descriptor is in the lock.
#[tokio::test]
async fn approved_components_are_listed_without_being_compiled() {
    let launch = Launch::new();
    let terminal = Terminal::of(&launch);
    let file = terminal.download("acme.wasm", &Guest::new("acme").bytes());
    terminal.providers(&["add", text(&file), "--yes"]).await;
    let cache = launch.home().join("another-cache");
    let mut broker = launch.env("XDG_CACHE_HOME", text(&cache)).ready().await;
    assert_eq!(names(&listed(&mut broker).await), [&EMBEDDED[..], &["acme"]].concat());
    broker.call("mint_token", json!({ "provider": "acme", "scopes": ["read"] })).await.ok();
    assert!(!cache.exists(), "the engine was not even started");
}

//! Export and import: an age file, which is opened by what it was sealed for and nothing else.

use serde_json::json;

use super::Home;
use crate::support::canary;
use crate::support::terminal::type_into;

const PASSPHRASE: &str = "canary archive passphrase";

#[tokio::test]
async fn what_is_exported_is_imported_elsewhere_and_taken_names_are_refused() {
    let (from, to) = (Home::with_vault().await, Home::with_vault().await);
    let mut broker = from.launch().ready().await;
    for (name, value) in [("canary-one", "canary value 1"), ("canary-two", "canary value 2")] {
        broker.call("store_secret", json!({ "name": name, "value": value, "tags": { "k": "v" } })).await.ok();
    }
    let archive = from.path("out.age").display().to_string();
    let screen = type_into(&from.command(&["vault", "export", &archive]), &[PASSPHRASE, PASSPHRASE]).await;
    assert!(screen.code == 0 && screen.text.contains("2 secrets"), "{screen:?}");
    canary::assert_unseen("the archive", &std::fs::read(&archive).unwrap(), ["canary-one", "canary value 1", PASSPHRASE]);
    let screen = type_into(&from.command(&["vault", "export", &archive]), &[PASSPHRASE, PASSPHRASE]).await;
    assert!(screen.code == 3 && screen.text.contains("exists already"), "{screen:?}");

    let import = |more: &[&str]| to.command(&[&["vault", "import", &archive], more].concat());
    let screen = type_into(&import(&[]), &["canary wrong passphrase"]).await;
    assert_eq!(screen.code, 6, "{screen:?}");
    let mut other = to.launch().ready().await;
    other.call("store_secret", json!({ "name": "canary-two", "value": "their own" })).await.ok();
    let screen = type_into(&import(&[]), &[PASSPHRASE]).await;
    assert!(screen.code == 3 && screen.text.contains("canary-two"), "{screen:?}");
    other.call("get_secret", json!({ "name": "canary-one", "purpose": "a test" })).await.refused("unknown_secret");
    assert_eq!(other.reveal("canary-two").await, "their own", "all or nothing");
    let screen = type_into(&import(&["--replace"]), &[PASSPHRASE]).await;
    assert_eq!(screen.code, 0, "{screen:?}");
    assert_eq!(other.reveal("canary-one").await, "canary value 1");
    assert_eq!(other.reveal("canary-two").await, "canary value 2");
    let listed = other.call("list_secrets", json!({})).await.ok();
    assert_eq!(listed["secrets"][0]["tags"], json!({ "k": "v" }));
}

#[tokio::test]
async fn an_archive_for_a_recipient_needs_that_identity_and_no_terminal() {
    use age::secrecy::ExposeSecret as _;

    let home = Home::with_vault().await;
    home.launch().ready().await.call("store_secret", json!({ "name": "k", "value": "kept" })).await.ok();
    let identity = age::x25519::Identity::generate();
    let (archive, file) = (home.path("out.age").display().to_string(), home.path("identity"));
    let told = home.run(&["vault", "export", &archive, "--recipient", &identity.to_public().to_string()]).await.ok();
    assert!(told.starts_with("1 secret is in "), "{told}");
    std::fs::write(&file, format!("# created\n{}\n", identity.to_string().expose_secret())).unwrap();
    home.run(&["vault", "import", &archive]).await.failed(2, &["--identity"]);
    let nofile =
        home.run(&["vault", "import", &archive, "--identity", "nofile"]).await.failed(2, &["nofile", "Correct --identity"]);
    assert!(!nofile.err.contains("broker.toml"), "{nofile:?}");
    let import = ["vault", "import", &archive, "--replace", "--identity", file.to_str().unwrap()];
    let told = home.run(&import).await.ok();
    assert!(told.starts_with("1 secret is in the vault now"), "{told}");
    // Bytes that are no archive.
    std::fs::write(&archive, "age-encryption.org/v1\n").unwrap();
    home.run(&["vault", "import", &archive, "--identity", file.to_str().unwrap()])
        .await
        .failed(2, &["cannot be read as an age file"]);
}

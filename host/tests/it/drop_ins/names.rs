//! A drop-in takes the name of another provider only where the operator's file says so.

use super::*;

#[tokio::test]
async fn a_section_that_names_a_component_gives_it_an_embedded_name() {
    let launch = Launch::new();
    let folder = Folder::of(&launch);
    let own = folder.put_guest(&Guest::new("github"), "our-github.wasm");
    let impostor = with_change("github", |descriptor| descriptor["title"] = json!("Impostor"));
    folder.put_guest(&impostor, "impostor.wasm");
    let launch = launch.toml(&format!("[providers.github]\ncomponent = {:?}", own.display().to_string()));
    let mut broker = with_plugins(launch, &folder).ready().await;
    let shown = listed(&mut broker).await;
    assert_eq!(names(&shown), ["google", "azure", "okta", "oauth2", "aws", "github"]);
    assert_eq!(shown["providers"][5]["title"], "Guest");
    assert!(told(&shown).contains("impostor.wasm: it calls itself github"), "{}", told(&shown));
    let start = json!({ "provider": "github", "scopes": [], "secret_name": "a" });
    broker.call("start_oauth_flow", start.clone()).await.refused("not_configured").names(&["Guest", "GITHUB_BASE"]);

    // the name does not fall back to the embedded provider, whose settings mean something else
    std::fs::remove_file(own).unwrap();
    broker.call("start_oauth_flow", start).await.refused("component_rejected").names(&["our-github.wasm"]);
}

#[tokio::test]
async fn aliases_of_others_need_a_line_too() {
    let launch = Launch::new();
    let folder = Folder::of(&launch);
    let guest = with_change("acme", |descriptor| descriptor["aliases"] = json!(["gcp"]));
    let file = folder.put_guest(&guest, "acme.wasm");
    let named = format!("[providers.acme]\ncomponent = {:?}", file.display().to_string());
    let mut broker = Launch::new().toml(&named).ready().await;
    let shown = listed(&mut broker).await;
    assert_eq!(names(&shown), EMBEDDED);
    let told = told(&shown);
    assert!(told.contains("it calls itself gcp") && told.contains("replaces = [\"gcp\"]"), "{told}");

    let mut broker = Launch::new().toml(&format!("{named}\nreplaces = [\"gcp\"]")).ready().await;
    let shown = listed(&mut broker).await;
    assert_eq!(names(&shown), [&EMBEDDED[..], &["acme"]].concat());
    assert_eq!(shown["providers"][1]["aliases"], json!([]), "google has lost it");
    let start = json!({ "provider": "gcp", "scopes": [], "secret_name": "a" });
    broker.call("start_oauth_flow", start).await.refused("not_configured").names(&["ACME_CLIENT_ID"]);
}

#[tokio::test]
async fn a_name_that_is_in_the_lock_gives_way_to_no_file_in_a_folder() {
    let launch = Launch::new();
    let folder = Folder::of(&launch);
    let launch = with_plugins(launch, &folder);
    let terminal = Terminal::of(&launch);
    let file = terminal.download("acme.wasm", &Guest::new("acme").bytes());
    terminal.providers(&["add", file.to_str().unwrap(), "--yes"]).await;
    let alias = with_change("zeta", |descriptor| descriptor["aliases"] = json!(["acme"]));
    let zeta = folder.put_guest(&alias, "zeta.wasm");
    let mut broker = launch.ready().await;
    let shown = listed(&mut broker).await;
    assert_eq!(names(&shown), [&EMBEDDED[..], &["acme"]].concat());
    assert!(told(&shown).contains("zeta.wasm: it calls itself acme"), "{}", told(&shown));
    // and cannot be approved either
    let said = terminal.refused(5, &["add", zeta.to_str().unwrap(), "--yes"]).await;
    assert!(said.contains("it calls itself acme"), "{said}");
    let embedded = terminal.download("github.wasm", &Guest::new("github").bytes());
    let said = terminal.refused(5, &["add", embedded.to_str().unwrap(), "--yes"]).await;
    assert!(said.contains("a name that an embedded provider has"), "{said}");
}

//! What an operator sees of a component: all of it, for people as for programs, and no secret.

use super::*;

fn leaves(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| leaves(item, found)),
        Value::Object(members) => members.values().for_each(|member| leaves(member, found)),
        Value::String(text) => found.push(text.clone()),
        Value::Number(number) => found.push(number.to_string()),
        Value::Bool(_) | Value::Null => {}
    }
}

fn assert_no_less(table: &str, json: &str) -> Value {
    let json: Value = serde_json::from_str(json).unwrap();
    let mut found = Vec::new();
    leaves(&json, &mut found);
    assert!(found.len() > 10, "{json:#}");
    for leaf in found {
        assert!(table.contains(&leaf), "{leaf} is in the JSON and not in the table:\n{table}");
    }
    json
}

#[tokio::test]
async fn a_table_for_people_shows_no_less_than_the_json() {
    let launch = Launch::new()
        .env("ACME_CLIENT_SECRET", "canary-of-the-operator")
        .toml("[providers.acme]\ncomponent = \"acme.wasm\"\nbase = \"https://acme.example\"");
    let terminal = Terminal::of(&launch);
    let guest = with_change("acme", |descriptor| {
        descriptor["spend"] = json!([{ "host": "api.acme.example", "paths": ["/v1"], "except": ["/v1/keys"] }]);
        descriptor["endpoints"][1]["readable"] = json!(["/team"]);
    });
    let bytes = guest.bytes();
    let file = launch.home().join("acme.wasm");
    std::fs::write(&file, &bytes).unwrap();
    mode(&file, 0o644);
    for subject in ["acme", file.to_str().unwrap(), "github", "gcp", "aws"] {
        let table = terminal.providers(&["inspect", subject]).await;
        let json = assert_no_less(&table, &terminal.providers(&["inspect", subject, "--json"]).await);
        assert!(!table.contains("canary-of-the-operator") && !json.to_string().contains("canary-of-the-operator"));
        if json["descriptor"]["name"] == "acme" {
            assert_eq!((&json["sha256"], &json["bytes"]), (&json!(digest(&bytes)), &json!(bytes.len())));
            assert_eq!(json["contract"], "0.1.0");
            assert_eq!(json["imports"], json!(["credentials-broker:provider/host@0.1.0"]));
            assert_eq!(json["configured"]["client_id"], "not set, and needed");
            assert_eq!(json["configured"]["client_secret"], "set by ACME_CLIENT_SECRET");
            assert_eq!(json["configured"]["base"], "set in broker.toml");
            for shown in ["form.code takes code", "may read /team", "under /v1, but not /v1/keys", "60 seconds"] {
                assert!(table.contains(shown), "{shown} is not in {table}");
            }
        }
        if subject == "github" {
            assert!(table.contains("built by, in its own words") && table.contains("wit-component"), "{table}");
            let interfaces = json["interfaces"].as_array().unwrap();
            assert!(interfaces.contains(&json!("provider")) && interfaces.contains(&json!("refresh")), "{json:#}");
        }
    }
    let table = terminal.providers(&["list"]).await;
    let json = assert_no_less(&table, &terminal.providers(&["list", "--json"]).await);
    assert_eq!(json["providers"].as_array().unwrap().len(), 7);
    assert!(table.contains("ACME_CLIENT_ID is missing") && table.contains("named in broker.toml"), "{table}");
    terminal.refused(2, &["inspect", "nobody"]).await;
}

#[tokio::test]
async fn the_list_shows_what_is_inert_and_what_cannot_be_used() {
    let launch = Launch::new();
    let folder = Folder::of(&launch);
    folder.put("broken.wasm", b"not wasm");
    let launch = with_plugins(launch, &folder);
    let terminal = Terminal::of(&launch);
    let bytes = Guest::new("acme").bytes();
    terminal.put("acme.wasm", &bytes);
    let table = terminal.providers(&["list"]).await;
    let json = terminal.providers(&["list", "--json"]).await;
    assert!(table.contains("Not approved, and inert:") && table.contains("Cannot be used:"), "{table}");
    let json: Value = serde_json::from_str(&json).unwrap();
    let inert = json["unusable"].as_array().unwrap().iter().find(|one| one["inert"] == true).unwrap();
    assert_eq!((&inert["name"], &inert["sha256"]), (&json!("acme"), &json!(digest(&bytes))));
    assert!(table.contains(&digest(&bytes)));
}

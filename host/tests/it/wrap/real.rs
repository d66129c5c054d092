//! Real servers from npm and PyPI, used by real clients.

use serde_json::{Value, json};

use super::{OTHER, TOKEN, launch};
use crate::support::broker::Launch;
use crate::support::canary;
use crate::support::clients::{Client, Sdk};
use crate::support::place;

fn behind(launch: Launch, words: &[&str]) -> Launch {
    words.iter().fold(launch.argument("wrap"), |launch, word| launch.argument(word))
}

fn script(package: &str) -> String {
    let path = format!("servers/node_modules/@modelcontextprotocol/{package}/dist/index.js");
    place::prepared(&path).display().to_string()
}

fn text(answer: &Value) -> String {
    answer["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[tokio::test]
async fn server_everything_works_behind_the_broker_with_every_sdk() {
    for sdk in [Sdk::TypeScript, Sdk::Python] {
        let rules = "[wrap.everything]\nallow = [{ tool = \"echo\", argument = \"/message\", secret = \"github-token\" }]";
        let launch = launch().await.toml(rules);
        let words = ["--name", "everything", "--env", "THE_TOKEN=other", "--", "node", &script("server-everything")];
        let launch = behind(launch, &words);
        let mut client = Client::start(sdk, &launch).await;
        let tools = client.hello["tools"].as_array().unwrap();
        assert!(tools.len() > 5 && tools.iter().any(|tool| tool["name"] == "echo"), "{sdk:?}: {}", client.hello);
        assert_eq!(text(&client.raw("echo", json!({ "message": "hello" })).await), "Echo: hello");
        let answer = client.raw("echo", json!({ "message": "secret:github-token" })).await;
        assert_eq!(text(&answer), "Echo: [secret:github-token]", "{sdk:?}");
        let refused = client.raw("echo", json!({ "message": "my secret:github-token" })).await;
        assert!(
            refused["raised"].as_str().is_some_and(|raised| raised.contains("does not allow the secret")),
            "{sdk:?}: {refused}"
        );
        let sum = client.raw("get-sum", json!({ "a": 2, "b": 3 })).await;
        assert!(text(&sum).contains('5'), "{sum}");
        // what it was started with is there, and is not shown
        let environment = text(&client.raw("get-env", json!({})).await);
        let environment: Value = serde_json::from_str(&environment).unwrap();
        assert_eq!(environment["THE_TOKEN"], "[secret:other]", "{sdk:?}");
        canary::assert_unseen("the environment", environment.to_string().as_bytes(), [OTHER, TOKEN]);
    }
}

#[tokio::test]
async fn a_prompt_injection_cannot_have_server_filesystem_write_a_secret_down() {
    let launch = launch().await;
    let folder = launch.home().join("files");
    std::fs::create_dir(&folder).unwrap();
    let folder = folder.canonicalize().unwrap();
    let words = ["--name", "files", "--", "node", &script("server-filesystem"), folder.to_str().unwrap()];
    let launch = behind(launch, &words);
    let mut client = Client::start(Sdk::TypeScript, &launch).await;
    let path = |name: &str| folder.join(name).display().to_string();
    client.raw("write_file", json!({ "path": path("a.txt"), "content": "plain\n\u{e4}" })).await;
    assert_eq!(std::fs::read_to_string(folder.join("a.txt")).unwrap(), "plain\n\u{e4}");
    for content in ["secret:github-token", "export T=secret:github-token\n", "s\u{65}cret:other"] {
        let refused = client.raw("write_file", json!({ "path": path("b.txt"), "content": content })).await;
        assert!(refused["raised"].is_string(), "{refused}");
    }
    let refused = client.raw("write_file", json!({ "path": path("secret:other"), "content": "x" })).await;
    assert!(refused["raised"].is_string(), "{refused}");
    assert!(!folder.join("b.txt").exists() && std::fs::read_dir(&folder).unwrap().count() == 1);
    // a file that holds a value is read without it
    std::fs::write(folder.join("c.txt"), format!("token={TOKEN}\nrest")).unwrap();
    let read = client.raw("read_text_file", json!({ "path": path("c.txt") })).await;
    assert_eq!(text(&read), "token=[secret:github-token]\nrest");
}

#[tokio::test]
async fn a_python_server_works_behind_the_broker() {
    let python = place::prepared("servers-venv/bin/python").display().to_string();
    for sdk in [Sdk::Python, Sdk::PythonModern, Sdk::TypeScript] {
        let launch = launch().await;
        let words = ["--name", "time", "--", &python, "-m", "mcp_server_time", "--local-timezone", "UTC"];
        let launch = behind(launch, &words);
        let mut client = Client::start(sdk, &launch).await;
        let now = client.raw("get_current_time", json!({ "timezone": "Europe/Warsaw" })).await;
        assert!(text(&now).contains("Europe/Warsaw"), "{sdk:?}: {now}");
        let refused = client.raw("get_current_time", json!({ "timezone": "secret:github-token" })).await;
        assert!(refused["raised"].is_string(), "{sdk:?}: {refused}");
    }
    assert!(place::program("python3").starts_with('/'));
}

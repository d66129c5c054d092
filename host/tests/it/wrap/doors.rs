//! Under `reveal = "deny"` a wrapper needs the operator's word on the program, too.

use super::{TOKEN, launch, wrapped_with};
use crate::support::place::{self, program};
use serde_json::json;

#[tokio::test]
async fn where_nothing_is_revealed_the_table_must_name_the_program() {
    let deny = "[policy]\nreveal = \"deny\"\n";
    let server = place::repository("host/tests/servers/downstream.py");
    let server = server.to_str().unwrap();
    let python = program("python3");

    let launch_ = launch().await.toml(deny);
    let output = launch_.output(&["wrap", "--", "python3", server, "/dev/null"]).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(3) && told.contains(&format!("program = \"{python}\"")), "{told}");

    let bound = format!("{deny}[wrap.\"python3\"]\nprogram = \"{python}\"\narguments = [\"{server}\"]");
    let launch_ = launch().await.toml(&bound);
    let output = launch_.output(&["wrap", "--name", "python3", "--", "cat"]).await;
    assert_eq!(output.status.code(), Some(3), "another program is not that server");
    let output = launch_.output(&["wrap", "--", "python3", "-c", "1"]).await;
    assert_eq!(output.status.code(), Some(3), "nor is another script");
    let link = launch_.home().join("python");
    std::os::unix::fs::symlink(&python, &link).unwrap();
    let output = launch_.output(&["wrap", "--name", "python3", "--", link.to_str().unwrap(), server, "/dev/null"]).await;
    assert_eq!(output.status.code(), Some(3), "nor is the same file by another name");
    let output = launch_.output(&["wrap", "--env", "T=github-token", "--", "python3", server, "/dev/null"]).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(3) && told.contains("[exec."), "the environment has its own line: {told}");

    let mut wrapped = wrapped_with(launch_, &[]);
    let answer = wrapped.tool("x", json!({ "token": "secret:github-token" })).await;
    assert_eq!(answer["result"]["got"]["arguments"]["token"], "[secret:github-token]", "{answer}");
    wrapped.broker.assert_unseen(&[TOKEN]);
}

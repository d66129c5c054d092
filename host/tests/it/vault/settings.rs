//! A provider's setting that rests in the vault: used for logins, and out of the agent's reach.

use serde_json::json;

use super::Home;

const CONFIGURATION: &str =
    "[providers.okta]\ndomain = \"dev-1.okta.com\"\nclient_id = \"id\"\nclient_secret = { secret = \"okta-client\" }\n";

#[tokio::test]
async fn a_setting_in_the_vault_is_the_operators() {
    let home = Home::with_vault().await;
    let mut broker = home.launch().toml(CONFIGURATION).ready().await;
    let login = json!({ "provider": "okta", "scopes": ["openid"], "secret_name": "mine" });
    broker
        .call("start_oauth_flow", login.clone())
        .await
        .refused("not_configured")
        .names(&["okta-client", "secrets set okta-client"]);

    let mut set = home.command(&["secrets", "set", "okta-client"]);
    set.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = set.spawn().unwrap();
    tokio::io::AsyncWriteExt::write_all(child.stdin.as_mut().unwrap(), b"canary-client-secret").await.unwrap();
    drop(child.stdin.take());
    assert!(child.wait().await.unwrap().success());

    for (tool, arguments) in [
        ("get_secret", json!({ "name": "okta-client", "purpose": "to read it" })),
        ("store_secret", json!({ "name": "okta-client", "value": "another" })),
        ("delete_secret", json!({ "name": "okta-client" })),
        ("start_oauth_flow", json!({ "provider": "okta", "scopes": ["openid"], "secret_name": "okta-client" })),
    ] {
        broker.call(tool, arguments).await.refused("not_allowed").names(&["okta-client"]);
    }
    // It is found now: the login gets as far as the network, which there is none of here.
    let answer = broker.call("start_oauth_flow", login).await;
    assert_ne!(answer["code"], "not_configured", "{:#}", answer.json);
    broker.finish().await;
    broker.assert_unseen(&["canary-client-secret"]);
}

//! The official SDKs, which know nothing of this project, walk through the tools.

use rmcp::ServiceExt as _;
use rmcp::model::CallToolRequestParams;
use rmcp::transport::TokioChildProcess;
use serde_json::json;

use crate::support::broker::{Launch, ToolAnswer};
use crate::support::clients::{Client, Sdk};

async fn walk(sdk: Sdk) {
    let launch = Launch::new().client("GITHUB", "id", Some("github-client-secret"));
    let mut client = Client::start(sdk, &launch).await;
    let tools = client.hello["tools"].as_array().unwrap().len();
    assert_eq!(tools, 15, "{sdk:?}");
    // the Python SDK does not hand on what server/discover says of them
    if sdk != Sdk::PythonModern {
        assert!(client.hello["instructions"].as_str().unwrap().contains("list_secrets"));
    }
    client.call("store_secret", json!({ "name": "k", "value": "v1" })).await.ok();
    let issued = client.call("get_secret", json!({ "name": "k", "purpose": "a walk" })).await.ok();
    let value = client.call("resolve_secret", json!({ "reference_id": issued["reference"]["id"] })).await.ok();
    assert_eq!(value["value"], "v1");
    let minted = client.call("mint_token", json!({ "provider": "aws", "scopes": ["s3:GetObject"] })).await.ok();
    let by_id = json!({ "token_id": minted["token"]["tokenId"] });
    assert_eq!(client.call("verify_token", json!({ "token": minted["token"]["token"] })).await.ok()["active"], true);
    client.call("revoke_token", by_id.clone()).await.ok();
    let again = client.call("revoke_token", by_id.clone()).await;
    assert!(!again.is_error && again["success"] == false, "{:?}", again.json);
    assert_eq!(client.call("verify_token", by_id).await.ok()["active"], false);
    let login = json!({ "provider": "github", "scopes": ["repo"], "secret_name": "github-token" });
    let pending = client.call("start_oauth_flow", login.clone()).await.pending();
    client.call("start_oauth_flow", login).await.refused("conflict").names(&[pending["flow_id"].as_str().unwrap()]);
    client.call("await_oauth_flow", json!({ "flow_id": "none" })).await.refused("unknown_flow");
    client.call("list_providers", json!({})).await.ok();
    // a failure passes the SDK's own check of structured content, too
    client.call("get_secret", json!({ "name": "nope", "purpose": "a walk" })).await.refused("unknown_secret");
    client.call("mint_token", json!({ "provider": "aws", "scopes": ["s"], "ttl_seconds": 0 })).await.refused("invalid_ttl");
    client.call("store_secret", json!({ "name": "k", "value": 5 })).await.refused("invalid_argument");
    assert_eq!(client.call("get_broker_stats", json!({})).await.ok()["stats"]["pendingFlows"], 1);
    client.call("list_secrets", json!({})).await.ok();
    client.call("delete_secret", json!({ "name": "k" })).await.ok();
    client.call("resolve_secret", json!({ "reference_id": issued["reference"]["id"] })).await.refused("unknown_reference");
}

#[tokio::test]
async fn the_python_sdk_walks_through() {
    walk(Sdk::Python).await;
}

#[tokio::test]
async fn the_python_sdk_walks_through_in_the_modern_revision() {
    walk(Sdk::PythonModern).await;
}

#[tokio::test]
async fn the_typescript_sdk_walks_through() {
    walk(Sdk::TypeScript).await;
}

#[tokio::test]
async fn the_rust_sdk_walks_through() {
    let launch = Launch::new();
    let client = ().serve(TokioChildProcess::new(launch.command()).unwrap()).await.unwrap();
    assert_eq!(client.list_all_tools().await.unwrap().len(), 15);
    let call = async |tool: &'static str, arguments: serde_json::Value| {
        let arguments = arguments.as_object().cloned().unwrap();
        let result = client.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await.unwrap();
        ToolAnswer::read(tool, &serde_json::to_value(result).unwrap())
    };
    call("store_secret", json!({ "name": "k", "value": "v" })).await.ok();
    let issued = call("get_secret", json!({ "name": "k", "purpose": "a walk" })).await.ok();
    let value = call("resolve_secret", json!({ "reference_id": issued["reference"]["id"] })).await.ok();
    assert_eq!(value["value"], "v");
    call("mint_token", json!({ "provider": "aws", "scopes": ["s3:GetObject"] })).await.ok();
    call("get_secret", json!({ "name": "nope", "purpose": "a walk" })).await.refused("unknown_secret");
    client.cancel().await.unwrap();
}

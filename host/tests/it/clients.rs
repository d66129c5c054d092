//! The official SDKs, which know nothing of this project, walk through the tools.

use rmcp::ServiceExt as _;
use rmcp::model::CallToolRequestParams;
use rmcp::transport::TokioChildProcess;
use serde_json::json;

use crate::support::broker::Launch;
use crate::support::clients::{Client, Sdk};

async fn walk(sdk: Sdk) {
    let launch = Launch::new();
    let mut client = Client::start(sdk, &launch).await;
    let tools = client.hello["tools"].as_array().unwrap().len();
    assert_eq!(tools, 12, "{sdk:?}: {}", client.hello);
    // the Python SDK does not hand on what server/discover says of them
    if sdk != Sdk::PythonModern {
        assert!(client.hello["instructions"].as_str().unwrap().contains("list_secrets"));
    }
    client.call("store_secret", json!({ "name": "k", "value": "v1" })).await.ok();
    let issued = client.call("get_secret", json!({ "name": "k", "purpose": "a walk" })).await.ok();
    let value = client.call("resolve_secret", json!({ "reference_id": issued["reference"]["id"] })).await.ok();
    assert_eq!(value["value"], "v1");
    client.call("mint_token", json!({ "provider": "aws", "scopes": ["s3:GetObject"] })).await.ok();
    client.call("list_providers", json!({})).await.ok();
    // a failure passes the SDK's own check of structured content, too
    client.call("get_secret", json!({ "name": "nope", "purpose": "a walk" })).await.refused("unknown_secret");
    client.call("list_secrets", json!({})).await.ok();
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
    assert_eq!(client.list_all_tools().await.unwrap().len(), 12);
    let arguments = json!({ "name": "k", "value": "v" }).as_object().cloned().unwrap();
    let stored = client.call_tool(CallToolRequestParams::new("store_secret").with_arguments(arguments)).await.unwrap();
    assert_eq!(stored.structured_content.unwrap()["success"], true);
    client.cancel().await.unwrap();
}

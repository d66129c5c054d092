//! What the MCP SDK costs by itself: a server as its examples write one, over its own `stdio()`, with three tools that do
//! next to nothing. `cargo xtask bench` runs it beside the broker.
#![expect(clippy::unwrap_used, reason = "a program for `cargo xtask bench`")]

use std::collections::HashMap;
use std::sync::Mutex;

use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::{ServerHandler, ServiceExt as _, tool, tool_handler, tool_router};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

struct Bare {
    secrets: Mutex<HashMap<String, String>>,
    references: Mutex<HashMap<String, String>>,
    router: ToolRouter<Self>,
}

#[derive(Deserialize, JsonSchema)]
struct Store {
    name: String,
    value: String,
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "what the broker takes")]
struct Get {
    name: String,
    purpose: String,
    ttl_seconds: Option<u64>,
}

#[derive(Deserialize, JsonSchema)]
struct Resolve {
    reference_id: String,
}

#[tool_router]
impl Bare {
    #[tool(description = "Stores a value")]
    fn store_secret(&self, Parameters(Store { name, value }): Parameters<Store>) -> String {
        self.secrets.lock().unwrap().insert(name, value);
        told(json!({}))
    }

    #[tool(description = "Gives a reference")]
    fn get_secret(&self, Parameters(Get { name, .. }): Parameters<Get>) -> String {
        let mut references = self.references.lock().unwrap();
        // no random number: what that costs is not the SDK's
        let id = format!("00000000-0000-4000-8000-{:012x}", references.len());
        references.insert(id.clone(), name);
        told(json!({ "reference": { "id": id } }))
    }

    #[tool(description = "Gives the value behind a reference")]
    fn resolve_secret(&self, Parameters(Resolve { reference_id }): Parameters<Resolve>) -> String {
        let name = self.references.lock().unwrap().get(&reference_id).cloned().unwrap_or_default();
        told(json!({ "value": self.secrets.lock().unwrap().get(&name) }))
    }
}

fn told(mut members: Value) -> String {
    members["success"] = true.into();
    members.to_string()
}

#[tool_handler(router = self.router)]
impl ServerHandler for Bare {}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let bare = Bare { secrets: Mutex::default(), references: Mutex::default(), router: Bare::tool_router() };
    let _ = bare.serve(rmcp::transport::stdio()).await.unwrap().waiting().await;
    // a read of standard input that nobody ends would hold the runtime up
    std::process::exit(0);
}

//! The official SDKs as MCP clients that know nothing of this project: `host/tests/clients/`.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::broker::{Launch, ToolAnswer};
use super::place;
use super::process::Helper;

/// The program, handed to node on its command line so that it finds its packages in target/clients.
const TYPESCRIPT: &str = include_str!("../clients/client.mjs");

/// Which client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sdk {
    /// Python, with the handshake of the revisions up to 2025-11-25.
    Python,
    /// Python, in revision 2026-07-28, which has no handshake.
    PythonModern,
    /// TypeScript.
    TypeScript,
}

/// A client with the broker that it started.
pub struct Client {
    helper: Helper,
    /// What the server said of itself: `protocolVersion`, `serverInfo`, `instructions`, `tools`.
    pub hello: Value,
}

impl Client {
    /// Starts it; it starts the broker.
    pub async fn start(sdk: Sdk, launch: &Launch) -> Self {
        let (program, arguments, environment) = launch.plan();
        let mode = if sdk == Sdk::PythonModern { "2026-07-28" } else { "legacy" };
        let plan = json!({ "command": program, "args": arguments, "env": environment, "mode": mode });
        let mut command = if sdk == Sdk::TypeScript {
            place::prepared("clients/node_modules/@modelcontextprotocol/sdk");
            let mut command = Command::new("node");
            command.current_dir(place::target("clients")).args(["--input-type=module", "-e", TYPESCRIPT]);
            command
        } else {
            let mut command = Command::new(place::prepared("venv/bin/python"));
            command.arg(place::repository("host/tests/clients/client.py"));
            command
        };
        command.arg(plan.to_string());
        let mut helper = Helper::start(command);
        let hello = serde_json::from_str(&helper.line().await).expect("a JSON line");
        Self { helper, hello }
    }

    /// Calls a tool, of any server. What the SDK objects to, an error of the protocol too, is in `raised`.
    pub async fn raw(&mut self, tool: &str, arguments: Value) -> Value {
        let line = format!("{}\n", json!({ "tool": tool, "arguments": arguments }));
        self.helper.stdin().write_all(line.as_bytes()).await.expect("it listens");
        serde_json::from_str(&self.helper.line().await).expect("a JSON line")
    }

    /// Calls a tool. What the SDK itself objects to fails the test.
    pub async fn call(&mut self, tool: &str, arguments: Value) -> ToolAnswer {
        let answer = self.raw(tool, arguments).await;
        assert!(answer.get("raised").is_none(), "the SDK objects to {tool}: {}", answer["raised"]);
        ToolAnswer::read(tool, &answer)
    }
}

//! `demo`: the main job on embedded defaults, with no account and no network.
//!
//! Nothing is acted here but the person, and that only with `--headless`: an agent talks MCP to the real server, the
//! real `oauth2` component signs in at a real, if small, authorization server on loopback.

use std::io::{BufRead as _, BufReader, PipeReader, PipeWriter, Write as _};
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use serde_json::{Value, json};
use url::Url;
use zeroize::Zeroizing;

use super::output::say;
use super::serve::runtime;
use crate::audit::Audit;
use crate::broker::Broker;
use crate::config::{self, Browser, Config, LoopbackPort, SecretRule, Source};
use crate::egress::{Egress, Incoming, Outgoing};
use crate::error::{Code, Error, Result};
use crate::mcp;
use crate::providers::Providers;
use crate::rehearsal::Rehearsal;
use crate::secret::SecretName;
use crate::vault::Memory;

/// Under which name the login is stored.
const NAME: &str = "demo-token";
/// How often the demo goes on waiting for a person, 45 seconds each.
const ROUNDS: u32 = 6;

pub(super) fn run(headless: bool) -> Result<()> {
    let runtime = runtime()?;
    let shown = runtime.block_on(show(headless));
    runtime.shutdown_timeout(Duration::from_millis(50));
    shown
}

async fn show(headless: bool) -> Result<()> {
    let rehearsal = Rehearsal::start().await?;
    let config = configuration(&rehearsal, headless)?;
    let egress = Egress::new(&config.egress)?;
    let providers = Providers::new(&config, &[], super::serve::workshop().clone())?;
    let broker = Broker::new(&config, Arc::new(Memory::default()), providers, Audit::to(std::io::sink()), None)?;
    let (mut agent, served) = Agent::start(broker)?;

    say("The MCP Credentials Broker, on this machine alone: no account, no network.")?;
    say("\nAn agent starts the broker and finds nothing stored yet.")?;
    agent.introduce().await?;
    agent.call("list_secrets", json!({})).await?;

    say("\nIt asks for a login. Only a person can sign in, in a browser; the agent never sees the password.")?;
    let login = json!({ "provider": "oauth2", "scopes": ["openid", "profile", "email", "offline_access"], "secret_name": NAME });
    if !headless {
        say("Your browser opens now: press the sign-in button there. (--headless does that for you.)")?;
    }
    let mut answer = agent.call("start_oauth_flow", login).await?;
    if answer["status"] == "pending" && answer["browser_opened"] == json!(false) {
        if !headless {
            say("There is no browser to open here, so the demo plays the person, as with --headless.")?;
        }
        act_as_person(&rehearsal, &egress, answer["authorization_url"].as_str().unwrap_or_default()).await?;
    }
    let flow_id = answer["flow_id"].clone();
    for _ in 0..ROUNDS {
        if answer["status"] != "pending" {
            break;
        }
        let flow_id = if flow_id.is_null() { answer["flow_id"].clone() } else { flow_id.clone() };
        answer = agent.call("await_oauth_flow", json!({ "flow_id": flow_id })).await?;
    }
    expect(&answer, "the login")?;

    say("\nThe login is stored in the broker. The agent can list it, not read it.")?;
    agent.call("list_secrets", json!({})).await?;

    say(
        "\nTo work with it, the agent asks for a reference and says why. The purpose goes into the audit trail (standard error; not shown here).",
    )?;
    let answer = agent.call("get_secret", json!({ "name": NAME, "purpose": "read my profile", "ttl_seconds": 600 })).await?;
    expect(&answer, "the reference")?;

    say("\nIt spends the reference: the broker adds the token and sends the request, where the operator allows that secret.")?;
    let request = json!({ "reference_id": answer["reference"]["id"], "url": rehearsal.resource() });
    let answer = agent.call("http_request", request).await?;
    expect(&answer, "the protected resource's answer")?;
    if answer["status"] != 200 {
        return Err(Error::new(
            Code::Internal,
            format!("The protected resource answered with status {}.", answer["status"]),
            "Report this.",
        ));
    }
    say("  (the token was sent to the protected resource, and to nobody else: it is in none of these lines)")?;

    say("\nDone. The agent has the login ended: revoked at the server, and forgotten here.")?;
    let answer = agent.call("revoke_secret", json!({ "name": NAME })).await?;
    expect(&answer, "the end of the login")?;
    drop(agent);
    let _ = served.await;
    say(SNIPPETS)
}

/// What the environment and broker.toml would say in earnest.
fn configuration(rehearsal: &Rehearsal, headless: bool) -> Result<Config> {
    let text = |text: &str| Source::Text(text.to_owned());
    let oauth2 = config::Provider {
        loopback_port: LoopbackPort::Any,
        settings: [
            ("issuer".to_owned(), text(rehearsal.issuer())),
            ("client_id".to_owned(), text(rehearsal.client_id())),
            ("client_secret".to_owned(), text(rehearsal.client_secret().expose())),
        ]
        .into(),
        ..config::Provider::default()
    };
    // Where a token of a server that only the operator knows may be sent, only the operator can say.
    let rule = SecretRule { hosts: Some(vec![rehearsal.address().to_string()]), ..SecretRule::default() };
    Ok(Config {
        browser: if headless { Browser::None } else { Browser::Open },
        egress: config::Egress { allow_loopback: vec![rehearsal.address()], ..config::Egress::default() },
        providers: [("oauth2".to_owned(), oauth2)].into(),
        secrets: [(SecretName::parse(NAME)?, rule)].into(),
        ..Config::default()
    })
}

/// The agent: speaks MCP with the server and prints what it sees.
struct Agent {
    to: PipeWriter,
    from: BufReader<PipeReader>,
    calls: u64,
}

impl Agent {
    fn start(broker: Arc<Broker>) -> Result<(Self, tokio::task::JoinHandle<mcp::End>)> {
        let failed = |error: std::io::Error| Error::new(Code::Internal, format!("No pipe: {error}."), "Try again.");
        let (server_in, to) = std::io::pipe().map_err(failed)?;
        let (from, server_out) = std::io::pipe().map_err(failed)?;
        let served = tokio::spawn(mcp::serve(broker, BufReader::new(server_in), server_out, drop));
        Ok((Self { to, from: BufReader::new(from), calls: 0 }, served))
    }

    async fn introduce(&mut self) -> Result<()> {
        let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "demo", "version": env!("CARGO_PKG_VERSION") } });
        self.request("initialize", hello).await?;
        self.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))
    }

    async fn call(&mut self, tool: &str, arguments: Value) -> Result<Value> {
        say(&format!("  agent  -> {tool} {arguments}"))?;
        let result = self.request("tools/call", json!({ "name": tool, "arguments": arguments })).await?;
        let answer = result["structuredContent"].clone();
        say(&format!("  broker <- {answer}"))?;
        Ok(answer)
    }

    async fn request(&mut self, method: &str, params: Value) -> Result<Value> {
        self.calls += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": self.calls, "method": method, "params": params }))?;
        // Reading the pipe blocks; the server needs its threads meanwhile.
        let line = tokio::task::block_in_place(|| {
            let mut line = String::new();
            self.from.read_line(&mut line).map(|_| line)
        });
        let answer = line.ok().and_then(|line| serde_json::from_str::<Value>(&line).ok());
        answer
            .and_then(|mut answer| answer.get_mut("result").map(Value::take))
            .ok_or_else(|| Error::new(Code::Internal, format!("The broker did not answer {method}."), "Report this."))
    }

    fn send(&mut self, message: &Value) -> Result<()> {
        writeln!(self.to, "{message}")
            .map_err(|error| Error::new(Code::Internal, format!("The broker is gone: {error}."), "Report this."))
    }
}

fn expect(answer: &Value, what: &str) -> Result<()> {
    if answer["success"] == json!(true) {
        return Ok(());
    }
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    let (error, hint) = (text("error"), text("hint"));
    Err(Error::new(
        Code::Internal,
        format!("The demo did not get {what}. {error}"),
        if hint.is_empty() { "Start it again.".to_owned() } else { hint },
    ))
}

/// What a person does in the browser: presses the button, and lets the browser go where it is sent.
async fn act_as_person(rehearsal: &Rehearsal, egress: &Egress, authorization_url: &str) -> Result<()> {
    let url = Url::parse(authorization_url)
        .map_err(|_| Error::new(Code::Internal, "The authorization URL is no URL.", "Report this."))?;
    say("  (the person signs in and is sent back to the broker)")?;
    let form = rehearsal.sign_in_form(&url)?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    let body = Zeroizing::new(form.body().into_bytes());
    let answer = request(egress, Method::POST, form.action.clone(), headers, Some(body)).await?;
    let back = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok()).and_then(|text| Url::parse(text).ok());
    let Some(back) = back else {
        return Err(Error::new(
            Code::Internal,
            format!("The sign-in page answered with status {}.", answer.status),
            "Report this.",
        ));
    };
    // The callback is another loopback address than the operator's list names: the browser's, not the broker's, way.
    let port = back.port_or_known_default().unwrap_or_default();
    let allow_loopback = vec![
        std::net::SocketAddr::from(([127, 0, 0, 1], port)),
        std::net::SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port)),
    ];
    let browser = Egress::new(&config::Egress { allow_loopback, ..config::Egress::default() })?;
    request(&browser, Method::GET, back, HeaderMap::new(), None).await.map(|_| ())
}

async fn request(
    egress: &Egress,
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Zeroizing<Vec<u8>>>,
) -> Result<Incoming> {
    let outgoing =
        Outgoing { method, url, headers, body, limit: 64 * 1024, cut: false, timeout: Duration::from_secs(10), keep: false };
    egress.send(outgoing).await.map_err(Error::from)
}

/// How the broker is put into the clients that people use.
const SNIPPETS: &str = r#"
That is the whole of it. Install it with

  cargo install --locked --path host

and put it into your agent's configuration:

Claude Code
  claude mcp add credentials-broker --env GITHUB_CLIENT_ID=… --env GITHUB_CLIENT_SECRET=… -- mcp-credentials-broker

Claude Desktop (claude_desktop_config.json), Cursor (.cursor/mcp.json)
  { "mcpServers": { "credentials-broker": {
      "command": "mcp-credentials-broker",
      "env": { "GITHUB_CLIENT_ID": "…", "GITHUB_CLIENT_SECRET": "…" } } } }

VS Code (.vscode/mcp.json)
  { "servers": { "credentials-broker": {
      "type": "stdio", "command": "mcp-credentials-broker",
      "env": { "GITHUB_CLIENT_ID": "…", "GITHUB_CLIENT_SECRET": "…" } } } }

README.md says how to register an OAuth client with each provider. The callback URL is
http://localhost:9876/oauth/callback."#;

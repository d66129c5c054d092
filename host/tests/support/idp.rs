//! A real OpenID provider on loopback: npm `oidc-provider`, run by `host/tests/idp/server.mjs`.

use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use super::place;
use super::process::Helper;

/// The program, handed to node on its command line so that it finds its packages in target/idp.
const PROGRAM: &str = include_str!("../idp/server.mjs");

/// A running provider.
pub struct Idp {
    helper: Helper,
    issuer: String,
    clients: Value,
    events: Vec<Value>,
}

impl Idp {
    /// With access tokens that live for an hour.
    pub async fn start() -> Self {
        Self::with_access_ttl(3600).await
    }

    /// With access tokens that live for `seconds`.
    pub async fn with_access_ttl(seconds: u64) -> Self {
        place::prepared("idp/node_modules/oidc-provider");
        let mut command = Command::new("node");
        command.env("NODE_NO_WARNINGS", "1").current_dir(place::target("idp")).args(["--input-type=module", "-e", PROGRAM]);
        command.arg(format!("{{\"access_ttl\":{seconds}}}"));
        let mut helper = Helper::start(command);
        let hello: Value = serde_json::from_str(&helper.line().await).expect("a JSON line");
        let issuer = hello["issuer"].as_str().expect("an issuer").to_owned();
        Self { helper, issuer, clients: hello["clients"].clone(), events: Vec::new() }
    }

    /// Its issuer, `http://127.0.0.1:PORT`.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Its `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.issuer.trim_start_matches("http://")
    }

    /// A client's secret. Clients: `public-client`, `basic-client`, `post-client`.
    pub fn secret(&self, client: &str) -> Option<String> {
        self.clients[client].as_str().map(str::to_owned)
    }

    /// What it has done so far: one object for every token issued (`issued`, `value`), grant served (`granted`,
    /// `client`) and refused (`refused`, `detail`).
    pub async fn events(&mut self) -> &[Value] {
        while let Some(line) = self.helper.line_within(Duration::from_millis(200)).await {
            self.events.push(serde_json::from_str(&line).unwrap_or_else(|error| panic!("no JSON ({error}): {line}")));
        }
        &self.events
    }

    /// Every secret it knows or has issued.
    pub async fn secrets(&mut self) -> Vec<String> {
        let mut secrets: Vec<String> =
            self.clients.as_object().into_iter().flatten().filter_map(|(_, secret)| secret.as_str().map(str::to_owned)).collect();
        let issued = self.events().await.iter().filter(|event| event["issued"].is_string());
        secrets.extend(issued.filter_map(|event| event["value"].as_str().map(str::to_owned)));
        secrets
    }
}

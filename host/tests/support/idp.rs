//! A real OpenID provider on loopback: npm `oidc-provider`, run by `host/tests/idp/server.mjs`.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;
use url::Url;

use super::process::{Helper, signal};
use super::{http, place};

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
        Self::with_options(&json!({ "access_ttl": seconds })).await
    }

    /// With device codes that live for `seconds`.
    pub async fn with_device_ttl(seconds: u64) -> Self {
        Self::with_options(&json!({ "device_ttl": seconds })).await
    }

    /// With the options that `server.mjs` knows.
    pub async fn with_options(options: &Value) -> Self {
        place::prepared("idp/node_modules/oidc-provider");
        let mut command = Command::new("node");
        command.env("NODE_NO_WARNINGS", "1").current_dir(place::target("idp")).args(["--input-type=module", "-e", PROGRAM]);
        command.arg(options.to_string());
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

    /// Whether it still takes a token for a good one (RFC 7662).
    pub async fn is_active(&self, token: &str) -> bool {
        let url = Url::parse(&format!("{}/token/introspection", self.issuer)).expect("a URL");
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let answer = http::send(::http::Method::POST, &url, &headers, format!("client_id=public-client&token={token}")).await;
        let answer: Value = serde_json::from_str(&answer.expect("an answer").body).expect("JSON");
        answer["active"].as_bool().unwrap_or_else(|| panic!("{answer}"))
    }

    /// What it has done so far: one object for every token issued (`issued`, `value`), grant served (`granted`,
    /// `client`) and refused (`refused`, `detail`).
    pub async fn events(&mut self) -> &[Value] {
        while let Some(line) = self.helper.line_within(Duration::from_millis(200)).await {
            self.events.push(serde_json::from_str(&line).unwrap_or_else(|error| panic!("no JSON ({error}): {line}")));
        }
        &self.events
    }

    /// What the control of `server.mjs` is told.
    pub async fn control(&self, order: &Value) {
        let url = Url::parse(&format!("{}/control", self.issuer)).expect("a URL");
        let answer = http::send(::http::Method::POST, &url, &[], order.to_string()).await.expect("the control answers");
        assert!(answer.status.is_success());
    }

    /// Waits until it holds another token request, or its answer.
    pub async fn held(&mut self) {
        loop {
            let line: Value = serde_json::from_str(&self.helper.line().await).expect("a JSON line");
            let held = line["held"].is_string();
            self.events.push(line);
            if held {
                return;
            }
        }
    }

    /// Stops the process, or lets it go on: connections are taken in by the system meanwhile, as far as there is room.
    pub fn signal(&self, name: &str) {
        signal(self.helper.id(), name);
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

//! Spending a secret without showing it: requests that the broker sends.

mod attacks;
mod command;
mod echo;
mod policy;
mod references;
mod request;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use credentials_broker::audit::Audit;
use credentials_broker::broker::spending::request::{Credential, Request};
use credentials_broker::providers::Providers;
use credentials_broker::sandbox::Workshop;
use credentials_broker::secret::{Secret, SecretName};
use credentials_broker::vault::{Memory, Stored, Vault as _};
use credentials_broker::{broker, config};
use serde_json::{Value, json};

use crate::support::broker::{Broker, Launch, ToolAnswer};
use crate::support::lookalike::{App, Decision, GitHub, Lookalike, Site};
use crate::support::visit::login;

/// A broker that is signed in at a look-alike of GitHub, as `github-token`.
pub struct SignedIn {
    pub github: Arc<GitHub>,
    pub lookalike: Lookalike,
    pub broker: Broker,
}

/// With more in its `broker.toml`.
pub async fn signed_in(app: App, toml: &str) -> SignedIn {
    signed_in_as(app, Launch::new().toml(toml)).await
}

pub async fn signed_in_as(app: App, launch: Launch) -> SignedIn {
    let github = Arc::new(GitHub::new(app));
    let lookalike = Lookalike::of(&github).await;
    let desk = github.desk();
    let mut broker = launch.at(&lookalike).client("GITHUB", desk.client_id(), desk.client_secret()).ready().await;
    login(&mut broker, "github", &["repo"], "github-token", |url| github.sign_in(url, Decision::Approve)).await.answer.ok();
    lookalike.forget_requests();
    SignedIn { github, lookalike, broker }
}

impl SignedIn {
    /// A request with the login.
    pub async fn ask(&mut self, more: Value) -> ToolAnswer {
        ask(&mut self.broker, "github-token", more).await
    }

    /// How many requests came for api.github.com since the login.
    pub fn at_the_api(&self) -> usize {
        self.lookalike.all_requests().iter().filter(|request| request.host == "api.github.com").count()
    }
}

/// The audit trail of a broker, which ends here: all of it is written then.
pub async fn entries(broker: &mut Broker) -> Vec<Value> {
    broker.finish().await.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// A request with a secret by its name.
pub async fn ask(broker: &mut Broker, secret: &str, more: Value) -> ToolAnswer {
    let mut arguments = json!({ "secret": secret, "purpose": "a test" });
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    broker.call("http_request", arguments).await
}

/// A broker in this process, with these values in its vault: no agent can store under a name that the file lists.
pub fn inside(toml: &str, values: &[(&str, &str)]) -> Arc<broker::Broker> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), toml).unwrap();
    let config = config::load(Some(file.path())).unwrap();
    let vault = Memory::default();
    for (name, value) in values {
        let name = SecretName::parse(name).unwrap();
        vault.put(&name, Stored::Static(Secret::from(*value)), BTreeMap::new(), &mut |_| Ok(())).unwrap();
    }
    let providers = Providers::new(&config, &[], Workshop::here()).unwrap();
    broker::Broker::new(&config, Arc::new(vault), providers, Audit::to(std::io::sink()), None).unwrap()
}

/// The lines that let the value `key` be spent at a plain server on loopback.
pub fn at_loopback(port: u16, more: &str) -> String {
    format!("[egress]\nallow_loopback = [\"127.0.0.1:{port}\"]\n[secrets.key]\nhosts = [\"127.0.0.1:{port}\"]\n{more}")
}

/// A request with `key`.
pub fn with_key(url: &str) -> Request {
    Request {
        url: url.to_owned(),
        credential: Credential::Secret { name: "key".to_owned(), purpose: "a test".to_owned() },
        ..Request::default()
    }
}

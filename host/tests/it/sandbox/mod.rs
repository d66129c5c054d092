//! Hostile components in the real sandbox: each is stopped in bounded time, told of, and harmless to what comes after.

mod answers;
mod handles;
mod host;
mod machine;
mod reach;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use credentials_broker::config;
use credentials_broker::descriptor::Descriptor;
use credentials_broker::descriptor::settings::Settings;
use credentials_broker::egress::Egress;
use credentials_broker::sandbox::{Context, Failed, Limits, Prepared, Sandbox, Tokens, Workshop};
use credentials_broker::secret::Secret;
use url::Url;

use crate::support::guest::{Guest, descriptor};
use crate::support::server::Server;

/// Nothing may hold the broker up for longer than this in these tests, on a busy machine.
const BOUND: Duration = Duration::from_secs(20);

/// A sandbox, and a server for what its components ask for.
struct Bench {
    sandbox: Sandbox,
    server: Server,
}

/// One component, prepared, with how its calls end.
struct Subject<'a> {
    bench: &'a Bench,
    component: Prepared,
}

const ANSWER: &str = r#"{"access_token":"an-access-token","token_type":"bearer"}"#;

impl Bench {
    async fn new() -> Self {
        Self::answering(Some(ANSWER.to_owned())).await
    }

    async fn answering(body: Option<String>) -> Self {
        Self { sandbox: Sandbox::new(&Workshop::here()).unwrap(), server: Server::start(body).await }
    }

    async fn load(&self, guest: &Guest) -> Subject<'_> {
        Subject { bench: self, component: self.sandbox.prepare(guest.bytes()).await.unwrap() }
    }

    fn context(&self) -> Context {
        self.context_of(&descriptor("guest"))
    }

    /// With another table.
    fn context_of(&self, table: &serde_json::Value) -> Context {
        let descriptor = Arc::new(Descriptor::parse(&table.to_string()).unwrap());
        let mut settings = Settings::default();
        let base = format!("http://{}", self.server.address());
        for (name, value) in [("client_id", "me"), ("client_secret", "the-client-secret"), ("base", &base)] {
            settings.insert(descriptor.setting(name).unwrap(), &Secret::from(value)).unwrap();
        }
        let egress = config::Egress { allow_loopback: vec![self.server.address()], ..config::Egress::default() };
        Context {
            descriptor,
            settings: Arc::new(settings),
            resolved: Arc::new(BTreeMap::new()),
            carrier: Arc::new(Egress::new(&egress).unwrap()),
        }
    }

    /// A component that does nothing wrong still signs in: whatever came before it left nothing behind.
    async fn is_unharmed(&self) {
        let good = self.load(&Guest::new("guest")).await;
        let tokens = good.exchange().await.unwrap();
        assert_eq!(tokens.access.expose(), "an-access-token");
    }
}

impl Subject<'_> {
    fn limited(mut self, limits: Limits) -> Self {
        self.component = self.component.with_limits(limits);
        self
    }

    async fn exchange(&self) -> Result<Tokens, Failed> {
        let start = Instant::now();
        let redirect = Url::parse("http://localhost:9876/oauth/callback/guest").unwrap();
        let (code, verifier) = (Secret::from("the-code-of-this-login"), Secret::from("the-verifier-of-this-login"));
        let outcome = self.component.exchange(&self.bench.context(), code, verifier, &redirect).await;
        assert!(start.elapsed() < BOUND, "it took {:?}", start.elapsed());
        outcome
    }

    async fn resolve(&self) -> Result<Vec<(String, String)>, Failed> {
        let start = Instant::now();
        let outcome = self.component.resolve(&self.bench.context()).await;
        assert!(start.elapsed() < BOUND, "it took {:?}", start.elapsed());
        outcome.map(|(pairs, _)| pairs)
    }

    async fn authorization(&self) -> Result<Vec<(String, String)>, Failed> {
        self.component.authorization(&self.bench.context(), &["a".to_owned()]).await
    }
}

/// The broker's own word for what a component did: its code is `component_fault`, and it names the provider.
#[track_caller]
fn fault<T: std::fmt::Debug>(outcome: Result<T, Failed>) -> String {
    match outcome {
        Err(Failed::Fault(error)) => {
            assert_eq!(error.code().as_str(), "component_fault", "{error}");
            assert!(error.message().contains("guest"), "it names the provider: {error}");
            assert!(!error.hint().is_empty());
            error.to_string()
        }
        other => panic!("no fault: {other:?}"),
    }
}

/// Fails unless the call ended in a fault whose message has these words.
#[track_caller]
fn fault_with<T: std::fmt::Debug>(outcome: Result<T, Failed>, words: &str) {
    let message = fault(outcome);
    assert!(message.contains(words), "{words:?} is not in: {message}");
}

//! The broker as a library: what a person may do on the command line and no agent over MCP.

use std::sync::Arc;
use std::time::Duration;

use credentials_broker::audit::Audit;
use credentials_broker::broker::Broker;
use credentials_broker::broker::flows::Status;
use credentials_broker::broker::login::{LoginRequest, Started};
use credentials_broker::config;
use credentials_broker::error::Error;
use credentials_broker::providers::Providers;
use credentials_broker::vault::Memory;

use credentials_broker::sandbox::Workshop;

use super::broker::Launch;
use super::place;

/// A broker in this process, with what it was launched with.
pub struct Inside {
    pub broker: Arc<Broker>,
    _launch: Launch,
}

impl Inside {
    /// From the configuration of a launch. Its environment does not count here: settings have to stand in its file.
    pub fn of(launch: Launch) -> Self {
        let (_, arguments, _) = launch.plan();
        let config = config::load(Some(arguments[1].as_ref())).unwrap();
        let providers = Providers::new(&config, &[], Workshop::keeping(place::target("tmp/compiled"))).unwrap();
        let vault = Arc::new(Memory::default());
        let broker = Broker::new(&config, vault, providers, Audit::to(std::io::sink()), None).unwrap();
        Self { broker, _launch: launch }
    }

    /// Begins a login.
    pub async fn begin(&self, provider: &str, name: &str, change: impl FnOnce(&mut LoginRequest)) -> Result<Started, Error> {
        let mut request = LoginRequest { provider: provider.to_owned(), secret_name: name.to_owned(), ..LoginRequest::default() };
        change(&mut request);
        self.broker.start_login(request).await
    }

    /// Waits for its end.
    pub async fn end(&self, started: &Started) -> Status {
        self.broker.await_login(&started.flow.id, Duration::from_secs(60)).await.unwrap().1
    }
}

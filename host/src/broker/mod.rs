//! The heart: secrets, references, flows, refresh, revocation, minting. Knows no MCP and no wasmtime.
//!
//! Both faces call the same functions, so what an agent can do a person can do through the same checks. What only the
//! operator may decide comes in through [`Broker::new`] and nowhere else.

mod accounts;
mod attempt;
pub mod authorization;
pub mod device;
pub mod doors;
pub mod failure;
pub mod flows;
pub mod grant;
pub mod id_token;
pub mod issuer;
pub mod login;
pub mod minting;
pub mod overview;
mod paste;
pub mod references;
pub mod renewal;
mod replacing;
mod reserved;
pub mod resolution;
pub mod revocation;
pub mod secrets;
mod settling;
pub mod spending;
pub mod tokens;
pub mod ttl;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::audit::{Audit, Event, Outcome};
use crate::callback::Listener;
use crate::config::{Browser, Config};
use crate::descriptor::settings::Settings;
use crate::egress::Egress;
use crate::error::{Code, Error, Result};
use crate::providers::{Provider, Providers};
use crate::secret::Secret;
use crate::vault::Vault;

/// The broker of one process.
pub struct Broker {
    vault: Arc<dyn Vault>,
    /// Calls that need the vault's key, in the order in which they came.
    in_turn: Arc<tokio::sync::Mutex<()>>,
    providers: Providers,
    egress: Egress,
    callbacks: Listener,
    callback_url: url::Url,
    audit: Audit,
    open_browser: bool,
    max_ttl: Option<u64>,
    references: Mutex<references::References>,
    mint: Mutex<minting::Mint>,
    flows: flows::Flows,
    keys: id_token::KeyStore,
    doors: doors::Kept,
    reserved: reserved::Reserved,
    policies: spending::policy::Policies,
    known: spending::known::Known,
    answers: Mutex<spending::answers::Kept>,
    renewals: renewal::Renewals,
    catching_up: revocation::CatchingUp,
    /// For tasks that outlive the call that started them.
    me: Weak<Self>,
}

impl Broker {
    /// Puts a broker together from what the operator said. `jwt_secret` is `JWT_SECRET`, if set.
    ///
    /// # Errors
    /// `invalid_configuration`.
    pub fn new(
        config: &Config,
        vault: Arc<dyn Vault>,
        providers: Providers,
        audit: Audit,
        jwt_secret: Option<&Secret>,
    ) -> Result<Arc<Self>> {
        let known = spending::known::Known::default();
        if let Some(secret) = jwt_secret {
            known.add_setting("JWT_SECRET", secret);
        }
        let egress = Egress::new(&config.egress)?;
        Ok(Arc::new_cyclic(|me| Self {
            vault,
            in_turn: Arc::default(),
            providers,
            egress,
            callbacks: Listener::new(&config.callback.url),
            callback_url: config.callback.url.clone(),
            audit,
            open_browser: config.browser == Browser::Open,
            max_ttl: config.policy.max_ttl_seconds,
            references: Mutex::default(),
            mint: Mutex::new(minting::Mint::new(jwt_secret)),
            flows: flows::Flows::default(),
            keys: id_token::KeyStore::default(),
            doors: doors::Kept::new(config),
            reserved: reserved::Reserved::new(config),
            policies: spending::policy::Policies::new(config),
            known,
            answers: Mutex::default(),
            renewals: renewal::Renewals::default(),
            catching_up: revocation::CatchingUp::default(),
            me: Weak::clone(me),
        }))
    }

    /// The audit trail.
    #[must_use]
    pub const fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Whether it is the operator who asks.
    fn acts_for_operator(&self) -> bool {
        self.reserved.is_open()
    }

    /// From now on it is the operator who asks, not an agent: names that settings come from are open.
    pub fn act_for_operator(&self) {
        self.reserved.open();
    }

    /// Whether the vault's key is at hand, so that [`Broker::ready`] would do nothing.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.vault.is_ready()
    }

    /// Whether other processes may be at the vault, too.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.vault.file().is_some()
    }

    /// Sees to it that the vault's key is at hand, where it may take long: a keychain or a command may ask the person.
    /// `event` is what is to be done with it, for the audit trail. Who asked first goes on first, however long that took.
    ///
    /// # Errors
    /// `vault_locked`, or what is wrong with the vault.
    pub async fn ready(&self, event: &'static str) -> Result<()> {
        self.open().await.inspect_err(|error| {
            self.audit.record(Event { event, outcome: Outcome::Refused, code: Some(error.code()), ..Event::default() });
        })
    }

    /// Opens the vault before anybody needs it, and takes up revocations that were not finished.
    pub async fn prepare(self: &Arc<Self>) {
        match self.open().await {
            Ok(()) => self.catch_up(),
            Err(error) => tracing::debug!("unfinished revocations cannot be looked at: {error}"),
        }
    }

    async fn open(&self) -> Result<()> {
        let turn = Arc::clone(&self.in_turn).lock_owned().await;
        if self.vault.is_ready() {
            return Ok(());
        }
        let vault = Arc::clone(&self.vault);
        // The turn ends with the opening, also where nobody waits for it any more.
        let opened = tokio::task::spawn_blocking(move || (vault.ready(), turn)).await;
        opened.map_err(|_| Error::new(Code::Internal, "The vault could not be opened.", "Try again."))?.0
    }

    /// How many components are being compiled at this moment.
    #[must_use]
    pub fn compiling(&self) -> tokio::sync::watch::Receiver<usize> {
        self.providers.compiling()
    }

    /// What the operator's file says of secrets.
    #[must_use]
    pub const fn policies(&self) -> &spending::policy::Policies {
        &self.policies
    }

    /// Ends what it has under way: [`Broker::leave`] and [`Broker::shut`].
    pub async fn close(&self) {
        self.leave().await;
        self.shut();
    }

    /// Ends every login under way, and waits a few seconds for refreshes that were sent.
    pub async fn leave(&self) {
        for flow in self.flows.pending() {
            flow.abort();
        }
        self.callbacks.settle().await;
        self.renewals_landed().await;
    }

    /// Ends the audit trail, and closes the vault: nothing is to be done any more that belongs in the one or needs the other.
    pub fn shut(&self) {
        self.audit.end();
        self.vault.close();
    }

    /// Where a provider's logins come back to: a path of its own for a drop-in, so that no other provider's answer is
    /// taken for its own.
    fn callback_path(&self, provider: &Provider) -> String {
        let path = self.callback_url.path();
        if provider.is_embedded() {
            path.to_owned()
        } else {
            format!("{}/{}", path.trim_end_matches('/'), provider.descriptor().name)
        }
    }

    /// Reads a provider's settings where files and commands may block.
    async fn settings(&self, provider: &Arc<Provider>) -> Result<Settings> {
        let (of, vault) = (Arc::clone(provider), Arc::clone(&self.vault));
        let settings = tokio::task::spawn_blocking(move || of.read_settings(&|name| reserved::setting(&*vault, name)))
            .await
            .map_err(|_| Error::new(Code::Internal, "The settings could not be read.", "Try again."))??;
        self.known.add_settings(&provider.descriptor().name, &settings);
        Ok(settings)
    }

    fn references(&self) -> MutexGuard<'_, references::References> {
        self.references.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mint(&self) -> MutexGuard<'_, minting::Mint> {
        self.mint.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Signing in: from what was asked for to a login under way, and waiting for its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use url::Url;

use super::Broker;
use super::attempt::{Attempt, Visit};
use super::authorization::{AuthorizationRequest, random};
use super::device::{self, Begun, no_device_flow};
use super::failure::{During, explain};
use super::flows::{Flow, Status};
use super::settling::Settled;
use super::ttl::Deadline;
use crate::audit::{Event, Outcome};
use crate::callback::Pending;
pub use crate::config::LoginMode;
use crate::config::LoopbackPort;
use crate::error::{Code, Error, Result};
use crate::secret::SecretName;
use crate::vault::Account;

/// How long a person has to finish.
pub(super) const FINISH_WITHIN: Duration = Duration::from_secs(300);

/// What start_oauth_flow asks for.
#[derive(Debug, Clone, Default)]
pub struct LoginRequest {
    /// A provider's name or alias.
    pub provider: String,
    /// The scopes wanted.
    pub scopes: Vec<String>,
    /// The name the tokens will have.
    pub secret_name: String,
    /// Must be the configured or discovered one, where given.
    pub authorization_endpoint: Option<String>,
    /// Must be the configured or discovered one, where given.
    pub token_endpoint: Option<String>,
    /// How the person signs in; not set: as the operator configured, else in a browser.
    pub mode: Option<LoginMode>,
    /// Whether the login of another account, or of another client, may be replaced. Only a person may say so.
    pub replace: bool,
}

/// A login that is under way.
pub struct Started {
    /// The login.
    pub flow: Arc<Flow>,
    /// Whether a browser was opened for the person.
    pub browser_opened: bool,
}

/// How a login ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedIn {
    /// The secret's name.
    pub name: SecretName,
    /// The provider's title.
    pub provider: String,
    /// The provider's name.
    pub provider_name: String,
    /// The account, as far as anybody says; it tells who.
    pub account: Option<Account>,
    /// The scopes granted.
    pub scopes: Vec<String>,
    /// Scopes that were asked for and not granted.
    pub missing_scopes: Vec<String>,
    /// Scopes that were granted and not asked for.
    pub extra_scopes: Vec<String>,
    /// Seconds until the access token ends, where known.
    pub expires_in: Option<u64>,
    /// Whether it can be refreshed.
    pub has_refresh_token: bool,
}

impl Broker {
    /// Begins a login: everything up to the browser.
    ///
    /// # Errors
    /// Whatever stands in the way, before anybody is asked to sign in.
    pub async fn start_login(self: &Arc<Self>, request: LoginRequest) -> Result<Started> {
        // Boxed: what it waits in is many calls deep, and a call of a tool would be as large as all of them.
        let started = Box::pin(self.begin(&request)).await;
        let (outcome, code) = match &started {
            Ok(_) => (Outcome::Pending, None),
            Err(error) => (Outcome::Refused, Some(error.code())),
        };
        self.audit.record(Event {
            event: "start_oauth_flow",
            outcome,
            secret: Some(&request.secret_name),
            provider: Some(&request.provider),
            flow: started.as_ref().ok().map(|started| started.flow.id.as_str()),
            code,
            ..Event::default()
        });
        started
    }

    async fn begin(self: &Arc<Self>, request: &LoginRequest) -> Result<Started> {
        let Settled { attempt, mode, extra, hint, reservation } = self.settle(request).await?;
        let (tell, status) = watch::channel(Status::Pending);
        let mut flow = Flow {
            id: attempt.flow_id.clone(),
            name: attempt.name.clone(),
            provider: attempt.title().to_owned(),
            authorization_url: attempt.resolution.authorization_endpoint.clone(),
            device: None,
            token_endpoint: attempt.resolution.token_endpoint.clone(),
            browser_opened: AtomicBool::new(false),
            deadline: Deadline::after(FINISH_WITHIN.as_secs()),
            paste: None,
            status,
            task: None,
        };
        match mode {
            LoginMode::Browser => {
                let (visit, url, pending) = self.send_to_browser(&attempt, extra, hint).await?;
                flow.authorization_url = url;
                flow.paste = Some(pending.paste());
                flow.task = Some(tokio::spawn(attempt.run(visit, pending, tell, reservation)).abort_handle());
            }
            LoginMode::Device => {
                let begun = begin_device(&attempt).await?;
                let shown = begun.shown.clone();
                flow.authorization_url = shown.verification_uri_complete.as_ref().unwrap_or(&shown.verification_uri).clone();
                flow.deadline = Deadline::after(begun.within.as_secs());
                flow.device = Some(shown);
                flow.task = Some(tokio::spawn(attempt.run_device(begun, tell, reservation)).abort_handle());
            }
        }
        let flow = Arc::new(flow);
        self.flows.add(Arc::clone(&flow));
        // Whoever gives the call up while a browser starts has not heard of the login, and cannot end it.
        let unheard = Unheard { broker: self, flow: Some(Arc::clone(&flow)) };
        // Who signs in with a code may sit at another machine.
        let browser_opened = mode == LoginMode::Browser && self.open_browser && open(&flow.authorization_url).await;
        flow.browser_opened.store(browser_opened, Ordering::Relaxed);
        unheard.told();
        Ok(Started { flow, browser_opened })
    }

    /// Registers where the browser comes back to, and builds the address that it is sent to.
    async fn send_to_browser(
        &self,
        attempt: &Attempt,
        mut extra: Vec<(String, String)>,
        hint: Option<(String, String)>,
    ) -> Result<(Visit, Url, Pending)> {
        extra.extend(hint.filter(|(name, _)| !extra.iter().any(|(known, _)| known == name)));
        let nonce = if attempt.openid { Some(random()?) } else { None };
        let (state, verifier) = (random()?, random()?);
        let any_port = attempt.provider.operator().loopback_port == LoopbackPort::Any;
        let path = self.callback_path(&attempt.provider);
        let pending = self.callbacks.register(&path, state.clone(), attempt.title(), any_port).await?;
        let redirect_uri = pending.redirect_uri().clone();
        let url = AuthorizationRequest {
            endpoint: &attempt.resolution.authorization_endpoint,
            client_id: &attempt.client_id,
            redirect_uri: &redirect_uri,
            scopes: &attempt.scopes,
            state: &state,
            verifier: &verifier,
            nonce: nonce.as_ref(),
            extra: &extra,
        }
        .url();
        Ok((Visit { verifier, nonce, redirect_uri }, url, pending))
    }

    /// Waits for a login to end, at most for `wait`; pending is an answer, too.
    ///
    /// # Errors
    /// `unknown_flow`.
    pub async fn await_login(&self, flow_id: &str, wait: Duration) -> Result<(Arc<Flow>, Status)> {
        let flow = self.flows.get(flow_id)?;
        let mut status = flow.status.clone();
        let ended = tokio::time::timeout(wait, status.wait_for(|status| !matches!(status, Status::Pending))).await;
        let status = match ended {
            Ok(Ok(status)) => status.clone(),
            // the flow's task is gone without a word: it was cancelled
            Ok(Err(_)) => Status::Failed(cancelled()),
            Err(_) => Status::Pending,
        };
        Ok((flow, status))
    }

    /// Ends a login; its port is free at once.
    pub fn cancel_login(&self, flow: &Flow) {
        if flow.is_pending() {
            flow.abort();
            self.audit.record(Event {
                event: "cancel_oauth_flow",
                secret: Some(flow.name.as_str()),
                flow: Some(&flow.id),
                ..Event::default()
            });
        }
    }
}

/// A login that its caller has not heard of yet; dropping it ends the login.
struct Unheard<'a> {
    broker: &'a Broker,
    flow: Option<Arc<Flow>>,
}

impl Unheard<'_> {
    fn told(mut self) {
        self.flow = None;
    }
}

impl Drop for Unheard<'_> {
    fn drop(&mut self) {
        if let Some(flow) = self.flow.take() {
            self.broker.cancel_login(&flow);
        }
    }
}

fn cancelled() -> Error {
    Error::new(Code::Cancelled, "The login was cancelled.", "Call start_oauth_flow for a new one.")
}

/// Asks the provider for a device code, and looks at where it sends the person.
async fn begin_device(attempt: &Attempt) -> Result<Begun> {
    let title = attempt.title();
    let started = attempt.prepared.start_device(&attempt.context, &attempt.scopes).await;
    let started = started.map_err(|failed| explain(title, During::Device, failed))?;
    let begun = device::read(title, started.ok_or_else(|| no_device_flow(title))?)?;
    for url in std::iter::once(&begun.shown.verification_uri).chain(&begun.shown.verification_uri_complete) {
        attempt.broker.egress.check_url(url).map_err(Error::from)?;
    }
    Ok(begun)
}

/// Whether a browser was started for the person. Where none can be, the URL is all they need.
async fn open(url: &Url) -> bool {
    let started = match crate::browser::open(url) {
        Ok(opened) => opened.started().await,
        Err(error) => Err(error),
    };
    if let Err(error) = &started {
        tracing::debug!("no browser was opened: {error}");
    }
    started.is_ok()
}

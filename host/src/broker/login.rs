//! Signing in: authorization code with PKCE, from the URL to the stored grant.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use url::Url;
use uuid::Uuid;

use super::Broker;
use super::attempt::Attempt;
use super::authorization::{AuthorizationRequest, check_extra, check_scopes, random};
use super::failure::{During, explain};
use super::flows::{Flow, Status};
use super::replacing::{Whose, may_replace};
use super::resolution::{self, Resolution};
use super::ttl::Deadline;
use crate::audit::{Event, Outcome};
use crate::config::LoopbackPort;
use crate::descriptor::Descriptor;
use crate::error::{Code, Error, Result, foreign};
use crate::sandbox::{Context, Prepared};
use crate::secret::SecretName;
use crate::vault::Account;

/// How long a person has to finish.
pub(super) const FINISH_WITHIN: Duration = Duration::from_secs(300);
/// Providers whose endpoints an agent may repeat, as it could with the predecessor.
const REPEATABLE: [&str; 2] = ["oauth2", "okta"];

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
    /// The account, if a verified id_token says.
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
        let started = self.begin(&request).await;
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
        let name = SecretName::parse(&request.secret_name)?;
        self.reserved.check(&name)?;
        self.policies.may_sign_in(&name)?;
        let provider = self.providers.get(&request.provider).await?;
        let descriptor = Arc::clone(provider.descriptor());
        if !descriptor.can_log_in() {
            return Err(Error::new(
                Code::Unsupported,
                format!("{} has no login yet; it serves mint_token only.", descriptor.title),
                "list_providers says which providers a person can sign in to.",
            ));
        }
        let scopes = check_scopes(&descriptor.name, &request.scopes, provider.operator().scopes.as_deref())?;
        let reservation = self.flows.reserve(&name)?;
        let settings = Arc::new(self.settings(&provider).await?);
        let client_id = settings.plain("client_id").unwrap_or_default().to_owned();
        let old = self.vault.get(&name)?;
        may_replace(&name, old.as_ref(), &provider, &client_id, Whose::NotKnownYet)?;

        let prepared = self.providers.prepared(&provider).await?.clone();
        let mut context =
            Context { descriptor: Arc::clone(&descriptor), settings, resolved: Arc::default(), egress: self.egress.clone() };
        let resolution = self.resolve(&prepared, &context).await?;
        context.resolved = Arc::new(resolution.resolved.clone());
        check_repeated(&descriptor, request, &resolution)?;
        // Before anybody signs in for nothing: a code that cannot be redeemed safely is better never issued.
        let endpoints =
            [Some(&resolution.authorization_endpoint), resolution.token_endpoint.as_ref(), resolution.jwks_uri.as_ref()];
        for url in endpoints.into_iter().flatten() {
            self.egress.check_url(url).map_err(Error::from)?;
        }

        let extra = prepared.authorization(&context, &scopes).await;
        let extra = extra.map_err(|failed| explain(&descriptor.title, During::Preparing, failed))?;
        let (extra, added) = check_extra(&descriptor, extra)?;
        let mut asked = scopes;
        asked.extend(added.into_iter().filter(|scope| !asked.contains(scope)).collect::<Vec<_>>());

        let openid = descriptor.openid && asked.iter().any(|scope| scope == "openid");
        if !openid || resolution.jwks_uri.is_none() {
            // Before the person signs in for nothing.
            may_replace(&name, old.as_ref(), &provider, &client_id, Whose::Unknown)?;
        }
        let nonce = if openid { Some(random()?) } else { None };
        let (state, verifier) = (random()?, random()?);
        let any_port = provider.operator().loopback_port == LoopbackPort::Any;
        let pending = self.callbacks.register(&self.callback_path(&provider), state.clone(), &descriptor.title, any_port).await?;
        let redirect_uri = pending.redirect_uri().clone();
        let authorization_url = AuthorizationRequest {
            endpoint: &resolution.authorization_endpoint,
            client_id: &client_id,
            redirect_uri: &redirect_uri,
            scopes: &asked,
            state: &state,
            verifier: &verifier,
            nonce: nonce.as_ref(),
            extra: &extra,
        }
        .url();

        let token_endpoint = resolution.token_endpoint.clone();
        let flow_id = Uuid::new_v4().to_string();
        let attempt = Attempt {
            broker: Arc::clone(self),
            provider,
            prepared,
            context,
            resolution,
            client_id,
            name: name.clone(),
            scopes: asked,
            verifier,
            nonce,
            redirect_uri,
            flow_id: flow_id.clone(),
        };
        let (tell, status) = watch::channel(Status::Pending);
        let task = tokio::spawn(attempt.run(pending, tell, reservation));
        let flow = Arc::new(Flow {
            id: flow_id,
            name,
            provider: descriptor.title.clone(),
            authorization_url,
            token_endpoint,
            browser_opened: AtomicBool::new(false),
            deadline: Deadline::after(FINISH_WITHIN.as_secs()),
            status,
            task: task.abort_handle(),
        });
        self.flows.add(Arc::clone(&flow));
        // Whoever gives the call up while a browser starts has not heard of the login, and cannot end it.
        let unheard = Unheard { broker: self, flow: Some(Arc::clone(&flow)) };
        let browser_opened = self.open_browser && open(&flow.authorization_url).await;
        flow.browser_opened.store(browser_opened, Ordering::Relaxed);
        unheard.told();
        Ok(Started { flow, browser_opened })
    }

    async fn resolve(&self, prepared: &Prepared, context: &Context) -> Result<Resolution> {
        let descriptor = &context.descriptor;
        let resolved = prepared.resolve(context).await;
        let (pairs, documents) = resolved.map_err(|failed| explain(&descriptor.title, During::Preparing, failed))?;
        resolution::resolve(descriptor, &context.settings, pairs, &documents)
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
            flow.task.abort();
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

/// An agent may repeat endpoints, never choose them.
fn check_repeated(descriptor: &Descriptor, request: &LoginRequest, resolution: &Resolution) -> Result<()> {
    let given = [
        ("authorization_endpoint", &request.authorization_endpoint, Some(&resolution.authorization_endpoint)),
        ("token_endpoint", &request.token_endpoint, resolution.token_endpoint.as_ref()),
    ];
    for (name, value, configured) in given {
        let Some(value) = value else { continue };
        let same = REPEATABLE.contains(&descriptor.name.as_str())
            && configured.is_some_and(|url| Url::parse(value).is_ok_and(|given| given == *url));
        if same {
            continue;
        }
        let hint = if descriptor.setting(name).is_some() {
            format!(
                "Leave {name} out, or ask the operator to set {name} = \"…\" under [providers.{}] in broker.toml.",
                descriptor.name
            )
        } else {
            format!(
                "Leave {name} out: {}'s endpoints are fixed. For another server the operator can set [providers.oauth2] {name} = \"…\" in broker.toml.",
                descriptor.title
            )
        };
        return Err(Error::new(
            Code::NotAllowed,
            format!("{name} {} is not {}'s; only the operator can name endpoints.", foreign(value), descriptor.title),
            hint,
        ));
    }
    Ok(())
}

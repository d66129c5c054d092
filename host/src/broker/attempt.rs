//! One login, from the moment its URL is told to the stored grant.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;
use url::Url;

use super::failure::{During, explain};
use super::flows::{Reservation, Status};
use super::grant::{self, Facts};
use super::id_token::Expected;
use super::login::{FINISH_WITHIN, LoggedIn};
use super::replacing::{Newcomer, Whose, may_replace};
use super::resolution::Resolution;
use super::{Broker, accounts};
use crate::audit::{Event, Outcome};
use crate::callback::{self, Page, Pending};
use crate::error::{Code, Error, Result, foreign};
use crate::providers::Provider;
use crate::sandbox::{Context, Prepared, Tokens};
use crate::secret::{Secret, SecretName};
use crate::vault::{Account, Grant, Record, Renewal, Stored};

/// Everything that a flow needs until its tokens are stored, however the person signs in.
pub(super) struct Attempt {
    pub(super) broker: Arc<Broker>,
    pub(super) provider: Arc<Provider>,
    pub(super) prepared: Prepared,
    pub(super) context: Context,
    pub(super) resolution: Resolution,
    pub(super) client_id: String,
    pub(super) name: SecretName,
    pub(super) scopes: Vec<String>,
    /// Whether an id_token was asked for.
    pub(super) openid: bool,
    /// Whether a person said that the login of another account may be replaced.
    pub(super) replace: bool,
    pub(super) flow_id: String,
}

/// What a login in a browser needs besides, once that comes back.
pub(super) struct Visit {
    pub(super) verifier: Secret,
    pub(super) nonce: Option<Secret>,
    pub(super) redirect_uri: Url,
}

impl Attempt {
    /// The flow's task. When it is aborted, everything it owns is dropped: listener, reservation, verifier.
    pub(super) async fn run(self, visit: Visit, mut pending: Pending, tell: watch::Sender<Status>, reservation: Reservation) {
        let result = match tokio::time::timeout(FINISH_WITHIN, pending.arrival()).await {
            Err(_) => Err(self.nobody_came(&visit)),
            Ok(arrival) => {
                let result = self.arrived(&visit, arrival.outcome, arrival.iss.as_deref()).await;
                arrival.reply.send(match &result {
                    Ok(_) => Page::SignedIn,
                    Err(error) if error.code() == Code::Denied => Page::Declined,
                    Err(_) => Page::Failed,
                });
                result
            }
        };
        self.end(result, &tell, reservation);
    }

    /// The provider's name for people.
    pub(super) fn title(&self) -> &str {
        &self.context.descriptor.title
    }

    /// Writes down how the login ended, frees its name, and tells who waits for it.
    pub(super) fn end(&self, result: Result<LoggedIn>, tell: &watch::Sender<Status>, reservation: Reservation) {
        drop(reservation);
        let (outcome, code) = match &result {
            Ok(_) => (Outcome::Ok, None),
            Err(error) if error.code() == Code::Denied => (Outcome::Refused, Some(error.code())),
            Err(error) => (Outcome::Failed, Some(error.code())),
        };
        self.broker.audit.record(Event {
            event: "login",
            outcome,
            secret: Some(self.name.as_str()),
            provider: Some(&self.context.descriptor.name),
            flow: Some(&self.flow_id),
            code,
            ..Event::default()
        });
        let _ = tell.send(match result {
            Ok(done) => Status::Done(Arc::new(done)),
            Err(error) => Status::Failed(error),
        });
    }

    fn nobody_came(&self, visit: &Visit) -> Error {
        Error::new(
            Code::Expired,
            format!("Nobody finished signing in to {} within {} minutes.", self.title(), FINISH_WITHIN.as_secs() / 60),
            format!(
                "Some errors are shown in the browser only: ask the person what they saw there. The callback URL {} must be registered with the OAuth client. Then call start_oauth_flow again.",
                visit.redirect_uri
            ),
        )
    }

    async fn arrived(&self, visit: &Visit, outcome: callback::Outcome, iss: Option<&str>) -> Result<LoggedIn> {
        self.resolution.issuers.check_callback(iss)?;
        let title = self.title();
        let code = match outcome {
            callback::Outcome::Code(code) => code,
            callback::Outcome::Error { error, .. } if error == "access_denied" => {
                return Err(Error::new(
                    Code::Denied,
                    format!("The person, or {title} on their behalf, declined the sign-in."),
                    "Ask the person before you try again.",
                ));
            }
            callback::Outcome::Error { error, description } => {
                let description = description.map_or_else(String::new, |text| format!(", {}", foreign(&text)));
                return Err(Error::new(
                    Code::ProviderError,
                    format!("{title} refused the sign-in: {}{description}.", foreign(&error)),
                    "The operator should check the client's registration, its callback URL and scopes with the provider.",
                ));
            }
        };
        let before = SystemTime::now();
        let tokens = self.prepared.exchange(&self.context, code, visit.verifier.clone(), &visit.redirect_uri).await;
        let tokens = tokens.map_err(|failed| explain(title, During::Exchange, failed))?;
        self.conclude(tokens, before, visit.nonce.as_ref()).await
    }

    /// Learns whose tokens these are, and stores them.
    pub(super) async fn conclude(&self, tokens: Tokens, before: SystemTime, nonce: Option<&Secret>) -> Result<LoggedIn> {
        let facts = grant::facts(&tokens)?;
        let account = if self.openid {
            Some(self.verified(&tokens, nonce).await?)
        } else {
            accounts::ask(&self.prepared, &self.context, self.provider.lineage(), &tokens.access, &facts.notes).await
        };
        self.store(tokens, facts, account.as_ref(), before)
    }

    /// Whose login it is, by a verified id_token. One that nobody asked for is not looked at.
    async fn verified(&self, tokens: &Tokens, nonce: Option<&Secret>) -> Result<Account> {
        let refused = |what: String| {
            let hint = "Nothing was stored. Leave the scope openid out, or check the client's registration with the provider.";
            Error::new(Code::ProviderError, what, hint)
        };
        let Some(jwks_uri) = &self.resolution.jwks_uri else {
            return Err(refused(format!("{} publishes no keys for its id_tokens.", self.title())));
        };
        let Some(id_token) = &tokens.id_token else {
            return Err(refused(format!("{} was asked for the scope openid and sent no id_token.", self.title())));
        };
        let expected = Expected { issuers: &self.resolution.issuers, client_id: &self.client_id, nonce, times: true };
        self.broker.keys.verify(id_token, jwks_uri, &expected, &self.broker.egress).await
    }

    fn store(&self, tokens: Tokens, facts: Facts, account: Option<&Account>, before: SystemTime) -> Result<LoggedIn> {
        let descriptor = &self.context.descriptor;
        // Not said: as asked (RFC 6749 section 5.1). Quiet: offline_access and the like, whose presence means nothing.
        let scopes = facts.scopes.unwrap_or_else(|| self.scopes.clone());
        // Where a refresh token came, offline_access was granted.
        let told = |scope: &&String| {
            !(descriptor.scopes.not_echoed.contains(*scope) || *scope == "offline_access" && tokens.refresh.is_some())
        };
        let missing_scopes: Vec<String> =
            self.scopes.iter().filter(told).filter(|scope| !scopes.contains(scope)).cloned().collect();
        // Where nobody asked for any, the provider chose, and nothing is beyond that. What the component adds nobody asked for.
        let asked = self.scopes.iter().any(|scope| !descriptor.scopes.may_add.contains(scope));
        let beyond = |scope: &&String| asked && !self.scopes.contains(scope);
        let extra_scopes: Vec<String> = scopes.iter().filter(told).filter(beyond).cloned().collect();
        let done = LoggedIn {
            name: self.name.clone(),
            provider: descriptor.title.clone(),
            provider_name: descriptor.name.clone(),
            account: account.cloned(),
            missing_scopes,
            extra_scopes,
            expires_in: facts.lifetime.map(|life| life.as_secs()),
            has_refresh_token: tokens.refresh.is_some() && self.prepared.can_refresh(),
            scopes: scopes.clone(),
        };
        let grant = Grant {
            provider: descriptor.name.clone(),
            lineage: self.provider.lineage(),
            client_id: self.client_id.clone(),
            issuer: self.resolution.issuers.expected.first().cloned(),
            resolved: Arc::clone(&self.context.resolved),
            settings: Arc::new(self.context.settings.all_plain().clone()),
            account: account.cloned(),
            access: tokens.access,
            refresh: tokens.refresh.filter(|_| self.prepared.can_refresh()),
            scopes,
            issued: before,
            expires: facts.lifetime.map(|life| before + life),
            ttl: descriptor.ttl,
            notes: facts.notes,
            ended: None,
            strict_rotation: facts.strict_rotation,
            renewal: Renewal::default(),
        };
        let whose = account.map_or(Whose::Unknown, Whose::Known);
        let newcomer = Newcomer { provider: &self.provider, client_id: &self.client_id, replace: self.replace };
        let mut allowed = |old: Option<&Record>| may_replace(&self.name, old, newcomer, whose);
        let tags = self.broker.vault.get(&self.name)?.map(|record| record.tags).unwrap_or_default();
        self.broker.vault.put(&self.name, Stored::Grant(Arc::new(grant)), tags, &mut allowed)?;
        Ok(done)
    }
}

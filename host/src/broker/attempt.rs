//! One login, from the moment its URL is told to the stored grant.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;
use url::Url;

use super::Broker;
use super::failure::{During, explain};
use super::flows::{Reservation, Status};
use super::grant;
use super::id_token::Expected;
use super::login::{FINISH_WITHIN, LoggedIn};
use super::replacing::{Whose, may_replace};
use super::resolution::Resolution;
use crate::audit::{Event, Outcome};
use crate::callback::{self, Page, Pending};
use crate::error::{Code, Error, Result, foreign};
use crate::providers::Provider;
use crate::sandbox::{Context, Prepared, Tokens};
use crate::secret::{Secret, SecretName};
use crate::vault::{Account, Grant, Record, Renewal, Stored};

/// Everything that a flow needs once the browser comes back.
pub(super) struct Attempt {
    pub(super) broker: Arc<Broker>,
    pub(super) provider: Arc<Provider>,
    pub(super) prepared: Prepared,
    pub(super) context: Context,
    pub(super) resolution: Resolution,
    pub(super) client_id: String,
    pub(super) name: SecretName,
    pub(super) scopes: Vec<String>,
    pub(super) verifier: Secret,
    pub(super) nonce: Option<Secret>,
    pub(super) redirect_uri: Url,
    pub(super) flow_id: String,
}

impl Attempt {
    /// The flow's task. When it is aborted, everything it owns is dropped: listener, reservation, verifier.
    pub(super) async fn run(self, mut pending: Pending, tell: watch::Sender<Status>, reservation: Reservation) {
        let result = match tokio::time::timeout(FINISH_WITHIN, pending.arrival()).await {
            Err(_) => Err(self.nobody_came()),
            Ok(arrival) => {
                let result = self.arrived(arrival.outcome, arrival.iss.as_deref()).await;
                arrival.reply.send(match &result {
                    Ok(_) => Page::SignedIn,
                    Err(error) if error.code() == Code::Denied => Page::Declined,
                    Err(_) => Page::Failed,
                });
                result
            }
        };
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

    fn nobody_came(&self) -> Error {
        Error::new(
            Code::Expired,
            format!(
                "Nobody finished signing in to {} within {} minutes.",
                self.context.descriptor.title,
                FINISH_WITHIN.as_secs() / 60
            ),
            format!(
                "Some errors are shown in the browser only: ask the person what they saw there. The callback URL {} must be registered with the OAuth client. Then call start_oauth_flow again.",
                self.redirect_uri
            ),
        )
    }

    async fn arrived(&self, outcome: callback::Outcome, iss: Option<&str>) -> Result<LoggedIn> {
        self.resolution.issuers.check_callback(iss)?;
        let title = &self.context.descriptor.title;
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
        let tokens = self.prepared.exchange(&self.context, code, self.verifier.clone(), &self.redirect_uri).await;
        let tokens = tokens.map_err(|failed| explain(title, During::Exchange, failed))?;
        let account = self.account(&tokens).await?;
        self.store(tokens, account.as_ref(), before)
    }

    /// Whose login it is, by a verified id_token. An id_token that nobody asked for is not looked at.
    async fn account(&self, tokens: &Tokens) -> Result<Option<Account>> {
        let (Some(nonce), Some(jwks_uri)) = (&self.nonce, &self.resolution.jwks_uri) else { return Ok(None) };
        let Some(id_token) = &tokens.id_token else {
            return Err(Error::new(
                Code::ProviderError,
                format!("{} was asked for the scope openid and sent no id_token.", self.context.descriptor.title),
                "Nothing was stored. Leave the scope openid out, or check the client's registration with the provider.",
            ));
        };
        let expected =
            Expected { issuers: &self.resolution.issuers, client_id: &self.client_id, nonce: Some(nonce), times: true };
        self.broker.keys.verify(id_token, jwks_uri, &expected, &self.context.egress).await.map(Some)
    }

    fn store(&self, tokens: Tokens, account: Option<&Account>, before: SystemTime) -> Result<LoggedIn> {
        let facts = grant::facts(&tokens)?;
        let descriptor = &self.context.descriptor;
        // Not said: as asked (RFC 6749 section 5.1). Quiet: offline_access and the like, whose presence means nothing.
        let scopes = facts.scopes.unwrap_or_else(|| self.scopes.clone());
        // Where a refresh token came, offline_access was granted.
        let told = |scope: &&String| {
            !(descriptor.scopes.not_echoed.contains(*scope) || *scope == "offline_access" && tokens.refresh.is_some())
        };
        let missing_scopes: Vec<String> =
            self.scopes.iter().filter(told).filter(|scope| !scopes.contains(scope)).cloned().collect();
        let extra_scopes: Vec<String> =
            scopes.iter().filter(told).filter(|scope| !self.scopes.contains(scope)).cloned().collect();
        let done = LoggedIn {
            name: self.name.clone(),
            provider: descriptor.title.clone(),
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
        let mut allowed = |old: Option<&Record>| may_replace(&self.name, old, &self.provider, &self.client_id, whose);
        let tags = self.broker.vault.get(&self.name)?.map(|record| record.tags).unwrap_or_default();
        self.broker.vault.put(&self.name, Stored::Grant(Arc::new(grant)), tags, &mut allowed)?;
        Ok(done)
    }
}

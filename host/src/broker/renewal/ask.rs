//! One refresh at the provider, and what its answer is held against.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use url::Url;

use super::outcome::{Answer, Renewed, Trouble};
use super::{scopes, words};
use crate::audit::{Event, Outcome};
use crate::broker::failure::{During, explain};
use crate::broker::id_token::{self, Expected};
use crate::broker::issuer::Issuers;
use crate::broker::{Broker, grant, resolution};
use crate::descriptor::Descriptor;
use crate::descriptor::settings::Settings;
use crate::error::{Code, Error, Result, foreign};
use crate::sandbox::{Context, Prepared, Reached, Tokens};
use crate::secret::{Secret, SecretName};
use crate::vault::{Account, Grant, Vouched};

/// How long the keys for id_tokens are waited for: between an answer and its being stored nothing may take long.
const KEYS_WITHIN: Duration = Duration::from_secs(3);

/// Everything that a refresh needs but the turn.
pub(super) struct Asking {
    prepared: Prepared,
    descriptor: Arc<Descriptor>,
    settings: Arc<Settings>,
    operators_scopes: Option<Vec<String>>,
    issuers: Issuers,
    jwks_uri: Option<Url>,
}

impl Asking {
    /// Gets ready. What goes wrong here, in this process's own configuration perhaps, changes nothing about the login.
    ///
    /// # Errors
    /// `sign_in_again` where the grant belongs to another component or client; what is wrong with the provider.
    pub(super) async fn prepare(broker: &Broker, name: &SecretName, grant: &Grant) -> Result<Self> {
        let provider = broker.providers.get(&grant.provider).await?;
        let settings = Arc::new(broker.settings(&provider).await?);
        if !provider.owns(&grant.lineage) || settings.plain("client_id") != Some(grant.client_id.as_str()) {
            return Err(words::sign_in_again(name, grant, "the provider's component or OAuth client is another one now"));
        }
        let descriptor = Arc::clone(provider.descriptor());
        let prepared = broker.providers.prepared(&provider).await?.clone();
        if !prepared.can_refresh() {
            return Err(words::sign_in_again(name, grant, "its component no longer refreshes"));
        }
        let (issuers, jwks_uri) = resolution::vouching(&descriptor, &settings, &grant.resolved)?;
        if let (Some(jwks_uri), Some(_)) = (&jwks_uri, vouched(grant)) {
            // now, and not between the answer and its being stored
            let _ = tokio::time::timeout(KEYS_WITHIN, broker.keys.warm(jwks_uri, &broker.egress)).await;
        }
        let operators_scopes = provider.operator().scopes.clone();
        Ok(Self { prepared, descriptor, settings, operators_scopes, issuers, jwks_uri })
    }

    /// Sends the refresh token, to the endpoints of the login and to nobody else, and judges the answer.
    pub(super) async fn ask(&self, broker: &Broker, name: &SecretName, grant: &Grant, token: Secret) -> Answer {
        let context = Context {
            descriptor: Arc::clone(&self.descriptor),
            settings: Arc::clone(&self.settings),
            resolved: Arc::clone(&grant.resolved),
            carrier: Arc::new(broker.egress.clone()),
        };
        let before = SystemTime::now();
        let answered = self.prepared.refresh(&context, token, &grant.scopes, &grant.notes).await;
        let tokens = match answered {
            Ok(Some(tokens)) => tokens,
            Ok(None) => return Answer::Ended("its component no longer refreshes".to_owned()),
            Err(unrenewed) => {
                let unknown = unrenewed.reached == Reached::Unknown;
                let asked = unrenewed.failed.retry_after();
                return judged(explain(&self.descriptor.title, During::Refresh, unrenewed.failed), unknown, asked);
            }
        };
        self.accept(broker, name, grant, tokens, before).await.unwrap_or_else(|answer| answer)
    }

    /// `Err` is an answer, too: these tokens are not kept.
    async fn accept(
        &self,
        broker: &Broker,
        name: &SecretName,
        grant: &Grant,
        tokens: Tokens,
        before: SystemTime,
    ) -> Result<Answer, Answer> {
        let facts = grant::facts(&tokens).map_err(|error| judged(error, false, None))?;
        if let (Some(account), Some(id_token)) = (vouched(grant), &tokens.id_token) {
            self.same_account(broker, account, grant, id_token).await?;
        }
        let now = facts.scopes.as_deref().unwrap_or_default();
        match scopes::wider(&self.descriptor, self.operators_scopes.as_deref(), &grant.scopes, now) {
            Ok(wider) if wider.is_empty() => {}
            Ok(wider) => {
                tracing::warn!(secret = name.as_str(), "a refresh brought more scopes than were granted: {}", wider.join(" "));
                broker.audit.record(Event {
                    event: "scopes_widened",
                    outcome: Outcome::Ok,
                    secret: Some(name.as_str()),
                    provider: Some(&grant.provider),
                    ..Event::default()
                });
            }
            Err(beyond) => {
                let beyond = foreign(&beyond.join(" "));
                return Err(Answer::Ended(format!("a refresh brought scopes that the operator does not allow, {beyond}")));
            }
        }
        Ok(Answer::Renewed(Box::new(Renewed {
            access: tokens.access,
            refresh: tokens.refresh,
            scopes: facts.scopes,
            issued: before,
            lifetime: facts.lifetime,
            notes: facts.notes,
            strict_rotation: facts.strict_rotation,
        })))
    }

    /// OpenID Connect Core 1.0 section 12.2: the issuer and the subject are those of the login.
    async fn same_account(&self, broker: &Broker, account: &Account, grant: &Grant, id_token: &Secret) -> Result<(), Answer> {
        let (issuer, subject) = id_token::claimed(id_token).map_err(|error| judged(error, false, None))?;
        if subject != account.subject || !self.issuers.same(&issuer, &account.issuer) {
            return Err(Answer::Ended("a refresh brought the tokens of another account, which were not kept".to_owned()));
        }
        let expected = Expected { issuers: &self.issuers, client_id: &grant.client_id, nonce: None, times: false };
        let checked = match &self.jwks_uri {
            Some(jwks_uri) => {
                let verified = broker.keys.verify(id_token, jwks_uri, &expected, &broker.egress);
                tokio::time::timeout(KEYS_WITHIN, verified).await.ok().filter(|checked| !passes(checked))
            }
            None => None,
        };
        // Where the keys are not to be had, TLS with the token endpoint stands for the signature (section 3.1.3.7, 6): a
        // token that works once must not be lost over that.
        checked.unwrap_or_else(|| expected.unsigned(id_token)).map(drop).map_err(|error| judged(error, false, None))
    }
}

/// The account, where an id_token vouches for it.
fn vouched(grant: &Grant) -> Option<&Account> {
    grant.account.as_ref().filter(|account| account.vouched == Vouched::IdToken)
}

fn passes<T>(checked: &Result<T>) -> bool {
    checked.as_ref().is_err_and(|error| error.code() == Code::Unavailable)
}

fn judged(error: Error, unknown: bool, asked: Option<Duration>) -> Answer {
    match error.code() {
        Code::SignInAgain => Answer::Ended(error.message().trim_end_matches('.').to_owned()),
        code => Answer::Failed(Trouble { unknown, passing: code == Code::Unavailable, asked, error }),
    }
}

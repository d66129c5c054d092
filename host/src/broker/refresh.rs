//! Keeping a login alive: whoever asks first refreshes, everybody else waits for that one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Instant, SystemTime};

use super::Broker;
use super::failure::{During, explain};
use super::grant::{self, Freshness, freshness};
use crate::audit::{Event, Outcome};
use crate::error::{Code, Error, Result};
use crate::sandbox::Context;
use crate::secret::SecretName;
use crate::vault::{Generation, Grant, Stored};

/// One lock a name, alive while somebody refreshes.
#[derive(Default)]
pub struct Turns(Mutex<HashMap<SecretName, Weak<Turn>>>);

/// When and how the last try failed, for those who waited for it: none of them tries again, one after the other.
type Turn = tokio::sync::Mutex<Option<(Instant, Error)>>;

impl Turns {
    fn of(&self, name: &SecretName) -> Arc<Turn> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(name).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        turns.insert(name.clone(), Arc::downgrade(&turn));
        turn
    }
}

fn sign_in_again(name: &SecretName, grant: &Grant, why: &str) -> Error {
    Error::new(
        Code::SignInAgain,
        format!("The login \"{name}\" has expired, sign in again: {why}."),
        format!("Call start_oauth_flow with provider \"{}\" and secret_name \"{name}\".", grant.provider),
    )
}

/// What is to be said without asking the provider: the token is fresh, or nothing would renew it.
fn settled(name: &SecretName, grant: &Arc<Grant>) -> Option<Result<Arc<Grant>>> {
    let state = freshness(grant, SystemTime::now());
    if state != Freshness::Fresh && grant.refresh.is_some() && grant.ended.is_none() {
        return None;
    }
    if state == Freshness::Expired {
        let why = grant.ended.as_deref().unwrap_or("its access token has ended and there is no refresh token");
        return Some(Err(sign_in_again(name, grant, why)));
    }
    Some(Ok(Arc::clone(grant)))
}

impl Broker {
    /// The login of that name with an access token that can be used now: refreshed first if need be.
    ///
    /// # Errors
    /// `sign_in_again` where only a person can help; `unavailable` where the provider cannot be asked just now.
    pub(super) async fn usable(&self, name: &SecretName, generation: Generation, grant: Arc<Grant>) -> Result<Arc<Grant>> {
        if let Some(settled) = settled(name, &grant) {
            return settled;
        }
        let asked = Instant::now();
        let turn = self.turns.of(name);
        let mut last = turn.lock().await;
        // Somebody else may have refreshed, or replaced it, meanwhile.
        let Some(record) = self.vault.get(name)?.filter(|record| record.generation == generation) else {
            return Err(super::references::ended(&format!("\"{name}\" was replaced or deleted meanwhile.")));
        };
        let Stored::Grant(grant) = record.stored else { return Err(sign_in_again(name, &grant, "it is no login any more")) };
        if let Some(settled) = settled(name, &grant) {
            return settled;
        }
        let state = freshness(&grant, SystemTime::now());
        let refreshed = match &*last {
            Some((failed, error)) if *failed >= asked => Err(error.clone()),
            _ => {
                let refreshed = self.refresh_recorded(name, &grant).await;
                *last = refreshed.as_ref().err().map(|error| (Instant::now(), error.clone()));
                refreshed
            }
        };
        match refreshed {
            Ok(fresh) => {
                // Stored before anybody sees it: a rotated refresh token must not be lost.
                let fresh = Arc::new(fresh);
                if self.vault.replace(name, record.revision, Arc::clone(&fresh))?.is_some() {
                    return Ok(fresh);
                }
                Err(super::references::ended(&format!("\"{name}\" was replaced or deleted meanwhile.")))
            }
            Err(error) if error.code() == Code::SignInAgain => {
                let dead =
                    Grant { ended: Some(error.message().trim_end_matches('.').to_owned()), refresh: None, ..(*grant).clone() };
                self.vault.replace(name, record.revision, Arc::new(dead))?;
                if state == Freshness::Due {
                    Ok(grant)
                } else {
                    Err(sign_in_again(name, &grant, error.message().trim_end_matches('.')))
                }
            }
            Err(error) if state == Freshness::Due => {
                tracing::warn!(secret = name.as_str(), "the login could not be renewed yet: {error}");
                Ok(grant)
            }
            Err(error) => Err(error),
        }
    }

    async fn refresh_recorded(&self, name: &SecretName, grant: &Grant) -> Result<Grant> {
        let refreshed = self.refresh(name, grant).await;
        self.audit.record(Event {
            event: "refresh",
            outcome: if refreshed.is_ok() { Outcome::Ok } else { Outcome::Failed },
            secret: Some(name.as_str()),
            provider: Some(&grant.provider),
            code: refreshed.as_ref().err().map(Error::code),
            ..Event::default()
        });
        refreshed
    }

    async fn refresh(&self, name: &SecretName, grant: &Grant) -> Result<Grant> {
        let provider = self.providers.get(&grant.provider).await?;
        let settings = Arc::new(self.settings(&provider).await?);
        if !provider.owns(&grant.lineage) || settings.plain("client_id") != Some(grant.client_id.as_str()) {
            return Err(sign_in_again(name, grant, "the provider's component or OAuth client is another one now"));
        }
        let Some(token) = grant.refresh.clone() else { return Err(sign_in_again(name, grant, "there is no refresh token")) };
        let descriptor = Arc::clone(provider.descriptor());
        // The endpoints of the login, not of today: the refresh token goes to nobody else.
        let context = Context {
            descriptor: Arc::clone(&descriptor),
            settings,
            resolved: Arc::clone(&grant.resolved),
            egress: self.egress.clone(),
        };
        let before = SystemTime::now();
        let prepared = self.providers.prepared(&provider).await?;
        let tokens = prepared.refresh(&context, token, &grant.scopes, &grant.notes).await;
        let tokens = tokens.map_err(|failed| explain(&descriptor.title, During::Refresh, failed))?;
        let Some(tokens) = tokens else { return Err(sign_in_again(name, grant, "its component no longer refreshes")) };
        let facts = grant::facts(&tokens)?;
        Ok(Grant {
            access: tokens.access,
            refresh: tokens.refresh.or_else(|| grant.refresh.clone()),
            scopes: facts.scopes.unwrap_or_else(|| grant.scopes.clone()),
            issued: before,
            expires: facts.lifetime.map(|life| before + life),
            notes: if facts.notes.is_empty() { grant.notes.clone() } else { facts.notes },
            ..grant.clone()
        })
    }
}

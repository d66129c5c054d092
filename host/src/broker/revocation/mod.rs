//! Ending a login at the provider, not only here.
//!
//! First the login is buried: its name is free and its references are dead, whatever the provider says. Then the refresh
//! token is revoked, then the access token, each through the provider's component; that one fails does not skip the
//! other. What could not be done stays in a tombstone and is tried again ([`catching_up`]), also after a crash in between.
//!
//! | file | what it decides |
//! |---|---|
//! | `step` | what an outcome means, and when to try again: without I/O |
//! | `catching_up` | who takes up what is left, and when |

mod catching_up;
mod step;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use catching_up::CatchingUp;
pub use step::{Revoked, Step};
use uuid::Uuid;

use super::Broker;
use super::failure::{During, explain};
use super::secrets::unknown;
use crate::audit::{Event, Outcome};
use crate::error::{Code, Error, Result};
use crate::sandbox::{Context, Failed, Limits, Revocation};
use crate::secret::{Kind, Secret, SecretName};
use crate::vault::{Generation, Grant, Stored, Tombstone, Turn};

/// How long one token may take: two of them, and a refresh under way, within what clients wait for an answer.
const TOKEN_WITHIN: Duration = Duration::from_secs(18);
/// How long to wait for a refresh that is under way.
const TURN_WITHIN: Duration = Duration::from_secs(5);
/// How often to look whether it is over.
const LOOK: Duration = Duration::from_millis(50);

impl Broker {
    /// Revokes a login at its provider and forgets it here, with every reference to it.
    ///
    /// # Errors
    /// `unknown_secret`; `unsupported` for a stored value, which stays; what is wrong with the vault. That a token could
    /// not be revoked is no error: it is in the answer.
    pub async fn revoke_secret(&self, name: &str) -> Result<Revoked> {
        // Boxed: what it waits in is many calls deep, and a call of a tool would be as large as all of them.
        let revoked = Box::pin(self.bury_and_revoke(name)).await;
        let outcome = match &revoked {
            Ok(revoked) if revoked.is_complete() => Outcome::Ok,
            Ok(_) => Outcome::Pending,
            Err(_) => Outcome::Refused,
        };
        self.audit.record(Event {
            event: "revoke_secret",
            outcome,
            secret: Some(name),
            code: revoked.as_ref().err().map(Error::code),
            ..Event::default()
        });
        revoked
    }

    async fn bury_and_revoke(&self, name: &str) -> Result<Revoked> {
        let name = SecretName::parse(name)?;
        let (tombstone, turn) = self.bury(&name)?;
        let grant = Arc::clone(&tombstone.grant);
        // They are out of the vault, and may be alive at the provider for a while.
        std::iter::once(&grant.access).chain(&grant.refresh).for_each(|token| self.known.add_spent(&name, token));
        let provider = self.providers.get(&grant.provider).await;
        let provider = provider.map_or_else(|_| grant.provider.clone(), |provider| provider.descriptor().title.clone());
        let steps = self.carry_out(tombstone, turn).await?;
        Ok(Revoked { name, provider, steps, access_ends: grant.expires })
    }

    /// Takes the login out of the vault and leaves the tombstone. With it comes the right to renew the login, if nobody
    /// is renewing it just now.
    fn bury(&self, name: &SecretName) -> Result<(Tombstone, Option<Turn>)> {
        // A renewal may write in between; nobody renews as often as this.
        for _ in 0..16 {
            let record = self.vault.get(name)?.ok_or_else(|| unknown(name))?;
            let Stored::Grant(grant) = record.stored else {
                return Err(Error::new(
                    Code::Unsupported,
                    format!("\"{name}\" is a stored value; only a login can be revoked."),
                    "Revoke it where it was made; delete_secret forgets it here.",
                ));
            };
            let now = SystemTime::now();
            let tombstone = Tombstone {
                id: id_of(record.generation),
                name: name.clone(),
                pending: grant.refresh.iter().map(|_| Kind::Refresh).chain([Kind::Access]).collect(),
                grant,
                attempts: 0,
                not_before: now,
                buried: now,
            };
            let turn = self.vault.try_turn(record.generation)?;
            if self.vault.bury(name, record.revision, tombstone.clone())? {
                return Ok((tombstone, turn));
            }
        }
        Err(Error::new(Code::VaultBusy, format!("\"{name}\" changes all the time."), "Nothing was done. Try again."))
    }

    /// Revokes what the tombstone still names, and writes down what is left of it.
    async fn carry_out(&self, tombstone: Tombstone, turn: Option<Turn>) -> Result<Vec<(Kind, Step)>> {
        let elsewhere = || {
            let hint = "list_secrets shows that it is gone here; what is left is tried again later.";
            let error =
                Error::new(Code::Unavailable, "Another process of the broker is at it, or renews the login just now.", hint);
            tombstone.pending.iter().map(|kind| (*kind, Step::Failed(error.clone()))).collect()
        };
        let turn = match turn {
            Some(turn) => Some(turn),
            None => self.turn_for(&tombstone).await?,
        };
        let Some(_turn) = turn else { return Ok(elsewhere()) };
        // A renewal that was under way has left its new tokens here.
        let Some(tombstone) = self.vault.tombstones()?.into_iter().find(|known| known.id == tombstone.id) else {
            return Ok(elsewhere());
        };
        let now = SystemTime::now();
        let mut steps = Vec::new();
        let mut left = Vec::new();
        let mut retry_after = Duration::ZERO;
        for kind in [Kind::Refresh, Kind::Access].into_iter().filter(|kind| tombstone.pending.contains(kind)) {
            let step = if step::has_ended(&tombstone, kind, now) {
                Step::AlreadyGone
            } else {
                let (step, wait) = self.revoke(&tombstone.grant, kind).await;
                retry_after = retry_after.max(wait.unwrap_or_default());
                step
            };
            self.record_step(&tombstone, kind, &step);
            if matches!(step, Step::Failed(_)) {
                left.push(kind);
            }
            steps.push((kind, step));
        }
        let after = step::left(&tombstone, left, retry_after, SystemTime::now());
        if let Some(after) = &after {
            self.catching_up.expect(after.not_before);
        }
        if let Err(error) = self.vault.settle(&tombstone.id, after) {
            // It is tried again; what was revoked is gone then.
            tracing::warn!(secret = tombstone.name.as_str(), "what was revoked could not be written down: {error}");
        }
        Ok(steps)
    }

    /// The right to renew the buried login, waited for while a renewal has it.
    async fn turn_for(&self, tombstone: &Tombstone) -> Result<Option<Turn>> {
        let Some(generation) = generation_of(&tombstone.id) else { return Ok(None) };
        let until = tokio::time::Instant::now() + TURN_WITHIN;
        loop {
            if let Some(turn) = self.vault.try_turn(generation)? {
                return Ok(Some(turn));
            }
            if tokio::time::Instant::now() >= until {
                return Ok(None);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Leaves the new tokens of a renewal to the tombstone, where the login was buried meanwhile: nobody holds them, and
    /// they are as alive as the old ones were. False where it was not buried.
    ///
    /// # Errors
    /// What is wrong with the vault.
    pub(super) fn leave_to_tombstone(&self, name: &SecretName, generation: Generation, fresh: &Arc<Grant>) -> Result<bool> {
        let its = |known: &Tombstone| {
            generation_of(&known.id) == Some(generation) && known.name == *name && known.grant.lineage == fresh.lineage
        };
        let Some(mut tombstone) = self.vault.tombstones()?.into_iter().find(its) else { return Ok(false) };
        tombstone.grant = Arc::clone(fresh);
        tombstone.pending = fresh.refresh.iter().map(|_| Kind::Refresh).chain([Kind::Access]).collect();
        let id = tombstone.id.clone();
        self.vault.settle(&id, Some(tombstone))?;
        Ok(true)
    }

    /// Has the component revoke one token; and how long the server wants to be left alone, if it failed.
    async fn revoke(&self, grant: &Grant, kind: Kind) -> (Step, Option<Duration>) {
        let token = match kind {
            Kind::Refresh => grant.refresh.clone(),
            _ => Some(grant.access.clone()),
        };
        let Some(token) = token else { return (Step::AlreadyGone, None) };
        match self.ask_component(grant, token, kind).await {
            Ok(Ok(None | Some(Revocation::Unsupported))) => (Step::NotSupported, None),
            Ok(Ok(Some(Revocation::Revoked))) => (Step::Revoked, None),
            Ok(Ok(Some(Revocation::AlreadyGone))) => (Step::AlreadyGone, None),
            Ok(Err((title, failed))) => step::judge(&title, failed),
            Err(error) => (Step::Failed(error), None),
        }
    }

    async fn ask_component(
        &self,
        grant: &Grant,
        token: Secret,
        kind: Kind,
    ) -> Result<Result<Option<Revocation>, (String, Failed)>> {
        let provider = self.providers.get(&grant.provider).await?;
        let settings = Arc::new(self.settings(&provider).await?);
        if !provider.owns(&grant.lineage) || settings.plain("client_id") != Some(grant.client_id.as_str()) {
            return Err(Error::new(
                Code::Unavailable,
                "The provider's component or OAuth client is another one than at the login; the token is not shown to it.",
                "Revoke it at the provider, or set the old client again: it is tried for 30 days.",
            ));
        }
        let descriptor = Arc::clone(provider.descriptor());
        // The endpoints of the login, not of today.
        let context = Context {
            descriptor: Arc::clone(&descriptor),
            settings,
            resolved: Arc::clone(&grant.resolved),
            carrier: Arc::new(self.egress.clone()),
        };
        let prepared = self.providers.prepared(&provider).await?.clone();
        let prepared = prepared.with_limits(Limits { deadline: TOKEN_WITHIN, ..Limits::STANDARD });
        let revoked = prepared.revoke(&context, token, kind, &grant.notes).await;
        Ok(revoked.map_err(|failed| (descriptor.title.clone(), failed)))
    }

    fn record_step(&self, tombstone: &Tombstone, kind: Kind, step: &Step) {
        let code = match step {
            Step::Failed(error) => Some(error.code()),
            Step::NotSupported => Some(Code::Unsupported),
            Step::Revoked | Step::AlreadyGone => None,
        };
        self.audit.record(Event {
            event: if kind == Kind::Refresh { "revoke_refresh_token" } else { "revoke_access_token" },
            outcome: match step {
                Step::Revoked | Step::AlreadyGone => Outcome::Ok,
                Step::NotSupported => Outcome::Refused,
                Step::Failed(_) => Outcome::Failed,
            },
            secret: Some(tombstone.name.as_str()),
            provider: Some(&tombstone.grant.provider),
            code,
            ..Event::default()
        });
    }
}

/// A tombstone's name begins with the generation of its login: the right to renew that login is the right to revoke it. The
/// rest keeps it apart from one that was imported from another vault.
fn id_of(generation: Generation) -> String {
    format!("{}-{}", generation.0, Uuid::new_v4().simple())
}

fn generation_of(id: &str) -> Option<Generation> {
    id.split('-').next()?.parse().ok().map(Generation)
}

fn explained(title: &str, failed: Failed) -> Error {
    explain(title, During::Revocation, failed)
}

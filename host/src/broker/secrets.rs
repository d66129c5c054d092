//! Storing, listing and forgetting; references and what they stand for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;

use super::Broker;
use super::grant::{Freshness, freshness, renewable};
use super::references::{Reference, ended};
use super::spending::limits::Limits;
use super::ttl::{self, Deadline};
use crate::audit::{Event, Outcome};
use crate::descriptor::Ttl;
use crate::error::{Code, Error, Result};
use crate::secret::{Secret, SecretName};
use crate::vault::{Grant, Record, Stored};

/// The largest value, in bytes.
pub const MAX_VALUE: usize = 1 << 20;
/// The longest purpose, in characters.
pub const MAX_PURPOSE: usize = 500;
const MAX_TAGS: usize = 32;
const MAX_TAG: usize = 256;

/// A reference as it is handed out.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The id.
    pub id: String,
    /// What it stands for.
    pub name: SecretName,
    /// Why it was asked for.
    pub purpose: String,
    /// When it ends.
    pub deadline: Deadline,
    /// How many seconds it lives.
    pub lifetime: u64,
    /// Why it lives shorter than was asked for, if so.
    pub clipped: Option<&'static str>,
    /// How it may be used.
    pub limits: Arc<Limits>,
}

/// What stands behind a name or reference just now.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) name: SecretName,
    pub(super) record: Record,
}

/// What can be told of a secret: everything but its value.
#[derive(Debug, Clone)]
pub struct Overview {
    /// The name.
    pub name: SecretName,
    /// The record, from which nothing secret must be told.
    pub record: Record,
    /// How a login stands.
    pub state: &'static str,
}

impl Broker {
    /// Stores a value.
    ///
    /// # Errors
    /// `invalid_argument`, `limit`, or `conflict` where the name is a login's.
    pub fn store_secret(&self, name: &str, value: Secret, tags: BTreeMap<String, String>) -> Result<SecretName> {
        let stored = self.store(name, value, tags);
        self.record_simple("store_secret", name, &stored);
        stored
    }

    fn store(&self, name: &str, value: Secret, tags: BTreeMap<String, String>) -> Result<SecretName> {
        let name = SecretName::parse(name)?;
        if value.is_empty() || value.len() > MAX_VALUE {
            return Err(Error::new(
                Code::InvalidArgument,
                format!("The value has {} bytes.", value.len()),
                format!("Use 1 to {MAX_VALUE} bytes."),
            ));
        }
        let sound = tags.len() <= MAX_TAGS
            && tags.iter().all(|(key, tag)| !key.is_empty() && key.chars().count() <= MAX_TAG && tag.chars().count() <= MAX_TAG);
        if !sound {
            return Err(Error::new(
                Code::InvalidArgument,
                "These are too many tags, or too long ones.",
                format!("Use at most {MAX_TAGS} tags with 1 to {MAX_TAG} characters."),
            ));
        }
        self.reserved.check(&name)?;
        self.policies.may_store(&name, self.acts_for_operator())?;
        // a person who signs in for this name must not do so for nothing
        self.flows.check_free(&name)?;
        self.vault.put(&name, Stored::Static(value), tags, &mut |old| match old.map(|record| &record.stored) {
            Some(Stored::Grant(grant)) => Err(Error::new(
                Code::Conflict,
                format!("\"{name}\" is a login with {}; a value does not replace it.", grant.provider),
                "Use another name, or delete the login first with delete_secret.",
            )),
            _ => Ok(()),
        })?;
        Ok(name)
    }

    /// Forgets a secret, and with it every reference to it. Nothing is revoked at the provider.
    ///
    /// # Errors
    /// `unknown_secret`.
    pub fn delete_secret(&self, name: &str) -> Result<SecretName> {
        let deleted = SecretName::parse(name)
            .and_then(|name| self.reserved.check(&name).map(|()| name))
            .and_then(|name| self.policies.may_forget(&name, self.acts_for_operator()).map(|()| name))
            .and_then(|name| self.vault.delete(&name)?.map(|_| name.clone()).ok_or_else(|| unknown(&name)));
        self.record_simple("delete_secret", name, &deleted);
        deleted
    }

    /// Everything that is stored, without values.
    ///
    /// # Errors
    /// What is wrong with the vault.
    pub fn list_secrets(&self) -> Result<Vec<Overview>> {
        let now = SystemTime::now();
        let state = |record: &Record| match &record.stored {
            Stored::Static(_) => "stored",
            Stored::Grant(grant) => match (freshness(grant, now), &grant.ended, &grant.refresh) {
                (Freshness::Fresh | Freshness::Due, ..) => "signed_in",
                (Freshness::Expired, None, Some(_)) => "refreshes_when_used",
                (Freshness::Expired, ..) => "sign_in_again",
            },
        };
        let all = self.vault.list()?;
        Ok(all.into_iter().map(|(name, record)| Overview { name, state: state(&record), record }).collect())
    }

    /// Issues a reference; an access token that has ended is refreshed first.
    ///
    /// # Errors
    /// `invalid_argument`, `invalid_ttl`, `unknown_secret`, `sign_in_again`, `limit`.
    pub async fn get_secret(&self, name: &str, purpose: &str, ttl_seconds: Option<&Value>) -> Result<Issued> {
        self.get_narrowed_secret(name, purpose, ttl_seconds, Limits::default()).await
    }

    /// The same for certain uses only.
    ///
    /// # Errors
    /// As [`Broker::get_secret`].
    pub async fn get_narrowed_secret(
        &self,
        name: &str,
        purpose: &str,
        ttl_seconds: Option<&Value>,
        limits: Limits,
    ) -> Result<Issued> {
        let issued = self.issue_reference(name, purpose, ttl_seconds, limits).await;
        self.audit.record(Event {
            event: "get_secret",
            outcome: if issued.is_ok() { Outcome::Ok } else { Outcome::Refused },
            secret: Some(name),
            reference: issued.as_ref().ok().map(|issued| issued.id.as_str()),
            purpose: Some(purpose),
            code: issued.as_ref().err().map(Error::code),
            ..Event::default()
        });
        issued
    }

    async fn issue_reference(&self, name: &str, purpose: &str, ttl_seconds: Option<&Value>, limits: Limits) -> Result<Issued> {
        let purpose = check_purpose(purpose)?;
        let Held { name, record } = self.held_by_name(name)?;
        let caps = ttl::caps(provider_ttl(&record), self.max_ttl);
        let asked = ttl::parse(ttl_seconds, caps)?;
        let mut lifetime = asked.min(caps.maximum);
        let mut clipped = (lifetime < asked).then_some("that is the cap for this secret");
        if let Stored::Grant(grant) = &record.stored {
            let grant = self.usable(&name, record.generation, Arc::clone(grant)).await?;
            if let Some(left) = remaining(&grant).filter(|left| *left < lifetime) {
                lifetime = left.max(1);
                clipped = Some("its access token ends then and cannot be refreshed");
            }
        }
        let deadline = Deadline::after(lifetime);
        let limits = Arc::new(limits);
        let reference = Reference {
            name: name.clone(),
            generation: record.generation,
            deadline,
            purpose: purpose.into(),
            limits: Arc::clone(&limits),
            uses: 0,
        };
        let id = self.references().issue(&reference)?.to_string();
        Ok(Issued { id, name, purpose: purpose.to_owned(), deadline, lifetime, clipped, limits })
    }

    /// The value that a reference stands for: an access token or a stored value, never a refresh token.
    ///
    /// # Errors
    /// `unknown_reference`, saying why it ended; `sign_in_again`.
    pub async fn resolve_secret(&self, reference_id: &str) -> Result<Secret> {
        let held = self.held_by_reference(reference_id);
        let (secret, purpose) = held
            .as_ref()
            .map_or((None, None), |(held, reference)| (Some(held.name.to_string()), Some(Arc::clone(&reference.purpose))));
        let resolved = match held {
            Ok((held, reference)) => self.value_of(reference_id, held, &reference).await,
            Err(error) => Err(error),
        };
        self.audit.record(Event {
            event: "resolve_secret",
            outcome: if resolved.is_ok() { Outcome::Ok } else { Outcome::Refused },
            secret: secret.as_deref(),
            reference: Some(reference_id),
            purpose: purpose.as_deref(),
            uses: resolved.as_ref().ok().map(|(_, uses)| *uses),
            code: resolved.as_ref().err().map(Error::code),
            ..Event::default()
        });
        resolved.map(|(value, _)| value)
    }

    async fn value_of(&self, reference_id: &str, held: Held, reference: &Reference) -> Result<(Secret, u64)> {
        self.policies.may_be_resolved(&held.name)?;
        reference.limits.allow_value()?;
        let value = match held.record.stored {
            Stored::Static(value) => value,
            Stored::Grant(grant) => self.usable(&held.name, reference.generation, grant).await?.access.clone(),
        };
        let uses = self.references().use_up(reference_id)?;
        Ok((value, uses))
    }

    pub(super) fn held_by_name(&self, name: &str) -> Result<Held> {
        let name = SecretName::parse(name)?;
        self.reserved.check(&name)?;
        let record = self.vault.get(&name)?.ok_or_else(|| unknown(&name))?;
        Ok(Held { name, record })
    }

    pub(super) fn held_by_reference(&self, reference_id: &str) -> Result<(Held, Reference)> {
        let reference = self.references().get(reference_id)?;
        let name = reference.name.clone();
        let record = self.vault.get(&name)?.ok_or_else(|| {
            ended(&format!("\"{name}\", which this reference stood for, was deleted."))
                .with_hint("Call list_secrets for what there is now, or start_oauth_flow to sign in.")
        })?;
        if record.generation != reference.generation {
            return Err(ended(&format!("\"{name}\" has another value or login than when this reference was issued.")));
        }
        Ok((Held { name, record }, reference))
    }

    fn record_simple(&self, event: &'static str, name: &str, result: &Result<SecretName>) {
        self.audit.record(Event {
            event,
            outcome: if result.is_ok() { Outcome::Ok } else { Outcome::Refused },
            secret: Some(name),
            code: result.as_ref().err().map(Error::code),
            ..Event::default()
        });
    }
}

/// What an agent says that it needs a secret for.
pub(super) fn check_purpose(purpose: &str) -> Result<&str> {
    let purpose = purpose.trim();
    if purpose.is_empty() || purpose.chars().count() > MAX_PURPOSE {
        return Err(Error::new(
            Code::InvalidArgument,
            "purpose must say in a few words what the secret is for; it is written to the audit trail.",
            format!("Use 1 to {MAX_PURPOSE} characters, such as \"list my repositories\"."),
        ));
    }
    Ok(purpose)
}

fn provider_ttl(record: &Record) -> Ttl {
    match &record.stored {
        Stored::Static(_) => ttl::STATIC,
        Stored::Grant(grant) => grant.ttl,
    }
}

/// Seconds left of an access token that cannot be refreshed.
fn remaining(grant: &Grant) -> Option<u64> {
    if renewable(grant) {
        return None;
    }
    Some(grant.expires?.duration_since(SystemTime::now()).unwrap_or_default().as_secs())
}

pub(super) fn unknown(name: &SecretName) -> Error {
    Error::new(
        Code::UnknownSecret,
        format!("Secret '{name}' not found."),
        "Call list_secrets for the names there are, or start_oauth_flow to sign in.",
    )
}

//! What there is: providers, and counts.

use std::sync::Arc;

use url::Url;

use super::Broker;
use super::ttl;
use crate::descriptor::Ttl;
use crate::error::{Error, Result};
use crate::providers::Provider;

/// What can be told of a provider.
pub struct ProviderOverview {
    /// The provider.
    pub provider: Arc<Provider>,
    /// What is missing before a login, by the names to set.
    pub missing: Vec<String>,
    /// The callback URL to register.
    pub callback_url: Url,
    /// The caps that hold.
    pub caps: Ttl,
}

/// Counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Tokens signed by the broker, alive and not revoked.
    pub active_tokens: usize,
    /// References alive.
    pub active_references: usize,
    /// Secrets stored.
    pub stored_secrets: usize,
    /// Logins under way.
    pub pending_flows: usize,
    /// Logins that are gone here and still have to be revoked at their providers.
    pub pending_revocations: usize,
}

impl Broker {
    /// Every provider, and every component that cannot be used, with the reason.
    pub async fn list_providers(&self) -> (Vec<ProviderOverview>, Vec<Error>) {
        let listing = self.providers.list().await;
        let overviews = listing.providers.into_iter().map(|provider| {
            let mut callback_url = self.callback_url.clone();
            callback_url.set_path(&self.callback_path(&provider));
            ProviderOverview {
                missing: provider.missing().map(|missing| missing.what).unwrap_or_default(),
                callback_url,
                caps: ttl::caps(provider.descriptor().ttl, self.max_ttl),
                provider,
            }
        });
        (overviews.collect(), listing.unusable.into_iter().map(|unusable| unusable.error).collect())
    }

    /// Counts.
    ///
    /// # Errors
    /// What is wrong with the vault.
    pub fn stats(&self) -> Result<Stats> {
        let stored_secrets = self.vault.count()?;
        Ok(Stats {
            active_tokens: self.mint().count(),
            active_references: self
                .references()
                .count(|reference| self.vault.generation(&reference.name).is_ok_and(|found| found == Some(reference.generation))),
            stored_secrets,
            pending_flows: self.flows.pending().len(),
            pending_revocations: self.vault.tombstones()?.len(),
        })
    }
}

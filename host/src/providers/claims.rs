//! Which names a drop-in may have, and which variables it may read.
//!
//! Held against all that lie there now, each time: a file that came later must not take the name of one that is in use.

use std::path::Path;
use std::sync::Arc;

use super::{Approval, Origin, Provider, Providers, dropin};
use crate::error::Result;

/// Who gives way to whom: what lies in a folder to what is in the lock, that to what the operator's file names. Of two
/// with the same standing that claim one name neither has it.
fn standing(provider: &Provider) -> u8 {
    match provider.origin() {
        None => 2,
        Some(origin) if origin.named => 2,
        Some(Origin { approval: Approval::Lock { .. }, .. }) => 1,
        Some(Origin { approval: Approval::Place, .. }) => 0,
    }
}

impl Providers {
    /// Whether a drop-in takes nothing from another provider.
    pub(super) fn check_claims(&self, provider: &Arc<Provider>, all: &[Arc<Provider>]) -> Result<()> {
        let Some(origin) = provider.origin() else { return Ok(()) };
        let rivals: Vec<_> =
            all.iter().filter(|other| !Arc::ptr_eq(other, provider) && standing(other) >= standing(provider)).collect();
        let taken = |name: &str| {
            if self.embedded().iter().any(|other| other.answers_to(name)) {
                return Some("an embedded provider".to_owned());
            }
            if self.given_away.contains(name) && !self.may_take(provider, name) {
                return Some("broker.toml gives to another component".to_owned());
            }
            rivals
                .iter()
                .find(|other| other.answers_to(name))
                .map(|other| other.path().unwrap_or(Path::new("another")).display().to_string())
        };
        // `github-client` has a prefix of its own, and GITHUB_CLIENT_SECRET begins with it.
        let reserved =
            |variable: &str| self.embedded().iter().chain(rivals.iter().copied()).any(|other| other.has_prefix_of(variable));
        dropin::check_claims(&origin.path, &provider.descriptor, taken, reserved)
    }

    /// Whether the operator's file gives the name to this drop-in: because its section is called so, or in `replaces`
    /// of its section. Which component a section means must be certain: by `component`, or by the lock.
    fn may_take(&self, provider: &Provider, name: &str) -> bool {
        let Some(origin) = provider.origin() else { return false };
        let certain = origin.named || matches!(origin.approval, Approval::Lock { .. });
        let section = self.operator.get(&provider.descriptor.name);
        (origin.named && provider.descriptor.name == name)
            || (certain && section.is_some_and(|section| section.replaces.iter().any(|replaced| replaced == name)))
    }
}

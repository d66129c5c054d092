//! One provider: its descriptor, its component, and what the operator set.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;

use super::{dropin, settings};
use crate::config;
use crate::descriptor::Descriptor;
use crate::descriptor::settings::Settings;
use crate::error::Result;
use crate::sandbox::{Limits, Prepared};

/// One provider: its descriptor, its component, and what the operator set.
pub struct Provider {
    pub(super) descriptor: Arc<Descriptor>,
    pub(super) source: Component,
    pub(super) operator: config::Provider,
    pub(super) prepared: OnceCell<Prepared>,
}

/// Where a component comes from.
pub(super) enum Component {
    Embedded { bytes: &'static [u8], sha256: String },
    DropIn(Box<Origin>),
}

/// Where a drop-in comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Where it lies.
    pub path: PathBuf,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// Whether a section of the operator's file names it.
    pub named: bool,
    /// Whose word it is that it may be used.
    pub approval: Approval,
}

/// Whose word it is that a drop-in may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approval {
    /// The operator named the file, or the folder it lies in.
    Place,
    /// Its bytes are in the lock; with the digests that were approved under its name before.
    Lock {
        /// Earlier digests.
        earlier: Vec<String>,
    },
}

impl Provider {
    /// What it says of itself.
    #[must_use]
    pub const fn descriptor(&self) -> &Arc<Descriptor> {
        &self.descriptor
    }

    /// Whether the name or an alias is this.
    #[must_use]
    pub fn answers_to(&self, name: &str) -> bool {
        self.descriptor.name == name || self.descriptor.aliases.iter().any(|alias| alias == name)
    }

    /// Whether an environment variable begins as this provider's do.
    pub(super) fn has_prefix_of(&self, variable: &str) -> bool {
        let mut names = std::iter::once(&self.descriptor.name).chain(&self.descriptor.aliases);
        names.any(|name| variable.starts_with(&dropin::prefix(name)))
    }

    /// Whose logins these are: `embedded:NAME`, which a new release of the broker keeps; `plugin:NAME:DIGEST` for a drop-in,
    /// with the digest of the first bytes of that name that were approved. An approved update keeps it; what is approved
    /// anew after it was removed begins anew.
    #[must_use]
    pub fn lineage(&self) -> String {
        let name = &self.descriptor.name;
        match &self.source {
            Component::Embedded { .. } => format!("embedded:{name}"),
            Component::DropIn(origin) => match &origin.approval {
                Approval::Lock { earlier } => format!("plugin:{name}:{}", earlier.first().unwrap_or(&origin.sha256)),
                Approval::Place => format!("plugin:{name}:{}", origin.sha256),
            },
        }
    }

    /// Whether a login of that lineage is this provider's. Beside its own these are the logins that were made with the
    /// same bytes, or with earlier approved ones, before they were in the lock.
    #[must_use]
    pub fn owns(&self, lineage: &str) -> bool {
        if self.lineage() == lineage {
            return true;
        }
        let Component::DropIn(origin) = &self.source else { return false };
        let Approval::Lock { earlier } = &origin.approval else { return false };
        let digest = lineage.strip_prefix("plugin:").and_then(|rest| rest.strip_prefix(self.descriptor.name.as_str()));
        let digest = digest.and_then(|rest| rest.strip_prefix(':'));
        digest.is_some_and(|digest| digest == origin.sha256 || earlier.iter().any(|earlier| earlier == digest))
    }

    /// Whether it is one of the official ones.
    #[must_use]
    pub const fn is_embedded(&self) -> bool {
        matches!(self.source, Component::Embedded { .. })
    }

    /// Where a drop-in comes from.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        match &self.source {
            Component::Embedded { .. } => None,
            Component::DropIn(origin) => Some(origin),
        }
    }

    /// Where a drop-in lies.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.origin().map(|origin| origin.path.as_path())
    }

    /// SHA-256 of its component, in hex.
    #[must_use]
    pub fn sha256(&self) -> &str {
        match &self.source {
            Component::Embedded { sha256, .. } => sha256,
            Component::DropIn(origin) => &origin.sha256,
        }
    }

    /// What the operator said in `[providers.NAME]`.
    #[must_use]
    pub const fn operator(&self) -> &config::Provider {
        &self.operator
    }

    /// What one call of its component may use up.
    #[must_use]
    pub fn limits(&self) -> Limits {
        limits(&self.operator.limits)
    }

    /// What is still missing before a login, by name.
    #[must_use]
    pub fn missing(&self) -> Option<settings::Missing> {
        settings::missing(&self.descriptor, &self.operator)
    }

    /// Reads the settings. May read files and run commands: call it where blocking is allowed.
    ///
    /// # Errors
    /// `not_configured`, `invalid_configuration`, or what `vault` says.
    pub fn read_settings(&self, vault: config::source::Lookup<'_>) -> Result<Settings> {
        settings::read(&self.descriptor, &self.operator, vault)
    }
}

/// What holds for all, with what the operator set for one.
fn limits(operator: &config::Limits) -> Limits {
    let standard = Limits::STANDARD;
    let size = |given: Option<u64>, unit: usize, otherwise: usize| {
        given.and_then(|given| usize::try_from(given).ok()).map_or(otherwise, |given| given.saturating_mul(unit))
    };
    let count = |given: Option<u64>, otherwise: u32| given.and_then(|given| u32::try_from(given).ok()).unwrap_or(otherwise);
    let seconds = |given: Option<u64>, otherwise: Duration| given.map_or(otherwise, Duration::from_secs);
    Limits {
        memory_bytes: size(operator.memory_mib, 1 << 20, standard.memory_bytes),
        deadline: seconds(operator.deadline_seconds, standard.deadline),
        computing: seconds(operator.computing_seconds, standard.computing),
        requests: count(operator.requests, standard.requests),
        host_calls: count(operator.host_calls, standard.host_calls),
        answer_bytes: size(operator.answer_kib, 1 << 10, standard.answer_bytes),
        log_lines: count(operator.log_lines, standard.log_lines),
        table_elements: size(operator.table_elements, 1, standard.table_elements),
        instances: size(operator.instances, 1, standard.instances),
        ..standard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(approval: Approval) -> Provider {
        let text = r#"{"name":"acme","title":"Acme","version":"1","ttl":{"default":1,"maximum":1}}"#;
        Provider {
            descriptor: Arc::new(Descriptor::parse(text).unwrap()),
            source: Component::DropIn(Box::new(Origin {
                path: "acme.wasm".into(),
                sha256: "new".to_owned(),
                named: false,
                approval,
            })),
            operator: config::Provider::default(),
            prepared: OnceCell::new(),
        }
    }

    #[test]
    fn an_approved_update_keeps_the_logins_and_other_bytes_have_none() {
        let approved = provider(Approval::Lock { earlier: vec!["old".to_owned()] });
        assert_eq!(approved.lineage(), "plugin:acme:old");
        for (lineage, owned) in [
            ("plugin:acme", false),
            ("plugin:acme:new", true),
            ("plugin:acme:old", true),
            ("plugin:acme:other", false),
            ("plugin:acme-two:new", false),
            ("plugin:acm", false),
            ("embedded:acme", false),
        ] {
            assert_eq!(approved.owns(lineage), owned, "{lineage}");
        }
        let in_a_folder = provider(Approval::Place);
        assert!(in_a_folder.owns("plugin:acme:new"));
        assert!(!in_a_folder.owns("plugin:acme") && !in_a_folder.owns("plugin:acme:old"));
    }

    #[test]
    fn the_operator_narrows_and_widens_each_limit_by_itself() {
        let given = config::Limits { memory_mib: Some(1), requests: Some(64), log_lines: Some(0), ..config::Limits::default() };
        let limits = limits(&given);
        assert_eq!((limits.memory_bytes, limits.requests, limits.log_lines), (1 << 20, 64, 0));
        assert_eq!((limits.deadline, limits.answer_bytes), (Limits::STANDARD.deadline, Limits::STANDARD.answer_bytes));
    }
}

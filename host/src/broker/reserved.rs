//! Names that the operator's file has given a meaning: secrets of the vault that providers' settings come from.
//!
//! A client secret that rests in the vault is the operator's all the same. An agent that could get a reference to it, or
//! store another under its name, would have what no tool is to give it.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use crate::config::{Config, Elsewhere, Source};
use crate::error::{Code, Error, Result};
use crate::secret::{Secret, SecretName};
use crate::vault::{Stored, Vault};

/// The names, and for whom they are closed.
#[derive(Debug, Default)]
pub(super) struct Reserved {
    names: BTreeSet<String>,
    /// Set where a person acts, not an agent.
    operator: OnceLock<()>,
}

impl Reserved {
    pub(super) fn new(config: &Config) -> Self {
        let sources = config.providers.values().flat_map(|provider| provider.settings.values());
        let names = sources.filter_map(|source| match source {
            Source::Elsewhere(Elsewhere::Secret(name)) => Some(name.clone()),
            _ => None,
        });
        Self { names: names.collect(), operator: OnceLock::new() }
    }

    /// From now on it is the operator who asks.
    pub(super) fn open(&self) {
        let _ = self.operator.set(());
    }

    /// Whether a provider's setting comes from it, whoever asks.
    pub(super) fn holds(&self, name: &SecretName) -> bool {
        self.names.contains(name.as_str())
    }

    /// Whether it is the operator who asks.
    pub(super) fn is_open(&self) -> bool {
        self.operator.get().is_some()
    }

    /// That an agent may use the name.
    pub(super) fn check(&self, name: &SecretName) -> Result<()> {
        if self.operator.get().is_some() || !self.names.contains(name.as_str()) {
            return Ok(());
        }
        Err(Error::new(
            Code::NotAllowed,
            format!("\"{name}\" is a provider's setting, by the operator's file."),
            "Use another name. Only the operator changes or reads this one, with the command line.",
        ))
    }
}

/// The value of a setting that rests in the vault.
pub(super) fn setting(vault: &dyn Vault, name: &str) -> Result<Secret> {
    let wrong = |what: String| {
        let hint = format!("Store it with: mcp-credentials-broker secrets set {name}");
        Err(Error::new(Code::NotConfigured, what, hint))
    };
    match vault.get(&SecretName::parse(name)?)?.map(|record| record.stored) {
        Some(Stored::Static(value)) => Ok(value),
        Some(Stored::Grant(_)) => wrong(format!("The secret \"{name}\" is a login, and a stored value is needed.")),
        None => wrong(format!("There is no secret \"{name}\" in the vault.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Provider;

    #[test]
    fn a_setting_in_the_vault_is_closed_to_agents_and_open_to_the_operator() {
        let settings = [("client_secret".to_owned(), Source::Elsewhere(Elsewhere::Secret("okta-client".to_owned())))];
        let provider = Provider { settings: settings.into(), ..Provider::default() };
        let reserved = Reserved::new(&Config { providers: [("okta".to_owned(), provider)].into(), ..Config::default() });
        let name = |text| SecretName::parse(text).unwrap();
        assert_eq!(reserved.check(&name("okta-client")).unwrap_err().code(), Code::NotAllowed);
        assert!(reserved.check(&name("okta")).is_ok());
        reserved.open();
        assert!(reserved.check(&name("okta-client")).is_ok());
    }
}

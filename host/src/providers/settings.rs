//! Where a provider's settings come from: the operator's file first, then the environment, then the default.

use crate::config::source::Lookup;
use crate::config::{self, Elsewhere, Source};
use crate::descriptor::settings::Settings;
use crate::descriptor::{Descriptor, Setting, SettingKind, sounds_secret};
use crate::error::{Code, Error, Result};
use crate::secret::Secret;

/// Settings that are not there, as the names to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// One line for each: the variable, or the alternatives that would do.
    pub what: Vec<String>,
}

impl Missing {
    /// As the end of a sentence.
    #[must_use]
    pub fn told(&self) -> String {
        let verb = if self.what.len() == 1 { "is" } else { "are" };
        format!("{} {verb} missing", self.what.join(", "))
    }
}

/// What a login with this provider still needs, found without reading any value.
#[must_use]
pub fn missing(descriptor: &Descriptor, operator: &config::Provider) -> Option<Missing> {
    let given =
        |name: &str| descriptor.setting(name).is_some_and(|setting| setting.default.is_some() || is_given(setting, operator));
    // The variable that the operator's file names, where it names one.
    let wanted = |setting: &Setting| match operator.settings.get(&setting.name) {
        Some(Source::Elsewhere(Elsewhere::Env(variable))) => variable.clone(),
        _ => label(descriptor, setting),
    };
    let label = |name: &str| descriptor.setting(name).map_or_else(|| name.to_owned(), wanted);
    let mut what: Vec<String> =
        descriptor.settings.iter().filter(|setting| setting.required && !given(&setting.name)).map(wanted).collect();
    let sets = &descriptor.requires_one_of;
    if !sets.is_empty() && !sets.iter().any(|set| set.iter().all(|name| given(name))) {
        let alternatives: Vec<String> =
            sets.iter().map(|set| set.iter().map(|name| label(name)).collect::<Vec<_>>().join(" and ")).collect();
        what.push(alternatives.join(", or "));
    }
    (!what.is_empty()).then_some(Missing { what })
}

/// Where a setting's value comes from, found without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// The operator's file says so.
    File,
    /// This variable.
    Environment(String),
    /// The component's default.
    Default,
    /// Nowhere.
    Not,
}

/// Where a setting's value comes from.
#[must_use]
pub fn given(setting: &Setting, operator: &config::Provider) -> Given {
    let variable = || setting.env.iter().find(|name| std::env::var(name).is_ok_and(|value| !value.trim().is_empty()));
    match operator.settings.get(&setting.name) {
        Some(_) if is_given(setting, operator) => Given::File,
        Some(_) => Given::Not,
        None => match variable() {
            Some(name) => Given::Environment(name.clone()),
            None if setting.default.is_some() => Given::Default,
            None => Given::Not,
        },
    }
}

fn is_given(setting: &Setting, operator: &config::Provider) -> bool {
    match operator.settings.get(&setting.name) {
        Some(Source::Elsewhere(Elsewhere::Env(variable))) => std::env::var_os(variable).is_some_and(|value| !value.is_empty()),
        Some(_) => true,
        None => from_environment(setting).is_some(),
    }
}

fn from_environment(setting: &Setting) -> Option<Secret> {
    setting.env.iter().find_map(|variable| {
        let value = std::env::var(variable).ok()?;
        (!value.trim().is_empty()).then(|| Secret::new(value))
    })
}

/// How a setting is named to the operator: its first variable, or the key of the file.
#[must_use]
pub fn label(descriptor: &Descriptor, setting: &Setting) -> String {
    setting.env.first().cloned().unwrap_or_else(|| format!("[providers.{}] {}", descriptor.name, setting.name))
}

/// Reads every setting that is given. Files are read and commands run here, so not before a provider is used.
///
/// # Errors
/// `not_configured`, naming the variables; `invalid_configuration`, naming the setting that makes no sense; what `vault`
/// says.
pub fn read(descriptor: &Descriptor, operator: &config::Provider, vault: Lookup<'_>) -> Result<Settings> {
    if let Some(missing) = missing(descriptor, operator) {
        return Err(not_configured(descriptor, &missing));
    }
    let mut settings = Settings::default();
    for setting in &descriptor.settings {
        if let Some(source) = operator.settings.get(&setting.name)
            && !setting.kind.is_secret()
            && setting.kind != SettingKind::ClientId
            && is_place_for_secrets(source)
        {
            return Err(Error::new(
                Code::InvalidConfiguration,
                format!(
                    "[providers.{}] {}: its component can read this setting, and the value comes from a place for secrets.",
                    descriptor.name, setting.name
                ),
                "If it is no secret, write it as text. If it is one, the component must declare it as one: ask its author.",
            ));
        }
        let value = match operator.settings.get(&setting.name) {
            Some(source) => Some(config::source::read_with(source, vault).map_err(|error| {
                let hint = error.hint().to_owned();
                Error::new(error.code(), format!("[providers.{}] {}: {}", descriptor.name, setting.name, error.message()), hint)
            })?),
            None => from_environment(setting).or_else(|| setting.default.as_deref().map(Secret::from)),
        };
        if let Some(value) = value {
            settings.insert(setting, &value).map_err(|reason| {
                Error::new(
                    Code::InvalidConfiguration,
                    format!("{} {reason}.", label(descriptor, setting)),
                    format!("{} Correct it and start the broker again.", setting.about),
                )
            })?;
        }
    }
    Ok(settings)
}

/// What comes from there is taken for a secret, whatever a component calls it: else one could have a key read out to it
/// under the name of a plain setting.
fn is_place_for_secrets(source: &Source) -> bool {
    match source {
        Source::Text(_) => false,
        Source::Elsewhere(Elsewhere::Env(variable)) => sounds_secret(variable),
        Source::Elsewhere(Elsewhere::File(_) | Elsewhere::Command(_) | Elsewhere::Secret(_)) => true,
    }
}

fn not_configured(descriptor: &Descriptor, missing: &Missing) -> Error {
    let register = descriptor
        .documentation
        .as_ref()
        .map_or_else(String::new, |address| format!(" Register an OAuth client at {address} first, if there is none."));
    Error::new(
        Code::NotConfigured,
        format!("{} is not configured: {}.", descriptor.title, missing.told()),
        format!(
            "Ask the operator to set it in the environment of the MCP server, or in [providers.{}] of broker.toml.{register}",
            descriptor.name
        ),
    )
}

/// Checks the names in `[providers.NAME]` against the descriptor.
///
/// # Errors
/// `invalid_configuration` with the nearest name.
pub fn check_names(descriptor: &Descriptor, operator: &config::Provider) -> Result<()> {
    for name in operator.settings.keys() {
        if descriptor.setting(name).is_none() {
            let known: Vec<&str> = descriptor
                .settings
                .iter()
                .map(|setting| setting.name.as_str())
                .chain(["scopes", "loopback_port", "login", "component", "replaces", "limits"])
                .collect();
            let near = known.iter().copied().max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name)));
            return Err(Error::new(
                Code::InvalidConfiguration,
                format!("[providers.{}] has the unknown key {}.", descriptor.name, crate::error::foreign(name)),
                format!("Did you mean {}? It knows: {}.", near.unwrap_or("scopes"), known.join(", ")),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_with(kind: &str, source: Source) -> Result<Settings> {
        let descriptor = Descriptor::parse(
            &json!({
                "name": "acme", "title": "Acme", "version": "1", "ttl": { "default": 1, "maximum": 1 },
                "settings": [{ "name": if kind == "client-id" { "client_id" } else { "realm" }, "kind": kind, "about": "x" }]
            })
            .to_string(),
        )
        .unwrap();
        let name = descriptor.settings[0].name.clone();
        let operator = config::Provider { settings: [(name, source)].into(), ..config::Provider::default() };
        read(&descriptor, &operator, &|name| Ok(Secret::from(name)))
    }

    #[test]
    fn a_component_cannot_read_what_the_operator_keeps_in_a_place_for_secrets() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "canary").unwrap();
        let file = || Source::Elsewhere(Elsewhere::File(file.path().to_owned()));
        for kind in ["text", "segment", "host"] {
            let error = read_with(kind, file()).unwrap_err();
            assert!(error.message().contains("place for secrets") && !error.to_string().contains("canary"), "{error}");
        }
        let vault = Source::Elsewhere(Elsewhere::Secret("canary".to_owned()));
        assert!(read_with("text", vault.clone()).is_err());
        assert_eq!(read_with("key", vault).unwrap().secret("realm").unwrap().expose(), "canary");
        assert_eq!(read_with("key", file()).unwrap().secret("realm").unwrap().expose(), "canary");
        assert_eq!(read_with("client-id", file()).unwrap().plain("client_id"), Some("canary"));
        assert_eq!(read_with("text", Source::Text("public".to_owned())).unwrap().plain("realm"), Some("public"));
        assert!(is_place_for_secrets(&Source::Elsewhere(Elsewhere::Env("GITHUB_CLIENT_SECRET".to_owned()))));
        assert!(!is_place_for_secrets(&Source::Elsewhere(Elsewhere::Env("ACME_REALM".to_owned()))));
    }
}

//! Secret settings of providers, as far as they are known without looking into components or running commands.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Elsewhere, Provider, Source};
use crate::descriptor::sounds_secret;
use crate::providers::embedded;

/// The variables of the environment that hold one: those of the embedded providers, those that the file names, and those
/// of a drop-in that the file has a table for.
pub(super) fn variables(providers: &BTreeMap<String, Provider>) -> BTreeSet<String> {
    let declared = embedded::all().iter().flat_map(|component| &component.descriptor.settings);
    let declared = declared.filter(|setting| setting.kind.is_secret()).flat_map(|setting| setting.env.iter().cloned());
    let named = providers.values().flat_map(|provider| provider.settings.values()).filter_map(|source| match source {
        Source::Elsewhere(Elsewhere::Env(name)) if sounds_secret(name) => Some(name.clone()),
        _ => None,
    });
    let begins: Vec<_> = providers.keys().map(|name| format!("{}_", name.to_uppercase().replace('-', "_"))).collect();
    let set = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let of_drop_ins = set.filter(|name| sounds_secret(name) && begins.iter().any(|begin| name.starts_with(begin)));
    declared.chain(named).chain(of_drop_ins).collect()
}

/// Where their values are, each with a name for people: in these variables, and in the file or where the file says. What
/// rests in the vault is known anyway; what a command prints is not asked for before a provider is used.
pub(super) fn sources(providers: &BTreeMap<String, Provider>, variables: &BTreeSet<String>) -> Vec<(String, Source)> {
    let of_environment = variables.iter().map(|name| (name.clone(), Source::Elsewhere(Elsewhere::Env(name.clone()))));
    let of_file = providers.iter().flat_map(|(provider, operator)| {
        let secret = operator.settings.iter().filter(|(setting, source)| is_secret(provider, setting) && is_at_hand(source));
        secret.map(move |(setting, source)| (format!("{provider}:{setting}"), source.clone()))
    });
    of_environment.chain(of_file).collect()
}

/// As the descriptor says, else as its name sounds.
fn is_secret(provider: &str, setting: &str) -> bool {
    let called = |names: &[String]| names.iter().any(|name| name == provider);
    let mut embedded = embedded::all().iter().map(|component| &component.descriptor);
    let descriptor = embedded.find(|descriptor| descriptor.name == provider || called(&descriptor.aliases));
    let declared = descriptor.and_then(|descriptor| descriptor.setting(setting));
    declared.map_or_else(|| sounds_secret(setting), |setting| setting.kind.is_secret())
}

/// Whether to read it costs nothing. A pipe gives what it has only once.
fn is_at_hand(source: &Source) -> bool {
    match source {
        Source::Text(_) | Source::Elsewhere(Elsewhere::Env(_)) => true,
        Source::Elsewhere(Elsewhere::File(file)) => file.is_file(),
        Source::Elsewhere(Elsewhere::Command(_) | Elsewhere::Secret(_)) => false,
    }
}

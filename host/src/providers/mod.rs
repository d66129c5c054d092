//! Which components there are, whose word it is that they may be used, and what the operator set for each.
//!
//! Six are embedded. Others lie in folders that the operator named, are named by `[providers.NAME] component`, or lie in
//! the platform's own plugin folder, where they are inert until the lock has their digest. Nothing of the embedded and
//! the locked ones is compiled until they are used: their descriptors are at hand.

mod alone;
pub mod approve;
pub mod capabilities;
mod claims;
pub mod dropin;
pub mod embedded;
pub mod file;
pub mod lock;
mod provider;
pub mod settings;
mod survey;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use tokio::sync::{OnceCell, watch};

use crate::config::{self, Config};
use crate::descriptor::Descriptor;
use crate::error::{Code, Error, Result, foreign};
use crate::sandbox::{Prepared, Sandbox, Workshop};
use lock::Approvals;
use provider::Component;
pub use provider::{Approval, Origin, Provider};

/// All providers of this process.
pub struct Providers {
    sandbox: OnceCell<Sandbox>,
    workshop: Workshop,
    operator: BTreeMap<String, config::Provider>,
    require_lock: bool,
    folders: Vec<PathBuf>,
    approvals: Option<Approvals>,
    /// Read at the first need, where the operator's file says nothing of providers.
    embedded: OnceLock<Vec<Arc<Provider>>>,
    /// Names of embedded providers that the operator's file gives to a component of its own.
    given_away: BTreeSet<String>,
    /// What came of each file: unchanged bytes are neither read nor compiled again, and their settings stay.
    known: Mutex<BTreeMap<PathBuf, survey::Known>>,
    listing: tokio::sync::Mutex<()>,
}

/// What `list` finds: providers, and components that cannot be used, each with its reason.
#[derive(Default)]
pub struct Listing {
    /// Providers, embedded ones first.
    pub providers: Vec<Arc<Provider>>,
    /// Components that cannot be used.
    pub unusable: Vec<Unusable>,
}

/// A component, or a folder of them, that cannot be used.
#[derive(Debug, Clone)]
pub struct Unusable {
    /// The file or folder, where it is one.
    pub path: Option<PathBuf>,
    /// The name it would have, where that is known.
    pub name: Option<String>,
    /// SHA-256 of its bytes, where they could be read.
    pub sha256: Option<String>,
    /// Whether nothing is wrong with it but that nobody has approved it.
    pub inert: bool,
    /// Why.
    pub error: Error,
}

impl Listing {
    /// The provider of that name or alias.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.iter().find(|provider| provider.answers_to(name))
    }
}

impl Providers {
    /// Takes in what the operator configured. `folders` come from the command line; `workshop` is who
    /// compiles components, and where they rest.
    ///
    /// # Errors
    /// `invalid_configuration` where `[providers.…]` has a setting that the provider does not know.
    pub fn new(config: &Config, folders: &[PathBuf], workshop: Workshop) -> Result<Self> {
        let given_away = given_away(config);
        let embedded = OnceLock::new();
        // Without a section nothing can be wrong, and what is embedded is read when it is needed.
        if !config.providers.is_empty() {
            let _ = embedded.set(configured(config, &given_away)?);
        }
        let folders: Vec<PathBuf> = config.plugins.iter().chain(folders).cloned().collect();
        check_provider_names(config)?;
        Ok(Self {
            sandbox: OnceCell::new(),
            workshop,
            operator: config.providers.clone(),
            require_lock: config.require_lock,
            folders,
            approvals: None,
            embedded,
            given_away,
            known: Mutex::new(BTreeMap::new()),
            listing: tokio::sync::Mutex::default(),
        })
    }

    /// With the user's approvals. Without them there is no plugin folder but those that are named, and nothing is in
    /// the lock.
    #[must_use]
    pub fn with_approvals(mut self, approvals: Approvals) -> Self {
        self.approvals = Some(approvals);
        self
    }

    /// The user's approvals.
    #[must_use]
    pub const fn approvals(&self) -> Option<&Approvals> {
        self.approvals.as_ref()
    }

    fn embedded(&self) -> &[Arc<Provider>] {
        let plain =
            |component: &embedded::Embedded| embed(component, Arc::clone(&component.descriptor), config::Provider::default());
        self.embedded.get_or_init(|| embedded::all().iter().map(plain).collect())
    }

    /// The provider of that name or alias.
    ///
    /// # Errors
    /// `unknown_provider` with the names there are; the reason why a drop-in of that name cannot be used.
    pub async fn get(&self, name: &str) -> Result<Arc<Provider>> {
        if let Some(found) = self.embedded().iter().find(|provider| provider.answers_to(name)) {
            return Ok(Arc::clone(found));
        }
        // what is ready does not wait for a newcomer that is still being compiled
        if let Some(found) = self.ready().await.find(name) {
            return Ok(Arc::clone(found));
        }
        let listing = self.list().await;
        if let Some(found) = listing.find(name) {
            return Ok(Arc::clone(found));
        }
        if let Some(unusable) = listing.unusable.iter().find(|unusable| unusable.name.as_deref() == Some(name)) {
            return Err(unusable.error.clone());
        }
        let names: Vec<&str> = listing.providers.iter().map(|provider| provider.descriptor.name.as_str()).collect();
        let rejected = match listing.unusable.as_slice() {
            [] => String::new(),
            some => format!(" {} component(s) cannot be used; list_providers says why.", some.len()),
        };
        Err(Error::new(
            Code::UnknownProvider,
            format!("There is no provider {}.", foreign(name)),
            format!("Use one of: {}.{rejected}", names.join(", ")),
        ))
    }

    /// The engine, started at its first need.
    ///
    /// # Errors
    /// `internal` where the platform cannot run it.
    pub async fn sandbox(&self) -> Result<&Sandbox> {
        self.sandbox.get_or_try_init(|| async { Sandbox::new(&self.workshop) }).await
    }

    /// How many components are being compiled at this moment.
    #[must_use]
    pub fn compiling(&self) -> watch::Receiver<usize> {
        self.workshop.compiling()
    }

    /// The component of a provider, compiled at its first need, under its limits.
    ///
    /// # Errors
    /// `component_rejected`, also where a file is no longer what it was when it was listed.
    pub async fn prepared<'a>(&self, provider: &'a Provider) -> Result<&'a Prepared> {
        let compile = || async {
            let sandbox = self.sandbox().await?;
            let prepared = match &provider.source {
                Component::Embedded { bytes, .. } => sandbox.prepare(*bytes).await?,
                Component::DropIn(origin) => sandbox.prepare(survey::bytes_of(origin).await?).await?,
            };
            Ok(prepared.with_limits(provider.limits()))
        };
        provider.prepared.get_or_try_init(compile).await
    }

    /// The bytes of a provider's component, as they were listed.
    ///
    /// # Errors
    /// `component_rejected` where a file is no longer what it was.
    pub async fn bytes(&self, provider: &Provider) -> Result<Vec<u8>> {
        match &provider.source {
            Component::Embedded { bytes, .. } => Ok(bytes.to_vec()),
            Component::DropIn(origin) => survey::bytes_of(origin).await,
        }
    }
}

fn embed(component: &embedded::Embedded, descriptor: Arc<Descriptor>, operator: config::Provider) -> Arc<Provider> {
    let source = Component::Embedded { bytes: component.component, sha256: component.sha256.clone() };
    Arc::new(Provider { descriptor, source, operator, prepared: OnceCell::new() })
}

/// The embedded providers, as far as they keep their names, each with the operator's word.
fn configured(config: &Config, given_away: &BTreeSet<String>) -> Result<Vec<Arc<Provider>>> {
    let mut embedded = Vec::new();
    for component in embedded::all() {
        let mut descriptor = Arc::clone(&component.descriptor);
        if given_away.contains(&descriptor.name) {
            continue;
        }
        if descriptor.aliases.iter().any(|alias| given_away.contains(alias)) {
            Arc::make_mut(&mut descriptor).aliases.retain(|alias| !given_away.contains(alias));
        }
        let operator = operators_word(config, &descriptor)?;
        if !operator.replaces.is_empty() {
            return Err(Error::new(
                Code::InvalidConfiguration,
                format!("[providers.{}] has `replaces`, but {} is embedded.", descriptor.name, descriptor.title),
                "Write it into the section of a component of your own.",
            ));
        }
        settings::check_names(&descriptor, &operator)?;
        embedded.push(embed(component, descriptor, operator));
    }
    Ok(embedded)
}

/// Names of embedded providers that sections with a component of their own take.
fn given_away(config: &Config) -> BTreeSet<String> {
    let embedded = |name: &&String| embedded::all().iter().any(|component| is_called(&component.descriptor, name));
    let sections = config.providers.iter();
    let own = sections.clone().filter(|(_, operator)| operator.component.is_some()).map(|(name, _)| name);
    let taken = sections.flat_map(|(_, operator)| &operator.replaces);
    own.chain(taken).filter(embedded).cloned().collect()
}

fn is_called(descriptor: &Descriptor, name: &str) -> bool {
    descriptor.name == name || descriptor.aliases.iter().any(|alias| alias == name)
}

/// A `[providers.NAME]` that is nearly an embedded name is an error: a misspelt scope limit would be no limit. Any other
/// name may be that of a component that is approved or dropped in later; until then it is listed as unusable.
fn check_provider_names(config: &Config) -> Result<()> {
    for (name, operator) in &config.providers {
        let known = operator.component.is_some() || embedded::all().iter().any(|known| is_called(&known.descriptor, name));
        let names = embedded::all().iter().map(|component| component.descriptor.name.as_str());
        let near = names.max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name))).unwrap_or("oauth2");
        if known || strsim::jaro(near, name) < 0.9 {
            continue;
        }
        return Err(Error::new(
            Code::InvalidConfiguration,
            format!("[providers.{name}] means no embedded provider, and names no component."),
            format!("Did you mean [providers.{near}]? For a component of your own add component = \"{name}.wasm\"."),
        ));
    }
    Ok(())
}

/// `[providers.NAME]` by the name or an alias, one of them at most.
fn operators_word(config: &Config, descriptor: &Descriptor) -> Result<config::Provider> {
    let mut found =
        std::iter::once(&descriptor.name).chain(&descriptor.aliases).filter_map(|name| config.providers.get_key_value(name));
    match (found.next(), found.next()) {
        (None, _) => Ok(config::Provider::default()),
        (Some((_, operator)), None) => Ok(operator.clone()),
        (Some((one, _)), Some((two, _))) => Err(Error::new(
            Code::InvalidConfiguration,
            format!("[providers.{one}] and [providers.{two}] mean the same provider."),
            format!("Keep [providers.{}] alone.", descriptor.name),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(sections: &[(&str, config::Provider)]) -> Config {
        Config {
            providers: sections.iter().map(|(name, operator)| ((*name).to_owned(), operator.clone())).collect(),
            ..Config::default()
        }
    }

    #[test]
    fn what_is_nearly_an_embedded_name_is_an_error_and_others_may_come_later() {
        let new = |name: &str, folders: &[PathBuf]| {
            Providers::new(&config(&[(name, config::Provider::default())]), folders, Workshop::here()).err()
        };
        let folder = [PathBuf::from("plugins")];
        assert!(new("githb", &[]).unwrap().hint().contains("[providers.github]"));
        assert!(new("githb", &folder).unwrap().hint().contains("[providers.github]"));
        assert!(new("acme", &[]).is_none(), "it may be approved later");
        assert!(new("acme", &folder).is_none() && new("gcp", &folder).is_none());
    }

    #[test]
    fn an_embedded_name_is_free_only_where_the_operators_file_gives_it_away() {
        let names = |sections: &[(&str, config::Provider)]| {
            let providers = Providers::new(&config(sections), &[], Workshop::here()).unwrap();
            let name = |provider: &Arc<Provider>| {
                std::iter::once(&provider.descriptor.name).chain(&provider.descriptor.aliases).cloned().collect::<Vec<_>>()
            };
            providers.embedded().iter().flat_map(name).collect::<BTreeSet<_>>()
        };
        let all = names(&[]);
        assert!(all.contains("github") && all.contains("gcp") && all.contains("google"));
        let component = || config::Provider { component: Some("x.wasm".into()), ..config::Provider::default() };
        let without = names(&[("github", component())]);
        assert!(!without.contains("github") && without.len() == all.len() - 1);
        let taking = config::Provider { replaces: vec!["gcp".to_owned()], ..component() };
        let without = names(&[("acme", taking)]);
        assert!(without.contains("google") && !without.contains("gcp"), "only the alias goes");
    }
}

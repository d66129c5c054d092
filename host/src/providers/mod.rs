//! Which components there are, and what the operator set for each.
//!
//! Six are embedded; others lie in folders that the operator named, or are named by `[providers.NAME] component`.
//! Nothing is compiled until a provider is used: the embedded ones bring their descriptors along.

pub mod dropin;
pub mod embedded;
pub mod settings;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Mutex, OnceCell};

use crate::config::{self, Config};
use crate::descriptor::Descriptor;
use crate::descriptor::settings::Settings;
use crate::error::{Code, Error, Result, foreign};
use crate::sandbox::{Prepared, Sandbox};
use dropin::DropIn;

/// The most component files: each is read whenever providers are listed.
const MAX_DROP_INS: usize = 64;

/// All providers of this process.
pub struct Providers {
    sandbox: OnceCell<Sandbox>,
    cache: Option<PathBuf>,
    operator: BTreeMap<String, config::Provider>,
    folders: Vec<PathBuf>,
    embedded: Vec<Arc<Provider>>,
    /// Drop-ins by path and digest, and why not where one cannot be used: unchanged bytes are compiled once.
    known: Mutex<BTreeMap<(PathBuf, String), Result<DropIn>>>,
}

/// One provider: its descriptor, its component, and what the operator set.
pub struct Provider {
    descriptor: Arc<Descriptor>,
    source: Component,
    operator: config::Provider,
    prepared: OnceCell<Prepared>,
}

enum Component {
    Embedded(&'static [u8]),
    DropIn { path: PathBuf, sha256: String },
}

/// What `list` finds: providers, and components that cannot be used, each with its reason.
pub struct Listing {
    /// Providers, embedded ones first.
    pub providers: Vec<Arc<Provider>>,
    /// Components that cannot be used.
    pub rejected: Vec<Error>,
}

impl Providers {
    /// Takes in what the operator configured. `folders` come from the command line; `cache` is where compiled
    /// components rest.
    ///
    /// # Errors
    /// `invalid_configuration` where `[providers.…]` has a setting that the provider does not know.
    pub fn new(config: &Config, folders: &[PathBuf], cache: Option<PathBuf>) -> Result<Self> {
        let mut embedded = Vec::new();
        for component in embedded::all() {
            let descriptor = Arc::clone(&component.descriptor);
            let operator = operators_word(config, &descriptor)?;
            if operator.component.is_some() {
                return Err(Error::new(
                    Code::InvalidConfiguration,
                    format!("[providers.{}] names a component, but {} is embedded.", descriptor.name, descriptor.title),
                    "Give the component a name of its own.",
                ));
            }
            settings::check_names(&descriptor, &operator)?;
            embedded.push(Arc::new(Provider {
                descriptor,
                source: Component::Embedded(component.component),
                operator,
                prepared: OnceCell::new(),
            }));
        }
        let folders: Vec<PathBuf> = config.plugins.iter().chain(folders).cloned().collect();
        check_provider_names(config, &embedded, folders.is_empty())?;
        Ok(Self {
            sandbox: OnceCell::new(),
            cache,
            operator: config.providers.clone(),
            folders,
            embedded,
            known: Mutex::new(BTreeMap::new()),
        })
    }

    /// The provider of that name or alias.
    ///
    /// # Errors
    /// `unknown_provider` with the names there are; the reason why a drop-in of that name cannot be used.
    pub async fn get(&self, name: &str) -> Result<Arc<Provider>> {
        if let Some(found) = self.embedded.iter().find(|provider| provider.answers_to(name)) {
            return Ok(Arc::clone(found));
        }
        let listing = self.list().await;
        if let Some(found) = listing.providers.iter().find(|provider| provider.answers_to(name)) {
            return Ok(Arc::clone(found));
        }
        let names: Vec<&str> = listing.providers.iter().map(|provider| provider.descriptor.name.as_str()).collect();
        let rejected = match listing.rejected.as_slice() {
            [] => String::new(),
            some => format!(" {} component(s) cannot be used; list_providers says why.", some.len()),
        };
        Err(Error::new(
            Code::UnknownProvider,
            format!("There is no provider {}.", foreign(name)),
            format!("Use one of: {}.{rejected}", names.join(", ")),
        ))
    }

    /// Every provider there is now. Folders are read anew, so a file dropped in is there without a restart.
    pub async fn list(&self) -> Listing {
        let mut listing = Listing { providers: self.embedded.clone(), rejected: Vec::new() };
        let found = self.found(&mut listing.rejected).await;
        for (index, drop_in) in found.iter().enumerate() {
            // Nothing tells which of two files that claim one name was there first: neither gets the settings of that
            // name, unless the operator named one of them.
            let rivals = found
                .iter()
                .enumerate()
                .filter(|(other, rival)| *other != index && (self.is_named(rival) || !self.is_named(drop_in)));
            let embedded = self.embedded.iter().map(|provider| &*provider.descriptor);
            let others: Vec<&Descriptor> = embedded.chain(rivals.map(|(_, rival)| &*rival.descriptor)).collect();
            match dropin::check_claims(drop_in, &others).and_then(|()| self.adopt(drop_in.clone())) {
                Ok(provider) => listing.providers.push(Arc::new(provider)),
                Err(error) => listing.rejected.push(error),
            }
        }
        listing
    }

    /// Whether the operator named this very file for the name that it has.
    fn is_named(&self, drop_in: &DropIn) -> bool {
        let operator = self.operator.get(&drop_in.descriptor.name);
        operator.is_some_and(|operator| operator.component.as_ref() == Some(&drop_in.path))
    }

    /// The drop-ins that can be used. One caller at a time: a file that is slow to compile is not compiled twice.
    async fn found(&self, rejected: &mut Vec<Error>) -> Vec<DropIn> {
        let mut known = self.known.lock().await;
        let (mut found, mut seen) = (Vec::new(), Vec::new());
        for path in self.files(rejected) {
            let (bytes, digest) = match read(&path).await {
                Ok(read) => read,
                Err(error) => {
                    rejected.push(error);
                    continue;
                }
            };
            let key = (path, digest);
            if !known.contains_key(&key) {
                let loaded = match self.sandbox().await {
                    Ok(sandbox) => dropin::load(&key.0, bytes, key.1.clone(), sandbox).await,
                    Err(error) => Err(error),
                };
                known.insert(key.clone(), loaded);
            }
            match known.get(&key) {
                Some(Ok(drop_in)) => found.push(drop_in.clone()),
                Some(Err(error)) => rejected.push(error.clone()),
                None => {}
            }
            seen.push(key);
        }
        known.retain(|key, _| seen.contains(key));
        found
    }

    fn files(&self, rejected: &mut Vec<Error>) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = self.operator.values().filter_map(|operator| operator.component.clone()).collect();
        for folder in &self.folders {
            match dropin::files_in(folder) {
                Ok(found) => files.extend(found.into_iter().filter(|path| !files.contains(path)).collect::<Vec<_>>()),
                Err(error) => rejected.push(error),
            }
        }
        if files.len() > MAX_DROP_INS {
            rejected.push(Error::new(
                Code::Limit,
                format!("There are {} component files; only {MAX_DROP_INS} are looked at.", files.len()),
                "Take those that are not needed out of the folders of plugins.",
            ));
            files.truncate(MAX_DROP_INS);
        }
        files
    }

    fn adopt(&self, drop_in: DropIn) -> Result<Provider> {
        let named = self.operator.iter().find(|(_, operator)| operator.component.as_ref() == Some(&drop_in.path));
        if let Some((name, _)) = named.filter(|(name, _)| **name != drop_in.descriptor.name) {
            return Err(Error::new(
                Code::ComponentRejected,
                format!(
                    "{}: it calls itself {}, but [providers.{name}] names it.",
                    drop_in.path.display(),
                    drop_in.descriptor.name
                ),
                format!("Call that section [providers.{}].", drop_in.descriptor.name),
            ));
        }
        let operator = self.operator.get(&drop_in.descriptor.name).cloned().unwrap_or_default();
        settings::check_names(&drop_in.descriptor, &operator)?;
        Ok(Provider {
            descriptor: drop_in.descriptor,
            source: Component::DropIn { path: drop_in.path, sha256: drop_in.sha256 },
            operator,
            prepared: OnceCell::new_with(Some(drop_in.prepared)),
        })
    }

    /// The engine, started at its first need.
    ///
    /// # Errors
    /// `internal` where the platform cannot run it.
    pub async fn sandbox(&self) -> Result<&Sandbox> {
        self.sandbox.get_or_try_init(|| async { Sandbox::new(self.cache.as_deref()) }).await
    }

    /// The component of a provider, compiled at its first need.
    ///
    /// # Errors
    /// `component_rejected`.
    pub async fn prepared<'a>(&self, provider: &'a Provider) -> Result<&'a Prepared> {
        let compile = || async {
            match provider.source {
                Component::Embedded(bytes) => self.sandbox().await?.prepare(bytes).await,
                Component::DropIn { .. } => {
                    Err(Error::new(Code::Internal, "A drop-in came without its compiled form.", "Report this."))
                }
            }
        };
        provider.prepared.get_or_try_init(compile).await
    }
}

/// Reads a component where that may block.
async fn read(path: &std::path::Path) -> Result<(Vec<u8>, String)> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || dropin::read(&path)).await;
    read.map_err(|_| Error::new(Code::Internal, "A component could not be read.", "Try again."))?
}

/// A misspelt `[providers.NAME]` is an error, unless a folder may hold a component of that name.
fn check_provider_names(config: &Config, embedded: &[Arc<Provider>], closed: bool) -> Result<()> {
    for (name, operator) in &config.providers {
        let known = operator.component.is_some() || embedded.iter().any(|provider| provider.answers_to(name));
        if known || !closed {
            continue;
        }
        let names = embedded.iter().map(|provider| provider.descriptor.name.as_str());
        let near = names.max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name))).unwrap_or("oauth2");
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

    /// Whose logins these are: `embedded:NAME`, which a new release of the broker keeps, or `plugin:NAME:DIGEST`. Other
    /// bytes under a drop-in's name never come by its logins: nobody has approved that.
    #[must_use]
    pub fn lineage(&self) -> String {
        match &self.source {
            Component::Embedded(_) => format!("embedded:{}", self.descriptor.name),
            Component::DropIn { sha256, .. } => format!("plugin:{}:{sha256}", self.descriptor.name),
        }
    }

    /// Whether it is one of the official ones.
    #[must_use]
    pub const fn is_embedded(&self) -> bool {
        matches!(self.source, Component::Embedded(_))
    }

    /// Where a drop-in lies.
    #[must_use]
    pub fn path(&self) -> Option<&std::path::Path> {
        match &self.source {
            Component::Embedded(_) => None,
            Component::DropIn { path, .. } => Some(path),
        }
    }

    /// What the operator said in `[providers.NAME]`.
    #[must_use]
    pub const fn operator(&self) -> &config::Provider {
        &self.operator
    }

    /// What is still missing before a login, by name.
    #[must_use]
    pub fn missing(&self) -> Option<settings::Missing> {
        settings::missing(&self.descriptor, &self.operator)
    }

    /// Reads the settings. May read files and run commands: call it where blocking is allowed.
    ///
    /// # Errors
    /// `not_configured` or `invalid_configuration`.
    pub fn read_settings(&self) -> Result<Settings> {
        settings::read(&self.descriptor, &self.operator)
    }
}

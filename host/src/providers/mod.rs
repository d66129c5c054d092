//! Which components there are, and what the operator set for each.
//!
//! Six are embedded; others lie in folders that the operator named, or are named by `[providers.NAME] component`.
//! Nothing is compiled until a provider is used: the embedded ones bring their descriptors along.

pub mod dropin;
pub mod embedded;
pub mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

use crate::config::{self, Config};
use crate::descriptor::Descriptor;
use crate::descriptor::settings::Settings;
use crate::error::{Code, Error, Result, foreign};
use crate::sandbox::{Prepared, Sandbox};
use dropin::DropIn;

/// All providers of this process.
pub struct Providers {
    sandbox: OnceCell<Sandbox>,
    cache: Option<PathBuf>,
    operator: BTreeMap<String, config::Provider>,
    folders: Vec<PathBuf>,
    embedded: Vec<Arc<Provider>>,
    /// Drop-ins by path and digest: unchanged bytes are not compiled again, and their settings stay.
    known: Mutex<BTreeMap<(PathBuf, String), Known>>,
    listing: tokio::sync::Mutex<()>,
}

/// The most component files: each is read whenever providers are listed.
const MAX_DROP_INS: usize = 64;

/// What came of loading a drop-in, and when.
#[derive(Clone)]
struct Known {
    since: Instant,
    outcome: Result<Arc<Provider>>,
}

/// How long a component that could not be loaded is not tried again: a `describe` that never ends would hold up
/// whoever asks for another drop-in.
const FAILED_FOR: Duration = Duration::from_secs(60);

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
            listing: tokio::sync::Mutex::default(),
        })
    }

    /// One component and nothing else, embedded ones included: for a rehearsal of it.
    ///
    /// # Errors
    /// `invalid_configuration` where `operator` has a setting that the component does not know.
    pub fn only(drop_in: DropIn, operator: config::Provider) -> Result<Self> {
        settings::check_names(&drop_in.descriptor, &operator)?;
        let provider = Provider {
            descriptor: drop_in.descriptor,
            source: Component::DropIn { path: drop_in.path, sha256: drop_in.sha256 },
            operator,
            prepared: OnceCell::new_with(Some(drop_in.prepared)),
        };
        Ok(Self {
            sandbox: OnceCell::new(),
            cache: None,
            operator: BTreeMap::new(),
            folders: Vec::new(),
            embedded: vec![Arc::new(provider)],
            known: Mutex::new(BTreeMap::new()),
            listing: tokio::sync::Mutex::default(),
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
        // One at a time: what is slow to compile is not compiled by every call that comes meanwhile.
        let _turn = self.listing.lock().await;
        let mut listing = Listing { providers: self.embedded.clone(), rejected: Vec::new() };
        let mut loaded = Vec::new();
        let files = self.files(&mut listing.rejected);
        for path in &files {
            match self.drop_in(path).await {
                Ok(provider) => loaded.push((path.clone(), provider)),
                Err(error) => listing.rejected.push(error),
            }
        }
        self.known().retain(|(path, _), _| files.contains(path));
        for (path, provider) in &loaded {
            match self.check_claims(path, provider, &loaded) {
                Ok(()) => listing.providers.push(Arc::clone(provider)),
                Err(error) => listing.rejected.push(error),
            }
        }
        listing
    }

    /// Whether a drop-in takes nothing from another provider. Held against all that lie there now, each time: a file that
    /// came later must not take the name of one that is in use. Of two files with one name neither has it, unless the
    /// operator's file names one of them.
    fn check_claims(&self, path: &Path, provider: &Provider, loaded: &[(PathBuf, Arc<Provider>)]) -> Result<()> {
        let named = |path: &Path| self.operator.values().any(|operator| operator.component.as_deref() == Some(path));
        // what the operator named gives way to nothing but that
        let rivals: Vec<_> = loaded.iter().filter(|(other, _)| other != path && (named(other) || !named(path))).collect();
        let taken = |name: &str| {
            if self.embedded.iter().any(|other| other.answers_to(name)) {
                return Some("an embedded provider".to_owned());
            }
            rivals.iter().find(|(_, other)| other.answers_to(name)).map(|(other, _)| other.display().to_string())
        };
        // `github-client` has a prefix of its own, and GITHUB_CLIENT_SECRET begins with it.
        let reserved = |variable: &str| {
            self.embedded.iter().chain(rivals.iter().map(|(_, other)| other)).any(|other| other.has_prefix_of(variable))
        };
        dropin::check_claims(path, &provider.descriptor, taken, reserved)
    }

    fn files(&self, rejected: &mut Vec<Error>) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = self.operator.values().filter_map(|operator| operator.component.clone()).collect();
        for folder in &self.folders {
            match dropin::files_in(folder) {
                Ok(found) => files.extend(found),
                Err(error) => rejected.push(error),
            }
        }
        // a folder may be named twice, in two ways; the file itself may be a link, and is judged as that
        let mut seen = BTreeSet::new();
        files.retain(|path| {
            let folder = path.parent().and_then(|folder| std::fs::canonicalize(folder).ok());
            seen.insert((folder, path.file_name().map(ToOwned::to_owned)))
        });
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

    async fn drop_in(&self, path: &Path) -> Result<Arc<Provider>> {
        let file = path.to_owned();
        let read = tokio::task::spawn_blocking(move || dropin::read(&file)).await;
        let (bytes, digest) = read.map_err(|_| Error::new(Code::Internal, "A component could not be read.", "Try again."))??;
        let key = (path.to_owned(), digest.clone());
        let known = self.known().get(&key).cloned();
        if let Some(known) = known.filter(|known| known.outcome.is_ok() || known.since.elapsed() < FAILED_FOR) {
            return known.outcome;
        }
        let loaded = dropin::load(path, bytes, digest, self.sandbox().await?).await;
        let outcome = loaded.and_then(|drop_in| self.adopt(drop_in)).map(Arc::new);
        let mut known = self.known();
        known.retain(|(other, _), _| other != path);
        known.insert(key, Known { since: Instant::now(), outcome: outcome.clone() });
        outcome
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<(PathBuf, String), Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
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

/// A misspelt `[providers.NAME]` is an error, unless a folder may hold a component of that name.
fn check_provider_names(config: &Config, embedded: &[Arc<Provider>], closed: bool) -> Result<()> {
    for (name, operator) in &config.providers {
        let known = operator.component.is_some() || embedded.iter().any(|provider| provider.answers_to(name));
        let names = embedded.iter().map(|provider| provider.descriptor.name.as_str());
        let near = names.max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name))).unwrap_or("oauth2");
        // a misspelt scope limit is no limit, so what is nearly an embedded name is an error even then
        if known || (!closed && strsim::jaro(near, name) < 0.9) {
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
    fn has_prefix_of(&self, variable: &str) -> bool {
        let mut names = std::iter::once(&self.descriptor.name).chain(&self.descriptor.aliases);
        names.any(|name| variable.starts_with(&dropin::prefix(name)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_section_is_an_error_even_where_a_folder_may_hold_others() {
        let new = |name: &str, folders: &[PathBuf]| {
            let mut config = Config::default();
            config.providers.insert(name.to_owned(), config::Provider::default());
            Providers::new(&config, folders, None).err()
        };
        let folder = [PathBuf::from("plugins")];
        assert!(new("githb", &[]).unwrap().hint().contains("[providers.github]"));
        assert!(new("githb", &folder).unwrap().hint().contains("[providers.github]"));
        assert!(new("acme", &[]).is_some());
        assert!(new("acme", &folder).is_none() && new("gcp", &folder).is_none());
    }
}

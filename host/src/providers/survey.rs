//! Looking through the files that may be components: what is new is prepared wholly before it takes a name, and what is
//! unchanged is neither read nor compiled again. A call under way keeps the provider that it began with.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

use super::file::{self, Stamp};
use super::lock::{Approved, Lock};
use super::provider::{Approval, Component, Origin, Provider};
use super::{Listing, Providers, Unusable, dropin, settings};
use crate::descriptor::Descriptor;
use crate::error::{Code, Error, Result};
use crate::sandbox;

/// The most component files that are looked at.
const MAX_FILES: usize = 256;

/// How long a component that could not be loaded is not tried again: a `describe` that never ends would hold up
/// whoever asks for another drop-in.
const FAILED_FOR: Duration = Duration::from_secs(60);

/// What came of a file, and for which bytes and which word of the operator that holds.
#[derive(Clone)]
pub(super) struct Known {
    stamp: Stamp,
    sha256: String,
    /// The lock's entry for these bytes, with its name.
    locked: Option<(String, Approved)>,
    since: Instant,
    outcome: Option<Result<Arc<Provider>>>,
}

/// A file that may be a component, and what is known of it before it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    path: PathBuf,
    place: Place,
}

/// Whose word a candidate lies there by.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// `[providers.NAME] component` names it.
    Section(String),
    /// In a folder that the operator named.
    Folder,
    /// In the platform's plugin folder, by nobody's word.
    Default,
}

impl Candidate {
    /// The name that it would have by where it lies, before anything of it is compiled.
    fn expected(&self) -> Option<&str> {
        match &self.place {
            Place::Section(name) => Some(name),
            Place::Folder => None,
            Place::Default => self.path.file_stem().and_then(|stem| stem.to_str()),
        }
    }

    fn unusable(&self, error: Error) -> Unusable {
        let name = self.expected().map(str::to_owned);
        Unusable { path: Some(self.path.clone()), name, sha256: None, inert: false, error }
    }
}

/// The bytes of a drop-in, if they still are what was listed.
pub(super) async fn bytes_of(origin: &Origin) -> Result<Vec<u8>> {
    let path = origin.path.clone();
    let contents = blocking(move || file::read(&path)).await??;
    if contents.sha256 == origin.sha256 {
        return Ok(contents.bytes);
    }
    Err(Error::new(
        Code::ComponentRejected,
        format!("{}: it was changed since it was looked at.", origin.path.display()),
        "Try again; list_providers says what lies there now.",
    ))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Error::new(Code::Internal, "A component could not be read.", "Try again."))
}

impl Providers {
    /// Every provider there is now. Folders are read anew, so a file dropped in is there without a restart.
    pub async fn list(&self) -> Listing {
        // One at a time: what is slow to compile is not compiled by every call that comes meanwhile.
        let _turn = self.listing.lock().await;
        self.survey(true).await
    }

    /// Every provider that is ready: what would have to be compiled first is left out.
    pub(super) async fn ready(&self) -> Listing {
        self.survey(false).await
    }

    async fn survey(&self, prepare: bool) -> Listing {
        let mut listing = Listing { providers: self.embedded().to_vec(), ..Listing::default() };
        let lock = match self.approvals.as_ref().map_or_else(|| Ok(Arc::default()), |approvals| approvals.read()) {
            Ok(lock) => lock,
            // Then nobody knows what is approved under which name, so no drop-in is used at all.
            Err(error) => {
                listing.unusable.push(Unusable { path: None, name: None, sha256: None, inert: false, error });
                return listing;
            }
        };
        let candidates = self.candidates(&mut listing.unusable);
        let mut loaded: Vec<Arc<Provider>> = Vec::new();
        for candidate in &candidates {
            match self.judge(candidate, &lock, prepare).await {
                // the same approved bytes in two places are one plugin
                Ok(Some(provider)) if is_copy(&provider, &loaded) => {}
                Ok(Some(provider)) => loaded.push(provider),
                Ok(None) => {}
                Err(unusable) => listing.unusable.push(*unusable),
            }
        }
        self.known().retain(|path, _| candidates.iter().any(|candidate| candidate.path == *path));
        for provider in &loaded {
            match self.check_claims(provider, &loaded) {
                Ok(()) => listing.providers.push(Arc::clone(provider)),
                Err(error) => listing.unusable.push(Unusable {
                    path: provider.path().map(Path::to_owned),
                    // the name is somebody else's
                    name: None,
                    sha256: Some(provider.sha256().to_owned()),
                    inert: false,
                    error,
                }),
            }
        }
        if prepare {
            self.tell_of_idle_sections(&mut listing);
        }
        listing
    }

    /// A `[providers.NAME]` that is nobody's configures nothing, and somebody thinks that it does.
    fn tell_of_idle_sections(&self, listing: &mut Listing) {
        let is_known = |name: &String| {
            listing.find(name).is_some() || listing.unusable.iter().any(|unusable| unusable.name.as_ref() == Some(name))
        };
        let idle: Vec<_> = self.operator.keys().filter(|name| !is_known(name)).cloned().collect();
        listing.unusable.extend(idle.into_iter().map(|name| {
            let error = Error::new(
                Code::InvalidConfiguration,
                format!("[providers.{name}] configures nothing: there is no provider of that name."),
                format!(
                    "Approve its component with `mcp-credentials-broker providers add {name}.wasm`, or name the file in that section: component = \"{name}.wasm\". If the name is misspelt, correct it."
                ),
            );
            Unusable { path: None, name: Some(name), sha256: None, inert: false, error }
        }));
    }

    /// Whether a file lies where components are looked for.
    pub(super) fn looks_at(&self, path: &Path) -> bool {
        self.candidates(&mut Vec::new()).iter().any(|candidate| is_same_file(&candidate.path, path))
    }

    /// The files with these bytes among those that are looked at.
    pub(super) async fn lying_with(&self, sha256: Option<&str>) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for candidate in self.candidates(&mut Vec::new()) {
            if self.identify(&candidate).await.is_ok_and(|known| Some(known.sha256.as_str()) == sha256) {
                found.push(candidate.path);
            }
        }
        found
    }

    fn candidates(&self, unusable: &mut Vec<Unusable>) -> Vec<Candidate> {
        let named = self.operator.iter().filter_map(|(name, operator)| Some((name, operator.component.clone()?)));
        let mut found: Vec<Candidate> =
            named.map(|(name, path)| Candidate { path, place: Place::Section(name.clone()) }).collect();
        let own = self.approvals.as_ref().map(super::lock::Approvals::plugins);
        // named by the operator, it is no longer by nobody's word
        let own = own.filter(|own| own.exists() && !self.folders.iter().any(|folder| is_same(folder, own)));
        let folders = self.folders.iter().map(|folder| (folder, Place::Folder));
        for (folder, place) in folders.chain(own.iter().map(|own| (own, Place::Default))) {
            match file::files_in(folder) {
                Ok(files) => found.extend(files.into_iter().map(|path| Candidate { path, place: place.clone() })),
                Err(error) => {
                    unusable.push(Unusable { path: Some(folder.clone()), name: None, sha256: None, inert: false, error });
                }
            }
        }
        // a folder may be named twice, in two ways; the file itself may be a link, and is judged as that
        let mut seen = BTreeSet::new();
        found.retain(|candidate| {
            let folder = candidate.path.parent().and_then(|folder| std::fs::canonicalize(folder).ok());
            seen.insert((folder, candidate.path.file_name().map(ToOwned::to_owned)))
        });
        if found.len() > MAX_FILES {
            let error = Error::new(
                Code::Limit,
                format!("There are {} component files; only {MAX_FILES} are looked at.", found.len()),
                "Take those that are not needed out of the folders of plugins.",
            );
            unusable.push(Unusable { path: None, name: None, sha256: None, inert: false, error });
            found.truncate(MAX_FILES);
        }
        found
    }

    /// The provider in a file; `None` where it would have to be prepared first and is not to be now.
    async fn judge(&self, candidate: &Candidate, lock: &Lock, prepare: bool) -> Result<Option<Arc<Provider>>, Box<Unusable>> {
        let unusable = |error: Error| Box::new(candidate.unusable(error));
        let mut known = self.identify(candidate).await.map_err(unusable)?;
        let with_digest = |error: Error, inert: bool| {
            Box::new(Unusable { sha256: Some(known.sha256.clone()), inert, ..candidate.unusable(error) })
        };
        let locked = lock.with_digest(&known.sha256).map(|(name, approved)| (name.to_owned(), approved.clone()));
        if locked.is_none() {
            // Refused by their digest alone: nothing of these bytes is compiled.
            if let Some((name, approved)) = candidate.expected().and_then(|name| lock.plugins.get_key_value(name)) {
                return Err(with_digest(other_bytes(&candidate.path, name, &approved.sha256, &known.sha256), false));
            }
            if candidate.place == Place::Default {
                return Err(with_digest(not_approved(&candidate.path), true));
            }
            if self.require_lock {
                return Err(with_digest(not_in_lock(&candidate.path), true));
            }
        }
        let fresh = known.locked == locked
            && match &known.outcome {
                None => false,
                Some(Ok(_)) => true,
                Some(Err(_)) => known.since.elapsed() < FAILED_FOR,
            };
        if !fresh {
            if locked.is_none() && !prepare {
                return Ok(None);
            }
            known.outcome = Some(self.load(candidate, &known.sha256, locked.as_ref()).await.map(Arc::new));
            known.since = Instant::now();
            known.locked = locked;
            self.known().insert(candidate.path.clone(), known.clone());
        }
        let provider = match known.outcome {
            Some(Ok(provider)) => provider,
            Some(Err(error)) => {
                return Err(Box::new(Unusable { sha256: Some(known.sha256), ..candidate.unusable(error) }));
            }
            None => return Ok(None),
        };
        // Only now is it known what these bytes call themselves.
        let name = &provider.descriptor.name;
        match lock.plugins.get(name).filter(|approved| approved.sha256 != known.sha256) {
            Some(approved) => {
                let error = other_bytes(&candidate.path, name, &approved.sha256, &known.sha256);
                Err(Box::new(Unusable { name: Some(name.clone()), sha256: Some(known.sha256), ..candidate.unusable(error) }))
            }
            None => Ok(Some(provider)),
        }
    }

    /// Which bytes lie there now: as they are known, where the file has not changed since.
    async fn identify(&self, candidate: &Candidate) -> Result<Known> {
        if matches!(candidate.place, Place::Section(_)) {
            file::judge_folder_of(&candidate.path)?;
        }
        let path = candidate.path.clone();
        let before = self.known().get(&path).cloned();
        if let Some(before) =
            before.as_ref().filter(|before| before.stamp.settled() && Stamp::now(&path) == Some(before.stamp.clone()))
        {
            return Ok(before.clone());
        }
        let contents = blocking(move || file::read(&path)).await??;
        let known = match before.filter(|before| before.sha256 == contents.sha256) {
            Some(before) => Known { stamp: contents.stamp, ..before },
            None => Known { stamp: contents.stamp, sha256: contents.sha256, locked: None, since: Instant::now(), outcome: None },
        };
        self.known().insert(candidate.path.clone(), known.clone());
        Ok(known)
    }

    async fn load(&self, candidate: &Candidate, sha256: &str, locked: Option<&(String, Approved)>) -> Result<Provider> {
        let path = &candidate.path;
        let (descriptor, approval, prepared) = match locked {
            // What these bytes say of themselves was found out when they were approved.
            Some((name, approved)) => {
                let descriptor = of_lock(path, name, approved)?;
                (Arc::new(descriptor), Approval::Lock { earlier: approved.earlier.clone() }, None)
            }
            None => {
                let file = path.clone();
                let contents = blocking(move || file::read(&file)).await??;
                if contents.sha256 != sha256 {
                    return Err(Error::new(
                        Code::ComponentRejected,
                        format!("{}: it changed while it was read.", path.display()),
                        "Try again when it is whole; to replace a component, write it beside and rename it.",
                    ));
                }
                let found = dropin::load(path, contents, self.sandbox().await?).await?;
                (found.descriptor, Approval::Place, Some(found.prepared))
            }
        };
        if let Place::Section(name) = &candidate.place
            && *name != descriptor.name
        {
            return Err(Error::new(
                Code::ComponentRejected,
                format!("{}: it calls itself {}, but [providers.{name}] names it.", path.display(), descriptor.name),
                format!("Call that section [providers.{}].", descriptor.name),
            ));
        }
        let operator = self.operator.get(&descriptor.name).cloned().unwrap_or_default();
        settings::check_names(&descriptor, &operator)?;
        let named = matches!(candidate.place, Place::Section(_));
        let origin = Origin { path: path.clone(), sha256: sha256.to_owned(), named, approval };
        let provider = Provider { descriptor, source: Component::DropIn(Box::new(origin)), operator, prepared: OnceCell::new() };
        if let Some(prepared) = prepared {
            let _ = provider.prepared.set(prepared.with_limits(provider.limits()));
        }
        Ok(provider)
    }

    fn known(&self) -> MutexGuard<'_, std::collections::BTreeMap<PathBuf, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The descriptor that the lock has for approved bytes, if this broker still speaks their contract.
pub(super) fn of_lock(path: &Path, name: &str, approved: &Approved) -> Result<Descriptor> {
    sandbox::check_contract(&approved.component.contract).map_err(|error| dropin::named(path, &error))?;
    match Descriptor::parse(&approved.descriptor) {
        Ok(descriptor) if descriptor.name == name => Ok(descriptor),
        Ok(_) | Err(_) => Err(Error::new(
            Code::InvalidConfiguration,
            format!("{}: what plugins.lock has under {name} makes no sense.", path.display()),
            format!("Run `mcp-credentials-broker providers remove {name}`, and approve it anew with `providers add`."),
        )),
    }
}

fn is_copy(provider: &Provider, loaded: &[Arc<Provider>]) -> bool {
    let approved = |provider: &Provider| provider.origin().is_some_and(|origin| matches!(origin.approval, Approval::Lock { .. }));
    approved(provider) && loaded.iter().any(|other| approved(other) && other.sha256() == provider.sha256())
}

fn is_same(one: &Path, two: &Path) -> bool {
    std::fs::canonicalize(one).ok().is_some_and(|one| std::fs::canonicalize(two).ok() == Some(one))
}

/// The same file by folder and name; a link is not what it leads to.
fn is_same_file(one: &Path, two: &Path) -> bool {
    let folder = |path: &Path| path.parent().and_then(|folder| std::fs::canonicalize(folder).ok());
    one.file_name() == two.file_name() && folder(one).is_some() && folder(one) == folder(two)
}

fn other_bytes(path: &Path, name: &str, approved: &str, found: &str) -> Error {
    Error::new(
        Code::NotAllowed,
        format!(
            "{}: these are not the bytes that were approved for {name}. Approved: sha256 {approved}. Found: sha256 {found}.",
            path.display()
        ),
        format!(
            "If you installed an update, look at what it changes and approve it: mcp-credentials-broker providers update '{}'. If you did not, somebody else changed the file: put the approved one back.",
            path.display()
        ),
    )
}

fn not_approved(path: &Path) -> Error {
    Error::new(
        Code::NotAllowed,
        format!("{}: nobody has approved it, and the folder it lies in approves nothing.", path.display()),
        format!(
            "The operator can look at it and approve it, in a terminal: mcp-credentials-broker providers add '{}'",
            path.display()
        ),
    )
}

fn not_in_lock(path: &Path) -> Error {
    Error::new(
        Code::NotAllowed,
        format!("{}: it is not in plugins.lock, and broker.toml says require_lock = true.", path.display()),
        format!(
            "The operator can look at it and approve it, in a terminal: mcp-credentials-broker providers add '{}'",
            path.display()
        ),
    )
}

//! What the operator decides at a terminal: that these bytes may be used under that name, or no longer.
//!
//! Bytes are read once: what is shown is what is hashed, compiled, copied and recorded. A file that lies where the broker
//! looks anyway is pinned where it is; any other is copied into the plugin folder of this user, so that what was
//! approved does not depend on a download folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::OnceCell;

use super::capabilities::{Difference, Inspection, lines};
use super::lock::{Approvals, Approved};
use super::provider::{Approval, Component, Origin, Provider};
use super::{Providers, dropin, file, survey};
use crate::descriptor::Descriptor;
use crate::error::{Code, Error, Result, foreign};

/// How many earlier digests are remembered.
const MAX_EARLIER: usize = 100;

/// A component that the operator may approve, wholly looked at.
pub struct Proposal {
    /// Where it was found.
    pub path: PathBuf,
    /// What it is and asks for.
    pub inspection: Inspection,
    /// What is approved under its name until now.
    pub previous: Option<Approved>,
    /// Whether it is used from where it lies; else it is copied.
    pub in_place: bool,
    bytes: Vec<u8>,
}

impl Proposal {
    /// What approving it changes; `None` where nothing was approved under its name.
    #[must_use]
    pub fn difference(&self) -> Option<Difference> {
        let previous = self.previous.as_ref()?;
        let old = Descriptor::parse(&previous.descriptor).map(|old| lines(&previous.component, &old)).unwrap_or_default();
        Some(Difference::between(&old, &lines(&self.inspection.make, &self.inspection.descriptor)))
    }

    /// Whether these very bytes are approved already.
    #[must_use]
    pub fn is_approved(&self) -> bool {
        self.previous.as_ref().is_some_and(|previous| previous.sha256 == self.inspection.sha256)
    }
}

/// What became of a component that is no longer approved.
#[derive(Debug, Default)]
pub struct Withdrawn {
    /// Files that were deleted from the plugin folder.
    pub deleted: Vec<PathBuf>,
    /// Files of the same bytes in places that the operator named: they are still used, unpinned.
    pub still_used: Vec<PathBuf>,
}

impl Providers {
    /// Looks at a component as one that may be approved.
    ///
    /// # Errors
    /// `component_rejected` where its digest is not the expected one, before anything is compiled, or where it cannot be
    /// used; `not_allowed` where there is no place for approvals.
    pub async fn propose(&self, path: &Path, sha256: Option<&str>) -> Result<Proposal> {
        let approvals = self.place_for_approvals()?;
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let in_place = self.looks_at(&path);
        let contents = if in_place { file::read(&path)? } else { file::look_at(&path)? };
        if let Some(expected) = sha256 {
            must_be(&path, &contents.sha256, expected)?;
        }
        let bytes = contents.bytes.clone();
        let found = dropin::load(&path, contents, self.sandbox().await?).await?;
        let lock = approvals.read()?;
        let name = &found.descriptor.name;
        let named = self.operator.get(name).is_some_and(|operator| operator.component.as_ref() == Some(&path));
        let provider = locked(&path, &found.sha256, Arc::clone(&found.descriptor), named);
        let mut all = vec![Arc::clone(&provider)];
        for (other, approved) in lock.plugins.iter().filter(|(other, _)| *other != name) {
            // an entry that makes no sense has no name to lose
            if let Ok(descriptor) = survey::of_lock(Path::new(other), other, approved) {
                all.push(locked(&approvals.place_of(other), &approved.sha256, Arc::new(descriptor), false));
            }
        }
        self.check_claims(&provider, &all)?;
        Ok(Proposal { inspection: found.inspection(), previous: lock.plugins.get(name).cloned(), in_place, bytes, path })
    }

    /// Records a proposal as approved. Gives the file that is used from now on.
    ///
    /// # Errors
    /// `conflict` where something else was approved meanwhile, or where the file in use is one that only the operator
    /// may replace; what is wrong with the place for approvals.
    pub async fn approve(&self, proposal: &Proposal) -> Result<PathBuf> {
        let approvals = self.place_for_approvals()?;
        let descriptor = &proposal.inspection.descriptor;
        let name = &descriptor.name;
        let lying = self.lying_with(Some(&proposal.inspection.sha256)).await;
        if let Some(path) = lying.into_iter().next().filter(|_| proposal.is_approved()) {
            return Ok(path);
        }
        let kept = if proposal.in_place {
            proposal.path.clone()
        } else {
            let pinned = self.lying_with(proposal.previous.as_ref().map(|previous| previous.sha256.as_str())).await;
            if let Some(elsewhere) = pinned.into_iter().find(|path| !path.starts_with(approvals.plugins())) {
                return Err(Error::new(
                    Code::Conflict,
                    format!(
                        "{name} lies at {}, a place that your configuration names; the broker writes nothing there.",
                        elsewhere.display()
                    ),
                    format!("Put the new file there, then: mcp-credentials-broker providers update {name}"),
                ));
            }
            approvals.keep(name, &proposal.bytes)?
        };
        let text = serde_json::to_string(descriptor)
            .map_err(|error| Error::new(Code::Internal, format!("The descriptor cannot be written: {error}."), "Report this."))?;
        approvals.change(|lock| {
            if lock.plugins.get(name) != proposal.previous.as_ref() {
                return Err(Error::new(
                    Code::Conflict,
                    format!("Something else was approved for {name} meanwhile."),
                    "Look at it again: mcp-credentials-broker providers list",
                ));
            }
            let previous = proposal.previous.as_ref();
            let earlier = previous.map(|previous| line_of(&previous.earlier, &previous.sha256)).unwrap_or_default();
            let approved = Approved {
                sha256: proposal.inspection.sha256.clone(),
                bytes: proposal.inspection.bytes,
                approved: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
                earlier,
                descriptor: text,
                component: proposal.inspection.make.clone(),
            };
            lock.plugins.insert(name.clone(), approved);
            Ok(())
        })?;
        Ok(kept)
    }

    /// Takes an approval back, and the file out of the plugin folder.
    ///
    /// # Errors
    /// `unknown_provider` where nothing of that name is approved.
    pub async fn withdraw(&self, name: &str) -> Result<Withdrawn> {
        let approvals = self.place_for_approvals()?;
        let mut was = None;
        approvals.change(|lock| {
            was = lock.plugins.remove(name);
            if was.is_some() { Ok(()) } else { Err(not_approved(name, lock.plugins.keys())) }
        })?;
        let mut withdrawn = Withdrawn::default();
        for path in self.lying_with(was.as_ref().map(|was| was.sha256.as_str())).await {
            if path.starts_with(approvals.plugins()) {
                std::fs::remove_file(&path).map_err(|error| {
                    Error::new(
                        Code::Internal,
                        format!("{} is no longer approved, and cannot be deleted: {error}.", path.display()),
                        "Delete it; it is inert until then.",
                    )
                })?;
                withdrawn.deleted.push(path);
            } else {
                withdrawn.still_used.push(path);
            }
        }
        Ok(withdrawn)
    }

    /// The one file that lies there with other bytes than those approved for a name.
    ///
    /// # Errors
    /// `unknown_provider` where nothing of that name is approved; `conflict` where there is no such file, or more than one.
    pub async fn update_of(&self, name: &str) -> Result<PathBuf> {
        let lock = self.place_for_approvals()?.read()?;
        let Some(approved) = lock.plugins.get(name) else { return Err(not_approved(name, lock.plugins.keys())) };
        let other = |digest: &Option<String>| digest.as_ref().is_some_and(|digest| *digest != approved.sha256);
        let listing = self.list().await;
        let found = listing.unusable.into_iter().filter(|one| one.name.as_deref() == Some(name) && other(&one.sha256));
        let mut found = found.filter_map(|one| one.path);
        match (found.next(), found.next()) {
            (Some(path), None) => Ok(path),
            (None, _) => Err(Error::new(
                Code::Conflict,
                format!("There is no other file for {name} than the approved one."),
                format!(
                    "Name the new file: mcp-credentials-broker providers update FILE. Approved is sha256 {}.",
                    approved.sha256
                ),
            )),
            (Some(one), Some(two)) => Err(Error::new(
                Code::Conflict,
                format!("{} and {} both are other bytes for {name}.", one.display(), two.display()),
                "Name the one that you mean: mcp-credentials-broker providers update FILE",
            )),
        }
    }

    fn place_for_approvals(&self) -> Result<&Approvals> {
        self.approvals.as_ref().ok_or_else(|| {
            Error::new(
                Code::NotAllowed,
                "There is no data folder in which approvals could be kept.",
                "Set HOME, or XDG_DATA_HOME, to a folder of yours.",
            )
        })
    }
}

/// As it would be once it is approved.
fn locked(path: &Path, sha256: &str, descriptor: Arc<Descriptor>, named: bool) -> Arc<Provider> {
    let approval = Approval::Lock { earlier: Vec::new() };
    let origin = Origin { path: path.to_owned(), sha256: sha256.to_owned(), named, approval };
    Arc::new(Provider {
        descriptor,
        source: Component::DropIn(Box::new(origin)),
        operator: crate::config::Provider::default(),
        prepared: OnceCell::new(),
    })
}

fn not_approved<'a>(name: &str, names: impl Iterator<Item = &'a String>) -> Error {
    let names: Vec<&str> = names.map(String::as_str).collect();
    let there =
        if names.is_empty() { "Nothing is approved yet.".to_owned() } else { format!("Approved are: {}.", names.join(", ")) };
    Error::new(
        Code::UnknownProvider,
        format!("Nothing is approved under the name {}.", foreign(name)),
        format!("{there} A file is approved with: mcp-credentials-broker providers add FILE"),
    )
}

/// Whether a digest is the one that the operator expects, however that is written.
fn must_be(path: &Path, found: &str, expected: &str) -> Result<()> {
    let plain = expected.trim().trim_start_matches("sha256:").to_ascii_lowercase();
    if plain.len() != 64 || !plain.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Error::new(
            Code::InvalidArgument,
            format!("{} is no SHA-256 digest.", foreign(expected)),
            "Give the 64 hexadecimal digits that `sha256sum FILE` prints.",
        ));
    }
    if plain == found {
        return Ok(());
    }
    Err(Error::new(
        Code::ComponentRejected,
        format!("{}: it is not the file that you expect. Expected: sha256 {plain}. Found: sha256 {found}.", path.display()),
        "Nothing of it was compiled. Get it again from where the digest comes from, or ask for the digest of this version.",
    ))
}

/// Every digest that was approved up to this one. The first names the line to which logins belong, so it stays, also where
/// the middle is forgotten or somebody goes back to it.
fn line_of(earlier: &[String], latest: &str) -> Vec<String> {
    let mut line = earlier.to_vec();
    if !line.iter().any(|digest| digest == latest) {
        line.push(latest.to_owned());
    }
    let excess = line.len().saturating_sub(MAX_EARLIER);
    line.drain(1..=excess);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_its_first_digest_through_many_updates_and_back() {
        let mut line = line_of(&[], "first");
        for number in 0..3 * MAX_EARLIER {
            line = line_of(&line, &number.to_string());
        }
        let latest = (3 * MAX_EARLIER - 1).to_string();
        assert_eq!((line.len(), line[0].as_str(), line.last()), (MAX_EARLIER, "first", Some(&latest)));
        assert_eq!(line_of(&line, "first"), line, "who goes back to it is in the same line");
    }

    #[test]
    fn a_digest_is_compared_however_it_is_written() {
        let digest = file::digest(b"");
        let path = Path::new("a.wasm");
        for written in [digest.clone(), digest.to_ascii_uppercase(), format!("sha256:{digest}"), format!(" {digest}\n")] {
            assert!(must_be(path, &digest, &written).is_ok(), "{written}");
        }
        let other = must_be(path, &digest, &file::digest(b"x")).unwrap_err();
        assert!(other.message().contains(&digest) && other.message().contains(&file::digest(b"x")), "{other}");
        for wrong in ["", "abc", &digest[1..], &format!("{digest}0"), &"g".repeat(64)] {
            assert_eq!(must_be(path, &digest, wrong).unwrap_err().code(), Code::InvalidArgument, "{wrong}");
        }
    }
}

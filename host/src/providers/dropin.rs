//! Components that an operator dropped in.
//!
//! A component that cannot be used is told of by its own error and never hides the others.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::capabilities::Inspection;
use super::file::Contents;
use crate::descriptor::Descriptor;
use crate::error::{Code, Error, Result, foreign};
use crate::sandbox::{Prepared, Sandbox};

/// A drop-in that was read, compiled and described.
#[derive(Clone)]
pub struct DropIn {
    /// What it says of itself.
    pub descriptor: Arc<Descriptor>,
    /// SHA-256 of the component, in hex.
    pub sha256: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// Where it lies.
    pub path: PathBuf,
    /// Ready for calls.
    pub prepared: Prepared,
}

impl DropIn {
    /// What it is and asks for.
    #[must_use]
    pub fn inspection(&self) -> Inspection {
        Inspection {
            sha256: self.sha256.clone(),
            bytes: self.bytes,
            make: self.prepared.make().clone(),
            descriptor: self.descriptor.as_ref().clone(),
        }
    }
}

/// Compiles a component and asks it for its descriptor.
///
/// # Errors
/// `component_rejected` or `component_fault`, naming the file.
pub async fn load(path: &Path, contents: Contents, sandbox: &Sandbox) -> Result<DropIn> {
    let size = contents.bytes.len() as u64;
    let Contents { bytes, sha256, .. } = contents;
    let named = |error: Error| named(path, &error);
    let prepared = sandbox.prepare(bytes).await.map_err(named)?;
    let text = prepared.describe().await.map_err(named)?;
    let descriptor = Descriptor::parse(&text).map_err(|reason| {
        Error::new(
            Code::ComponentRejected,
            format!("{}: what it says of itself makes no sense: {}.", path.display(), foreign(&reason)),
            "If you installed it, ask its author for a corrected one. If you wrote it, correct its descriptor; wit/descriptor.schema.json says what it must be.",
        )
    })?;
    Ok(DropIn { descriptor: Arc::new(descriptor), sha256, bytes: size, path: path.to_owned(), prepared })
}

/// An error that tells which file it is about.
pub(super) fn named(path: &Path, error: &Error) -> Error {
    Error::new(error.code(), format!("{}: {}", path.display(), error.message()), error.hint().to_owned())
}

/// Whether a drop-in may be called what it calls itself, and read the variables it names. `taken` says which other
/// component has a name; `reserved`, which variables are another provider's.
///
/// # Errors
/// `component_rejected`.
pub fn check_claims(
    path: &Path,
    descriptor: &Descriptor,
    taken: impl Fn(&str) -> Option<String>,
    reserved: impl Fn(&str) -> bool,
) -> Result<()> {
    let rejected =
        |reason: String, hint: String| Error::new(Code::ComponentRejected, format!("{}: {reason}.", path.display()), hint);
    for name in std::iter::once(&descriptor.name).chain(&descriptor.aliases) {
        if let Some(other) = taken(name) {
            return Err(rejected(
                format!("it calls itself {name}, a name that {other} has"),
                format!(
                    "Remove it, or ask its author for a component with a name of its own. If you want it to have that name, say so in broker.toml, {}.",
                    allowing(path, descriptor, name)
                ),
            ));
        }
    }
    let prefix = prefix(&descriptor.name);
    for variable in descriptor.settings.iter().flat_map(|setting| &setting.env) {
        let reason = if !variable.starts_with(&prefix) {
            format!("which does not begin with {prefix}")
        } else if variable == "JWT_SECRET" || variable.starts_with("MCP_CREDENTIALS_BROKER_") {
            "which is the broker's own".to_owned()
        } else if reserved(variable) {
            "which is that of another provider".to_owned()
        } else {
            continue;
        };
        return Err(rejected(
            format!("it wants to read the variable {variable}, {reason}"),
            "A drop-in reads variables of its own prefix only. Ask its author for a component that does.".to_owned(),
        ));
    }
    Ok(())
}

/// The lines of the operator's file that give a component a name.
fn allowing(path: &Path, descriptor: &Descriptor, name: &str) -> String {
    let lines = format!("below [providers.{}]: component = {:?}", descriptor.name, path.display().to_string());
    if *name == descriptor.name { lines } else { format!("{lines} and replaces = [\"{name}\"]") }
}

/// How the environment variables of a provider begin.
pub(super) fn prefix(name: &str) -> String {
    format!("{}_", name.to_ascii_uppercase().replace('-', "_"))
}

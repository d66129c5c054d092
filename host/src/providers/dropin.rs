//! Components that an operator dropped in.
//!
//! A folder or file that the operator named is approved by that. A component that cannot be used is told of by its own
//! error and never hides the others.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::descriptor::Descriptor;
use crate::error::{Code, Error, Result, foreign};
use crate::sandbox::{MAX_COMPONENT, Prepared, Sandbox};

/// A drop-in that was read, compiled and described.
#[derive(Clone)]
pub struct DropIn {
    /// What it says of itself.
    pub descriptor: Arc<Descriptor>,
    /// SHA-256 of the component, in hex.
    pub sha256: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Ready for calls.
    pub prepared: Prepared,
}

/// The `*.wasm` files directly in a folder, in the order of their names.
///
/// # Errors
/// `invalid_configuration` where the folder cannot be read.
pub fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |error: std::io::Error| {
        Error::new(
            Code::InvalidConfiguration,
            format!("The plugin folder {} cannot be read: {error}.", folder.display()),
            "Correct `plugins` in broker.toml, or --plugins.",
        )
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads a component's bytes, once: what is hashed is what is compiled.
///
/// # Errors
/// `component_rejected` where it is no regular file, too large, or others may write to it.
pub fn read(path: &Path) -> Result<(Vec<u8>, String)> {
    let rejected =
        |reason: String, hint: &'static str| Error::new(Code::ComponentRejected, format!("{}: {reason}.", path.display()), hint);
    let unreadable =
        |error: std::io::Error| rejected(format!("it cannot be read ({error})"), "Check the path and its permissions.");
    let found = std::fs::symlink_metadata(path).map_err(unreadable)?;
    if !found.is_file() {
        return Err(rejected(
            "it is no regular file".to_owned(),
            "Copy the component itself into the folder; links are not followed.",
        ));
    }
    if found.len() > MAX_COMPONENT as u64 {
        return Err(rejected(
            format!("it is larger than {} MiB", MAX_COMPONENT >> 20),
            "If you installed it, check that it is the right file. If you wrote it, build it with optimization for size.",
        ));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if found.permissions().mode() & 0o022 != 0 {
            return Err(rejected(
                "others may write to it".to_owned(),
                "Run chmod go-w on it, after checking that it is what you installed.",
            ));
        }
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let digest = hex(&Sha256::digest(&bytes));
    Ok((bytes, digest))
}

/// Compiles a component and asks it for its descriptor.
///
/// # Errors
/// `component_rejected` or `component_fault`, naming the file.
pub async fn load(path: &Path, bytes: Vec<u8>, sha256: String, sandbox: &Sandbox) -> Result<DropIn> {
    let named = |error: Error| {
        let hint = error.hint().to_owned();
        Error::new(error.code(), format!("{}: {}", path.display(), error.message()), hint)
    };
    let prepared = sandbox.prepare(bytes).await.map_err(named)?;
    let text = prepared.describe().await.map_err(named)?;
    let descriptor = Descriptor::parse(&text).map_err(|reason| {
        Error::new(
            Code::ComponentRejected,
            format!("{}: what it says of itself makes no sense: {}.", path.display(), foreign(&reason)),
            "If you installed it, ask its author for a corrected one. If you wrote it, correct its descriptor; wit/descriptor.schema.json says what it must be.",
        )
    })?;
    Ok(DropIn { descriptor: Arc::new(descriptor), sha256, path: path.to_owned(), prepared })
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
                "Remove it, or ask its author for a component with a name of its own.".to_owned(),
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

/// How the environment variables of a provider begin.
pub(super) fn prefix(name: &str) -> String {
    format!("{}_", name.to_ascii_uppercase().replace('-', "_"))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

//! What the broker itself says of components: it is the one that will run them.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{paths, run};

/// The descriptor of a component, as compact JSON. The broker reads and checks it.
pub(crate) fn descriptor(component: &[u8]) -> Result<String> {
    let file = own_copy(component)?.display().to_string();
    let told = broker(&["providers", "inspect", &file, "--json"])?;
    let told: Value = serde_json::from_str(&told).context("`providers inspect --json` wrote something else than JSON")?;
    let descriptor = told.get("descriptor").context("`providers inspect --json` told no descriptor")?;
    Ok(descriptor.to_string())
}

/// The JSON Schema of descriptors.
pub(crate) fn schema() -> Result<String> {
    broker(&["providers", "schema"])
}

/// A file that nobody else can write to: the broker takes no other, and a checkout's modes depend on the umask.
fn own_copy(component: &[u8]) -> Result<PathBuf> {
    let file = paths::target().join("inspected.wasm");
    fs::write(&file, component)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

fn broker(arguments: &[&str]) -> Result<String> {
    let mut cargo = run::cargo(&paths::root());
    run::output(cargo.args(["run", "--quiet", "--package", "mcp-credentials-broker", "--"]).args(arguments))
}

//! What the broker itself says of components: it is the one that will run them.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{paths, run};

/// The descriptor of a component, as compact JSON. The broker reads and checks it.
pub(crate) fn descriptor(component: &Path) -> Result<String> {
    let file = component.display().to_string();
    let told = broker(&["providers", "inspect", &file, "--json"])?;
    let told: Value = serde_json::from_str(&told).context("`providers inspect --json` wrote something else than JSON")?;
    let descriptor = told.get("descriptor").context("`providers inspect --json` told no descriptor")?;
    Ok(descriptor.to_string())
}

/// The JSON Schema of descriptors.
pub(crate) fn schema() -> Result<String> {
    broker(&["providers", "schema"])
}

fn broker(arguments: &[&str]) -> Result<String> {
    let mut cargo = run::cargo(&paths::root());
    run::output(cargo.args(["run", "--quiet", "--package", "mcp-credentials-broker", "--"]).args(arguments))
}

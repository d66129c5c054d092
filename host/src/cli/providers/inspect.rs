//! `providers inspect`: what a component says of itself, before anybody trusts it.

use std::path::{Path, PathBuf};

use clap::Args;

use super::print;
use crate::error::Result;
use crate::providers::dropin;
use crate::sandbox::Sandbox;

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// The component.
    file: PathBuf,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(options: &Options) -> Result<()> {
    print(&inspect(&options.file, options.json).await?)
}

async fn inspect(file: &Path, json: bool) -> Result<String> {
    let (bytes, sha256) = dropin::read(file)?;
    let size = bytes.len();
    let found = dropin::load(file, bytes, sha256, &Sandbox::new(None)?).await?;
    let descriptor = &found.descriptor;
    if json {
        let document = serde_json::json!({
            "sha256": found.sha256,
            "bytes": size,
            "contract": crate::sandbox::CONTRACT_VERSION,
            "refresh": found.prepared.can_refresh(),
            "descriptor": descriptor,
        });
        return Ok(format!("{document:#}\n"));
    }
    let mut out =
        format!("{} ({}) {}, {size} bytes, sha256 {}\n", descriptor.title, descriptor.name, descriptor.version, found.sha256);
    for endpoint in &descriptor.endpoints {
        out.push_str(&format!("\n{:13} {} {} ({:?})\n", endpoint.id, endpoint.method, endpoint.url, endpoint.role));
        for (slot, kinds) in &endpoint.slots {
            out.push_str(&format!("              {slot} <- {}\n", kinds.join(", ")));
        }
        for pointer in &endpoint.readable {
            out.push_str(&format!("              may read {pointer}\n"));
        }
        for header in &endpoint.readable_headers {
            out.push_str(&format!("              may read the header {header}\n"));
        }
        for (pointer, kind) in &endpoint.secrets {
            out.push_str(&format!("              takes {pointer} for a secret of the kind {kind}\n"));
        }
    }
    for scope in &descriptor.scopes.may_add {
        out.push_str(&format!("\nmay add the scope {scope}\n"));
    }
    for setting in &descriptor.settings {
        let default = setting.default.as_ref().map_or_else(String::new, |default| format!(" Default: {default}"));
        out.push_str(&format!("\nsetting {:20} {} {}{default}\n", setting.name, setting.env.join(", "), setting.about));
    }
    Ok(out)
}

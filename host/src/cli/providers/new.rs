//! `providers new`: a provider to begin with.

use std::path::PathBuf;

use clap::Args;

use crate::author::scaffold::{self, NewName};
use crate::error::Result;
use crate::providers::embedded;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The provider's name: lower-case letters, digits and hyphens.
    name: String,
    /// The folder to write; it must not be there yet. Default: the name, in the current folder.
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let taken = |name: &str| {
        embedded::all().iter().any(|known| known.descriptor.name == name || known.descriptor.aliases.iter().any(|a| a == name))
    };
    let name = NewName::parse(&arguments.name, taken)?;
    let folder = arguments.path.clone().unwrap_or_else(|| PathBuf::from(name.as_str()));
    scaffold::write(&name, &folder)?;
    let component = name.component();
    super::print(&format!(
        "{folder} has a provider that builds. In that folder:\n\n  \
         cargo test\n  \
         cargo build --release --target wasm32-unknown-unknown\n  \
         mcp-credentials-broker providers check {component} --fixtures fixtures.json\n\n\
         Then make it {name}'s: descriptor.json, src/lib.rs, fixtures.json. README.md there says more.\n",
        folder = folder.display(),
        component = component.display(),
        name = name.as_str(),
    ))
}

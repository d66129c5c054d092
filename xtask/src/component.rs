//! From a crate of `providers/` to a component.
//!
//! The same sources and the same toolchain give the same bytes from any folder: every path that the compiler could
//! write down is replaced.

use std::fs;

use anyhow::{Context as _, Result};
use wit_component::ComponentEncoder;

use crate::paths::{cargo_home, root, target};
use crate::run;
use crate::toolchain::{TARGET, Toolchain};

/// Compiles crates of `providers/`, by the names of their folders; returns a component for each.
pub(crate) fn build(toolchain: &Toolchain, names: &[&str]) -> Result<Vec<Vec<u8>>> {
    let folder = target().join("components");
    let mut cargo = toolchain.cargo();
    cargo.current_dir(root().join("providers"));
    cargo.args(["build", "--quiet", "--locked", "--release", "--target", TARGET, "--target-dir"]).arg(&folder);
    cargo.args(names.iter().map(|name| format!("--package=provider-{name}")));
    cargo.env("CARGO_ENCODED_RUSTFLAGS", remappings(toolchain)?.join("\u{1f}"));
    run::show(&mut cargo)?;
    names
        .iter()
        .map(|name| {
            let file = folder.join(TARGET).join("release").join(format!("provider_{}.wasm", name.replace('-', "_")));
            encode(&fs::read(&file).with_context(|| format!("{} is not there", file.display()))?)
                .with_context(|| format!("providers/{name} does not become a component"))
        })
        .collect()
}

fn encode(module: &[u8]) -> Result<Vec<u8>> {
    ComponentEncoder::default().module(module)?.validate(true).encode()
}

/// The last one that fits counts, so the general ones come first.
fn remappings(toolchain: &Toolchain) -> Result<Vec<String>> {
    let home = cargo_home()?;
    let mut places = vec![
        (toolchain.sysroot.clone(), "/rust".to_owned()),
        (home.clone(), "/cargo".to_owned()),
        (root(), "/checkout".to_owned()),
    ];
    // below it, a folder for each registry, named after the address it was fetched from
    for entry in fs::read_dir(home.join("registry/src")).into_iter().flatten().flatten() {
        places.push((entry.path(), "/registry".to_owned()));
    }
    Ok(places.into_iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())).collect())
}

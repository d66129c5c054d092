//! The built components: making them, and proving that what is committed is what the sources give.
//!
//! They are committed so that `cargo install` and a fresh clone need no second toolchain. That is only worth
//! something if anybody can see that they come from the sources beside them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::lock::{Lock, Locked};
use crate::toolchain::{self, Toolchain};
use crate::{component, contract, digest, host, paths, run};

/// A folder of built components.
struct Set {
    folder: &'static str,
    names: &'static [&'static str],
}

/// What the broker embeds, and what its tests run.
const SETS: [Set; 2] = [
    Set { folder: "plugins", names: &["aws", "azure", "github", "google", "oauth2", "okta"] },
    Set { folder: "host/tests/components", names: &["observer"] },
];

const SCHEMA: &str = "wit/descriptor.schema.json";
/// Tells the broker's contract tests where to find components other than the committed ones.
const OTHERS: &str = "BROKER_TEST_PLUGINS";

/// Makes this machine able to do the two below.
pub(crate) fn toolchain() -> Result<()> {
    match locked_toolchain() {
        Some(wanted) => toolchain::install_version(&wanted),
        None => toolchain::install(),
    }
}

/// Rebuilds everything that is made of `providers/` and the descriptor's types.
pub(crate) fn refresh() -> Result<()> {
    contract::refresh()?;
    let toolchain = toolchain::choose(locked_toolchain().as_deref())?;
    for set in &SETS {
        let folder = paths::root().join(set.folder);
        fs::create_dir_all(&folder)?;
        let plugins = build_into(&toolchain, set, &folder)?;
        for (name, plugin) in &plugins {
            eprintln!("{}/{name}.wasm: {} bytes", set.folder, plugin.bytes);
        }
        Lock { toolchain: toolchain.version.clone(), plugins }.write(&folder)?;
    }
    fs::write(paths::root().join(SCHEMA), host::schema()?)?;
    Ok(())
}

/// Proves that the committed components are those of the committed sources.
pub(crate) fn check() -> Result<()> {
    contract::check()?;
    for set in &SETS {
        check_lock(set)?;
    }
    if host::schema()? != fs::read_to_string(paths::root().join(SCHEMA))? {
        bail!("{SCHEMA} is not the schema of the descriptor's types: run `cargo xtask plugins`");
    }
    let wanted = locked_toolchain().context("plugins.lock cannot be read")?;
    let toolchain = toolchain::choose(Some(&wanted))?;
    if toolchain.version == wanted {
        SETS.iter().try_for_each(|set| check_bytes(&toolchain, set))?;
        eprintln!("plugins: proven, byte for byte, under {wanted}");
        return Ok(());
    }
    eprintln!("plugins: built with {wanted}, but here is {}; testing a rebuild instead of comparing bytes", toolchain.version);
    let folder = paths::target().join("plugins");
    fs::create_dir_all(&folder)?;
    for set in &SETS {
        let rebuilt = build_into(&toolchain, set, &folder)?;
        for (name, plugin) in Lock::read(&paths::root().join(set.folder))?.plugins {
            if rebuilt.get(&name).is_none_or(|new| new.descriptor != plugin.descriptor) {
                bail!("providers/{name} does not describe itself as {}/plugins.lock says", set.folder);
            }
        }
    }
    run::show(
        run::cargo(&paths::root())
            .args(["test", "--package", "mcp-credentials-broker", "--test", "plugins"])
            .env(OTHERS, &folder),
    )
}

/// The toolchain that the embedded components were built with.
fn locked_toolchain() -> Option<String> {
    SETS.iter().find_map(|set| Lock::read(&paths::root().join(set.folder)).ok()).map(|lock| lock.toolchain)
}

fn build_into(toolchain: &Toolchain, set: &Set, folder: &Path) -> Result<BTreeMap<String, Locked>> {
    let built = component::build(toolchain, set.names)?;
    for (name, bytes) in set.names.iter().zip(&built) {
        fs::write(file(folder, name), bytes)?;
    }
    let lock = |(name, bytes): (&&str, &Vec<u8>)| -> Result<(String, Locked)> {
        let locked = Locked {
            sha256: digest::of(bytes),
            bytes: bytes.len(),
            source: digest::of_sources(name)?,
            descriptor: host::descriptor(bytes)?,
        };
        Ok(((*name).to_owned(), locked))
    };
    set.names.iter().zip(&built).map(lock).collect()
}

/// What can be seen without compiling: each file is the one in the lock, and the sources have not changed since.
fn check_lock(set: &Set) -> Result<()> {
    let folder = paths::root().join(set.folder);
    let lock = Lock::read(&folder)?;
    if !lock.plugins.keys().map(String::as_str).eq(set.names.iter().copied()) {
        bail!("{}/plugins.lock does not list {}: run `cargo xtask plugins`", set.folder, set.names.join(", "));
    }
    for (name, locked) in &lock.plugins {
        let bytes = fs::read(file(&folder, name)).with_context(|| format!("{}/{name}.wasm cannot be read", set.folder))?;
        if digest::of(&bytes) != locked.sha256 || bytes.len() != locked.bytes {
            bail!("{}/{name}.wasm is not the file that plugins.lock names: run `cargo xtask plugins`", set.folder);
        }
        if digest::of_sources(name)? != locked.source {
            bail!("the sources of {}/{name}.wasm have changed since it was built: run `cargo xtask plugins`", set.folder);
        }
        if host::descriptor(&bytes)? != locked.descriptor {
            bail!("{}/{name}.wasm does not describe itself as plugins.lock says: run `cargo xtask plugins`", set.folder);
        }
    }
    Ok(())
}

fn check_bytes(toolchain: &Toolchain, set: &Set) -> Result<()> {
    for (name, bytes) in set.names.iter().zip(component::build(toolchain, set.names)?) {
        if fs::read(file(&paths::root().join(set.folder), name))? != bytes {
            bail!("{}/{name}.wasm is not what providers/{name} compiles to: run `cargo xtask plugins`", set.folder);
        }
    }
    Ok(())
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.wasm"))
}

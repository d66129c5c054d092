//! Which toolchain compiles components.
//!
//! Any Rust with the standard library for `wasm32-unknown-unknown` will do. Where Rust's own servers can be reached
//! that is one `rustup target add`; else Debian has all the parts ([`debian`]).

mod debian;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::run::{self, probe};

/// What components are compiled for: imports of the contract and nothing else, WASI included.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// What cargo-component compiles for: the module that it makes a component of imports WASI, as the standard library does.
pub(crate) const WASI: &str = "wasm32-wasip1";

/// A toolchain that compiles components.
#[derive(Debug, Clone)]
pub(crate) struct Toolchain {
    /// What its `rustc --version` says.
    pub(crate) version: String,
    /// Its folder, which must not show in what it compiles.
    pub(crate) sysroot: PathBuf,
    selector: Option<&'static str>,
}

impl Toolchain {
    /// Looks whether a toolchain is there and has the target.
    fn find(selector: Option<&'static str>) -> Option<Self> {
        let ask = |arguments: &[&str]| probe("rustc", &[selector.as_slice(), arguments].concat());
        let library = ask(&["--print", "target-libdir", "--target", TARGET])?;
        has_std(Path::new(&library)).then_some(())?;
        Some(Self { version: ask(&["--version"])?, sysroot: ask(&["--print", "sysroot"])?.into(), selector })
    }

    /// Whether it has the standard library for a target.
    fn has(&self, target: &str) -> bool {
        let arguments = [self.selector.as_slice(), &["--print", "target-libdir", "--target", target]].concat();
        probe("rustc", &arguments).is_some_and(|library| has_std(Path::new(&library)))
    }

    /// Its cargo, free of what our own run of cargo has set.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new("cargo");
        command.args(self.selector);
        for variable in ["CARGO", "RUSTC", "RUSTC_WRAPPER", "RUSTFLAGS", "RUSTUP_TOOLCHAIN", "CARGO_BUILD_TARGET"] {
            command.env_remove(variable);
        }
        command
    }
}

/// Those there are.
pub(crate) fn all() -> Vec<Toolchain> {
    [None, Some("+stable"), Some("+wasm")].into_iter().filter_map(Toolchain::find).collect()
}

/// The toolchain of that version if there is one, else any.
pub(crate) fn choose(version: Option<&str>) -> Result<Toolchain> {
    let all = all();
    match all.iter().find(|toolchain| Some(toolchain.version.as_str()) == version).or(all.first()) {
        Some(toolchain) => Ok(toolchain.clone()),
        None => bail!("no toolchain here compiles to {TARGET}: run `cargo xtask wasm-toolchain`"),
    }
}

/// Makes sure that there is that version where it can be had, since no other gives the same bytes; else any.
pub(crate) fn install_version(version: &str) -> Result<()> {
    install()?;
    if choose(Some(version))?.version == version {
        return Ok(());
    }
    eprintln!("plugins/ was built with {version}; looking whether Debian has it.");
    if let Err(error) = debian::install() {
        eprintln!("Debian's packages were not installed: {error:#}");
    }
    eprintln!("the plugins are compiled by {}", choose(Some(version))?.version);
    Ok(())
}

/// Makes sure that there is one.
pub(crate) fn install() -> Result<()> {
    if all().is_empty() {
        let added = run::show(Command::new("rustup").args(["target", "add", "--toolchain", "stable", TARGET]));
        if added.is_err() {
            eprintln!("Rust's own servers gave nothing; taking the parts from Debian.");
            debian::install()?;
        }
    }
    let toolchain = choose(None)?;
    eprintln!(
        "components are compiled by `cargo{}`: {}",
        toolchain.selector.map_or(String::new(), |s| format!(" {s}")),
        toolchain.version
    );
    Ok(())
}

/// A toolchain that compiles for [`WASI`] too; installs what is missing.
pub(crate) fn with_wasi() -> Result<Toolchain> {
    install()?;
    let find = || all().into_iter().find(|toolchain| toolchain.has(WASI));
    if let Some(toolchain) = find() {
        return Ok(toolchain);
    }
    if run::show(Command::new("rustup").args(["target", "add", "--toolchain", "stable", WASI])).is_err() {
        eprintln!("Rust's own servers gave nothing; taking the parts from Debian.");
        debian::install_wasi()?;
    }
    match find() {
        Some(toolchain) => Ok(toolchain),
        None => bail!("no toolchain here compiles to {WASI}: run `rustup target add {WASI}`"),
    }
}

fn has_std(library: &Path) -> bool {
    let names = std::fs::read_dir(library).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.filter_map(|name| name.into_string().ok()).any(|name| name.starts_with("libstd-") && name.ends_with(".rlib"))
}

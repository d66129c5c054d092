//! The toolchain out of Debian's packages: its rustc, with the standard library compiled here from its source.
//!
//! Debian compiles no standard library for `wasm32-unknown-unknown`, but has its source and a compiler of the same
//! version. The linker comes from the machine's own Rust.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{TARGET, WASI, has_std};
use crate::run::{self, is_root, probe};

const PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];
const RUSTLIB: &str = "/usr/lib/rustlib";
const BY_HAND: &str = "install Rust's standard library for it with `rustup target add wasm32-unknown-unknown`";

/// Installs what is missing.
pub(super) fn install() -> Result<()> {
    if !is_root() || probe("apt-get", &["--version"]).is_none() {
        bail!("without root on a Debian there is no other way: {BY_HAND}");
    }
    packages()?;
    linker()?;
    let library = Path::new(RUSTLIB).join(TARGET).join("lib");
    if !has_std(&library) {
        standard_library(TARGET, &library)?;
    }
    run::show(Command::new("rustup").args(["toolchain", "link", "wasm", "/usr"]))
}

/// Installs what compiling for WASI takes besides: its C library, and the standard library for it.
pub(super) fn install_wasi() -> Result<()> {
    install()?;
    let library = Path::new(RUSTLIB).join(WASI).join("lib");
    if has_std(&library) {
        return Ok(());
    }
    run::show(Command::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(["install", "-y", "-qq", "wasi-libc"]))?;
    standard_library(WASI, &library)?;
    let contained = library.join("self-contained");
    fs::create_dir_all(&contained)?;
    for file in ["crt1-command.o", "crt1-reactor.o", "libc.a"] {
        let from = Path::new("/usr/lib/wasm32-wasi").join(file);
        fs::copy(&from, contained.join(file)).with_context(|| format!("{} cannot be copied", from.display()))?;
    }
    Ok(())
}

fn packages() -> Result<()> {
    if probe("dpkg", &[&["-s"], PACKAGES.as_slice()].concat()).is_some() {
        return Ok(());
    }
    let apt = |arguments: &[&str]| run::show(Command::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(arguments));
    apt(&["update", "-qq"])?;
    apt(&[["install", "-y", "-qq"].as_slice(), PACKAGES.as_slice()].concat())
        .with_context(|| format!("this Debian lacks {}: {BY_HAND}", PACKAGES.join(", ")))
}

/// `rust-lld`, which Debian leaves out.
fn linker() -> Result<()> {
    let ours = probe("rustc", &["--print", "sysroot"]).context("rustc is not in PATH")?;
    let host = probe("rustc", &["-vV"])
        .and_then(|text| text.lines().find_map(|line| line.strip_prefix("host: ").map(str::to_owned)))
        .context("rustc does not say for which machine it is")?;
    let tool = |base: &Path| base.join("lib/rustlib").join(&host).join("bin/rust-lld");
    let place = tool(Path::new("/usr"));
    if !place.exists() {
        fs::create_dir_all(place.parent().unwrap_or(Path::new("/")))?;
        let _ = fs::remove_file(&place);
        std::os::unix::fs::symlink(tool(Path::new(&ours)), &place)?;
    }
    Ok(())
}

/// Compiles the standard library, by compiling an empty crate with it.
fn standard_library(target: &str, library: &Path) -> Result<()> {
    let work = crate::paths::target().join("std-for-wasm");
    fs::create_dir_all(work.join("src"))?;
    fs::write(
        work.join("Cargo.toml"),
        "[package]\nname = \"std-for-wasm\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[workspace]\n",
    )?;
    fs::write(work.join("src/lib.rs"), "")?;
    eprintln!("compiling Rust's standard library for {target}");
    // Paths end up in components, and their bytes must not depend on where this machine's cargo keeps its sources.
    let home = crate::paths::cargo_home()?;
    let flags = [
        "-Cembed-bitcode=yes".to_owned(),
        "--remap-path-prefix=/usr/src=/rust".to_owned(),
        format!("--remap-path-prefix={}=/root/.cargo", home.display()),
    ];
    run::show(
        Command::new("/usr/bin/cargo")
            .current_dir(&work)
            .args(["build", "--quiet", "--release", "--target", target, "--target-dir"])
            .arg(work.join("target"))
            .arg("-Zbuild-std=std,panic_abort,proc_macro")
            .env("RUSTC", "/usr/bin/rustc")
            .env("RUSTC_BOOTSTRAP", "1")
            .env_remove("RUSTFLAGS")
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}")),
    )?;
    fs::create_dir_all(library)?;
    for file in rlibs(&work.join("target").join(target).join("release/deps"))? {
        fs::copy(&file, library.join(file.file_name().unwrap_or(&OsString::new())))?;
    }
    fs::remove_dir_all(&work)?;
    Ok(())
}

fn rlibs(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.ends_with(".rlib") && !name.starts_with("libstd_for_wasm") {
            found.push(path);
        }
    }
    Ok(found)
}

//! What the linker is told, so that a server starts quickly (docs/performance.md). Only where it is the one that rustc takes by
//! itself, on this machine for this machine: of others nobody knows here what they take. Their programs start slower, and
//! are the same otherwise.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=start.ld");
    let target = set_by_cargo("TARGET");
    if target != set_by_cargo("HOST") || is_another_linker() {
        return Ok(());
    }
    if target.ends_with("-linux-gnu") {
        unwinder()?;
    }
    if target == "x86_64-unknown-linux-gnu" && set_by_cargo("PROFILE") == "release" {
        println!("cargo:rustc-link-arg-bins=-T{}", Path::new(&set_by_cargo("CARGO_MANIFEST_DIR")).join("start.ld").display());
    }
    Ok(())
}

/// The library that unwinds the stack becomes part of the program, where the compiler has it for that. As a shared one it is
/// a file more to open, map and search at every start.
fn unwinder() -> std::io::Result<()> {
    let Some((unwinder, support)) = archive("libgcc_eh.a").zip(archive("libgcc.a")) else { return Ok(()) };
    // To a linker a library may be a text that names others.
    let folder = set_by_cargo("OUT_DIR");
    let text = format!("INPUT(\"{}\" \"{}\")\n", unwinder.display(), support.display());
    std::fs::write(Path::new(&folder).join("libgcc_s.so"), text)?;
    println!("cargo:rustc-link-search=native={folder}");
    // A new compiler has them elsewhere.
    println!("cargo:rerun-if-changed={}", unwinder.display());
    println!("cargo:rerun-if-changed={}", support.display());
    Ok(())
}

/// Where the compiler that links has it.
fn archive(name: &str) -> Option<PathBuf> {
    let told = Command::new("cc").arg(format!("-print-file-name={name}")).output().ok()?;
    let path = PathBuf::from(String::from_utf8(told.stdout).ok()?.trim_end());
    // Only the name comes back where there is none.
    path.is_absolute().then_some(path)
}

fn is_another_linker() -> bool {
    let flags = set_by_cargo("CARGO_ENCODED_RUSTFLAGS");
    std::env::var_os("RUSTC_LINKER").is_some()
        || ["fuse-ld", "linker", "link-self-contained"].iter().any(|word| flags.contains(word))
}

fn set_by_cargo(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

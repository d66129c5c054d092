//! Links the library that unwinds the stack into the program, where the compiler has it for that. As a shared one it is a
//! file more to open, map and search at every start (docs/performance.md).

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RUSTC_LINKER");
    if !set_by_cargo("TARGET").ends_with("-linux-gnu") {
        return Ok(());
    }
    let Some((unwinder, support)) = archive("libgcc_eh.a").zip(archive("libgcc.a")) else { return Ok(()) };
    // To a linker a library may be a text that names others.
    let folder = set_by_cargo("OUT_DIR");
    let text = format!("INPUT(\"{}\" \"{}\")\n", unwinder.display(), support.display());
    std::fs::write(Path::new(&folder).join("libgcc_s.so"), text)?;
    println!("cargo:rustc-link-search=native={folder}");
    Ok(())
}

/// Where the compiler that links has it.
fn archive(name: &str) -> Option<PathBuf> {
    let compiler = std::env::var_os("RUSTC_LINKER").unwrap_or_else(|| "cc".into());
    let told = Command::new(compiler).arg(format!("-print-file-name={name}")).output().ok()?;
    let path = PathBuf::from(String::from_utf8(told.stdout).ok()?.trim_end());
    // Only the name comes back where there is none.
    path.is_absolute().then_some(path)
}

fn set_by_cargo(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

//! Links the library that unwinds the stack into the program, where the compiler has it for that. As a shared one it is a
//! file more to open, map and search at every start (docs/performance.md).

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=link");
    println!("cargo:rerun-if-env-changed=RUSTC_LINKER");
    let target = variable("TARGET");
    if target.contains("-linux-gnu") && static_libgcc().is_some() {
        // A `libgcc_s.so` there says what is linked instead.
        println!("cargo:rustc-link-search=native={}", Path::new(&variable("CARGO_MANIFEST_DIR")).join("link").display());
    }
}

/// Where the linker would find it.
fn static_libgcc() -> Option<PathBuf> {
    let linker = std::env::var_os("RUSTC_LINKER").unwrap_or_else(|| "cc".into());
    let told = Command::new(linker).arg("-print-file-name=libgcc_eh.a").output().ok()?;
    let path = PathBuf::from(String::from_utf8(told.stdout).ok()?.trim_end());
    // Only the name comes back where there is none.
    path.is_absolute().then_some(path)
}

/// Cargo sets it.
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

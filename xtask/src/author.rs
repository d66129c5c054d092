//! What an author of a provider does, done here: a new provider and the one of `docs/writing-a-provider.md`, tested natively,
//! built both ways, loaded, and put through `providers check`. What the page says is what is built.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::toolchain::{self, TARGET, Toolchain, WASI};
use crate::{needs, paths, run};

const PAGE: &str = "docs/writing-a-provider.md";
/// The most lines of code that the page may ask of a newcomer.
const MOST: usize = 120;

/// All of it.
pub(crate) fn run() -> Result<()> {
    needs::cargo_component()?;
    let toolchain = toolchain::with_wasi()?;
    packs()?;
    let page = fs::read_to_string(paths::root().join(PAGE)).with_context(|| format!("{PAGE} cannot be read"))?;
    let page = code_of(&page);
    let lines: usize = page.iter().map(|(_, text)| text.lines().count()).sum();
    ensure!(lines < MOST, "{PAGE} asks for {lines} lines of code; it promises fewer than {MOST}");
    for (name, files) in [("acme", &[][..]), ("gitlab", &page)] {
        let folder = write(name, files)?;
        run::show(run::cargo(&folder).args(["test", "--quiet"]).env("CARGO_TARGET_DIR", built()))?;
        run::show(run::cargo(&folder).args(["fmt", "--check"]))?;
        for component in build(&toolchain, name, &folder)? {
            let file = component.display().to_string();
            let fixtures = folder.join("fixtures.json").display().to_string();
            broker(&["providers", "check", &file, "--fixtures", &fixtures])?;
        }
    }
    eprintln!("author: a new provider and {PAGE} ({lines} lines) are built, tested and checked");
    Ok(())
}

/// The SDK can be published: it is whole by itself.
fn packs() -> Result<()> {
    let providers = paths::root().join("providers");
    let package = ["package", "--package", "credentials-broker-provider", "--allow-dirty"];
    let listed = run::output(run::cargo(&providers).args(package).arg("--list"))?;
    for needed in ["src/lib.rs", "wit/host.wit", "wit/provider.wit"] {
        ensure!(listed.lines().any(|line| line == needed), "the SDK's package lacks {needed}");
    }
    run::show(run::cargo(&providers).args(package).args(["--no-verify", "--quiet", "--target-dir"]).arg(built()))
}

/// A crate by `providers new`, with these files in the place of its own.
fn write(name: &str, files: &[(String, String)]) -> Result<PathBuf> {
    let folder = paths::target().join("author").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    broker(&["providers", "new", name, "--path", &folder.display().to_string()])?;
    for (path, text) in files {
        let file = folder.join(path);
        ensure!(file.exists(), "{PAGE} replaces {path}, which `providers new` does not write");
        fs::write(file, text)?;
    }
    // the versions that this repository is built with
    fs::copy(paths::root().join("providers/Cargo.lock"), folder.join("Cargo.lock"))?;
    Ok(folder)
}

/// Builds it by plain cargo and by cargo-component.
fn build(toolchain: &Toolchain, name: &str, folder: &Path) -> Result<[PathBuf; 2]> {
    let cargo =
        |arguments: &[&str]| run::show(toolchain.cargo().current_dir(folder).args(arguments).env("CARGO_TARGET_DIR", built()));
    cargo(&["build", "--quiet", "--release", "--target", TARGET])?;
    cargo(&["component", "build", "--quiet", "--release", "--target", WASI])?;
    Ok([TARGET, WASI].map(|target| built().join(target).join("release").join(format!("{name}.wasm"))))
}

fn built() -> PathBuf {
    paths::target().join("author/target")
}

fn broker(arguments: &[&str]) -> Result<()> {
    let cargo = ["run", "--quiet", "--locked", "--package", "mcp-credentials-broker", "--"];
    run::show(run::cargo(&paths::root()).args(cargo).args(arguments))
}

/// The code of a page: each fenced block that names its file after its language.
fn code_of(page: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(info), None) => open = info.split_once(' ').map(|(_, file)| (file.to_owned(), String::new())),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blocks_that_name_a_file_are_code_of_the_page() {
        let page = "text\n```rust src/lib.rs\nfn a() {}\n\nfn b() {}\n```\nmore\n```json a.json\n{}\n```\n";
        let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        assert_eq!(code_of(page), [file("src/lib.rs", "fn a() {}\n\nfn b() {}\n"), file("a.json", "{}\n")]);
    }
}

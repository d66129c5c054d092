//! The contract in `wit/`: its copy in the SDK, and that no version of it changes once it is written down.
//!
//! Components that others built cannot be rebuilt from here. So a version is a promise, and `wit/versions.toml` holds it: the
//! digest of what the contract of that version says, its documentation left aside, since that may become clearer.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::{digest, paths};

const FILES: [&str; 2] = ["host.wit", "provider.wit"];
const COPY: &str = "providers/sdk/wit";
const VERSIONS: &str = "wit/versions.toml";
const HEAD: &str = "# What each version of the contract says, as a SHA-256. Written by `cargo xtask plugins`; a line that is here never changes.\n\n";

/// Copies the contract into the SDK, and writes a new version down.
pub(crate) fn refresh() -> Result<()> {
    let texts = texts()?;
    for (file, text) in FILES.iter().zip(&texts) {
        fs::write(paths::root().join(COPY).join(file), text)?;
    }
    let (version, said) = version_and_digest(&texts)?;
    let mut known = known()?;
    match known.get(&version) {
        Some(promised) if *promised != said => bail!("{}", broken(&version)),
        Some(_) => Ok(()),
        None => {
            known.insert(version, said);
            Ok(fs::write(paths::root().join(VERSIONS), format!("{HEAD}{}", toml::to_string(&known)?))?)
        }
    }
}

/// Proves that the copy is one, and that the version is what it was.
pub(crate) fn check() -> Result<()> {
    let texts = texts()?;
    for (file, text) in FILES.iter().zip(&texts) {
        if fs::read_to_string(paths::root().join(COPY).join(file)).ok().as_ref() != Some(text) {
            bail!("{COPY}/{file} is no copy of wit/{file}: run `cargo xtask plugins`");
        }
    }
    let (version, said) = version_and_digest(&texts)?;
    match known()?.get(&version) {
        Some(promised) if *promised == said => Ok(()),
        Some(_) => bail!("{}", broken(&version)),
        None => bail!("{VERSIONS} does not have the contract's version {version}: run `cargo xtask plugins`"),
    }
}

fn broken(version: &str) -> String {
    format!(
        "wit/ says something else than it did as version {version}, and components were built against that: raise the version in \
         `package …@{version}` as wit/VERSIONING.md says, or undo the change"
    )
}

fn texts() -> Result<Vec<String>> {
    let read = |file: &&str| {
        fs::read_to_string(paths::root().join("wit").join(file)).with_context(|| format!("wit/{file} cannot be read"))
    };
    FILES.iter().map(read).collect()
}

fn known() -> Result<BTreeMap<String, String>> {
    match fs::read_to_string(paths::root().join(VERSIONS)) {
        Ok(text) => toml::from_str(&text).with_context(|| format!("{VERSIONS} is damaged")),
        Err(_) => Ok(BTreeMap::new()),
    }
}

fn version_and_digest(texts: &[String]) -> Result<(String, String)> {
    let said = texts.iter().map(|text| substance(text)).collect::<Vec<_>>().join("\n");
    let version = said.split_once("package credentials-broker:provider@").and_then(|(_, rest)| rest.split_once(';'));
    let (version, _) = version.context("wit/ names no package with a version")?;
    Ok((version.to_owned(), digest::of(said.as_bytes())))
}

/// A text without comments, and without where its lines end.
fn substance(text: &str) -> String {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    code.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTRACT: &str =
        "/// What it is.\npackage credentials-broker:provider@1.2.3;\ninterface a {\n  f: func() -> string; // a text\n}\n";

    fn digest_of(text: &str) -> (String, String) {
        version_and_digest(&[text.to_owned()]).unwrap()
    }

    #[test]
    fn documentation_and_layout_may_change_within_a_version_and_nothing_else() {
        let (version, said) = digest_of(CONTRACT);
        assert_eq!(version, "1.2.3");
        let clearer = CONTRACT.replace("What it is.", "What it really is.").replace("\n  f", "\n\n    f").replace("a text", "");
        assert_eq!(digest_of(&clearer).1, said);
        for changed in [CONTRACT.replace("string", "u32"), CONTRACT.replace("f:", "g:"), CONTRACT.replace("1.2.3", "1.2.4")] {
            assert_ne!(digest_of(&changed).1, said, "{changed}");
        }
    }

    #[test]
    fn the_contract_here_is_the_one_that_was_written_down() {
        check().unwrap();
    }
}

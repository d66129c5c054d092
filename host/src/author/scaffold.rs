//! `providers new`: a crate that builds at once, out of `providers/template/`.
//!
//! The template is a real provider called acme, which is what makes it possible to build and test it as it stands. A new
//! one is the same text under another name, with the SDK's source beside it until that crate is published.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Code, Error, Result, foreign};

/// Files of a folder below `providers/`, each with its text.
macro_rules! files {
    ($folder:literal: $($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../../providers/", $folder, "/", $name)))),+]
    };
}

type Files = &'static [(&'static str, &'static str)];

/// What is copied under the new name.
const TEMPLATE: Files = files!("template":
    ".cargo/config.toml",
    "Cargo.toml",
    "README.md",
    "descriptor.json",
    "fixtures.json",
    "gitignore",
    "src/lib.rs",
    "src/tests.rs",
);

/// What is copied as it is, into `sdk/`.
const SDK: Files = files!("sdk":
    "Cargo.toml",
    "src/bindings.rs",
    "src/call.rs",
    "src/capabilities.rs",
    "src/discovery.rs",
    "src/export.rs",
    "src/failure.rs",
    "src/fake/mod.rs",
    "src/fake/request.rs",
    "src/fake/response.rs",
    "src/fake/testing.rs",
    "src/heap.rs",
    "src/lib.rs",
    "src/provider.rs",
    "src/standard/account.rs",
    "src/standard/device.rs",
    "src/standard/mod.rs",
    "src/standard/revocation.rs",
    "src/standard/tests.rs",
    "wit/host.wit",
    "wit/provider.wit",
);

/// Names that cargo or Rust keep for themselves.
const RESERVED: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "credentials-broker-provider",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "sdk",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "wit-bindgen",
    "yield",
];

/// A name that a new provider, its crate and its variables can all have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewName(String);

impl NewName {
    /// Checks a name. `taken` says whether a provider has it already.
    ///
    /// # Errors
    /// `invalid_argument`, saying what a name must be.
    pub fn parse(name: &str, taken: impl FnOnce(&str) -> bool) -> Result<Self> {
        let wrong = |why: String, hint: &'static str| Err(Error::new(Code::InvalidArgument, why, hint));
        let words = name
            .split('-')
            .all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()));
        if name.len() > 32 || !words || !name.starts_with(|first: char| first.is_ascii_lowercase()) {
            return wrong(
                format!("{} cannot be the name of a provider.", foreign(name)),
                "Use 1 to 32 lower-case letters, digits and single hyphens, beginning with a letter, such as \"acme\" or \"acme-id\".",
            );
        }
        if RESERVED.contains(&name) {
            return wrong(
                format!("{name} is a word that Rust or cargo keeps for itself, so no crate can have it for a name."),
                "Add a word to it, such as \"-id\".",
            );
        }
        if taken(name) {
            return wrong(
                format!("{name} is the name of a provider that the broker brings along."),
                "Use a name of its own; a component can take an embedded one's place only where the operator's file says so.",
            );
        }
        Ok(Self(name.to_owned()))
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The file that plain cargo builds, below the crate's folder.
    #[must_use]
    pub fn component(&self) -> PathBuf {
        Path::new("target/wasm32-unknown-unknown/release").join(format!("{}.wasm", self.0.replace('-', "_")))
    }

    /// `acme-id` as a type's name: `AcmeId`.
    fn camel(&self) -> String {
        self.0
            .split('-')
            .flat_map(|word| word.chars().enumerate().map(|(at, c)| if at == 0 { c.to_ascii_uppercase() } else { c }))
            .collect()
    }

    /// A text of the template under this name.
    fn apply(&self, text: &str) -> String {
        text.replace("release/acme.wasm", &format!("release/{}.wasm", self.0.replace('-', "_")))
            .replace("acme", &self.0)
            .replace("Acme", &self.camel())
            .replace("ACME", &self.0.to_ascii_uppercase().replace('-', "_"))
            .replace("path = \"../sdk\"", "path = \"sdk\"")
    }
}

/// Every file of the new crate, by its path below the folder.
#[must_use]
pub fn files(name: &NewName) -> Vec<(String, String)> {
    let own = TEMPLATE.iter().map(|(path, text)| {
        let path = if *path == "gitignore" { ".gitignore" } else { path };
        (path.to_owned(), name.apply(text))
    });
    let sdk = SDK.iter().map(|(path, text)| (format!("sdk/{path}"), (*text).to_owned()));
    own.chain(sdk).collect()
}

/// Writes the crate into `folder`, which must not be there yet or be empty.
///
/// # Errors
/// `conflict` where something lies there; `invalid_argument` where it cannot be written.
pub fn write(name: &NewName, folder: &Path) -> Result<()> {
    let occupied = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    };
    if occupied {
        return Err(Error::new(
            Code::Conflict,
            format!("{} is there already.", folder.display()),
            "Nothing was written. Name another folder with --path, or remove that one.",
        ));
    }
    for (path, text) in files(name) {
        let file = folder.join(path);
        let written = file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&file, text));
        written.map_err(|error| {
            Error::new(
                Code::InvalidArgument,
                format!("{} cannot be written: {error}.", file.display()),
                "Name a folder that you may write to with --path.",
            )
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::descriptor::Descriptor;

    fn name(text: &str) -> NewName {
        NewName::parse(text, |_| false).unwrap()
    }

    fn below(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            match entry.file_type().unwrap().is_dir() {
                true if path == "target" => {}
                true => below(&entry.path(), &format!("{path}/"), found),
                false if path == "Cargo.lock" => {}
                false => drop(found.insert(path)),
            }
        }
    }

    #[test]
    fn nothing_of_the_template_or_the_sdk_is_left_out() {
        for (folder, listed) in [("template", TEMPLATE), ("sdk", SDK)] {
            let mut there = BTreeSet::new();
            below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../providers").join(folder), "", &mut there);
            let listed: BTreeSet<String> = listed.iter().map(|(path, _)| (*path).to_owned()).collect();
            assert_eq!(listed, there, "providers/{folder}");
        }
    }

    #[test]
    fn a_new_provider_has_its_name_everywhere_and_acme_nowhere() {
        let files = files(&name("my-id"));
        let own: Vec<_> = files.iter().filter(|(path, _)| !path.starts_with("sdk/")).collect();
        assert!(own.iter().all(|(_, text)| !text.to_ascii_lowercase().contains("acme")), "{own:#?}");
        let text = |path: &str| &files.iter().find(|(known, _)| known == path).unwrap().1;
        let descriptor = Descriptor::parse(text("descriptor.json")).unwrap();
        assert_eq!((descriptor.name.as_str(), descriptor.title.as_str()), ("my-id", "MyId"));
        assert_eq!(descriptor.settings[0].env, ["MY_ID_CLIENT_ID"]);
        assert!(text("src/lib.rs").contains("export_provider!(MyId, Refresh, Revocation);"));
        assert!(text("README.md").contains("release/my_id.wasm"));
        assert!(text("Cargo.toml").contains("path = \"sdk\""));
        assert!(files.iter().any(|(path, _)| path == ".gitignore"));
    }

    #[test]
    fn a_name_is_one_for_a_crate_a_provider_and_a_variable() {
        for good in ["a", "acme", "acme-id2", "x1"] {
            assert_eq!(name(good).as_str(), good);
        }
        for bad in ["", "Acme", "1acme", "acme_id", "-acme", "acme-", "a--b", "acmé", "../acme", "test", "async", &"a".repeat(33)]
        {
            let error = NewName::parse(bad, |_| false).unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument, "{bad}");
            assert!(!error.hint().is_empty());
        }
        assert!(NewName::parse("github", |name| name == "github").unwrap_err().message().contains("brings along"));
    }

    #[test]
    fn what_lies_in_the_folder_is_never_touched() {
        let place = tempfile::TempDir::new().unwrap();
        fs::write(place.path().join("mine"), "precious").unwrap();
        assert_eq!(write(&name("acme"), place.path()).unwrap_err().code(), Code::Conflict);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
        write(&name("acme"), &place.path().join("a/b")).unwrap();
        assert!(place.path().join("a/b/sdk/wit/host.wit").exists());
    }
}

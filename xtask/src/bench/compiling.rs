//! What compiling a component costs the server that needs it: nothing, where a child does it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::contestants::{Contestant, folder};
use super::driver::Session;
use super::example::verdict;
use super::figures::median;
use super::plugins;
use crate::paths;

const ROUNDS: usize = 3;
/// How much more of memory a server may ever have had where a child compiled for it than where it was compiled before, in
/// MiB.
const GOAL: f64 = 1.0;

/// The most memory that a server ever had, in MiB.
pub(super) struct Figures(Vec<Subject>);

struct Subject {
    what: String,
    warm: f64,
    child: f64,
    itself: f64,
}

/// Small ones as the tests have them, and the one in Python where `cargo xtask test` has built it.
pub(super) fn measure(broker: &Contestant) -> Result<Figures> {
    let home = folder().join("compiling");
    let _ = std::fs::remove_dir_all(&home);
    let small = home.join("small");
    plugins::make(&small, 1)?;
    let mut subjects = vec![("a component of 74 KB".to_owned(), small)];
    let python = paths::target().join("python/snake.wasm");
    if python.is_file() {
        let folder = home.join("python");
        std::fs::create_dir_all(&folder)?;
        std::fs::copy(&python, folder.join("snake.wasm"))?;
        subjects.push(("one in Python, 18 MB".to_owned(), folder));
    }
    let figures = subjects.into_iter().map(|(what, plugins)| subject(broker, &home, what, &plugins)).collect::<Result<_>>()?;
    Ok(Figures(figures))
}

fn subject(broker: &Contestant, home: &Path, what: String, plugins: &Path) -> Result<Subject> {
    let (mut warm, mut child, mut itself) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (cache, open) = (home.join("cache"), home.join("open"));
        let _ = std::fs::remove_dir_all(&cache);
        child.push(peak(broker, plugins, &cache)?);
        warm.push(peak(broker, plugins, &cache)?);
        // a cache that others can reach is not used, and without one there is no child
        let components = open.join("mcp-credentials-broker/components");
        std::fs::create_dir_all(&components)?;
        #[cfg(unix)]
        std::fs::set_permissions(&components, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        itself.push(peak(broker, plugins, &open)?);
    }
    let middle = |figures: Vec<f64>| median(figures.into_iter()).context("nothing was measured");
    Ok(Subject { what, warm: middle(warm)?, child: middle(child)?, itself: middle(itself)? })
}

fn peak(broker: &Contestant, plugins: &Path, cache: &Path) -> Result<f64> {
    let with = broker.with(&[PathBuf::from("--plugins"), plugins.to_owned()], cache);
    let mut session = Session::start(&with)?;
    session.call("list_providers", &json!({}))?;
    Ok(session.peak_kib().context("the system does not tell VmHWM")? as f64 / 1024.0)
}

impl Figures {
    pub(super) fn section(&self) -> String {
        let mut text = String::from(
            "## Compiling\n\n| the most memory that the server ever had, MiB | compiled before | compiled by a child | compiled by itself | goal | |\n|---|--:|--:|--:|---|---|\n",
        );
        for Subject { what, warm, child, itself } in &self.0 {
            let met = verdict(*child <= *warm + GOAL);
            text.push_str(&format!(
                "| {what} | {warm:.1} | {child:.1} | {itself:.1} | a child costs it at most {GOAL:.0} MiB | {met} |\n"
            ));
        }
        text.push_str(&format!(
            "\n`VmHWM` of a server that was asked for `list_providers` with an unapproved component in its folder of plugins, which has to\n\
             be compiled to be asked what it is. The server compiles itself only where the cache cannot be used. Medians of {ROUNDS}.\n"
        ));
        text
    }

    pub(super) fn json(&self) -> Value {
        let subject = |subject: &Subject| json!({ "what": subject.what, "warm_mib": subject.warm, "child_mib": subject.child, "itself_mib": subject.itself });
        self.0.iter().map(subject).collect()
    }
}

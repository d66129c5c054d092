//! Programs of `host/examples` that measure inside one process, where a client would only see the pipe.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{paths, run};

/// What an example says, in its one line of JSON. Each takes the broker's program as its argument.
pub(super) fn told(name: &str, program: &Path) -> Result<Value> {
    let cargo = |word: &str| {
        let mut cargo = run::cargo(&paths::root());
        cargo.args([word, "--release", "--quiet", "--package", "mcp-credentials-broker", "--example", name]);
        cargo
    };
    run::show(&mut cargo("build"))?;
    // The audit trail of what is measured goes to standard error, a line for each call.
    let done = cargo("run").arg("--").arg(program).stderr(Stdio::null()).output()?;
    ensure!(done.status.success(), "the example `{name}` failed ({}): run it by hand", done.status);
    let said = String::from_utf8_lossy(&done.stdout);
    let line = said.lines().rev().find(|line| line.starts_with('{'));
    Ok(serde_json::from_str(line.with_context(|| format!("the example `{name}` told nothing"))?)?)
}

/// One number of it.
pub(super) fn number(told: &Value, name: &str) -> Result<f64> {
    told[name].as_f64().with_context(|| format!("no {name} was told"))
}

/// Numbers of it.
pub(super) fn numbers(told: &Value, name: &str) -> Vec<f64> {
    told[name].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}

/// A row's last words: whether a goal is met.
pub(super) const fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "**missed**" }
}

//! All tests.

use anyhow::Result;

use crate::run::{cargo, show};
use crate::{needs, paths};

/// Sees to what they need, then runs them: the broker's, with its documentation's, and the providers', natively.
pub(crate) fn run() -> Result<()> {
    needs::prepare()?;
    let root = paths::root();
    show(cargo(&root).args(["test", "--workspace", "--locked"]))?;
    let providers = root.join("providers");
    show(cargo(&providers).args(["test", "--workspace", "--locked", "--target-dir"]).arg(paths::target().join("providers")))
}

//! Where things are in the checkout.

use std::path::{Path, PathBuf};

/// The checkout.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// What is built here and never committed.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}

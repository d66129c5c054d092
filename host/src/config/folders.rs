//! The folders that the platform has for this program and this user.

use std::sync::LazyLock;

use directories::ProjectDirs;

/// The folders for configuration, data and caches. `None` where the user has no home.
#[must_use]
pub fn folders() -> Option<&'static ProjectDirs> {
    static FOLDERS: LazyLock<Option<ProjectDirs>> = LazyLock::new(|| ProjectDirs::from("", "", "mcp-credentials-broker"));
    FOLDERS.as_ref()
}

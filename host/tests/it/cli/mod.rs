//! The face to people: every command of the real binary.

mod words;

use crate::support::broker::Launch;

/// What differs from run to run, replaced.
pub fn steady(launch: &Launch, text: &str) -> String {
    let port = launch.port().to_string();
    text.replace(&launch.home().display().to_string(), "[home]").replace(&port, "[port]")
}

//! Reads entries back, for people.

use std::path::Path;
use std::time::SystemTime;

use serde_json::{Map, Value};

use super::files::Files;
use super::verify::read;
use crate::error::{Result, is_deceptive};

/// Which entries are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Only of this secret.
    pub secret: Option<String>,
    /// Only since then.
    pub since: Option<SystemTime>,
}

/// The entries beside a vault, oldest first; what is no entry is left out. Nothing is proven: [`super::verify()`] does
/// that. Needs no key.
///
/// # Errors
/// What is wrong with the files.
pub fn entries(vault: &Path, wanted: &Wanted) -> Result<Vec<Map<String, Value>>> {
    let files = Files::beside(vault);
    let mut found = Vec::new();
    for path in files.all() {
        let bytes = read(&path)?;
        for line in bytes.split(|byte| *byte == b'\n') {
            let Ok(Value::Object(mut entry)) = serde_json::from_slice::<Value>(line) else { continue };
            if wanted.takes(&entry) {
                entry.values_mut().for_each(clean);
                found.push(entry);
            }
        }
    }
    Ok(found)
}

impl Wanted {
    fn takes(&self, entry: &Map<String, Value>) -> bool {
        let text = |name: &str| entry.get(name).and_then(Value::as_str);
        let of_the_secret = self.secret.as_ref().is_none_or(|secret| text("secret") == Some(secret));
        let recent = self.since.is_none_or(|since| {
            text("time").and_then(|time| humantime::parse_rfc3339(time).ok()).is_some_and(|time| time >= since)
        });
        of_the_secret && recent
    }
}

/// Somebody may have written into the file what makes a terminal lie.
fn clean(value: &mut Value) {
    if let Value::String(text) = value
        && text.contains(is_deceptive)
    {
        *text = text.replace(is_deceptive, " ");
    }
}

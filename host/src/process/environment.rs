//! What a program inherits: the environment of the broker, without what only the broker needs.

use std::collections::BTreeSet;

/// The broker's own variables with secrets in them, of those that are set. `settings` are the variables that hold a
/// provider's secret settings.
#[must_use]
pub fn not_for_others(settings: &BTreeSet<String>, keep: &[String]) -> BTreeSet<String> {
    let set = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    chosen(set, settings, keep)
}

fn chosen(set: impl Iterator<Item = String>, settings: &BTreeSet<String>, keep: &[String]) -> BTreeSet<String> {
    let ours = |name: &String| {
        name == "JWT_SECRET" || settings.contains(name) || name.strip_prefix("MCP_CREDENTIALS_BROKER_").is_some_and(is_secret)
    };
    set.filter(|name| ours(name) && !keep.contains(name)).collect()
}

fn is_secret(name: &str) -> bool {
    ["PASS", "SECRET", "KEY", "TOKEN"].iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brokers_own_secrets_stay_with_it_unless_they_are_asked_for() {
        let set = [
            "PATH",
            "JWT_SECRET",
            "GITHUB_CLIENT_SECRET",
            "MCP_CREDENTIALS_BROKER_PASSPHRASE",
            "MCP_CREDENTIALS_BROKER_LOG",
            "OTHER_SECRET",
        ];
        let settings = BTreeSet::from(["GITHUB_CLIENT_SECRET".to_owned(), "OKTA_CLIENT_SECRET".to_owned()]);
        let set = || set.iter().map(|name| (*name).to_owned());
        let without: Vec<_> = chosen(set(), &settings, &[]).into_iter().collect();
        assert_eq!(without, ["GITHUB_CLIENT_SECRET", "JWT_SECRET", "MCP_CREDENTIALS_BROKER_PASSPHRASE"]);
        assert!(!chosen(set(), &settings, &["JWT_SECRET".to_owned()]).contains("JWT_SECRET"));
    }
}

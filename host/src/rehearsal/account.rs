//! Alice, who is made up, and what a scope lets one see of her.

use serde_json::{Map, Value, json};

/// Her identifier at this issuer.
pub(super) const SUBJECT: &str = "alice";
/// Her name.
pub(super) const NAME: &str = "Alice Example";
/// Her address, in a domain that is nobody's (RFC 2606).
pub(super) const EMAIL: &str = "alice@example.com";

/// Every scope, and what the person is told about it.
pub(super) const SCOPES: [(&str, &str); 4] = [
    ("openid", "Confirm that it is you"),
    ("profile", "See your name"),
    ("email", "See your e-mail address"),
    ("offline_access", "Keep you signed in"),
];

/// The scopes of a space-separated list, without repetition; `None` if one is unknown or there is none at all.
pub(super) fn scopes(list: &str) -> Option<Vec<&'static str>> {
    let mut found = Vec::new();
    for word in list.split(' ').filter(|word| !word.is_empty()) {
        let (scope, _) = SCOPES.iter().find(|(scope, _)| *scope == word)?;
        if !found.contains(scope) {
            found.push(*scope);
        }
    }
    (!found.is_empty()).then_some(found)
}

/// What these scopes show (OpenID Connect Core 1.0 section 5.4).
pub(super) fn claims(scopes: &[&str]) -> Map<String, Value> {
    let mut claims = Map::new();
    claims.insert("sub".to_owned(), json!(SUBJECT));
    if scopes.contains(&"profile") {
        claims.insert("name".to_owned(), json!(NAME));
    }
    if scopes.contains(&"email") {
        claims.insert("email".to_owned(), json!(EMAIL));
        claims.insert("email_verified".to_owned(), json!(true));
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_shows_what_it_says_and_no_more() {
        assert_eq!(Value::from(claims(&["openid"])), json!({ "sub": "alice" }));
        assert!(claims(&["openid", "email"]).get("name").is_none());
    }

    #[test]
    fn an_unknown_scope_is_not_dropped_silently() {
        assert_eq!(scopes("openid email openid"), Some(vec!["openid", "email"]));
        assert_eq!(scopes("openid admin"), None);
        assert_eq!(scopes(" "), None);
    }
}

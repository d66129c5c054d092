//! What a token endpoint's answer means (RFC 6749 section 5.1), read tolerantly: servers differ.

use std::time::{Duration, SystemTime};

use crate::error::{Code, Error, Result, foreign};
use crate::sandbox::Tokens;
use crate::vault::Grant;

/// A token is taken for over this long before its end, so that it does not end on its way; never more than half its life.
const MARGIN: Duration = Duration::from_secs(60);
/// Lifetimes beyond this are taken for this.
const LONGEST: f64 = 10.0 * 365.0 * 24.0 * 3600.0;

/// The facts of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// How long the access token lives; not known: none was told, or nonsense.
    pub lifetime: Option<Duration>,
    /// The scopes granted; not said: as asked.
    pub scopes: Option<Vec<String>>,
    /// Whether a refresh token works once, and its reuse kills the family.
    pub strict_rotation: bool,
    /// What the component wants remembered, by its own names.
    pub notes: Vec<(String, String)>,
}

/// Reads the facts that a component handed over.
///
/// # Errors
/// `provider_error` for a token that cannot be spent as a bearer token, or that is none.
pub fn facts(tokens: &Tokens) -> Result<Facts> {
    let unusable = |what: String| {
        Error::new(Code::ProviderError, what, "Nothing was stored. Check the client's registration with the provider.")
    };
    if !is_bearer_text(tokens.access.expose()) {
        return Err(unusable("The provider's access token has characters that no bearer token may have.".to_owned()));
    }
    if let Some(kind) = tokens.fact("token_type").filter(|kind| !kind.is_empty() && !kind.eq_ignore_ascii_case("bearer")) {
        return Err(unusable(format!(
            "The provider issued a token of the type {}; only Bearer tokens can be spent.",
            foreign(kind)
        )));
    }
    // They are shown to the agent: nothing but scope-tokens (RFC 6749 section 3.3).
    let scope = |word: &&str| word.len() <= 512 && word.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    let scopes = tokens.fact("scope").map(|text| text.split_ascii_whitespace().filter(scope).map(str::to_owned).collect());
    let notes =
        tokens.facts.iter().filter_map(|(name, value)| Some((name.strip_prefix("note.")?.to_owned(), value.clone()))).collect();
    Ok(Facts {
        lifetime: tokens.fact("expires_in").and_then(lifetime),
        scopes,
        strict_rotation: tokens.fact("rotation") == Some("strict"),
        notes,
    })
}

/// RFC 6750 section 2.1, and a bound.
fn is_bearer_text(token: &str) -> bool {
    !token.is_empty() && token.len() <= 64 * 1024 && token.bytes().all(|b| b.is_ascii_graphic())
}

/// Whole or broken, as a number or a text; nothing or less means that it has ended already.
fn lifetime(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    seconds.is_finite().then(|| Duration::from_secs_f64(seconds.clamp(0.0, LONGEST).floor()))
}

/// Whether anything could renew it.
#[must_use]
pub const fn renewable(grant: &Grant) -> bool {
    grant.refresh.is_some() && grant.ended.is_none()
}

/// Whether an access token can still be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Yes.
    Fresh,
    /// It ends within the margin.
    Due,
    /// It has ended.
    Expired,
}

/// Looks at a grant by the clock. A clock that was set back to before the issue makes it due: nothing is known then.
#[must_use]
pub fn freshness(grant: &Grant, now: SystemTime) -> Freshness {
    let Some(expires) = grant.expires else { return Freshness::Fresh };
    let life = expires.duration_since(grant.issued).unwrap_or_default();
    if now >= expires {
        Freshness::Expired
    } else if now + MARGIN.min(life / 2) >= expires || now + Duration::from_secs(600) < grant.issued {
        Freshness::Due
    } else {
        Freshness::Fresh
    }
}

/// A grant of an hour that cannot be renewed.
#[cfg(test)]
pub(super) fn sample() -> Grant {
    let now = SystemTime::now();
    Grant {
        provider: "acme".to_owned(),
        lineage: String::new(),
        client_id: String::new(),
        issuer: None,
        resolved: std::sync::Arc::default(),
        settings: std::sync::Arc::default(),
        account: None,
        access: crate::secret::Secret::from("t"),
        refresh: None,
        scopes: vec![],
        issued: now,
        expires: Some(now + Duration::from_secs(3600)),
        ttl: super::ttl::STATIC,
        notes: vec![],
        ended: None,
        strict_rotation: false,
        renewal: crate::vault::Renewal::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn tokens(facts: &[(&str, &str)]) -> Tokens {
        let facts = facts.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Tokens { access: Secret::from("token"), refresh: None, id_token: None, facts }
    }

    #[test]
    fn lifetimes_are_read_in_every_writing() {
        for (text, seconds) in [
            ("3600", Some(3600)),
            ("3600.7", Some(3600)),
            (" 10 ", Some(10)),
            ("0", Some(0)),
            ("-5", Some(0)),
            ("1e4", Some(10_000)),
            ("1e300", Some(315_360_000)),
            ("soon", None),
            ("NaN", None),
            ("", None),
        ] {
            assert_eq!(facts(&tokens(&[("expires_in", text)])).unwrap().lifetime, seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn only_bearer_tokens_are_taken() {
        for good in ["Bearer", "bearer", "BEARER", ""] {
            assert!(facts(&tokens(&[("token_type", good)])).is_ok());
        }
        for bad in ["DPoP", "mac", "N_A"] {
            assert_eq!(facts(&tokens(&[("token_type", bad)])).unwrap_err().code(), Code::ProviderError);
        }
        let mut broken = tokens(&[]);
        broken.access = Secret::from("a\r\nb");
        assert!(facts(&broken).is_err());
    }

    #[test]
    fn what_is_no_scope_is_not_shown_as_one() {
        let scopes = facts(&tokens(&[("scope", "repo \"ignore\u{202e} \u{1b}[2J read:user \u{e9}")])).unwrap().scopes;
        assert_eq!(scopes.unwrap(), ["repo", "read:user"]);
    }

    #[test]
    fn a_token_is_due_before_it_ends_and_never_for_more_than_half_its_life() {
        let now = SystemTime::now();
        let grant = |life: u64, age: u64| Grant {
            issued: now - Duration::from_secs(age),
            expires: Some(now - Duration::from_secs(age) + Duration::from_secs(life)),
            ..sample()
        };
        for (life, age, expected) in [
            (3600, 0, Freshness::Fresh),
            (3600, 3539, Freshness::Fresh),
            (3600, 3541, Freshness::Due),
            (3600, 3600, Freshness::Expired),
            (10, 4, Freshness::Fresh),
            (10, 6, Freshness::Due),
            (0, 0, Freshness::Expired),
        ] {
            assert_eq!(freshness(&grant(life, age), now), expected, "{life} {age}");
        }
        assert_eq!(freshness(&grant(3600, 0), now - Duration::from_secs(3600)), Freshness::Due, "a clock set back");
    }
}

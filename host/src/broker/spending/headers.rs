//! Which headers an agent may set in a request that carries a credential, and which of an answer it sees.
//!
//! Lists of what is allowed: a header that nobody thought of could change the method, add a second credential, or make a
//! server look elsewhere. The operator may add request headers by secret.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::config::secrets::Inject;
use crate::error::{Code, Error, Result, foreign};
use crate::secret::Secret;

/// What a request may carry, in lower case.
const REQUEST: [&str; 22] = [
    "accept",
    "accept-language",
    "anthropic-beta",
    "anthropic-version",
    "consistencylevel",
    "content-language",
    "content-type",
    "depth",
    "idempotency-key",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "notion-version",
    "openai-organization",
    "openai-project",
    "prefer",
    "user-agent",
    "x-github-api-version",
    "x-goog-user-project",
    "x-ms-version",
    "x-request-id",
];

/// What an agent sees of an answer's headers, in lower case.
const ANSWER: [&str; 27] = [
    "accept-ranges",
    "allow",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-location",
    "content-range",
    "content-type",
    "date",
    "deprecation",
    "etag",
    "last-modified",
    "link",
    "location",
    "request-id",
    "retry-after",
    "sunset",
    "vary",
    "warning",
    "www-authenticate",
    "x-accepted-oauth-scopes",
    "x-github-request-id",
    "x-next-page",
    "x-oauth-scopes",
    "x-request-id",
    "x-total",
    "x-total-count",
];

/// Families of headers of an answer that an agent sees.
const ANSWER_FAMILIES: [&str; 4] = ["ratelimit", "x-ratelimit", "x-github-media-type", "x-ms-ratelimit"];

/// The longest value, in bytes.
const MAX_VALUE: usize = 4096;
/// How many of an answer's headers are shown, repeated ones counted each.
const MAX_SHOWN: usize = 64;

/// The headers of a request, without the credential.
///
/// # Errors
/// `not_allowed` for a header that is not listed, `invalid_argument` for a value that is none.
pub fn request(given: &BTreeMap<String, String>, inject: &Inject, more: &[String]) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let lower = name.to_ascii_lowercase();
        let allowed = REQUEST.contains(&lower.as_str()) || more.contains(&lower);
        if !allowed || matches!(inject, Inject::Header(own) if *own == lower) {
            return Err(refused(name, &lower));
        }
        let parsed = HeaderName::from_bytes(lower.as_bytes()).ok().zip(value_of(value));
        let Some((header, value)) = parsed else {
            return Err(Error::new(
                Code::InvalidArgument,
                format!("The value of the header {} has characters that no header may have, or is too long.", foreign(name)),
                "Use visible ASCII characters and spaces, in one line of at most 4 KiB.",
            ));
        };
        if headers.insert(header, value).is_some() {
            return Err(Error::new(
                Code::InvalidArgument,
                format!("The header {} is given twice.", foreign(name)),
                "Give each header once, whatever its case.",
            ));
        }
    }
    // An answer that is compressed could be neither searched nor bounded.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Ok(headers)
}

fn value_of(text: &str) -> Option<HeaderValue> {
    let good = text.len() <= MAX_VALUE && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    good.then(|| HeaderValue::from_str(text).ok()).flatten()
}

fn refused(name: &str, lower: &str) -> Error {
    let what = if matches!(lower, "authorization" | "proxy-authorization" | "cookie" | "x-api-key") {
        format!("The broker adds the credential itself; a request must not carry the header {}.", foreign(name))
    } else {
        format!("The header {} may not be set in a request that carries a credential.", foreign(name))
    };
    Error::new(
        Code::NotAllowed,
        what,
        format!(
            "Leave it out. Possible are: {}. The operator can add one in broker.toml, below [secrets.\"NAME\"]: headers = [\"x-example\"]",
            REQUEST.join(", ")
        ),
    )
}

/// Adds the credential.
///
/// # Errors
/// `invalid_argument` where the value cannot stand in a header.
pub fn inject(headers: &mut HeaderMap, how: &Inject, value: &Secret) -> Result<()> {
    let text = value.expose().trim_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(unfit());
    }
    let (name, text) = match how {
        Inject::Bearer => (AUTHORIZATION, Zeroizing::new(format!("Bearer {text}"))),
        Inject::Basic { user } => {
            let pair = Zeroizing::new(format!("{user}:{text}"));
            (AUTHORIZATION, Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(pair.as_bytes()))))
        }
        Inject::Header(name) => {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unfit())?;
            (name, Zeroizing::new(text.to_owned()))
        }
    };
    let good = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    let mut value = good.then(|| HeaderValue::from_str(&text).ok()).flatten().ok_or_else(unfit)?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

fn unfit() -> Error {
    Error::new(
        Code::InvalidArgument,
        "The secret's value cannot stand in a header: it is empty, or has a line break or a character that is not ASCII.",
        "Store it again without them, or use inject = \"basic\" in the operator's file.",
    )
}

/// The headers of an answer that an agent sees, in the order in which they came. What cannot be shown as text is left out.
#[must_use]
pub fn shown(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let seen = |name: &str| ANSWER.contains(&name) || ANSWER_FAMILIES.iter().any(|family| name.starts_with(family));
    headers
        .iter()
        .filter(|(name, _)| seen(name.as_str()))
        .take(MAX_SHOWN)
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_listed_passes_and_nothing_else() {
        let good = map(&[("Accept", "application/json"), ("If-None-Match", "\"x\""), ("X-GitHub-Api-Version", "2022-11-28")]);
        let headers = request(&good, &Inject::Bearer, &[]).unwrap();
        assert_eq!(headers.get("accept").unwrap(), "application/json");
        assert_eq!(headers.get("accept-encoding").unwrap(), "identity");
        for bad in [
            "Authorization",
            "authorization",
            "AUTHORIZATION",
            "Proxy-Authorization",
            "Cookie",
            "Host",
            "X-HTTP-Method-Override",
            "X-Method-Override",
            "X-Forwarded-Host",
            "Connection",
            "Transfer-Encoding",
            "Content-Length",
            "Accept-Encoding",
            "Expect",
            "Te",
            "X-Api-Key",
            "X-Unknown",
            "",
            "Authorization ",
            "Accept\r\nAuthorization",
            "Acc\u{212a}ept",
        ] {
            assert_eq!(request(&map(&[(bad, "x")]), &Inject::Bearer, &[]).unwrap_err().code(), Code::NotAllowed, "{bad:?}");
        }
        assert!(request(&map(&[("x-team", "a")]), &Inject::Bearer, &["x-team".to_owned()]).is_ok());
        let own = Inject::Header("notion-version".to_owned());
        assert!(request(&map(&[("notion-version", "a")]), &own, &[]).is_err());
    }

    #[test]
    fn no_value_ends_its_line() {
        for bad in ["a\r\nAuthorization: Bearer x", "a\nb", "a\0b", "ä", "a\tb", &"x".repeat(MAX_VALUE + 1)] {
            assert_eq!(request(&map(&[("Accept", bad)]), &Inject::Bearer, &[]).unwrap_err().code(), Code::InvalidArgument);
        }
        assert!(request(&map(&[("Accept", "a"), ("accept", "b")]), &Inject::Bearer, &[]).is_err());
    }

    #[test]
    fn the_credential_is_put_where_the_operator_says() {
        let injected = |how: Inject, value: &str| {
            let mut headers = HeaderMap::new();
            inject(&mut headers, &how, &Secret::from(value)).map(|()| headers)
        };
        let headers = injected(Inject::Bearer, "abc\n").unwrap();
        assert!(headers.get("authorization").is_some_and(|value| value == "Bearer abc" && value.is_sensitive()));
        assert_eq!(injected(Inject::Basic { user: "me".to_owned() }, "pä ss").unwrap()["authorization"], "Basic bWU6cMOkIHNz");
        assert_eq!(injected(Inject::Header("x-api-key".to_owned()), "abc").unwrap()["x-api-key"], "abc");
        for bad in ["", "a\r\nX-Evil: 1", "ä", "\n"] {
            assert!(injected(Inject::Bearer, bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_answers_cookies_are_not_shown() {
        let mut headers = HeaderMap::new();
        for name in ["set-cookie", "content-type", "x-ratelimit-remaining", "x-secret"] {
            headers.insert(name, HeaderValue::from_static("x"));
        }
        let names: Vec<String> = shown(&headers).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["content-type", "x-ratelimit-remaining"]);
    }
}

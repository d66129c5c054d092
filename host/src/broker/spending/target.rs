//! The address of a request, as the agent wrote it, in the one form in which every program reads it alike.
//!
//! Programs disagree about addresses, and whoever wants a credential elsewhere lives off that. So nothing is put right
//! here: an address that the URL parser would write differently is refused. What is left of doubt is in the path, since
//! servers decode and clean paths in their own ways; that is kept for whoever compares paths.

use percent_encoding::percent_decode_str;
use url::Url;

use crate::error::{Code, Error, Result};

/// The longest address, in bytes.
const MAX: usize = 8 * 1024;

/// An address in its normal form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    url: Url,
    /// Decoded; `None` where servers may read the path in more than one way.
    segments: Option<Vec<String>>,
}

impl Target {
    /// Reads an address.
    ///
    /// # Errors
    /// `invalid_argument`. The address is not repeated: an agent may have put a secret into it.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |what: &str, hint: &str| Error::new(Code::InvalidArgument, format!("The URL {what}."), hint.to_owned());
        const PLAIN: &str = "Write it as https://HOST/PATH?QUERY, the host in lower case, everything special percent-encoded, without user name or fragment.";
        if text.len() > MAX {
            return Err(wrong("is longer than 8 KiB", "Send what is long in the body."));
        }
        let url = Url::parse(text).map_err(|_| wrong("is none", PLAIN))?;
        if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
            return Err(wrong("is not one of https", PLAIN));
        }
        if !url.username().is_empty() || url.password().is_some() || text.contains('@') && before_path(text).contains('@') {
            return Err(wrong("carries a user name", PLAIN));
        }
        if url.fragment().is_some() {
            return Err(wrong("has a fragment, which no server sees", PLAIN));
        }
        let bare = url.path() == "/" && url.query().is_none() && url.as_str().strip_suffix('/') == Some(text);
        if url.as_str() != text && !bare {
            let what = "is not in its normal form: programs could read its host or path as another one";
            return Err(wrong(what, PLAIN));
        }
        let segments = segments(url.path());
        Ok(Self { url, segments })
    }

    /// The address.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The host as rules name it: with the port where it is not the scheme's own; plain http names it always.
    #[must_use]
    pub fn host(&self) -> String {
        match (self.url.scheme(), self.url.port()) {
            ("http", None) => format!("{}:80", self.url.authority()),
            _ => self.url.authority().to_owned(),
        }
    }

    /// The decoded segments of the path; `None` where servers may read it in more than one way.
    #[must_use]
    pub fn segments(&self) -> Option<&[String]> {
        self.segments.as_deref()
    }
}

fn before_path(text: &str) -> &str {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    rest.split(['/', '?', '#', '\\']).next().unwrap_or_default()
}

/// What stands between the slashes, decoded once. A final slash means nothing.
fn segments(path: &str) -> Option<Vec<String>> {
    let inner = path.strip_prefix('/')?;
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if inner.is_empty() {
        return (path.len() <= 1).then(Vec::new);
    }
    inner.split('/').map(segment).collect()
}

fn segment(raw: &str) -> Option<String> {
    let text = percent_decode_str(raw).decode_utf8().ok()?;
    let doubtful = text.is_empty()
        || matches!(&*text, "." | "..")
        || text.chars().any(|character| matches!(character, '/' | '\\' | '%' | ';' | '?' | '#') || character.is_control());
    (!doubtful).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_in_its_normal_form_only() {
        for good in [
            "https://api.github.com/user",
            "https://api.github.com",
            "https://api.github.com/",
            "https://api.github.com/repos/o/r/contents/a%20b?ref=main&x=%2F",
            "https://localhost:4000/x",
            "http://127.0.0.1:4000/x",
            "https://graph.microsoft.com/v1.0/users('me@contoso.com')",
        ] {
            assert!(Target::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "https://api.github.com@evil.example/",
            "https://@api.github.com/",
            "https://u:p@api.github.com/",
            "https://API.github.com/",
            "https://api.github.com:443/",
            "https://api.github.com\\@evil.example/",
            "https:/api.github.com/",
            "https:api.github.com",
            " https://api.github.com/",
            "https://api.gith\tub.com/",
            "https://api.github.com/\n",
            "https://\u{ff41}pi.github.com/",
            "https://api。github.com/",
            "https://gıthub.com/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://api.github.com/a/../b",
            "https://api.github.com/a/%2e%2e/b",
            "https://api.github.com/a/./b",
            "https://api.github.com/a\\b",
            "https://api.github.com/a b",
            "https://api.github.com/a#b",
            "ftp://api.github.com/",
            "file:///etc/passwd",
            "//api.github.com/",
            "api.github.com",
            "",
        ] {
            let error = Target::parse(bad).unwrap_err();
            assert!(error.code() == Code::InvalidArgument && (bad.len() < 5 || !error.message().contains(bad)), "{bad}: {error}");
        }
        assert!(Target::parse(&format!("https://a.example/{}", "x".repeat(MAX))).is_err());
    }

    #[test]
    fn a_host_is_told_with_a_port_that_is_not_the_usual_one() {
        let host = |text: &str| Target::parse(text).unwrap().host();
        assert_eq!(host("https://api.github.com/x"), "api.github.com");
        assert_eq!(host("https://api.github.com:8443/x"), "api.github.com:8443");
        assert_eq!(host("http://api.github.com/x"), "api.github.com:80");
        assert_eq!(host("http://127.0.0.1:4000/x"), "127.0.0.1:4000");
    }

    #[test]
    fn a_path_that_servers_may_read_in_two_ways_has_no_segments() {
        let segments = |path: &str| Target::parse(&format!("https://a.example{path}")).unwrap().segments().map(<[_]>::to_vec);
        assert_eq!(segments("/"), Some(vec![]));
        assert_eq!(segments("/a/%62/"), Some(vec!["a".to_owned(), "b".to_owned()]));
        for doubtful in
            ["/a%2fb", "/a%5cb", "/a%252fb", "//a", "/a//b", "/a//", "/a;x/b", "/a%3bx", "/a%00", "/%ff", "/a%3Fb", "/a%23b"]
        {
            assert_eq!(segments(doubtful), None, "{doubtful}");
        }
    }
}

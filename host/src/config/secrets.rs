//! What the operator says of secrets by name: what kind they are, where they may be spent, and how.

use crate::error::{Code, Error, Result};
use crate::secret::SecretName;

/// Whether something may be done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Permission {
    /// It may.
    #[default]
    Allow,
    /// It may not.
    Deny,
}

/// `[secrets."NAME"]`: a name that the operator has given a meaning. No agent can store a value under it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretRule {
    /// What it is; not set: either.
    pub kind: Option<SecretKind>,
    /// Hosts, each with its port where that is not 443. For a login whose provider says where its tokens may be spent they
    /// narrow that; for everything else they are the whole list.
    pub hosts: Option<Vec<String>>,
    /// Path prefixes, at segment borders. Empty: any path.
    pub paths: Vec<String>,
    /// Methods that requests may have. Not set: any.
    pub methods: Option<Vec<String>>,
    /// How it is put into a request. Not set: bearer.
    pub inject: Inject,
    /// Request headers that an agent may set beside the usual ones, in lower case.
    pub headers: Vec<String>,
    /// Whether its value may be shown to an agent; not set: as `[policy] reveal` says.
    pub reveal: Option<Permission>,
}

/// What stands behind a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    /// A value that a person stores.
    Static,
    /// A login.
    Login,
}

/// How a secret is put into a request; never into its URL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Inject {
    /// `Authorization: Bearer …` (RFC 6750).
    #[default]
    Bearer,
    /// `Authorization: Basic …`, as the password of this user (RFC 7617).
    Basic {
        /// The user's name, without a colon.
        user: String,
    },
    /// A header of this name, in lower case, with the bare value.
    Header(String),
}

/// Methods that a request with a secret may have.
pub const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// Headers that decide where a message goes, where it ends, or what is done: the broker's own, whoever asks.
const OWN_HEADERS: [&str; 18] = [
    "accept-encoding",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];

/// Whether the text is the name of a header, in lower case, that may be set at all: RFC 9110's letters, and none of those
/// that are the broker's own. `authorization` is one.
#[must_use]
pub fn is_header(name: &str) -> bool {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(letters)
        && !OWN_HEADERS.contains(&name)
        && !["proxy-", "sec-", "x-forwarded-"].iter().any(|beginning| name.starts_with(beginning))
}

/// Whether the text is a host name or an IPv4 address in lower case, with a port at most.
#[must_use]
pub fn is_host(text: &str) -> bool {
    let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    name.len() <= 253
        && name.split('.').all(label)
        && port
            .is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number > 0 && number != 443 && port == number.to_string()))
}

/// Whether the text is the beginning of a path, written in one way only.
#[must_use]
pub fn is_path(text: &str) -> bool {
    let byte = |byte: u8| byte.is_ascii_graphic() && !b"%;?#\\*".contains(&byte);
    text.starts_with('/')
        && text.len() <= 1024
        && text.bytes().all(byte)
        && !text.contains("//")
        && text.split('/').all(|segment| segment != "." && segment != "..")
}

impl super::Config {
    /// Whether the value of that secret may be shown to an agent.
    #[must_use]
    pub fn reveal(&self, name: &SecretName) -> Permission {
        self.secrets.get(name).and_then(|rule| rule.reveal).unwrap_or(self.policy.reveal)
    }
}

impl SecretRule {
    /// That something of this kind may stand behind the name.
    ///
    /// # Errors
    /// `not_allowed`.
    pub fn takes(&self, name: &SecretName, kind: SecretKind) -> Result<()> {
        match (self.kind, kind) {
            (Some(SecretKind::Static), SecretKind::Login) => Err(Error::new(
                Code::NotAllowed,
                format!("By the operator's file \"{name}\" is a stored value, and no login."),
                "Sign in under another name.",
            )),
            (Some(SecretKind::Login), SecretKind::Static) => Err(Error::new(
                Code::NotAllowed,
                format!("By the operator's file \"{name}\" is a login, and no stored value."),
                "Store the value under another name.",
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_headers_and_paths_are_written_in_one_way_only() {
        for host in ["api.openai.com", "localhost:4000", "127.0.0.1:8443", "x"] {
            assert!(is_host(host), "{host}");
        }
        for host in [
            "",
            "*.openai.com",
            "API.openai.com",
            "a.com.",
            "a.com:443",
            "a.com:0",
            "a.com:x",
            "a.com:08443",
            "u@a.com",
            "a.com/x",
            "[::1]",
            "ä.com",
            "-a.com",
        ] {
            assert!(!is_host(host), "{host}");
        }
        for header in ["x-api-key", "authorization", "private-token", "x_custom"] {
            assert!(is_header(header), "{header}");
        }
        for header in [
            "",
            "X-Api-Key",
            "host",
            "proxy-authorization",
            "x-http-method-override",
            "a b",
            "a:",
            "cookie",
            "x-forwarded-host",
            "accept-encoding",
        ] {
            assert!(!is_header(header), "{header}");
        }
        for path in ["/", "/v1", "/v1/chat/completions", "/users('me')"] {
            assert!(is_path(path), "{path}");
        }
        for path in ["", "v1", "/a/../b", "/a//b", "/a%2fb", "/a?b", "/a;b", "/a\\b", "/a b", "/*"] {
            assert!(!is_path(path), "{path}");
        }
    }
}

//! An endpoint of the table, as it is found in a request.

use url::Url;

use crate::descriptor::Role;

/// What stands in a URL for what the component gives with the request.
pub const ARGUMENT: &str = "0argument0";

/// An endpoint with its address.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its id in the table.
    pub endpoint: String,
    /// What it is for.
    pub role: Role,
    /// The method.
    pub method: String,
    /// The address, with [`ARGUMENT`] wherever the component fills something in.
    pub url: Url,
}

impl Place {
    /// Host and port.
    pub(super) fn host(&self) -> Option<(String, u16)> {
        Some((self.url.host_str()?.to_owned(), self.url.port_or_known_default()?))
    }

    pub(super) fn is_authorization(&self) -> bool {
        self.role == Role::Authorization
    }

    /// Whether a request goes here. A query that the table writes out must be there; more may be.
    pub(super) fn fits(&self, method: &str, url: &Url) -> bool {
        let same = |ours: &str, theirs: &str| ours == theirs || ours.contains(ARGUMENT) && !theirs.is_empty();
        let paths = || {
            let (ours, theirs) = (self.url.path().split('/'), url.path().split('/'));
            ours.clone().count() == theirs.clone().count() && ours.zip(theirs).all(|(ours, theirs)| same(ours, theirs))
        };
        let query = || {
            self.url
                .query_pairs()
                .all(|(name, value)| url.query_pairs().any(|(theirs, given)| name == theirs && same(&value, &given)))
        };
        self.method == method
            && self.url.host() == url.host()
            && self.url.port_or_known_default() == url.port_or_known_default()
            && paths()
            && query()
    }

    /// The issuer whose metadata document this address is (RFC 8414 section 3.1, OpenID Connect Discovery 1.0 section 4).
    #[must_use]
    pub fn issuer(&self) -> Option<String> {
        let path = self.url.path();
        let origin = self.url.origin().ascii_serialization();
        for name in ["openid-configuration", "oauth-authorization-server"] {
            let well_known = format!("/.well-known/{name}");
            if let Some(before) = path.strip_suffix(&well_known) {
                return Some(format!("{origin}{before}"));
            }
            if let Some(after) = path.strip_prefix(&well_known) {
                return Some(format!("{origin}{after}"));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(method: &str, url: &str) -> Place {
        Place { endpoint: "x".to_owned(), role: Role::Token, method: method.to_owned(), url: Url::parse(url).unwrap() }
    }

    #[test]
    fn an_argument_stands_for_one_segment_or_value() {
        let place = place("DELETE", "https://api.example/apps/0argument0/token?v=2&q=0argument0");
        let fits = |method: &str, url: &str| place.fits(method, &Url::parse(url).unwrap());
        assert!(fits("DELETE", "https://api.example/apps/a%2Fb/token?q=1&v=2&more=3"));
        assert!(!fits("DELETE", "https://api.example/apps/a/b/token?q=1&v=2"));
        assert!(!fits("DELETE", "https://api.example/apps/a/token?q=1"));
        assert!(!fits("DELETE", "https://api.example:8443/apps/a/token?q=1&v=2"));
        assert!(!fits("POST", "https://api.example/apps/a/token?q=1&v=2"));
    }

    #[test]
    fn the_issuer_is_read_from_where_its_metadata_lies() {
        for (url, issuer) in [
            ("https://id.example/.well-known/openid-configuration", "https://id.example"),
            ("https://id.example/a/.well-known/openid-configuration", "https://id.example/a"),
            ("https://id.example/.well-known/oauth-authorization-server/a", "https://id.example/a"),
        ] {
            assert_eq!(place("GET", url).issuer().as_deref(), Some(issuer));
        }
        assert_eq!(place("GET", "https://id.example/config").issuer(), None);
    }
}

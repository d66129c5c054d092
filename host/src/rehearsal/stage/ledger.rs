//! What the stage handed out, and what became of it.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use url::{Host, Url};

/// A sign-in that led to a code.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) redirect_uri: Url,
    pub(super) state: String,
    pub(super) scope: String,
    pub(super) nonce: Option<String>,
    challenge: String,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Codes that were not redeemed yet.
    pub(super) codes: BTreeMap<String, Asked>,
    /// Codes that were.
    pub(super) redeemed: BTreeSet<String>,
    /// Access tokens.
    pub(super) access: BTreeSet<String>,
    /// The last of them.
    pub(super) newest: Option<String>,
    /// The refresh token that works now, and what the login it belongs to was asked for.
    pub(super) refresh: Option<String>,
    /// Refresh tokens that were rotated away.
    pub(super) spent: BTreeSet<String>,
    /// Device codes, with how often each was asked for.
    pub(super) devices: BTreeMap<String, u32>,
    /// Tokens that were revoked.
    pub(super) revoked: BTreeSet<String>,
    /// The scope of the last sign-in.
    pub(super) scope: String,
    /// The issuer that a metadata document named.
    pub(super) issuer: Option<String>,
    /// What was wrong with requests.
    pub(super) complaints: Vec<String>,
    /// Endpoints that were asked.
    pub(super) touched: BTreeSet<String>,
    /// Requests so far.
    pub(super) requests: usize,
}

impl Ledger {
    pub(super) fn touch(&mut self, endpoint: &str) {
        self.touched.insert(endpoint.to_owned());
        self.requests += 1;
    }

    pub(super) fn complain(&mut self, what: impl Into<String>) {
        let what = what.into();
        if self.complaints.len() < 20 && !self.complaints.contains(&what) {
            self.complaints.push(what);
        }
    }
}

impl Asked {
    /// Reads an authorization request (RFC 6749 section 4.1.1, RFC 7636).
    pub(super) fn read(url: &Url, client_id: &str) -> Result<Self, String> {
        let mut found: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in url.query_pairs() {
            if found.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(format!("the authorization request has the parameter {name} twice"));
            }
        }
        let get = |name: &str| found.get(name).map(String::as_str);
        let need = |name: &str| get(name).ok_or_else(|| format!("the authorization request has no {name}"));
        for (name, expected) in [("client_id", client_id), ("response_type", "code"), ("code_challenge_method", "S256")] {
            if need(name)? != expected {
                return Err(format!("the authorization request has another {name} than {expected}"));
            }
        }
        let redirect_uri = Url::parse(need("redirect_uri")?).map_err(|_| "the redirect_uri is no URL".to_owned())?;
        let local = match redirect_uri.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        if !local {
            return Err("the redirect_uri is no address of this machine".to_owned());
        }
        Ok(Self {
            redirect_uri,
            state: need("state")?.to_owned(),
            scope: get("scope").unwrap_or_default().to_owned(),
            nonce: get("nonce").map(str::to_owned),
            challenge: need("code_challenge")?.to_owned(),
        })
    }

    /// Whether this is the verifier of the challenge that came along (RFC 7636 section 4.6).
    pub(super) fn is_verified_by(&self, verifier: &str) -> bool {
        URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) == self.challenge
    }
}

//! The authorization request (RFC 6749 section 4.1.1, RFC 7636), and what the person decided.

use std::time::Instant;

use url::{Host, Url};

use super::parameters::Parameters;
use super::state::{CODE_LIFE, Code, TICKET_LIFE};
use super::{Server, account, random};

/// The value of the form's member `decision` for going on.
pub(super) const SIGN_IN: &str = "sign-in";

/// A good request.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) back: Back,
    pub(super) scopes: Vec<&'static str>,
    pub(super) nonce: Option<String>,
    /// The PKCE challenge, by S256.
    pub(super) challenge: String,
}

/// The way back to the client.
#[derive(Debug)]
pub(super) struct Back {
    pub(super) redirect_uri: Url,
    state: Option<String>,
}

/// What the page needs to show a request.
#[derive(Debug)]
pub(super) struct Shown {
    /// Stands in the form and nowhere else: who sends it back has seen the page.
    pub(super) ticket: String,
    pub(super) scopes: Vec<&'static str>,
    pub(super) origin: String,
}

/// Why there is nothing to show.
#[derive(Debug)]
pub(super) enum Problem {
    /// The way back is not to be trusted, so the person is told and nobody else (RFC 6749 section 4.1.2.1).
    Page(&'static str),
    /// The client is told, at the way back.
    Client(Box<Back>, &'static str, &'static str),
}

impl Problem {
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Page(reason) | Self::Client(_, _, reason) => reason,
        }
    }
}

impl Back {
    /// The redirect, which names the issuer that it comes from (RFC 9207).
    pub(super) fn with(&self, outcome: &[(&str, &str)], issuer: &str) -> Url {
        let mut url = self.redirect_uri.clone();
        let state = self.state.as_deref().map(|state| ("state", state));
        url.query_pairs_mut().extend_pairs(outcome).extend_pairs(state).append_pair("iss", issuer);
        url
    }
}

impl Server {
    /// Takes an authorization request: a ticket for the page's form, or why not.
    pub(super) fn show(&self, query: &str, now: Instant) -> Result<Shown, Problem> {
        let asked = read(query, &self.client.id)?;
        let (scopes, origin) = (asked.scopes.clone(), asked.back.redirect_uri.origin().ascii_serialization());
        let ticket = random::text().ok_or(Problem::Page("this machine gives no random numbers"))?;
        let kept = self.state().tickets.insert(&ticket, asked, now, TICKET_LIFE);
        kept.map_err(|_| Problem::Page("too many sign-ins are open; wait ten minutes"))?;
        Ok(Shown { ticket, scopes, origin })
    }

    /// Takes the form: where the browser goes now, or why nowhere. A ticket is used up whatever was decided.
    pub(super) fn decide(&self, form: &Parameters, now: Instant) -> Result<Url, &'static str> {
        let mut state = self.state();
        let ticket = form.get("ticket").unwrap_or_default();
        let asked = state.tickets.take(ticket, now).ok_or("it is already finished, or it waited for too long")?;
        let refused = |error| asked.back.with(&[("error", error)], &self.issuer);
        if form.get("decision") != Some(SIGN_IN) {
            return Ok(refused("access_denied"));
        }
        let Some(code) = random::text() else { return Ok(refused("server_error")) };
        let url = asked.back.with(&[("code", &code)], &self.issuer);
        let unavailable = refused("temporarily_unavailable");
        let kept = state.codes.insert(&code, Code { asked, redeemed: None }, now, CODE_LIFE);
        Ok(if kept.is_ok() { url } else { unavailable })
    }
}

/// Reads a request. What concerns the way back comes first: until it is certain, errors stay on the page.
fn read(query: &str, client_id: &str) -> Result<Asked, Problem> {
    let asked = Parameters::parse(query.as_bytes()).map_err(|_| Problem::Page("a parameter of the request comes twice"))?;
    if asked.get("client_id") != Some(client_id) {
        return Err(Problem::Page("its client_id is not registered here"));
    }
    let redirect_uri = asked.get("redirect_uri").and_then(loopback);
    let redirect_uri = redirect_uri.ok_or(Problem::Page("its redirect_uri is not an http address of this computer"))?;
    let back = Back { redirect_uri, state: asked.get("state").map(str::to_owned) };

    let (error, reason) = if asked.get("response_type") != Some("code") {
        ("unsupported_response_type", "response_type must be code")
    } else if asked.get("code_challenge_method") != Some("S256") {
        ("invalid_request", "PKCE with the method S256 is required")
    } else {
        // SHA-256 in base64url without padding: 43 characters.
        let challenge = asked.get("code_challenge").filter(|challenge| challenge.len() == 43);
        match (challenge, asked.get("scope").and_then(account::scopes)) {
            (Some(challenge), Some(scopes)) => {
                let (nonce, challenge) = (asked.get("nonce").map(str::to_owned), challenge.to_owned());
                return Ok(Asked { back, scopes, nonce, challenge });
            }
            (None, _) => ("invalid_request", "code_challenge is missing or has the wrong length"),
            (_, None) => ("invalid_scope", "scope is missing or names one that does not exist here"),
        }
    };
    Err(Problem::Client(Box::new(back), error, reason))
}

/// The client is registered as a native application: http to a loopback host, any port (RFC 8252 section 7.3). Written
/// exactly as it is understood, so that comparing texts later is comparing addresses.
fn loopback(uri: &str) -> Option<Url> {
    let url = Url::parse(uri).ok().filter(|url| url.as_str() == uri)?;
    let local = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    (url.scheme() == "http" && local && plain).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "client_id=me&response_type=code&redirect_uri=http%3A%2F%2Flocalhost%3A9876%2Foauth%2Fcallback&state=s%26t\
        &scope=openid+email&nonce=n&code_challenge_method=S256&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn a_good_request_is_understood() {
        let asked = read(GOOD, "me").unwrap();
        assert_eq!(asked.scopes, ["openid", "email"]);
        assert_eq!(asked.nonce.as_deref(), Some("n"));
        let back = asked.back.with(&[("code", "c")], "http://127.0.0.1:1");
        assert_eq!(back.as_str(), "http://localhost:9876/oauth/callback?code=c&state=s%26t&iss=http%3A%2F%2F127.0.0.1%3A1");
    }

    #[test]
    fn nothing_is_sent_to_an_address_that_is_not_certain() {
        for wrong in [
            GOOD.replace("client_id=me", "client_id=you"),
            GOOD.replace("localhost", "evil.example"),
            GOOD.replace("localhost", "localhost.evil.example"),
            GOOD.replace("localhost", "127.0.0.1%40evil.example"),
            GOOD.replace("http%3A", "https%3A"),
            GOOD.replace("callback", "callback%23x"),
            GOOD.replace("callback", "callback%3Fcode%3Dx"),
            GOOD.replace("callback", "..%2Fcallback"),
            GOOD.replace("redirect_uri", "redirect"),
            format!("{GOOD}&state=twice"),
        ] {
            assert!(matches!(read(&wrong, "me"), Err(Problem::Page(_))), "{wrong}");
        }
    }

    #[test]
    fn the_client_is_told_what_is_wrong_with_the_rest() {
        for (wrong, expected) in [
            (GOOD.replace("response_type=code", "response_type=token"), "unsupported_response_type"),
            (GOOD.replace("S256", "plain"), "invalid_request"),
            (GOOD.replace("code_challenge_method=S256", ""), "invalid_request"),
            (GOOD.replace("E9Mel", ""), "invalid_request"),
            (GOOD.replace("openid+email", "openid+admin"), "invalid_scope"),
            (GOOD.replace("openid+email", ""), "invalid_scope"),
        ] {
            let problem = read(&wrong, "me").unwrap_err();
            assert!(matches!(&problem, Problem::Client(_, error, _) if *error == expected), "{wrong}: {problem:?}");
        }
    }
}

//! The authorization request (RFC 6749 section 4.1.1, RFC 7636, OpenID Connect Core 1.0 section 3.1.2.1).
//!
//! The broker builds the URL. A component adds parameters, and can neither choose nor see state, nonce, challenge,
//! redirect URI or client id.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::SecureRandom as _;
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::descriptor::Descriptor;
use crate::error::{Code, Error, Result, foreign};
use crate::secret::Secret;

/// The most scopes of one login or token.
const MAX_SCOPES: usize = 100;

/// Parameters that are the broker's, and some that would let a component change what they mean.
const RESERVED: &[&str] = &[
    "response_type",
    "client_id",
    "redirect_uri",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "response_mode",
    "request",
    "request_uri",
    "client_secret",
    "code",
    "id_token_hint",
    "registration",
];

/// A random text of 256 bits, base64url.
///
/// # Errors
/// `internal` where the system gives no randomness.
pub fn random() -> Result<Secret> {
    let mut bytes = zeroize::Zeroizing::new([0_u8; 32]);
    ring::rand::SystemRandom::new().fill(bytes.as_mut()).map_err(|_| {
        Error::new(Code::Internal, "The system gives no random numbers.", "Try again; a login without them would not be safe.")
    })?;
    Ok(Secret::new(BASE64_URL_SAFE_NO_PAD.encode(bytes.as_slice())))
}

/// The S256 challenge of a code verifier (RFC 7636 section 4.2).
#[must_use]
pub fn challenge(verifier: &Secret) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose().as_bytes()))
}

/// Everything that goes into an authorization URL.
pub struct AuthorizationRequest<'a> {
    /// Where the browser goes.
    pub endpoint: &'a Url,
    /// The OAuth client.
    pub client_id: &'a str,
    /// Where the browser comes back to.
    pub redirect_uri: &'a Url,
    /// Scopes, those that the component added included.
    pub scopes: &'a [String],
    /// Binds the answer to this flow.
    pub state: &'a Secret,
    /// Its hash goes along; it follows with the code.
    pub verifier: &'a Secret,
    /// Binds the id_token to this flow, where OpenID applies.
    pub nonce: Option<&'a Secret>,
    /// What the component adds.
    pub extra: &'a [(String, String)],
}

impl AuthorizationRequest<'_> {
    /// The URL.
    #[must_use]
    pub fn url(&self) -> Url {
        let mut url = self.endpoint.clone();
        let mut pairs = url.query_pairs_mut();
        pairs
            .append_pair("response_type", "code")
            .append_pair("client_id", self.client_id)
            .append_pair("redirect_uri", self.redirect_uri.as_str());
        if !self.scopes.is_empty() {
            pairs.append_pair("scope", &self.scopes.join(" "));
        }
        pairs
            .append_pair("state", self.state.expose())
            .append_pair("code_challenge", &challenge(self.verifier))
            .append_pair("code_challenge_method", "S256");
        if let Some(nonce) = self.nonce {
            pairs.append_pair("nonce", nonce.expose());
        }
        for (name, value) in self.extra {
            pairs.append_pair(name, value);
        }
        drop(pairs);
        url
    }
}

/// Parameters that a component adds, and scopes.
pub type Extra = (Vec<(String, String)>, Vec<String>);

/// Splits what a component wants to add into parameters and scopes, and refuses what is not its to say.
///
/// # Errors
/// `component_fault`, naming the parameter.
pub fn check_extra(descriptor: &Descriptor, pairs: Vec<(String, String)>) -> Result<Extra> {
    let overreach = |what: String| {
        Error::new(
            Code::ComponentFault,
            format!("The component of {} {what}.", descriptor.title),
            "Report this to the component's author.",
        )
    };
    let mut parameters: Vec<(String, String)> = Vec::new();
    let mut scopes = Vec::new();
    for (name, value) in pairs {
        if name == "scope" {
            for scope in value.split_ascii_whitespace() {
                if !descriptor.scopes.may_add.iter().any(|known| known == scope) {
                    return Err(overreach(format!("wants to add the scope {}, which its table does not list", foreign(scope))));
                }
                scopes.push(scope.to_owned());
            }
        } else if RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(overreach(format!("wants to set the parameter {}, which is the broker's", foreign(&name))));
        } else if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')) {
            // Some servers read `redirect.uri` and `state[]` as names that are the broker's.
            return Err(overreach(format!("wants to set the parameter {}, which is no plain name", foreign(&name))));
        } else if parameters.iter().any(|(known, _)| *known == name) {
            return Err(overreach(format!("sets the parameter {} twice", foreign(&name))));
        } else {
            parameters.push((name, value));
        }
    }
    Ok((parameters, scopes))
}

/// Scopes as they were asked for: single tokens of RFC 6749 section 3.3, no doubles, within the operator's list.
///
/// # Errors
/// `invalid_argument` for what is no scope, `not_allowed` with the line that would allow it.
pub fn check_scopes(provider: &str, asked: &[String], operator: Option<&[String]>) -> Result<Vec<String>> {
    let mut scopes: Vec<String> = Vec::new();
    for scope in asked.iter().flat_map(|entry| entry.split_ascii_whitespace()) {
        let token = scope.len() <= 512 && scope.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
        if !token {
            return Err(Error::new(
                Code::InvalidArgument,
                format!("{} is no scope.", foreign(scope)),
                "A scope is one word of printable ASCII without quotes and backslashes, such as \"repo\".",
            ));
        }
        if operator.is_some_and(|list| !list.iter().any(|known| known == scope)) {
            return Err(Error::new(
                Code::NotAllowed,
                format!("The operator does not allow the scope {} for {provider}.", foreign(scope)),
                format!(
                    "Ask for fewer scopes, or ask the operator to add it to scopes under [providers.{provider}] in broker.toml."
                ),
            ));
        }
        if !scopes.iter().any(|known| known == scope) {
            // asked here, so that a list of a million words costs no more than one of a hundred
            if scopes.len() == MAX_SCOPES {
                return Err(Error::new(
                    Code::InvalidArgument,
                    format!("These are more than {MAX_SCOPES} scopes."),
                    "Ask for those that the work needs.",
                ));
            }
            scopes.push(scope.to_owned());
        }
    }
    Ok(scopes)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_challenge_is_that_of_rfc_7636() {
        let verifier = Secret::from("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn ten_thousand_verifiers_are_unique_and_of_the_right_characters() {
        let mut seen = HashSet::new();
        for _ in 0..10_000 {
            let verifier = random().unwrap();
            assert_eq!(verifier.len(), 43);
            assert!(verifier.expose().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            assert!(seen.insert(verifier.expose().to_owned()));
        }
    }

    fn descriptor() -> Descriptor {
        Descriptor::parse(
            r#"{"name":"a","title":"A","version":"1","ttl":{"default":1,"maximum":1},"scopes":{"may_add":["offline_access"]}}"#,
        )
        .unwrap()
    }

    fn pair(name: &str, value: &str) -> Vec<(String, String)> {
        vec![(name.to_owned(), value.to_owned())]
    }

    #[test]
    fn a_component_adds_parameters_but_not_the_brokers() {
        assert_eq!(check_extra(&descriptor(), pair("access_type", "offline")).unwrap().0, pair("access_type", "offline"));
        assert_eq!(check_extra(&descriptor(), pair("scope", "offline_access")).unwrap().1, ["offline_access"]);
        for name in [
            "state",
            "redirect_uri",
            "client_id",
            "code_challenge",
            "Code_Challenge_Method",
            "nonce",
            "request_uri",
            "response_mode",
            "redirect.uri",
            "code challenge",
            "state[]",
            "redirect_uri\u{0}",
        ] {
            assert!(check_extra(&descriptor(), pair(name, "x")).is_err(), "{name}");
        }
        assert!(check_extra(&descriptor(), pair("scope", "admin")).is_err());
    }

    #[test]
    fn scopes_stay_within_the_operators_list() {
        let list = ["repo".to_owned(), "read:user".to_owned()];
        let asked = |text: &str| check_scopes("github", &[text.to_owned()], Some(&list));
        assert_eq!(asked("repo read:user repo").unwrap(), ["repo", "read:user"]);
        let error = asked("admin:org").unwrap_err();
        assert!(error.code() == Code::NotAllowed && error.hint().contains("[providers.github]"));
        assert_eq!(asked("a\"b").unwrap_err().code(), Code::InvalidArgument);
        assert_eq!(check_scopes("github", &["\u{e9}".to_owned()], None).unwrap_err().code(), Code::InvalidArgument);
    }
}

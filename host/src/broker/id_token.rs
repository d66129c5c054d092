//! Verifies id_tokens (OpenID Connect Core 1.0 section 3.1.3.7).
//!
//! The host does this itself, with keys it fetched itself: what a component says of an account is its word, what an
//! id_token says is the issuer's.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{HeaderMap, Method};
use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::Value;
use subtle::ConstantTimeEq as _;
use url::Url;

use super::accounts::label;
use super::issuer::Issuers;
use super::ttl::seconds;
use crate::egress::{Egress, Outgoing};
use crate::error::{Code, Error, Result};
use crate::secret::Secret;
use crate::vault::{Account, Vouched};

/// Asymmetric algorithms that can be verified here. No HMAC: a public key must never serve as a shared one.
const ALGORITHMS: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];
/// Clocks may differ by this much.
const LEEWAY: u64 = 60;
/// Keys are kept this long, and fetched anew for an unknown key id no more often than this.
const KEEP: Duration = Duration::from_secs(300);
const REFETCH: Duration = Duration::from_secs(60);
const MAX_JWKS: usize = 256 * 1024;

/// Keys of issuers, by address.
#[derive(Default)]
pub struct KeyStore(Mutex<HashMap<Url, (Instant, JwkSet)>>);

/// What an id_token is held against.
pub struct Expected<'a> {
    /// Who may have issued it.
    pub issuers: &'a Issuers,
    /// The OAuth client it must be for.
    pub client_id: &'a str,
    /// The nonce of the authorization request; `None` where there was none for it to belong to: a refresh may leave it out
    /// (OpenID Connect Core 1.0 section 12.2), a device flow has no parameter for it.
    pub nonce: Option<&'a Secret>,
    /// Whether its times are looked at. Not after a refresh: the issuer answered this moment, and this machine's clock must
    /// not cost a login.
    pub times: bool,
}

#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Value,
    azp: Option<String>,
    iat: Option<f64>,
    nonce: Option<String>,
    tid: Option<String>,
    email: Option<String>,
    preferred_username: Option<String>,
    name: Option<String>,
}

fn refused(what: impl Into<String>) -> Error {
    Error::new(
        Code::ProviderError,
        format!("The provider's id_token is not acceptable: {}.", what.into()),
        "Nothing was stored. Start the login again; if it happens again, check client id and issuer in the provider's settings, and this machine's clock.",
    )
}

impl KeyStore {
    /// Verifies an id_token and says whose it is.
    ///
    /// # Errors
    /// `provider_error`, with the claim that is wrong; `unavailable` where the keys cannot be fetched.
    pub async fn verify(&self, token: &Secret, jwks_uri: &Url, expected: &Expected<'_>, egress: &Egress) -> Result<Account> {
        let header = decode_header(token.expose()).map_err(|_| refused("it is no signed JWT"))?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(refused(format!("it is signed with {:?}", header.alg)));
        }
        let keys = self.keys(jwks_uri, header.kid.as_deref(), egress).await?;
        let candidates: Vec<&Jwk> = keys.keys.iter().filter(|key| fits(key, header.kid.as_deref())).take(8).collect();
        if candidates.is_empty() {
            return Err(refused("it names a key that the issuer does not publish"));
        }
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY;
        validation.validate_exp = expected.times;
        validation.validate_nbf = expected.times;
        validation.set_audience(&[expected.client_id]);
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        let mut reason = refused("its signature fits no key of the issuer");
        for key in candidates {
            let Ok(key) = DecodingKey::from_jwk(key) else { continue };
            match decode::<Claims>(token.expose(), &key, &validation) {
                Ok(data) => return check(data.claims, expected),
                Err(error) => {
                    use jsonwebtoken::errors::ErrorKind;
                    match error.kind() {
                        ErrorKind::ExpiredSignature => reason = refused("it has expired"),
                        ErrorKind::ImmatureSignature => reason = refused("it is not valid yet"),
                        ErrorKind::InvalidAudience => reason = refused("it is for another client"),
                        ErrorKind::Json(_) => reason = refused("a claim is missing, or is not what it must be"),
                        ErrorKind::MissingRequiredClaim(claim) => reason = refused(format!("it has no {claim}")),
                        _ => {}
                    }
                }
            }
        }
        Err(reason)
    }

    /// Fetches the keys, unless they are there.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn warm(&self, jwks_uri: &Url, egress: &Egress) -> Result<()> {
        self.keys(jwks_uri, None, egress).await.map(drop)
    }

    async fn keys(&self, jwks_uri: &Url, kid: Option<&str>, egress: &Egress) -> Result<JwkSet> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(jwks_uri).cloned();
        if let Some((fetched, keys)) = known {
            let has = kid.is_none_or(|kid| keys.find(kid).is_some());
            if fetched.elapsed() < if has { KEEP } else { REFETCH } {
                return Ok(keys);
            }
        }
        let request = Outgoing {
            method: Method::GET,
            url: jwks_uri.clone(),
            headers: HeaderMap::new(),
            body: None,
            limit: MAX_JWKS,
            cut: false,
            timeout: Duration::from_secs(15),
            keep: false,
        };
        let answer = egress.send(request).await.map_err(Error::from)?;
        if answer.status != 200 {
            return Err(Error::new(
                Code::Unavailable,
                format!("The issuer's keys cannot be had: status {}.", answer.status),
                "Nothing was stored. Start the login again later.",
            ));
        }
        let keys: JwkSet = serde_json::from_slice(&answer.body).map_err(|_| refused("the issuer's keys are no JWK set"))?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(jwks_uri.clone(), (Instant::now(), keys.clone()));
        Ok(keys)
    }
}

/// The issuer and the subject that an id_token names, before anything of it is verified.
///
/// # Errors
/// `provider_error` where it names none.
pub fn claimed(token: &Secret) -> Result<(String, String)> {
    let claims = insecure_decode_claims::<Claims>(token.expose()).map_err(|_| refused("it is no JWT, or a claim is missing"))?;
    Ok((claims.iss, claims.sub))
}

impl Expected<'_> {
    /// The same without the signature, for a token that came over TLS from the token endpoint itself (OpenID Connect Core
    /// 1.0 section 3.1.3.7, 6), where the keys are not to be had.
    ///
    /// # Errors
    /// `provider_error`, with the claim that is wrong.
    pub fn unsigned(&self, token: &Secret) -> Result<Account> {
        let claims = insecure_decode_claims::<Claims>(token.expose()).map_err(|_| refused("it is no JWT"))?;
        let ours = |aud: &Value| aud.as_str() == Some(self.client_id);
        if !ours(&claims.aud) && !claims.aud.as_array().is_some_and(|list| list.iter().any(ours)) {
            return Err(refused("it is for another client"));
        }
        check(claims, self)
    }
}

fn fits(key: &Jwk, kid: Option<&str>) -> bool {
    let for_signing = !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption));
    let named = match (kid, key.common.key_id.as_deref()) {
        (Some(asked), Some(found)) => asked == found,
        (Some(_), None) => false,
        (None, _) => true,
    };
    // The verifier indexes into an Ed25519 key without looking at its length.
    let sound = match &key.algorithm {
        AlgorithmParameters::OctetKeyPair(pair) => BASE64_URL_SAFE_NO_PAD.decode(&pair.x).is_ok_and(|bytes| bytes.len() == 32),
        AlgorithmParameters::RSA(_) | AlgorithmParameters::EllipticCurve(_) => true,
        _ => false,
    };
    for_signing && named && sound
}

fn check(claims: Claims, expected: &Expected<'_>) -> Result<Account> {
    if !expected.issuers.fits(&claims.iss) {
        return Err(refused("it is from another issuer"));
    }
    if claims.tid.as_deref().is_some_and(|tid| {
        expected.issuers.expected.iter().any(|issuer| issuer.contains("{claim.tid}")) && !claims.iss.contains(tid)
    }) {
        return Err(refused("its issuer and its tenant differ"));
    }
    let several = claims.aud.as_array().is_some_and(|list| list.len() > 1);
    if claims.azp.as_deref().map_or(several, |azp| azp != expected.client_id) {
        return Err(refused("it is for several clients, or was made for another one"));
    }
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
    let latest = (seconds(SystemTime::now()) + LEEWAY) as f64;
    if claims.iat.is_none_or(|iat| expected.times && iat > latest) {
        return Err(refused("it was issued in the future"));
    }
    let same_nonce = |wanted: &Secret| {
        claims.nonce.as_deref().is_some_and(|nonce| bool::from(nonce.as_bytes().ct_eq(wanted.expose().as_bytes())))
    };
    if expected.nonce.is_some_and(|wanted| !same_nonce(wanted)) {
        return Err(refused("it belongs to another login (nonce)"));
    }
    if claims.sub.is_empty() || claims.sub.len() > 255 {
        return Err(refused("its subject is empty or too long"));
    }
    Ok(Account {
        vouched: Vouched::IdToken,
        issuer: claims.iss,
        subject: claims.sub,
        label: claims.email.or(claims.preferred_username).or(claims.name).map(|text| label(&text)),
    })
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode};
    use ring::signature::{Ed25519KeyPair, KeyPair as _};
    use serde_json::json;

    use super::*;

    struct Issuer {
        key: EncodingKey,
        keys: JwkSet,
        address: Url,
    }

    fn issuer() -> Issuer {
        let document = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let keys = serde_json::from_value(json!({ "keys": [
            { "kty": "OKP", "crv": "Ed25519", "kid": "short", "x": "AAAA" },
            { "kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": x },
        ] }))
        .unwrap();
        Issuer { key: EncodingKey::from_ed_der(document.as_ref()), keys, address: Url::parse("https://id.example/keys").unwrap() }
    }

    fn claims() -> Value {
        let now = seconds(SystemTime::now());
        json!({ "iss": "https://id.example", "sub": "alice", "aud": "client", "exp": now + 300, "iat": now, "nonce": "the-nonce", "email": "a@example.com" })
    }

    async fn verify(issuer: &Issuer, header: Header, claims: &Value) -> Result<Account> {
        let token = Secret::new(encode(&header, claims, &issuer.key).unwrap());
        verify_text(issuer, &token).await
    }

    async fn verify_text(issuer: &Issuer, token: &Secret) -> Result<Account> {
        let store = KeyStore::default();
        store.0.lock().unwrap().insert(issuer.address.clone(), (Instant::now(), issuer.keys.clone()));
        let issuers = Issuers { expected: vec!["https://id.example".to_owned()], advertised: false };
        let nonce = Secret::from("the-nonce");
        let expected = Expected { issuers: &issuers, client_id: "client", nonce: Some(&nonce), times: true };
        store.verify(token, &issuer.address, &expected, &Egress::new(&crate::config::Egress::default()).unwrap()).await
    }

    fn header(kid: &str) -> Header {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(kid.to_owned());
        header
    }

    #[tokio::test]
    async fn a_sound_token_says_whose_it_is() {
        let account = verify(&issuer(), header("k1"), &claims()).await.unwrap();
        assert_eq!((account.subject.as_str(), account.label.as_deref()), ("alice", Some("a@example.com")));
    }

    #[tokio::test]
    async fn every_wrong_claim_is_refused() {
        let now = seconds(SystemTime::now());
        for (claim, value, reason) in [
            ("iss", json!("https://evil.example"), "another issuer"),
            ("iss", json!("https://id.example/"), "another issuer"),
            ("aud", json!("other"), "another client"),
            ("aud", json!(["client", "other"]), "several clients"),
            ("azp", json!("other"), "another one"),
            ("exp", json!(now - 120), "expired"),
            ("iat", json!(now + 600), "future"),
            ("nonce", json!("another-nonce"), "nonce"),
            ("nonce", Value::Null, "nonce"),
            ("sub", json!(""), "subject"),
        ] {
            let mut claims = claims();
            claims[claim] = value.clone();
            let error = verify(&issuer(), header("k1"), &claims).await.unwrap_err();
            assert!(error.message().contains(reason), "{claim}={value}: {error}");
        }
    }

    #[tokio::test]
    async fn after_a_refresh_neither_nonce_nor_clock_counts_and_everything_else_does() {
        let (here, issuers) = (issuer(), Issuers { expected: vec!["https://id.example".to_owned()], advertised: false });
        let expected = Expected { issuers: &issuers, client_id: "client", nonce: None, times: false };
        let store = KeyStore::default();
        store.0.lock().unwrap().insert(here.address.clone(), (Instant::now(), here.keys.clone()));
        let egress = Egress::new(&crate::config::Egress::default()).unwrap();
        for (claim, value, fine) in [
            ("nonce", Value::Null, true),
            ("exp", json!(1), true),
            ("iat", json!(1e11), true),
            ("aud", json!(["client"]), true),
            ("aud", json!("other"), false),
            ("aud", json!(["other"]), false),
            ("iss", json!("https://evil.example"), false),
            ("azp", json!("other"), false),
        ] {
            let mut claims = claims();
            claims[claim] = value.clone();
            let token = Secret::new(encode(&header("k1"), &claims, &here.key).unwrap());
            assert_eq!(store.verify(&token, &here.address, &expected, &egress).await.is_ok(), fine, "{claim}={value}");
            assert_eq!(expected.unsigned(&token).is_ok(), fine, "unsigned {claim}={value}");
        }
        let foreign = Secret::new(encode(&header("k1"), &claims(), &issuer().key).unwrap());
        assert!(store.verify(&foreign, &here.address, &expected, &egress).await.is_err());
    }

    #[tokio::test]
    async fn another_key_algorithm_or_form_is_refused() {
        let here = issuer();
        assert!(verify(&issuer(), header("k9"), &claims()).await.unwrap_err().message().contains("does not publish"));
        assert!(verify(&here, header("short"), &claims()).await.unwrap_err().message().contains("does not publish"));
        let foreign = Secret::new(encode(&header("k1"), &claims(), &issuer().key).unwrap());
        assert!(verify_text(&here, &foreign).await.unwrap_err().message().contains("signature"));
        let hmac = Secret::new(encode(&Header::new(Algorithm::HS256), &claims(), &EncodingKey::from_secret(b"x")).unwrap());
        assert!(verify_text(&here, &hmac).await.unwrap_err().message().contains("HS256"));
        let none = format!(
            "{}.{}.",
            BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
            BASE64_URL_SAFE_NO_PAD.encode(claims().to_string())
        );
        assert!(verify_text(&here, &Secret::new(none)).await.is_err());
        assert!(verify_text(&here, &Secret::from("not.a.jwt")).await.is_err());
    }
}

//! Tokens that the broker signs: JWTs of its own (RFC 7519), for systems that trust this broker's key.
//!
//! They are no credentials of GitHub or Google. The key is made when it is first needed and dies with the process, or
//! it is `JWT_SECRET`; there is no default key anywhere.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;
use std::time::SystemTime;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ttl::seconds;
use crate::error::{Code, Error, Result};
use crate::secret::Secret;

/// The most tokens that are alive at once.
const MAX: usize = 100_000;
/// The shortest `JWT_SECRET`, in bytes: as long as the hash (RFC 7518 section 3.2).
pub const MIN_SECRET: usize = 32;

/// Signs tokens, and remembers which it signed.
pub struct Mint {
    issuer: String,
    key: OnceLock<Result<Key>>,
    known: HashMap<Uuid, Known>,
    by_end: BTreeMap<(u64, Uuid), ()>,
}

struct Key {
    algorithm: Algorithm,
    sign: EncodingKey,
    verify: DecodingKey,
}

struct Known {
    ends: u64,
    revoked: bool,
}

/// What a minted token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The broker: `urn:uuid:` and the id of this process's broker.
    pub iss: String,
    /// The broker's instance: a client cannot claim to be somebody here.
    pub sub: String,
    /// The resource it is for; without one, the issuer.
    pub aud: String,
    /// The token's id.
    pub jti: String,
    /// Seconds since 1970.
    pub iat: u64,
    /// Seconds since 1970.
    pub exp: u64,
    /// Space-separated.
    pub scope: String,
    /// The provider whose caps hold.
    pub provider: String,
}

/// A token, as it is handed out.
#[derive(Debug, Clone)]
pub struct Minted {
    /// The JWT.
    pub token: Secret,
    /// What it says.
    pub claims: Claims,
}

impl Mint {
    /// A mint with `JWT_SECRET`, or without one with a key of its own. A secret that is too short makes every
    /// [`Mint::issue`] fail with that reason; nothing falls back to another key.
    #[must_use]
    pub fn new(secret: Option<&Secret>) -> Self {
        let key = secret.map(|secret| match secret {
            secret if secret.len() < MIN_SECRET => Err(Error::new(
                Code::InvalidConfiguration,
                format!("JWT_SECRET has {} bytes; HS256 needs at least {MIN_SECRET}.", secret.len()),
                "Set a longer one, such as the output of `openssl rand -base64 48`, or unset it to sign with an Ed25519 key.",
            )),
            secret => Ok(Key {
                algorithm: Algorithm::HS256,
                sign: EncodingKey::from_secret(secret.expose().as_bytes()),
                verify: DecodingKey::from_secret(secret.expose().as_bytes()),
            }),
        });
        // without a secret it is made when it is first needed
        let key = key.map_or_else(OnceLock::new, OnceLock::from);
        Self { issuer: Uuid::new_v4().urn().to_string(), key, known: HashMap::new(), by_end: BTreeMap::new() }
    }

    /// Why nothing can be signed, if so.
    #[must_use]
    pub fn problem(&self) -> Option<&Error> {
        self.key.get()?.as_ref().err()
    }

    /// Signs a token. `ttl` is within the caps already.
    ///
    /// # Errors
    /// `invalid_configuration` for a `JWT_SECRET` that is too short; `limit` where too many tokens are alive.
    pub fn issue(&mut self, provider: &str, scopes: &[String], resource: Option<&str>, ttl: u64) -> Result<Minted> {
        let now = seconds(SystemTime::now());
        self.sweep(now);
        if self.known.len() >= MAX {
            return Err(Error::new(
                Code::Limit,
                format!("There are {MAX} live tokens."),
                "Ask for shorter lifetimes, or wait until some have ended.",
            ));
        }
        let key = self.key.get_or_init(ed25519).as_ref().map_err(Clone::clone)?;
        let id = Uuid::new_v4();
        let claims = Claims {
            iss: self.issuer.clone(),
            sub: self.issuer.clone(),
            aud: resource.unwrap_or(&self.issuer).to_owned(),
            jti: id.to_string(),
            iat: now,
            exp: now + ttl,
            scope: scopes.join(" "),
            provider: provider.to_owned(),
        };
        let token = encode(&Header::new(key.algorithm), &claims, &key.sign)
            .map_err(|_| Error::new(Code::Internal, "The token could not be signed.", "Report this."))?;
        self.known.insert(id, Known { ends: claims.exp, revoked: false });
        self.by_end.insert((claims.exp, id), ());
        Ok(Minted { token: Secret::new(token), claims })
    }

    /// Revokes a token; false where it is not known, has ended, or was revoked before.
    pub fn revoke(&mut self, token_id: &str) -> bool {
        let now = seconds(SystemTime::now());
        let known = Uuid::try_parse(token_id).ok().and_then(|id| self.known.get_mut(&id));
        match known {
            Some(known) if known.ends > now && !known.revoked => {
                known.revoked = true;
                true
            }
            _ => false,
        }
    }

    /// Whether a token is one of this mint's, alive and not revoked; its claims where it can be read.
    #[must_use]
    pub fn verify(&self, token: &str) -> Option<Claims> {
        let key = self.key.get()?.as_ref().ok()?;
        let mut validation = Validation::new(key.algorithm);
        validation.leeway = 0;
        validation.validate_aud = false;
        validation.set_issuer(&[&self.issuer]);
        let claims = decode::<Claims>(token, &key.verify, &validation).ok()?.claims;
        self.is_active(&claims.jti).then_some(claims)
    }

    /// Whether the token of that id is alive and not revoked.
    #[must_use]
    pub fn is_active(&self, token_id: &str) -> bool {
        let known = Uuid::try_parse(token_id).ok().and_then(|id| self.known.get(&id));
        known.is_some_and(|known| !known.revoked && known.ends > seconds(SystemTime::now()))
    }

    /// How many are alive and not revoked.
    #[must_use]
    pub fn count(&self) -> usize {
        let now = seconds(SystemTime::now());
        self.known.values().filter(|known| !known.revoked && known.ends > now).count()
    }

    fn sweep(&mut self, now: u64) {
        while let Some((&(ends, id), ())) = self.by_end.first_key_value() {
            if ends > now {
                return;
            }
            self.by_end.pop_first();
            self.known.remove(&id);
        }
    }
}

fn ed25519() -> Result<Key> {
    let failed = || Error::new(Code::Internal, "No signing key could be made.", "Try again; the system gave no random numbers.");
    let document = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).map_err(|_| failed())?;
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).map_err(|_| failed())?;
    Ok(Key {
        algorithm: Algorithm::EdDSA,
        sign: EncodingKey::from_ed_der(document.as_ref()),
        verify: DecodingKey::from_ed_der(pair.public_key().as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issue(mint: &mut Mint, ttl: u64) -> Minted {
        mint.issue("github", &["repo".to_owned(), "gist".to_owned()], Some("https://api.example"), ttl).unwrap()
    }

    #[test]
    fn a_token_is_active_until_it_is_revoked() {
        for secret in [None, Some(Secret::from("0123456789abcdef0123456789abcdef"))] {
            let mut mint = Mint::new(secret.as_ref());
            let minted = issue(&mut mint, 60);
            let claims = mint.verify(minted.token.expose()).unwrap();
            assert_eq!(claims, minted.claims);
            assert_eq!(
                (claims.scope.as_str(), claims.aud.as_str(), claims.exp - claims.iat),
                ("repo gist", "https://api.example", 60)
            );
            assert_eq!(claims.iss, claims.sub);
            assert!(mint.revoke(&claims.jti) && !mint.revoke(&claims.jti));
            assert!(mint.verify(minted.token.expose()).is_none() && !mint.is_active(&claims.jti));
            assert_eq!(mint.count(), 0);
        }
    }

    #[test]
    fn only_its_own_tokens_are_active() {
        let secret = Secret::from("0123456789abcdef0123456789abcdef");
        let (mut one, two) = (Mint::new(Some(&secret)), Mint::new(Some(&secret)));
        let minted = issue(&mut one, 60);
        assert!(two.verify(minted.token.expose()).is_none(), "the same key, but never issued there");
        assert!(Mint::new(None).verify(minted.token.expose()).is_none());
        let guessed =
            encode(&Header::default(), &minted.claims, &EncodingKey::from_secret(b"your-secret-key-change-in-production"))
                .unwrap();
        assert!(one.verify(&guessed).is_none());
    }

    #[test]
    fn a_short_secret_signs_nothing() {
        let mut mint = Mint::new(Some(&Secret::from("short")));
        let error = mint.issue("github", &[], None, 60).unwrap_err();
        assert!(error.message().contains("JWT_SECRET") && !error.to_string().contains("short\""), "{error}");
    }

    #[test]
    fn ended_tokens_make_room() {
        let mut mint = Mint::new(None);
        let minted = issue(&mut mint, 0);
        assert!(!mint.is_active(&minted.claims.jti) && !mint.revoke(&minted.claims.jti));
        mint.sweep(seconds(SystemTime::now()) + 1);
        assert!(mint.known.is_empty() && mint.by_end.is_empty());
    }
}

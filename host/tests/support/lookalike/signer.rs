//! Keys that a look-alike publishes, and the id_tokens it signs with them, rightly or not.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

/// How an id_token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// With the published key.
    Es256,
    /// With the published key, under an id that no published key has.
    UnknownKey,
    /// With a key that is not published, under the published key's id.
    ForeignKey,
    /// Not at all: `alg: none`.
    None,
    /// With the public key's bytes as a shared secret.
    Hs256WithPublicKey,
}

/// A key.
pub struct Signer {
    private: EncodingKey,
    foreign: EncodingKey,
    public: Vec<u8>,
}

impl Signer {
    /// A new key.
    pub fn new() -> Self {
        let (private, public) = key();
        Self { private, foreign: key().0, public }
    }

    /// The published keys (RFC 7517), one that no OpenID client knows among them.
    pub fn jwks(&self) -> Value {
        let (x, y) = self.public[1..].split_at(32);
        let x = URL_SAFE_NO_PAD.encode(x);
        let y = URL_SAFE_NO_PAD.encode(y);
        json!({ "keys": [
            { "kty": "XYZ", "kid": "odd", "use": "sig" },
            { "kty": "EC", "crv": "P-256", "kid": "key-1", "use": "sig", "alg": "ES256", "x": x, "y": y },
        ] })
    }

    /// An id_token with these claims.
    pub fn id_token(&self, algorithm: Algorithm, claims: &Value) -> String {
        let mut header = Header::new(jsonwebtoken::Algorithm::ES256);
        header.kid = Some("key-1".to_owned());
        let sign = |header: &Header, key: &EncodingKey| jsonwebtoken::encode(header, claims, key).expect("a token");
        match algorithm {
            Algorithm::Es256 => sign(&header, &self.private),
            Algorithm::ForeignKey => sign(&header, &self.foreign),
            Algorithm::UnknownKey => {
                header.kid = Some("key-2".to_owned());
                sign(&header, &self.foreign)
            }
            Algorithm::Hs256WithPublicKey => {
                header.alg = jsonwebtoken::Algorithm::HS256;
                sign(&header, &EncodingKey::from_secret(&self.public))
            }
            Algorithm::None => {
                let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
                format!("{}.{}.", part(&json!({ "alg": "none", "typ": "JWT", "kid": "key-1" })), part(claims))
            }
        }
    }
}

fn key() -> (EncodingKey, Vec<u8>) {
    let random = ring::rand::SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).expect("the same key");
    (EncodingKey::from_ec_der(document.as_ref()), pair.public_key().as_ref().to_vec())
}

//! Keys: a random master key for each vault, wrapped by a key that the person has, and sub-keys for each use.
//!
//! The master key never rests anywhere unwrapped but in the kernel's keyring, for as long as the person said
//! ([`resting`]). What wraps it comes from the operating system's keychain, a passphrase, or a file ([`source`]).

mod keychain;
mod passphrase;
pub(super) mod resting;
pub(super) mod source;

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::{hkdf, hmac};
use zeroize::Zeroizing;

use crate::error::{Code, Error, Result};

/// Whether the operating system's keychain answers.
pub(super) fn keychain_answers() -> Result<()> {
    keychain::get("whether it answers").map(drop)
}

/// 256 secret bits.
#[derive(Clone)]
pub(super) struct Key(Zeroizing<[u8; 32]>);

impl Key {
    pub(super) fn random() -> Result<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        fill(bytes.as_mut_slice())?;
        Ok(Self(bytes))
    }

    pub(super) fn from_slice(bytes: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(bytes.try_into().ok()?)))
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A key for one use (RFC 5869); `whose` is the vault's id, `what` the use.
    pub(super) fn derive(&self, whose: &[u8], what: &str) -> Result<Self> {
        derive(self.bytes(), whose, what)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.bytes().into())
    }
}

/// A key from secret bytes of any length.
fn derive(secret: &[u8], whose: &[u8], what: &str) -> Result<Key> {
    let mut bytes = Zeroizing::new([0; 32]);
    let info = [what.as_bytes()];
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, whose).extract(secret);
    let filled = extracted.expand(&info, hkdf::HKDF_SHA256).and_then(|okm| okm.fill(bytes.as_mut_slice()));
    filled.map_err(|_| Error::new(Code::Internal, "A key cannot be derived.", "Report this."))?;
    Ok(Key(bytes))
}

/// Random bytes from the system.
pub(super) fn fill(bytes: &mut [u8]) -> Result<()> {
    SystemRandom::new()
        .fill(bytes)
        .map_err(|_| Error::new(Code::Internal, "The system gives no random numbers.", "Restart the machine."))
}

const NONCE: usize = 24;

/// Encrypts and authenticates, `place` included (RFC 8439 with the 24-byte nonces of XChaCha20): nonce, then ciphertext.
pub(super) fn seal(cipher: &XChaCha20Poly1305, place: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
    let mut nonce = [0; NONCE];
    fill(&mut nonce)?;
    let sealed = cipher.encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: place });
    let sealed = sealed.map_err(|_| Error::new(Code::Internal, "A record cannot be sealed.", "Report this."))?;
    Ok([nonce.as_slice(), &sealed].concat())
}

/// The other way; `None` where a bit or the place is another.
pub(super) fn unseal(cipher: &XChaCha20Poly1305, place: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
    cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: place }).ok().map(Zeroizing::new)
}

/// What the master key is wrapped with.
pub(super) struct Wrap<'a> {
    /// The vault's id.
    pub(super) vault: &'a [u8],
    /// Where the wrapping key comes from, as it is written down: it cannot be changed for a weaker one.
    pub(super) source: &'a str,
    /// Which master key it is.
    pub(super) version: i64,
}

impl Wrap<'_> {
    fn place(&self) -> Vec<u8> {
        place(&[b"master key", self.vault, self.source.as_bytes(), &self.version.to_be_bytes()])
    }

    pub(super) fn wrap(&self, by: &Key, master: &Key) -> Result<Vec<u8>> {
        seal(&by.derive(self.vault, "wrap")?.cipher(), &self.place(), master.bytes())
    }

    /// `None`: by another key.
    pub(super) fn unwrap(&self, by: &Key, wrapped: &[u8]) -> Result<Option<Key>> {
        let cipher = by.derive(self.vault, "wrap")?.cipher();
        Ok(unseal(&cipher, &self.place(), wrapped).and_then(|bytes| Key::from_slice(&bytes)))
    }
}

/// Associated data: fields that cannot run into each other.
pub(super) fn place(fields: &[&[u8]]) -> Vec<u8> {
    let mut place = b"mcp-credentials-broker vault".to_vec();
    for field in fields {
        place.extend_from_slice(&(field.len() as u64).to_be_bytes());
        place.extend_from_slice(field);
    }
    place
}

/// The sub-keys of one master key.
pub(super) struct Keys {
    /// Which master key they come from.
    pub(super) version: i64,
    /// The vault's id.
    pub(super) vault: Vec<u8>,
    index: hmac::Key,
    ledger: hmac::Key,
    cipher: XChaCha20Poly1305,
}

impl Keys {
    pub(super) fn new(master: &Key, vault: &[u8], version: i64) -> Result<Self> {
        let mac = |what| Ok::<_, Error>(hmac::Key::new(hmac::HMAC_SHA256, master.derive(vault, what)?.bytes()));
        Ok(Self {
            version,
            vault: vault.to_vec(),
            index: mac("index")?,
            ledger: mac("ledger")?,
            cipher: master.derive(vault, "seal")?.cipher(),
        })
    }

    /// Where a name is found without being readable.
    pub(super) fn index(&self, table: &str, name: &str) -> [u8; 32] {
        digest(&self.index, &place(&[table.as_bytes(), name.as_bytes()]))
    }

    /// A digest that only who has the key can make.
    pub(super) fn digest(&self, bytes: &[u8]) -> [u8; 16] {
        let whole = digest(&self.ledger, bytes);
        let mut half = [0; 16];
        half.copy_from_slice(&whole[..16]);
        half
    }

    pub(super) fn seal(&self, fields: &[&[u8]], plain: &[u8]) -> Result<Vec<u8>> {
        seal(&self.cipher, &self.place(fields), plain)
    }

    pub(super) fn unseal(&self, fields: &[&[u8]], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        unseal(&self.cipher, &self.place(fields), sealed)
    }

    fn place(&self, fields: &[&[u8]]) -> Vec<u8> {
        let mut all: Vec<&[u8]> = vec![&self.vault];
        let version = self.version.to_be_bytes();
        all.push(&version);
        all.extend_from_slice(fields);
        place(&all)
    }
}

fn digest(key: &hmac::Key, bytes: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(key, bytes);
    let mut digest = [0; 32];
    digest.copy_from_slice(tag.as_ref());
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_opened_at_its_place_only_and_whole_only() {
        let keys = Keys::new(&Key::random().unwrap(), b"v", 1).unwrap();
        let sealed = keys.seal(&[b"record", b"name"], b"canary").unwrap();
        assert_eq!(keys.unseal(&[b"record", b"name"], &sealed).unwrap().as_slice(), b"canary");
        for fields in [[b"record".as_slice(), b"value"], [b"recor", b"dname"]] {
            assert!(keys.unseal(&fields, &sealed).is_none());
        }
        for at in 0..sealed.len() {
            let mut other = sealed.clone();
            other[at] ^= 1;
            assert!(keys.unseal(&[b"record", b"name"], &other).is_none(), "byte {at}");
        }
        assert!(keys.unseal(&[b"record", b"name"], &sealed[..10]).is_none());
    }

    #[test]
    fn the_same_thing_sealed_twice_looks_different() {
        let keys = Keys::new(&Key::random().unwrap(), b"v", 1).unwrap();
        assert_ne!(keys.seal(&[], b"x").unwrap(), keys.seal(&[], b"x").unwrap());
    }

    #[test]
    fn a_wrapped_key_is_unwrapped_by_its_own_key_source_and_version_only() {
        let (by, master) = (Key::random().unwrap(), Key::random().unwrap());
        let wrap = Wrap { vault: b"v", source: "{strong}", version: 1 };
        let wrapped = wrap.wrap(&by, &master).unwrap();
        assert_eq!(wrap.unwrap(&by, &wrapped).unwrap().unwrap().bytes(), master.bytes());
        assert!(wrap.unwrap(&Key::random().unwrap(), &wrapped).unwrap().is_none());
        for other in [
            Wrap { vault: b"w", source: "{strong}", version: 1 },
            Wrap { vault: b"v", source: "{weak}", version: 1 },
            Wrap { vault: b"v", source: "{strong}", version: 2 },
        ] {
            assert!(other.unwrap(&by, &wrapped).unwrap().is_none());
        }
    }
}

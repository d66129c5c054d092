//! From a passphrase to a key: Argon2id (RFC 9106), slow and hungry for memory on purpose.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Key, fill};
use crate::error::{Code, Error, Result};
use crate::secret::Secret;

/// How a passphrase is stretched, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::vault) struct Stretch {
    salt: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Stretch {
    /// RFC 9106's second choice, for machines that do not have 2 GiB to spare: 64 MiB, 3 passes.
    pub(super) fn new() -> Result<Self> {
        let mut salt = [0; 16];
        fill(&mut salt)?;
        Ok(Self { salt: STANDARD_NO_PAD.encode(salt), memory_kib: 64 * 1024, passes: 3, lanes: 1 })
    }

    pub(super) fn key(&self, passphrase: &Secret) -> Result<Key> {
        // The file says how much; somebody else may have written that.
        let sane = (8..=1 << 20).contains(&self.memory_kib) && (1..=64).contains(&self.passes) && (1..=16).contains(&self.lanes);
        let salt = STANDARD_NO_PAD.decode(&self.salt).ok().filter(|salt| (8..=64).contains(&salt.len()));
        let (Some(salt), true) = (salt, sane) else { return Err(senseless()) };
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).map_err(|_| senseless())?;
        let mut bytes = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.expose().as_bytes(), &salt, bytes.as_mut_slice())
            .map_err(|_| Error::new(Code::Internal, "The passphrase cannot be stretched.", "Free some memory, and try again."))?;
        Ok(Key(bytes))
    }
}

fn senseless() -> Error {
    Error::new(
        Code::VaultTampered,
        "What the vault says of its passphrase makes no sense.",
        "Put a copy of the vault in its place. Nothing was changed.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quick() -> Stretch {
        Stretch { memory_kib: 8, passes: 1, ..Stretch::new().unwrap() }
    }

    #[test]
    fn the_same_passphrase_and_salt_give_the_same_key_and_others_another() {
        let stretch = quick();
        let key = |stretch: &Stretch, text: &str| *stretch.key(&Secret::from(text)).unwrap().bytes();
        assert_eq!(key(&stretch, "a"), key(&stretch, "a"));
        assert_ne!(key(&stretch, "a"), key(&stretch, "b"));
        assert_ne!(key(&stretch, "a"), key(&quick(), "a"));
    }

    #[test]
    fn a_vault_cannot_ask_for_all_memory_or_no_work() {
        for wrong in [
            Stretch { memory_kib: u32::MAX, ..quick() },
            Stretch { passes: u32::MAX, ..quick() },
            Stretch { lanes: 0, ..quick() },
            Stretch { salt: "!".to_owned(), ..quick() },
            Stretch { salt: String::new(), ..quick() },
        ] {
            assert_eq!(wrong.key(&Secret::from("x")).err().unwrap().code(), Code::VaultTampered);
        }
    }
}

//! Where the key of an unlocked vault rests: in the kernel's keyring of this user, or in the keychain where there is no
//! such keyring. Never in a file. It has an end of its own there, so that nobody has to be running to take it away.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use super::Key;
use crate::error::Result;

/// A master key, and until when it may be used.
pub(in crate::vault) struct Resting {
    pub(in crate::vault) key: Key,
    /// Which master key it is.
    pub(in crate::vault) version: i64,
    pub(in crate::vault) until: Until,
}

/// An end by two clocks, since one may be set and the other stands still while the machine sleeps: whichever comes first.
#[derive(Debug, Clone, Copy)]
pub(in crate::vault) struct Until {
    wall: SystemTime,
    monotonic: Instant,
}

impl Until {
    pub(in crate::vault) fn after(duration: Duration) -> Self {
        Self { wall: SystemTime::now() + duration, monotonic: Instant::now() + duration }
    }

    /// `None`: that is over.
    fn at(wall: SystemTime) -> Option<Self> {
        let left = wall.duration_since(SystemTime::now()).ok().filter(|left| !left.is_zero())?;
        Some(Self { wall, monotonic: Instant::now() + left })
    }

    pub(in crate::vault) fn is_over(self) -> bool {
        SystemTime::now() >= self.wall || Instant::now() >= self.monotonic
    }

    /// When that is, by the clock on the wall.
    pub(in crate::vault) const fn wall(self) -> SystemTime {
        self.wall
    }
}

const LENGTH: usize = 8 + 8 + 32;

impl Resting {
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let until = self.until.wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut bytes = Zeroizing::new(Vec::with_capacity(LENGTH));
        bytes.extend_from_slice(&self.version.to_be_bytes());
        bytes.extend_from_slice(&until.to_be_bytes());
        bytes.extend_from_slice(self.key.bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first_chunk()?;
        let (until, key) = rest.split_first_chunk()?;
        let wall = UNIX_EPOCH.checked_add(Duration::from_secs(u64::from_be_bytes(*until)))?;
        Some(Self { key: Key::from_slice(key)?, version: i64::from_be_bytes(*version), until: Until::at(wall)? })
    }
}

fn name(vault: &[u8]) -> String {
    let id: String = vault.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("mcp-credentials-broker vault {id} unlocked")
}

/// Lets the key rest there, in the place of another one.
pub(in crate::vault) fn put(vault: &[u8], resting: &Resting, lasts: Duration) -> Result<()> {
    platform::put(&name(vault), &resting.encode(), lasts)
}

/// The key, if there is one and its time is not over.
pub(in crate::vault) fn get(vault: &[u8]) -> Result<Option<Resting>> {
    Ok(platform::get(&name(vault))?.and_then(|bytes| Resting::decode(&bytes)))
}

/// Takes the key away.
pub(in crate::vault) fn remove(vault: &[u8]) -> Result<()> {
    platform::remove(&name(vault))
}

#[cfg(target_os = "linux")]
mod platform {
    use std::time::Duration;

    use linux_keyutils::{Key, KeyError, KeyPermissionsBuilder, KeyRing, KeyRingIdentifier, Permission};
    use zeroize::Zeroizing;

    use crate::error::{Code, Error, Result};

    fn user_ring() -> Result<KeyRing, KeyError> {
        KeyRing::from_special_id(KeyRingIdentifier::User, true)
    }

    fn find(name: &str) -> Result<Option<Key>> {
        match user_ring().and_then(|ring| ring.search(name)) {
            Ok(key) => Ok(Some(key)),
            Err(KeyError::KeyDoesNotExist | KeyError::KeyExpired | KeyError::KeyRevoked) => Ok(None),
            Err(error) => Err(refused(error)),
        }
    }

    /// A fresh key belongs to whoever has it in a keyring of the process or session; a session that does not hold the
    /// user's keyring could not even change its rights. So it is made in the process' own keyring, opened for the user,
    /// and then linked into the user's.
    pub(super) fn put(name: &str, bytes: &[u8], lasts: Duration) -> Result<()> {
        remove(name)?;
        let place = || {
            let own = KeyRing::from_special_id(KeyRingIdentifier::Process, true)?;
            let key = own.add_key(name, bytes)?;
            let linked = (|| {
                let user = Permission::VIEW | Permission::READ | Permission::SEARCH | Permission::LINK | Permission::SETATTR;
                key.set_perms(KeyPermissionsBuilder::builder().posessor(Permission::ALL).user(user).build())?;
                key.set_timeout(usize::try_from(lasts.as_secs().max(1)).unwrap_or(usize::MAX))?;
                user_ring()?.link_key(key)
            })();
            // Whatever came of it, it stays in no other keyring.
            own.unlink_key(key)?;
            linked
        };
        place().map_err(refused)
    }

    pub(super) fn get(name: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let Some(key) = find(name)? else { return Ok(None) };
        match key.read_to_vec() {
            Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
            // its time was over in between
            Err(KeyError::KeyDoesNotExist | KeyError::KeyExpired | KeyError::KeyRevoked) => Ok(None),
            Err(error) => Err(refused(error)),
        }
    }

    pub(super) fn remove(name: &str) -> Result<()> {
        find(name)?.map_or(Ok(()), |key| key.invalidate().map_err(refused))
    }

    fn refused(error: KeyError) -> Error {
        Error::new(
            Code::KeychainUnavailable,
            format!("The kernel keeps no keys for this user: {error:?}."),
            "In a container that forbids it, set key_command or key_file in [vault] of broker.toml: then nothing has to be unlocked.",
        )
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use std::time::Duration;

    use zeroize::Zeroizing;

    use super::super::keychain;
    use crate::error::Result;

    /// The end is written into it; a keychain has no clock.
    pub(super) fn put(name: &str, bytes: &[u8], _: Duration) -> Result<()> {
        keychain::put(name, bytes)
    }

    pub(super) fn get(name: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
        keychain::get(name)
    }

    pub(super) fn remove(name: &str) -> Result<()> {
        keychain::remove(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resting(lasts: Duration) -> Resting {
        Resting { key: Key::random().unwrap(), version: 7, until: Until::after(lasts) }
    }

    #[test]
    fn a_resting_key_comes_back_until_its_time_is_over() {
        let there = resting(Duration::from_secs(60));
        let back = Resting::decode(&there.encode()).unwrap();
        assert_eq!((back.version, back.key.bytes()), (7, there.key.bytes()));
        assert!(Resting::decode(&resting(Duration::ZERO).encode()).is_none());
        assert!(Resting::decode(b"short").is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_keeps_a_key_and_gives_it_up() {
        let vault: [u8; 16] = uuid::Uuid::new_v4().into_bytes();
        assert!(get(&vault).unwrap().is_none());
        let there = resting(Duration::from_secs(60));
        put(&vault, &there, Duration::from_secs(60)).unwrap();
        put(&vault, &there, Duration::from_secs(60)).unwrap();
        assert_eq!(get(&vault).unwrap().unwrap().key.bytes(), there.key.bytes());
        remove(&vault).unwrap();
        assert!(get(&vault).unwrap().is_none());
        remove(&vault).unwrap();
    }
}

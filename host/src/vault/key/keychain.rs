//! The operating system's keychain: Secret Service on Linux, Keychain on macOS, Credential Manager on Windows.
//!
//! Each call has a thread of its own and a time-out, since the other side is another program, which may ask the person
//! first or never answer. A call that is left goes on by itself: once the person has unlocked the keychain, the next one
//! succeeds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use keyring_core::{CredentialStore, Entry, Error as Failure};
use zeroize::Zeroizing;

use crate::error::{Code, Error, Result, foreign};

const SERVICE: &str = "mcp-credentials-broker";
/// How long the keychain may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Whether a call is on its way: one that hangs is not joined by more.
static CALLING: AtomicBool = AtomicBool::new(false);

/// Puts bytes under a name.
pub(super) fn put(name: &str, bytes: &[u8]) -> Result<()> {
    let bytes = Zeroizing::new(bytes.to_vec());
    call(name, move |entry| entry.set_secret(&bytes))
}

/// The bytes under a name, if there are any.
pub(super) fn get(name: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
    call(name, |entry| match entry.get_secret() {
        Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
        Err(Failure::NoEntry) => Ok(None),
        Err(error) => Err(error),
    })
}

/// Takes a name away, if it is there.
pub(super) fn remove(name: &str) -> Result<()> {
    call(name, |entry| match entry.delete_credential() {
        Err(Failure::NoEntry) => Ok(()),
        other => other,
    })
}

fn call<T: Send + 'static>(name: &str, act: impl FnOnce(&Entry) -> keyring_core::Result<T> + Send + 'static) -> Result<T> {
    if CALLING.swap(true, Ordering::AcqRel) {
        return Err(unavailable("is still busy with the question before; it may be waiting for you"));
    }
    let name = name.to_owned();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let done = store().and_then(|store| act(&Entry::new_in_store(&store, SERVICE, &name)?));
        CALLING.store(false, Ordering::Release);
        sender.send(done)
    });
    match receiver.recv_timeout(TIMEOUT) {
        Ok(done) => done.map_err(|error| unavailable(&format!("says {}", foreign(&error.to_string())))),
        Err(_) => Err(unavailable(&format!("did not answer within {} seconds; it may be waiting for you", TIMEOUT.as_secs()))),
    }
}

fn unavailable(why: &str) -> Error {
    Error::new(
        Code::KeychainUnavailable,
        format!("The keychain of the operating system {why}."),
        "Unlock the keychain, and try again. Where there is none, a vault can have a passphrase or a key file: see `mcp-credentials-broker vault init --help`.",
    )
}

#[cfg(target_os = "linux")]
fn store() -> keyring_core::Result<Arc<CredentialStore>> {
    Ok(zbus_secret_service_keyring_store::Store::new()?)
}

#[cfg(target_os = "macos")]
fn store() -> keyring_core::Result<Arc<CredentialStore>> {
    Ok(apple_native_keyring_store::keychain::Store::new()?)
}

#[cfg(windows)]
fn store() -> keyring_core::Result<Arc<CredentialStore>> {
    Ok(windows_native_keyring_store::Store::new()?)
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
fn store() -> keyring_core::Result<Arc<CredentialStore>> {
    Err(Failure::NoDefaultStore)
}

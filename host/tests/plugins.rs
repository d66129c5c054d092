//! The built components, held against their locks: each is what its lock says, and runs in this broker's sandbox.
//!
//! `BROKER_TEST_PLUGINS` names another folder to take them from: `cargo xtask plugins --check` sets it to a rebuild
//! where the toolchain of the lock is not at hand.

use std::path::{Path, PathBuf};

use credentials_broker::descriptor::{Descriptor, Role};
use credentials_broker::providers::embedded::Lock;
use credentials_broker::providers::{dropin, file};
use credentials_broker::sandbox::{Sandbox, Workshop};

const FOLDERS: [&str; 2] = ["../plugins", "tests/components"];

#[tokio::test]
async fn every_component_describes_itself_as_its_lock_says_and_does_what_it_says() {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    let sandbox = Sandbox::new(&Workshop::keeping(cache)).unwrap();
    let elsewhere = std::env::var_os("BROKER_TEST_PLUGINS").map(PathBuf::from);
    for folder in FOLDERS.map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)) {
        let lock: Lock = toml::from_str(&std::fs::read_to_string(folder.join("plugins.lock")).unwrap()).unwrap();
        for (name, locked) in lock.plugins {
            let file = elsewhere.as_ref().unwrap_or(&folder).join(format!("{name}.wasm"));
            let found = dropin::load(&file, file::look_at(&file).unwrap(), &sandbox).await.unwrap();
            assert_eq!(*found.descriptor, Descriptor::parse(&locked.descriptor).unwrap(), "{name}");
            assert_eq!(found.descriptor.name, name);
            let says = found.descriptor.grants.iter().any(|grant| grant == "refresh_token");
            assert_eq!(found.prepared.can_refresh(), says, "{name}");
            assert_eq!(found.prepared.can_start_device(), found.descriptor.can_use_device(), "{name}");
            for (role, can) in
                [(Role::Revocation, found.prepared.can_revoke()), (Role::Account, found.prepared.can_tell_account())]
            {
                assert_eq!(found.descriptor.role(role).is_some(), can, "{name}: {role:?}");
            }
        }
    }
}

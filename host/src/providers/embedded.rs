//! The official components, inside the binary, with the descriptors that were made when they were built.
//!
//! `plugins.lock` binds each descriptor to a component's digest, so listing providers, capping lifetimes and signing
//! tokens compile nothing. A test holds every digest and descriptor against the component itself.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde::Deserialize;

use crate::descriptor::Descriptor;

/// `plugins/plugins.lock`.
#[derive(Debug, Deserialize)]
pub struct Lock {
    /// What `rustc --version` of the toolchain said.
    pub toolchain: String,
    /// The components by name.
    pub plugins: BTreeMap<String, Locked>,
}

/// One component in the lock.
#[derive(Debug, Deserialize)]
pub struct Locked {
    /// SHA-256 of the component, in hex.
    pub sha256: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 over the sources it was built from, in hex.
    pub source: String,
    /// What `describe` returned.
    pub descriptor: String,
}

/// One embedded component.
#[derive(Debug)]
pub struct Embedded {
    /// What it says of itself.
    pub descriptor: Arc<Descriptor>,
    /// SHA-256 of the component, in hex.
    pub sha256: String,
    /// The component.
    pub component: &'static [u8],
}

const LOCK: &str = include_str!("../../../plugins/plugins.lock");

const COMPONENTS: [(&str, &[u8]); 6] = [
    ("github", include_bytes!("../../../plugins/github.wasm")),
    ("google", include_bytes!("../../../plugins/google.wasm")),
    ("azure", include_bytes!("../../../plugins/azure.wasm")),
    ("okta", include_bytes!("../../../plugins/okta.wasm")),
    ("oauth2", include_bytes!("../../../plugins/oauth2.wasm")),
    ("aws", include_bytes!("../../../plugins/aws.wasm")),
];

/// The embedded components, in the order in which they are shown. Read once, at the first need.
pub fn all() -> &'static [Embedded] {
    static ALL: OnceLock<Vec<Embedded>> = OnceLock::new();
    ALL.get_or_init(|| {
        let read = || -> Result<Vec<Embedded>, String> {
            let mut lock: Lock = toml::from_str(LOCK).map_err(|error| error.to_string())?;
            COMPONENTS
                .into_iter()
                .map(|(name, component)| {
                    let locked = lock.plugins.remove(name).ok_or_else(|| format!("{name} is not in plugins.lock"))?;
                    let descriptor = Descriptor::parse(&locked.descriptor).map_err(|error| format!("{name}: {error}"))?;
                    Ok(Embedded { descriptor: Arc::new(descriptor), sha256: locked.sha256, component })
                })
                .collect()
        };
        #[expect(clippy::expect_used, reason = "the lock is part of the binary, and a test reads it")]
        read().expect("plugins.lock fits the embedded components")
    })
}

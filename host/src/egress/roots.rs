//! Whom TLS connections trust: the platform's certificate authorities, and those that the operator added.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::failure::Failure;
use super::rule::invalid;
use crate::error::{Result, foreign};

/// Reads `[egress] extra_roots`.
pub(super) fn read(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let wrong = |why: String| {
        invalid(
            format!("[egress] extra_roots: {} {why}.", file.display()),
            "Name a readable PEM file with the certificates of the private authorities.",
        )
    };
    let roots: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| wrong(format!("cannot be read ({error})")))?;
    if roots.is_empty() {
        return Err(wrong("holds no certificate".to_owned()));
    }
    let mut store = RootCertStore::empty();
    for (index, root) in roots.iter().enumerate() {
        store.add(root.clone()).map_err(|error| wrong(format!("is wrong at its certificate {} ({error})", index + 1)))?;
    }
    Ok(roots)
}

/// The configuration for https. Reads the platform's certificates: tens of milliseconds, so it is made once, when the
/// first https request needs it, and a machine without certificates can still do everything else.
pub(super) fn tls(extra: Vec<CertificateDer<'static>>) -> Result<ClientConfig, Failure> {
    let no_roots = |error: rustls::Error| Failure::NoRoots { reason: foreign(&error.to_string()) };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(extra, Arc::clone(&provider)).map_err(no_roots)?;
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(no_roots)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// The configuration for plain http: it trusts nobody, and no connection uses it. The HTTP library wants one.
pub(super) fn nobody() -> Result<ClientConfig, Failure> {
    Ok(ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::NoRoots { reason: foreign(&error.to_string()) })?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

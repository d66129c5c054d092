//! Whether a component can be used at all, found out before anything of it runs.
//!
//! Each message speaks first to who installed the component, then to who wrote it.

use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use super::signature;
use crate::error::{Code, Error, Result};

/// The contract's package.
pub(super) const PACKAGE: &str = "credentials-broker:provider/";
/// The contract's version that this broker speaks.
pub const CONTRACT_VERSION: &str = "0.1.0";
/// Interfaces that would open a way around the broker's own door.
const FORBIDDEN: &[&str] = &["wasi:http/", "wasi:sockets/"];

pub(super) fn rejected(message: String, hint: impl Into<String>) -> Error {
    Error::new(Code::ComponentRejected, message, hint.into())
}

/// Why bytes are no component.
pub(super) fn not_a_component(bytes: &[u8], reason: &str) -> Error {
    // magic, then version 1 of layer 0: a core module
    if bytes.starts_with(b"\0asm\x01\0\0\0") {
        return rejected(
            "This is a core WebAssembly module, not a component.".to_owned(),
            "If you installed it, ask its author for the component. If you wrote it, build for wasm32-wasip2, or wrap it: `wasm-tools component new FILE -o acme.wasm`.",
        );
    }
    if !bytes.starts_with(b"\0asm") {
        return rejected(
            "This is not a WebAssembly file.".to_owned(),
            "If you installed it, get it again; the download may have been an error page. If you wrote it, name the .wasm file that was built.",
        );
    }
    rejected(
        format!("This component is damaged, too large, or made for a newer engine: {}.", crate::error::foreign(reason)),
        "If you installed it, get it again and compare its digest. If you wrote it, build it with tools of this year.",
    )
}

/// Checks imports and exports by name.
pub(super) fn check(engine: &Engine, component: &Component) -> Result<()> {
    let kind = component.component_type();
    for (name, _) in kind.imports(engine) {
        if FORBIDDEN.iter().any(|start| name.starts_with(start)) {
            return Err(rejected(
                format!("This component wants {name}, a way to the network around the broker; that is refused."),
                "If you installed it, do not use it; ask its author for one without that import. If you wrote it, send requests through the contract's `request` resource and drop that import.",
            ));
        }
        match name.strip_prefix(PACKAGE) {
            Some(interface) => check_version(interface)?,
            None if name.starts_with("wasi:") => {}
            None => {
                return Err(rejected(
                    format!("This component wants {}, which this broker does not have.", crate::error::foreign(name)),
                    "If you installed it, check that it is a provider for this broker. If you wrote it, import nothing but credentials-broker:provider/host.",
                ));
            }
        }
    }
    let mut provider = false;
    for (name, item) in kind.exports(engine) {
        if let Some(interface) = name.strip_prefix(PACKAGE) {
            check_version(interface)?;
            let interface = interface.split('@').next().unwrap_or(interface);
            if let ComponentItem::ComponentInstance(instance) = &item.ty {
                signature::check(engine, interface, instance)?;
            }
            provider |= interface == "provider";
        }
    }
    if provider {
        return Ok(());
    }
    let exports: Vec<String> = kind.exports(engine).map(|(name, _)| name.to_owned()).take(8).collect();
    let instead = if exports.is_empty() { "nothing".to_owned() } else { crate::error::foreign(&exports.join(", ")) };
    Err(rejected(
        format!(
            "This component does not export {PACKAGE}provider@{CONTRACT_VERSION}, so it is no provider; it exports {instead}."
        ),
        "If you installed it, check that it is the right file. If you wrote it, export that interface; the SDK's export_provider! does.",
    ))
}

fn check_version(interface: &str) -> Result<()> {
    check_contract(interface.split_once('@').map_or("none", |(_, version)| version))
}

/// Whether this broker speaks that version of the contract.
///
/// # Errors
/// `component_rejected`, naming both.
pub fn check_contract(version: &str) -> Result<()> {
    // 0.1.x are compatible with each other: imported interfaces only grow (wit/VERSIONING.md)
    if version.starts_with("0.1.") {
        return Ok(());
    }
    Err(rejected(
        format!(
            "This component speaks version {} of the provider contract; this broker speaks {CONTRACT_VERSION}.",
            crate::error::foreign(version)
        ),
        "If you installed it, update whichever of the two is older. If you wrote it, rebuild it against this broker's wit/ folder.",
    ))
}

/// Why a component with the right names cannot be linked.
pub(super) fn mismatch(error: &wasmtime::Error) -> Error {
    let reason = format!("{error:#}");
    rejected(
        format!("This component does not fit this broker's contract {CONTRACT_VERSION}: {}.", crate::error::foreign(&reason)),
        "If you installed it, ask its author for a build against this contract. If you wrote it, rebuild it against this broker's wit/ folder.",
    )
}

//! What a component is made of, read before anything of it runs: what it imports, which of the contract's interfaces it
//! exports, and who it says built it.

use serde::{Deserialize, Serialize};
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::wasmparser::{KnownCustom, Parser, Payload};

use super::inspect::{CONTRACT_VERSION, PACKAGE};
use crate::error::is_deceptive;

/// The most lines of a component's word on who built it.
const MAX_LINES: usize = 32;
/// The longest of them, in characters.
const MAX_LINE: usize = 200;

/// Custom sections of one text each, as the registries' tools write them.
const NOTES: &[&str] = &["authors", "description", "homepage", "licenses", "revision", "source", "version"];

/// What a component is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Make {
    /// The version of the contract that it was built against.
    pub contract: String,
    /// The interfaces that it imports.
    #[serde(default)]
    pub imports: Vec<String>,
    /// The contract's interfaces that it exports: `provider`, and what is optional.
    #[serde(default)]
    pub interfaces: Vec<String>,
    /// Who built it, with what. Its word: anybody can write anything there.
    #[serde(default)]
    pub built_by: Vec<String>,
}

impl Make {
    pub(super) fn of(engine: &Engine, component: &Component, bytes: &[u8]) -> Self {
        let kind = component.component_type();
        let imports = kind.imports(engine).map(|(name, _)| name.to_owned()).collect();
        let exports: Vec<&str> = kind.exports(engine).filter_map(|(name, _)| name.strip_prefix(PACKAGE)).collect();
        let contract = exports.iter().find_map(|export| export.strip_prefix("provider@")).unwrap_or(CONTRACT_VERSION).to_owned();
        let interfaces = exports.iter().map(|export| export.split('@').next().unwrap_or(export).to_owned()).collect();
        Self { contract, imports, interfaces, built_by: built_by(bytes) }
    }

    /// Whether it exports that interface of the contract.
    #[must_use]
    pub fn exports(&self, interface: &str) -> bool {
        self.interfaces.iter().any(|known| known == interface)
    }
}

/// What the component's own custom sections say, and where it has none, those of the module inside.
fn built_by(bytes: &[u8]) -> Vec<String> {
    let (mut own, mut inner) = (Vec::new(), Vec::new());
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload {
            Ok(Payload::Version { .. }) => depth += 1,
            Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
            Ok(Payload::CustomSection(section)) => {
                let lines = if depth == 1 { &mut own } else { &mut inner };
                if let KnownCustom::Producers(fields) = section.as_known() {
                    for field in fields.into_iter().flatten() {
                        for value in field.values.into_iter().flatten() {
                            lines.push(line(field.name, &format!("{} {}", value.name, value.version)));
                        }
                    }
                } else if depth == 1
                    && NOTES.contains(&section.name())
                    && let Ok(text) = std::str::from_utf8(section.data())
                {
                    lines.push(line(section.name(), text));
                }
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    let mut lines = if own.is_empty() { inner } else { own };
    lines.dedup();
    lines.truncate(MAX_LINES);
    lines
}

fn line(name: &str, text: &str) -> String {
    let fit = |c: char| if is_deceptive(c) { ' ' } else { c };
    format!("{name}: {}", text.trim()).chars().take(MAX_LINE).map(fit).collect()
}

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
        let mut imports: Vec<String> = kind.imports(engine).map(|(name, _)| name.to_owned()).collect();
        imports.sort_unstable();
        let exports: Vec<&str> = kind.exports(engine).filter_map(|(name, _)| name.strip_prefix(PACKAGE)).collect();
        let contract = exports.iter().find_map(|export| export.strip_prefix("provider@")).unwrap_or(CONTRACT_VERSION).to_owned();
        let name = |export: &&str| export.split('@').next().unwrap_or(export).to_owned();
        let mut interfaces: Vec<String> = exports.iter().map(name).collect();
        interfaces.sort_unstable();
        Self { contract, imports, interfaces, built_by: built_by(bytes) }
    }

    /// Whether it exports that interface of the contract.
    #[must_use]
    pub fn exports(&self, interface: &str) -> bool {
        self.interfaces.iter().any(|known| known == interface)
    }
}

/// What the component's own custom sections say, then those of the modules inside.
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
    let mut lines: Vec<String> = Vec::new();
    for line in own.into_iter().chain(inner) {
        if lines.len() < MAX_LINES && !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

fn line(name: &str, text: &str) -> String {
    let fit = |c: char| if is_deceptive(c) { ' ' } else { c };
    format!("{name}: {}", text.trim()).chars().take(MAX_LINE).map(fit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A custom section of one of these bytes' own.
    fn custom(name: &str, data: &[u8]) -> Vec<u8> {
        let mut body = vec![u8::try_from(name.len()).unwrap()];
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(data);
        let mut section = vec![0, u8::try_from(body.len()).unwrap()];
        section.extend_from_slice(&body);
        section
    }

    #[test]
    fn a_components_word_on_who_built_it_is_bounded_and_plain() {
        let producers = b"\x01\x08language\x01\x04Rust\x042024";
        let module = [b"\0asm\x01\0\0\0".to_vec(), custom("producers", producers)].concat();
        let mut component = b"\0asm\x0d\0\x01\0".to_vec();
        component.extend_from_slice(&[1, u8::try_from(module.len()).unwrap()]);
        component.extend_from_slice(&module);
        component.extend_from_slice(&custom("authors", "Acme\u{202e}\n<a@acme.example>".as_bytes()));
        component.extend_from_slice(&custom("authors", &[b'x'; 100]));
        component.extend_from_slice(&custom("unheard-of", b"x"));
        let told = built_by(&component);
        assert_eq!(told[..1], ["authors: Acme  <a@acme.example>"]);
        assert!(told.contains(&"language: Rust 2024".to_owned()) && told.len() == 3, "{told:?}");
        assert!(built_by(b"no wasm").is_empty());
        assert!(line("authors", &"x".repeat(1000)).chars().count() == MAX_LINE);
    }
}

//! Components for tests, from a few lines of WebAssembly text: the parts that misbehave are written by hand, the rest of
//! the contract is there and does nothing.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::place;

const PROVIDER: &str = "credentials-broker:provider/provider@0.1.0";

/// A descriptor that asks for nothing.
pub const PLAIN: &str = r#"{"name":"acme","title":"Acme","version":"1.0.0","ttl":{"default":60,"maximum":60}}"#;

/// A component to be built.
pub struct Component {
    describe: String,
    descriptor: String,
    wasi: bool,
}

/// The part of WASI that knows the time and chance.
const WASI: [&str; 3] = [
    "package wasi:clocks@0.2.0; interface wall-clock { record datetime { seconds: u64, nanoseconds: u32 } now: func() -> datetime; }",
    "package wasi:random@0.2.0; interface random { get-random-u64: func() -> u64; }",
    "package test:worlds@0.0.0; world with-wasi { include credentials-broker:provider/component@0.1.0; import wasi:clocks/wall-clock@0.2.0; import wasi:random/random@0.2.0; }",
];
const WASI_IMPORTS: &str = r#"
    (import "wasi:clocks/wall-clock@0.2.0" "now" (func $now (param i32)))
    (import "wasi:random/random@0.2.0" "get-random-u64" (func $random (result i64)))"#;

impl Component {
    /// One that describes itself and does nothing else.
    pub fn new(descriptor: &str) -> Self {
        Self { describe: "i32.const 8".to_owned(), descriptor: descriptor.to_owned(), wasi: false }
    }

    /// Imports `$now` and `$random` from WASI too.
    pub fn with_wasi(mut self) -> Self {
        self.wasi = true;
        self
    }

    /// Instructions for `describe`, which leave the address of (pointer, length) on the stack.
    pub fn describe(mut self, instructions: &str) -> Self {
        self.describe = instructions.to_owned();
        self
    }

    /// The component's bytes.
    pub fn build(&self) -> Vec<u8> {
        let Self { describe, descriptor, wasi } = self;
        let imports = if *wasi { WASI_IMPORTS } else { "" };
        let data: String = descriptor.bytes().map(|byte| format!("\\{byte:02x}")).collect();
        let length: String =
            u32::try_from(descriptor.len()).unwrap().to_le_bytes().iter().map(|byte| format!("\\{byte:02x}")).collect();
        let text = format!(
            r#"(module
                {imports}
                (memory (export "memory") 17)
                (global $free (mut i32) (i32.const 1048576))
                (data (i32.const 8) "\00\04\00\00{length}")
                (data (i32.const 1024) "{data}")
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (global.get $free))
                (func (export "{PROVIDER}#describe") (result i32) {describe})
                (func (export "{PROVIDER}#resolve") (result i32) unreachable)
                (func (export "{PROVIDER}#authorization") (param i32 i32) (result i32) unreachable)
                (func (export "{PROVIDER}#exchange") (param i32 i32 i32 i32) (result i32) unreachable))"#
        );
        let mut module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"));
        let mut contract = Resolve::default();
        let (package, _) = contract.push_dir(place::repository("wit")).expect("the contract parses");
        let (package, name) = if *wasi {
            let ids = WASI.map(|text| contract.push_str("test.wit", text).expect("WASI parses"));
            (ids[2], "with-wasi")
        } else {
            (package, "component")
        };
        let world = contract.select_world(&[package], Some(name)).expect("the world");
        embed_component_metadata(&mut module, &contract, world, StringEncoding::UTF8).expect("metadata");
        ComponentEncoder::default().module(&module).expect("a module").encode().expect("a component")
    }
}

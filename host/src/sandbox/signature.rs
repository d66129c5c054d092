//! Whether the functions that a component exports are those of the contract, before anything of it is instantiated.
//!
//! The engine would look at their types one by one and only when each is called; then a person is told in the middle of a
//! login what could have been said when the file was put there.

use wasmtime::Engine;
use wasmtime::component::Type;
use wasmtime::component::types::{ComponentFunc, ComponentInstance, ComponentItem};

use super::inspect::rejected;
use crate::error::{Result, foreign};

/// The functions of the contract's interfaces that components export, as `wit/` writes them; which resource a handle is
/// for is the linker's to check.
const FUNCTIONS: &[(&str, &[(&str, &str)])] = &[
    (
        "provider",
        &[
            ("describe", "func() -> string"),
            ("resolve", "func() -> result<list<tuple<string, string>>, failure>"),
            ("authorization", "func(list<string>) -> result<list<tuple<string, string>>, failure>"),
            ("exchange", "func(borrow, borrow, string) -> result<own, failure>"),
        ],
    ),
    ("refresh", &[("refresh", "func(borrow, list<string>, list<tuple<string, string>>) -> result<own, failure>")]),
    ("revocation", &[("revoke", "func(borrow, list<tuple<string, string>>) -> result<string, failure>")]),
    ("account", &[("account", "func(borrow, list<tuple<string, string>>) -> result<list<tuple<string, string>>, failure>")]),
    (
        "device",
        &[
            ("start", "func(list<string>) -> result<tuple<own, list<tuple<string, string>>>, failure>"),
            ("poll", "func(borrow) -> result<own, failure>"),
        ],
    ),
    ("minting", &[("mint", "func(option<borrow>, list<string>, list<tuple<string, string>>) -> result<own, failure>")]),
];

/// The record `failure`, as [`written`] writes it.
const FAILURE: &str = "record{code: string, message: string, details: list<tuple<string, string>>}";

/// Whether an interface has all its functions, each of its type. Interfaces that the contract does not have are nobody's
/// business.
pub(super) fn check(engine: &Engine, interface: &str, instance: &ComponentInstance) -> Result<()> {
    let Some((_, functions)) = FUNCTIONS.iter().find(|(name, _)| *name == interface) else { return Ok(()) };
    let there = |function: &str| instance.exports(engine).find(|(name, _)| *name == function).map(|(_, item)| item.ty);
    let missing: Vec<&str> = functions.iter().map(|(name, _)| *name).filter(|name| there(name).is_none()).collect();
    if !missing.is_empty() {
        return Err(rejected(
            format!("This component exports the interface {interface} without {}.", missing.join(", ")),
            "If you installed it, ask its author for a whole one. If you wrote it, build it against the world `component` of this broker's wit/ folder.",
        ));
    }
    for (name, expected) in *functions {
        let found = match there(name) {
            Some(ComponentItem::ComponentFunc(function)) => signature(&function),
            _ => "no function".to_owned(),
        };
        if found != *expected {
            return Err(rejected(
                format!("This component's function {interface}.{name} is {}; the contract has \"{expected}\".", foreign(&found)),
                "If you installed it, ask its author for a build against this broker's contract. If you wrote it, rebuild it against this broker's wit/ folder.",
            ));
        }
    }
    Ok(())
}

fn signature(function: &ComponentFunc) -> String {
    let parameters: Vec<String> = function.params().map(|(_, kind)| written(&kind)).collect();
    let results: Vec<String> = function.results().map(|kind| written(&kind)).collect();
    let waits = if function.async_() { "async " } else { "" };
    let result = if results.is_empty() { String::new() } else { format!(" -> {}", results.join(", ")) };
    format!("{waits}func({}){result}", parameters.join(", "))
}

/// A type, nearly as WIT writes it.
fn written(kind: &Type) -> String {
    match kind {
        Type::Bool => "bool".to_owned(),
        Type::S8 => "s8".to_owned(),
        Type::U8 => "u8".to_owned(),
        Type::S16 => "s16".to_owned(),
        Type::U16 => "u16".to_owned(),
        Type::S32 => "s32".to_owned(),
        Type::U32 => "u32".to_owned(),
        Type::S64 => "s64".to_owned(),
        Type::U64 => "u64".to_owned(),
        Type::Float32 => "f32".to_owned(),
        Type::Float64 => "f64".to_owned(),
        Type::Char => "char".to_owned(),
        Type::String => "string".to_owned(),
        Type::List(list) => format!("list<{}>", written(&list.ty())),
        Type::Tuple(tuple) => format!("tuple<{}>", tuple.types().map(|kind| written(&kind)).collect::<Vec<_>>().join(", ")),
        Type::Option(option) => format!("option<{}>", written(&option.ty())),
        Type::Result(result) => {
            let side = |kind: Option<Type>| kind.map_or_else(|| "_".to_owned(), |kind| written(&kind));
            format!("result<{}, {}>", side(result.ok()), side(result.err()))
        }
        Type::Record(record) => {
            let fields: Vec<String> = record.fields().map(|field| format!("{}: {}", field.name, written(&field.ty))).collect();
            let record = format!("record{{{}}}", fields.join(", "));
            if record == FAILURE { "failure".to_owned() } else { record }
        }
        Type::Variant(_) => "variant".to_owned(),
        Type::Enum(_) => "enum".to_owned(),
        Type::Flags(_) => "flags".to_owned(),
        Type::Own(_) => "own".to_owned(),
        Type::Borrow(_) => "borrow".to_owned(),
        _ => "a type of a newer kind".to_owned(),
    }
}

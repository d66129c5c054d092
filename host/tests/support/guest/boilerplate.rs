//! What every component of the contract has, as text.

use std::fmt::Write as _;

use super::Guest;

/// Where texts begin in memory; below lie the places for results.
const TEXTS: usize = 1024;
/// Memory for what the host hands in, in pages of 64 KiB.
const HEAP_PAGES: usize = 16;

/// The host's functions: name in the contract, component type, name in the core module, core type.
const HOST: &[(&str, &str, &str, &str)] = &[
    ("log", r#"(param "level" string) (param "message" string)"#, "log", "i32 i32 i32 i32"),
    ("setting", r#"(param "name" string) (result (option string))"#, "setting", "i32 i32 i32"),
    ("setting-secret", r#"(param "name" string) (result (option (own $secret)))"#, "setting-secret", "i32 i32 i32"),
    ("[method]secret.kind", r#"(param "self" (borrow $secret)) (result string)"#, "kind", "i32 i32"),
    ("[method]secret.duplicate", r#"(param "self" (borrow $secret)) (result (own $secret))"#, "duplicate", "i32) (result i32"),
    (
        "[constructor]request",
        r#"(param "endpoint" string) (param "arguments" $pairs) (result (own $request))"#,
        "request",
        "i32 i32 i32 i32) (result i32",
    ),
    (
        "[method]request.form",
        r#"(param "self" (borrow $request)) (param "name" string) (param "value" string)"#,
        "form",
        "i32 i32 i32 i32 i32",
    ),
    (
        "[method]request.json",
        r#"(param "self" (borrow $request)) (param "pointer" string) (param "value" string)"#,
        "json",
        "i32 i32 i32 i32 i32",
    ),
    (
        "[method]request.form-secret",
        r#"(param "self" (borrow $request)) (param "name" string) (param "value" (borrow $secret))"#,
        "form-secret",
        "i32 i32 i32 i32",
    ),
    (
        "[method]request.header",
        r#"(param "self" (borrow $request)) (param "name" string) (param "value" string)"#,
        "header",
        "i32 i32 i32 i32 i32",
    ),
    (
        "[method]request.header-secret",
        r#"(param "self" (borrow $request)) (param "name" string) (param "value" (borrow $secret))"#,
        "header-secret",
        "i32 i32 i32 i32",
    ),
    (
        "[method]request.json-secret",
        r#"(param "self" (borrow $request)) (param "pointer" string) (param "value" (borrow $secret))"#,
        "json-secret",
        "i32 i32 i32 i32",
    ),
    (
        "[method]request.authenticate",
        r#"(param "self" (borrow $request)) (param "scheme" string) (param "user" string) (param "key" (borrow $secret))"#,
        "authenticate",
        "i32 i32 i32 i32 i32 i32",
    ),
    ("[method]request.send", r#"(param "self" (borrow $request)) (result $sent)"#, "send", "i32 i32"),
    ("[method]response.body", r#"(param "self" (borrow $response)) (result string)"#, "body", "i32 i32"),
    (
        "[method]response.secret",
        r#"(param "self" (borrow $response)) (param "pointer" string) (result (option (own $secret)))"#,
        "answered-secret",
        "i32 i32 i32 i32",
    ),
    ("[constructor]tokens", r#"(param "access" (borrow $secret)) (result (own $tokens))"#, "tokens", "i32) (result i32"),
    (
        "[method]tokens.set",
        r#"(param "self" (borrow $tokens)) (param "name" string) (param "value" string)"#,
        "set",
        "i32 i32 i32 i32 i32",
    ),
];

/// Core functions to work with.
const HELPERS: &str = r#"
    (func $described (result i32)
      (i32.store (i32.const 0) (global.get $descriptor)) (i32.store (i32.const 4) (global.get $descriptor-length)) (i32.const 0))
    (func $pairs (param i32 i32) (result i32)
      (i32.store8 (i32.const 0) (i32.const 0))
      (i32.store (i32.const 4) (local.get 0)) (i32.store (i32.const 8) (local.get 1)) (i32.const 0))
    (func $give (param i32) (result i32)
      (i32.store8 (i32.const 0) (i32.const 0)) (i32.store (i32.const 4) (local.get 0)) (i32.const 0))
    (func $fail (param i32 i32 i32 i32) (result i32)
      (i32.store8 (i32.const 0) (i32.const 1))
      (i32.store (i32.const 4) (local.get 0)) (i32.store (i32.const 8) (local.get 1))
      (i32.store (i32.const 12) (local.get 2)) (i32.store (i32.const 16) (local.get 3))
      (i32.store (i32.const 20) (i32.const 0)) (i32.store (i32.const 24) (i32.const 0)) (i32.const 0))
    (func $return-borrowed (param i32 i32) (call $drop-secret (local.get 0)) (call $drop-secret (local.get 1)))
    (func $for-ever (loop (br 0)))
"#;

impl Guest {
    /// The component as text.
    pub(super) fn text(&self) -> String {
        let mut texts = Texts::default();
        let descriptor = texts.place(&self.descriptor);
        let items = texts.fill(&self.items);
        let bodies = format!(
            r#"(func (export "describe") (result i32) {})
               (func (export "resolve") (result i32) (local $a i32) (local $b i32) (local $c i32) {})
               (func (export "authorization") (param i32 i32) (result i32) (local $a i32) {})
               (func (export "exchange") (param $code i32) (param $verifier i32) (param $uri i32) (param $length i32) (result i32)
                 (local $a i32) (local $b i32) (local $c i32) {})"#,
            texts.fill(&self.describe),
            texts.fill(&self.resolve),
            texts.fill(&self.authorization),
            texts.fill(&self.exchange),
        );
        let heap = TEXTS + texts.bytes.len();
        let pages = heap.div_ceil(64 * 1024) + HEAP_PAGES;
        let (mut types, mut lowered, mut imported, mut given) = (String::new(), String::new(), String::new(), String::new());
        for (name, kind, core, core_kind) in HOST {
            let _ = writeln!(types, r#"(export "{name}" (func {kind}))"#);
            let _ = writeln!(
                lowered,
                r#"(core func ${core} (canon lower (func $host "{name}") (memory $memory) (realloc $realloc) string-encoding=utf8))"#
            );
            let _ = writeln!(imported, r#"(import "host" "{core}" (func ${core} (param {core_kind})))"#);
            let _ = writeln!(given, r#"(export "{core}" (func ${core}))"#);
        }
        for (core, kind) in &self.lowered {
            let _ = writeln!(imported, r#"(import "host" "{core}" (func ${core} {kind}))"#);
            let _ = writeln!(given, r#"(export "{core}" (func ${core}))"#);
        }
        let (version, component, realloc) = (self.version, &self.component, &self.realloc);
        let data = texts.data();
        let (at, length) = descriptor;
        format!(
            r#"(component
  (import "credentials-broker:provider/host@{version}" (instance $host
    (type $pair (tuple string string)) (type $pairs (list $pair))
    (type $failure-record (record (field "code" string) (field "message" string) (field "details" $pairs)))
    (export "failure" (type $failure (eq $failure-record)))
    (export "secret" (type $secret (sub resource)))
    (export "request" (type $request (sub resource)))
    (export "response" (type $response (sub resource)))
    (export "tokens" (type $tokens (sub resource)))
    (type $sent (result (own $response) (error $failure)))
    {types}))
  (alias export $host "failure" (type $failure))
  (alias export $host "secret" (type $secret))
  (alias export $host "request" (type $request))
  (alias export $host "tokens" (type $tokens))
  (core module $libc
    (memory (export "memory") {pages})
    (global $next (mut i32) (i32.const {heap}))
    (func $bump (param $align i32) (param $size i32) (result i32) (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get $size))) (local.get $at))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) {realloc}))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  {lowered}
  (core func $drop-secret (canon resource.drop $secret))
  (core func $drop-request (canon resource.drop $request))
  {component}
  (core module $main
    (import "libc" "memory" (memory {pages}))
    (import "host" "drop-secret" (func $drop-secret (param i32)))
    (import "host" "drop-request" (func $drop-request (param i32)))
    {imported}
    (global $descriptor i32 (i32.const {at})) (global $descriptor-length i32 (i32.const {length}))
    {HELPERS} {items} {bodies}
    (data (i32.const {TEXTS}) "{data}"))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "drop-secret" (func $drop-secret)) (export "drop-request" (func $drop-request)) {given}))))
  (alias core export $main "describe" (core func $core-describe))
  (alias core export $main "resolve" (core func $core-resolve))
  (alias core export $main "authorization" (core func $core-authorization))
  (alias core export $main "exchange" (core func $core-exchange))
  (type $pair (tuple string string)) (type $pairs (list $pair))
  (func $describe (result string) (canon lift (core func $core-describe) (memory $memory) string-encoding=utf8))
  (func $resolve (result (result $pairs (error $failure))) (canon lift (core func $core-resolve) (memory $memory)))
  (func $authorization (param "scopes" (list string)) (result (result $pairs (error $failure)))
    (canon lift (core func $core-authorization) (memory $memory) (realloc $realloc)))
  (func $exchange (param "code" (borrow $secret)) (param "verifier" (borrow $secret)) (param "redirect-uri" string)
      (result (result (own $tokens) (error $failure)))
    (canon lift (core func $core-exchange) (memory $memory) (realloc $realloc)))
  (instance $provider
    (export "describe" (func $describe)) (export "resolve" (func $resolve))
    (export "authorization" (func $authorization)) (export "exchange" (func $exchange)))
  (export "credentials-broker:provider/provider@{version}" (instance $provider)))"#
        )
    }
}

/// Texts in the component's memory.
#[derive(Default)]
struct Texts {
    bytes: Vec<u8>,
}

impl Texts {
    fn place(&mut self, text: &str) -> (usize, usize) {
        let at = TEXTS + self.bytes.len();
        self.bytes.extend_from_slice(text.as_bytes());
        (at, text.len())
    }

    /// Replaces every `$"text"` by where it lies and how long it is.
    fn fill(&mut self, code: &str) -> String {
        let mut out = String::new();
        let mut rest = code;
        while let Some((before, after)) = rest.split_once("$\"") {
            let (text, after) = after.split_once('"').expect("a text has an end");
            let (at, length) = self.place(text);
            let _ = write!(out, "{before}(i32.const {at}) (i32.const {length})");
            rest = after;
        }
        out + rest
    }

    fn data(&self) -> String {
        self.bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "\\{byte:02x}");
            text
        })
    }
}

//! A hundred plugins: how long they take to be looked at, the first time and from the cache, what each of them keeps of
//! memory, and what a call of one costs beside the same logic without a sandbox.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::contestants::{Contestant, folder};
use super::driver::Session;
use super::example::{number, told, verdict};
use super::figures::median;
use crate::{paths, run};

/// How many there are.
const PLUGINS: usize = 100;
/// How often they are looked at.
const LOOKS: usize = 3;

/// What was measured, in seconds, KiB and nanoseconds.
pub(super) struct Figures {
    first: f64,
    cached: f64,
    kib: Option<f64>,
    component_ns: f64,
    native_ns: f64,
    stub_ns: f64,
    long_scope_ns: f64,
    loopback_ns: f64,
    request_ns: f64,
    first_cold_ms: f64,
    first_warm_ms: f64,
}

/// The most that an exchange may take without its network, in microseconds, and the first use of a provider in milliseconds.
const EXCHANGE: f64 = 100.0;
const FIRST_WARM: f64 = 10.0;
const FIRST_COLD: f64 = 500.0;

/// Measures all of it with the broker that was built.
pub(super) fn measure(broker: &Contestant) -> Result<Figures> {
    let folder = folder().join("plugins");
    let (all, one) = (folder.join("all"), folder.join("one"));
    make(&all, PLUGINS)?;
    make(&one, 1)?;
    let (mut first, mut cached) = (Vec::new(), Vec::new());
    let cache = folder.join("cache");
    for _ in 0..LOOKS {
        if cache.exists() {
            std::fs::remove_dir_all(&cache)?;
        }
        first.push(look(broker, &all, &cache)?);
        cached.push(look(broker, &all, &cache)?);
    }
    let kib = resident(broker, &all, &cache)?.zip(resident(broker, &one, &cache)?);
    let calls = told("contract", broker.program())?;
    let of = |name: &str| number(&calls, name);
    Ok(Figures {
        first: median(first.into_iter()).unwrap_or_default(),
        cached: median(cached.into_iter()).unwrap_or_default(),
        kib: kib.map(|(all, one)| (all as f64 - one as f64) / (PLUGINS - 1) as f64),
        component_ns: of("component_ns")?,
        native_ns: of("native_ns")?,
        stub_ns: of("stub_ns")?,
        long_scope_ns: of("long_scope_ns")?,
        loopback_ns: of("loopback_ns")?,
        request_ns: of("request_ns")?,
        first_cold_ms: of("first_cold_ms")?,
        first_warm_ms: of("first_warm_ms")?,
    })
}

/// Writes so many components, which differ in their names: the observer of the tests, 74 KB with every optional interface.
pub(super) fn make(folder: &Path, count: usize) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let observer = std::fs::read(paths::root().join("host/tests/components/observer.wasm"))?;
    for number in 0..count {
        let name = format!("obsv{number:04}");
        let mut bytes = observer.clone();
        replace(&mut bytes, b"\"observer\"", format!("\"{name}\"").as_bytes());
        replace(&mut bytes, b"OBSERVER_", format!("{}_", name.to_ascii_uppercase()).as_bytes());
        std::fs::write(folder.join(format!("{name}.wasm")), bytes)?;
    }
    Ok(())
}

fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    debug_assert_eq!(old.len(), new.len());
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(old.len()).position(|window| window == old) {
        at += found;
        bytes[at..at + new.len()].copy_from_slice(new);
    }
}

/// How long `providers list` takes, in seconds: every one is read, prepared and described.
fn look(broker: &Contestant, plugins: &Path, cache: &Path) -> Result<f64> {
    let mut command: Command = broker.command();
    command.args(["providers", "list", "--json", "--plugins"]).arg(plugins).env("XDG_CACHE_HOME", cache).stderr(Stdio::inherit());
    let begun = Instant::now();
    let told = run::output(&mut command)?;
    let took = begun.elapsed().as_secs_f64();
    let told: Value = serde_json::from_str(&told)?;
    let there = told["providers"].as_array().map_or(0, Vec::len);
    ensure!(there >= PLUGINS, "only {there} providers are there: {}", told["unusable"]);
    Ok(took)
}

/// What a server keeps resident that has looked at them, from the cache, in KiB.
fn resident(broker: &Contestant, plugins: &Path, cache: &Path) -> Result<Option<u64>> {
    let with = broker.with(&[PathBuf::from("--plugins"), plugins.to_owned()], cache);
    let mut session = Session::start(&with)?;
    session.call("list_providers", &json!({}))?;
    Ok(session.resident_kib())
}

impl Figures {
    /// The table, and what it says.
    pub(super) fn section(&self) -> String {
        let natives = |seconds: f64| format!("{:.0}", seconds * 1e9 / self.native_ns);
        let kib = self.kib.map_or_else(|| "not told here".to_owned(), |kib| format!("{kib:.0} KiB"));
        format!(
            "## Plugins\n\n\
             | what | figure | in calls of the native function |\n|---|--:|--:|\n\
             | {PLUGINS} plugins of 74 KB, looked at the first time | {:.0} ms | |\n\
             | the same, from the cache of what was compiled | {:.0} ms | |\n\
             | memory that each of them keeps | {kib} | |\n\
             | one call over the contract, fresh instance included | {:.1} µs | {} |\n\
             | the same logic as a Rust function | {:.3} µs | 1 |\n\n\
             *Looked at*: a whole `providers list`, process and all, in which each is read, prepared and asked for its descriptor. Approved\n\
             plugins are listed without that. *Memory*: `VmRSS` of a server with {PLUGINS} of them less that of one with one. *One call*:\n\
             `authorization` of the Google component, which asks for one setting and sends nothing (`host/examples/contract.rs`).\n\n\
             | a provider's calls | figure | goal | |\n|---|--:|---|---|\n\
             | `exchange`, fresh instance included, with a stub of the network | {:.1} µs | at most {EXCHANGE:.0} µs | {} |\n\
             | the same, where the answer's `scope` is longer than every secret | {:.1} µs | | |\n\
             | the same with its request to a server on loopback | {:.1} µs | | |\n\
             | that request alone | {:.1} µs | | |\n\
             | first use of a provider, compiled before | {:.2} ms | at most {FIRST_WARM:.0} ms | {} |\n\
             | first use of a provider, compiled by a child | {:.0} ms | at most {FIRST_COLD:.0} ms | {} |\n\n\
             *exchange*: the `oauth2` component redeems a code; client secret, tokens and verifier have some forty characters, the code twenty, the\n\
             `scope` 35 or 102. The stub stands in the place of all of `egress/` and answers at once; the server on loopback, which has to be connected\n\
             to each time, is a process of its own. *First use*: engine, compiling or loading, checking and linking, of the slowest of the six embedded providers.\n",
            self.first * 1e3,
            self.cached * 1e3,
            self.component_ns / 1e3,
            natives(self.component_ns / 1e9),
            self.native_ns / 1e3,
            self.stub_ns / 1e3,
            verdict(self.stub_ns / 1e3 <= EXCHANGE),
            self.long_scope_ns / 1e3,
            self.loopback_ns / 1e3,
            self.request_ns / 1e3,
            self.first_warm_ms,
            verdict(self.first_warm_ms <= FIRST_WARM),
            self.first_cold_ms,
            verdict(self.first_cold_ms <= FIRST_COLD),
        )
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "plugins": PLUGINS, "first_s": self.first, "cached_s": self.cached, "kib_each": self.kib,
            "component_ns": self.component_ns, "native_ns": self.native_ns, "component_to_native": self.component_ns / self.native_ns,
            "stub_ns": self.stub_ns, "long_scope_ns": self.long_scope_ns, "loopback_ns": self.loopback_ns, "request_ns": self.request_ns,
            "first_cold_ms": self.first_cold_ms, "first_warm_ms": self.first_warm_ms,
        })
    }
}

//! What one call of a component works with, and what it may use up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use url::Url;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{Deterministic, HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView};

use super::meter::Meter;
use super::scrub::Scrubber;
use super::{Limits, Reached};
use crate::descriptor::Descriptor;
use crate::descriptor::settings::Settings;
use crate::descriptor::template::Values;
use crate::egress::Carrier;
use crate::error::Error;

/// What a call may work with: the provider's table and settings, what was resolved, and the way out.
#[derive(Clone)]
pub struct Context {
    /// The table that requests are held against.
    pub descriptor: Arc<Descriptor>,
    /// What the operator set.
    pub settings: Arc<Settings>,
    /// What `resolve` gave and the broker checked.
    pub resolved: Arc<BTreeMap<String, String>>,
    /// Takes its requests out.
    pub carrier: Arc<dyn Carrier>,
}

/// The store's data for one call.
pub(super) struct State {
    /// Absent while `describe` runs: then every import traps.
    pub(super) context: Option<Context>,
    pub(super) table: ResourceTable,
    pub(super) limits: Limits,
    pub(super) meter: Meter,
    pub(super) scrubber: Scrubber,
    /// Metadata documents fetched in this call, with the address each came from.
    pub(super) metadata: Vec<(Url, Value)>,
    /// What device endpoints answered in this call, secrets left out.
    pub(super) device_answers: Vec<Value>,
    /// The first way in which the component broke the contract.
    pub(super) fault: Option<String>,
    /// What really stopped the last request that the host did not carry out; the component was told less.
    pub(super) cause: Option<Error>,
    /// How far a refresh token got that was sent in this call.
    pub(super) reached: Reached,
    pub(super) requests: u32,
    pub(super) host_calls: u32,
    /// Bytes of texts and secrets that the host keeps for this call.
    pub(super) kept: usize,
    pub(super) log_lines: u32,
    pub(super) ticks: u32,
    /// Made when a component asks for something of it, which most do not.
    wasi: Option<WasiCtx>,
}

impl State {
    pub(super) fn new(context: Option<Context>, limits: Limits) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        let mut scrubber = Scrubber::default();
        if let Some(context) = &context {
            context.settings.secrets().for_each(|secret| scrubber.add(secret.clone()));
        }
        Self {
            context,
            table,
            limits,
            meter: Meter::new(&limits),
            scrubber,
            metadata: Vec::new(),
            device_answers: Vec::new(),
            fault: None,
            cause: None,
            reached: Reached::Nobody,
            requests: 0,
            host_calls: 0,
            kept: 0,
            log_lines: 0,
            ticks: 0,
            wasi: None,
        }
    }
}

/// Empty: no files, no environment, no arguments, no network; what it prints goes nowhere. While `describe` runs, the
/// clocks stand and chance is always the same: what a component says of itself when somebody looks at it, it says for ever.
fn wasi(describing: bool) -> WasiCtx {
    let mut wasi = WasiCtx::builder();
    wasi.max_random_size(64 * 1024);
    if describing {
        let chance = || Deterministic::new((0..=250).collect());
        wasi.wall_clock(Standing).monotonic_clock(Standing);
        wasi.secure_random(chance()).insecure_random(chance()).insecure_random_seed(0);
    }
    wasi.build()
}

/// A clock that shows the beginning of time.
struct Standing;

impl HostWallClock for Standing {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl HostMonotonicClock for Standing {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        0
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let describing = self.context.is_none();
        WasiCtxView { ctx: self.wasi.get_or_insert_with(|| wasi(describing)), table: &mut self.table }
    }
}

/// What fills the URL templates of one request.
pub(super) struct Arguments<'a> {
    pub(super) context: &'a Context,
    pub(super) arguments: &'a [(String, String)],
}

impl Values for Arguments<'_> {
    fn setting(&self, name: &str) -> Option<&str> {
        self.context.settings.plain(name)
    }

    fn resolved(&self, name: &str) -> Option<&str> {
        self.context.resolved.get(name).map(String::as_str)
    }

    fn argument(&self, name: &str) -> Option<&str> {
        self.arguments.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

//! Runs provider components. The only place that names wasmtime.
//!
//! A component gets a fresh instance for every call, so nothing of one login is left in its memory at the next; a
//! bounded memory; a clock that interrupts it; and a deadline around the whole call, instantiation and the host's own
//! work included, since interrupting a component does not interrupt a host call that it waits in. What it can reach is
//! `host`, the contract's imports, and an empty WASI context for components whose language runtime insists on one.

pub mod answer;
mod bindings;
mod calls;
mod compile;
pub mod draft;
mod engine;
pub mod handles;
mod host;
mod inspect;
mod json;
mod make;
mod meter;
mod scrub;
mod signature;
mod state;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;
use url::Url;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime::{Engine, Store, UpdateDeadline};

use crate::egress::deadline::within;
use crate::error::{Code, Error, Result, foreign};
use bindings::account::WithAccountPre;
use bindings::base::ComponentPre;
use bindings::device::WithDevicePre;
use bindings::refresh::WithRefreshPre;
use bindings::revocation::WithRevocationPre;
pub use calls::{DeviceStart, Revocation};
pub use compile::{Workshop, compile_as_child};
pub use handles::Tokens;
pub use inspect::{CONTRACT_VERSION, check_contract};
pub use make::Make;
pub use state::Context;
use state::State;

/// What one call may use up. There is no call without limits.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Linear memory, in bytes, of all its instances together.
    pub memory_bytes: usize,
    /// The whole call, waiting included.
    pub deadline: Duration,
    /// Computing alone.
    pub computing: Duration,
    /// Requests sent.
    pub requests: u32,
    /// Calls of the host's functions.
    pub host_calls: u32,
    /// Handles held at once.
    pub handles: usize,
    /// Bytes that the host keeps for the component: texts it handed over, secrets it asked for.
    pub kept_bytes: usize,
    /// Lines logged; further ones are dropped.
    pub log_lines: u32,
    /// The largest answer of an endpoint, in bytes; metadata may have four times that.
    pub answer_bytes: usize,
    /// Elements of all its tables together.
    pub table_elements: usize,
    /// Instances, and memories, and tables.
    pub instances: usize,
}

impl Limits {
    /// What a provider needs many times over.
    pub const STANDARD: Self = Self {
        memory_bytes: 64 << 20,
        deadline: Duration::from_secs(40),
        computing: Duration::from_secs(5),
        requests: 8,
        host_calls: 10_000,
        handles: 1024,
        kept_bytes: 8 << 20,
        log_lines: 50,
        answer_bytes: 256 << 10,
        table_elements: 100_000,
        instances: 64,
    };
    /// For `describe`, which has nothing to do but return a text.
    /// Whose component it is, and what the operator allows that one, is not known before; hence the instances.
    const DESCRIBE: Self =
        Self { deadline: Duration::from_secs(15), computing: Duration::from_secs(2), instances: 1000, ..Self::STANDARD };
}

/// The largest component, in bytes.
pub const MAX_COMPONENT: usize = 64 << 20;

/// The most bytes that one call between host and component may carry from the component to the host. Its own memory is no
/// bound for that: a list can name the same megabyte a million times.
const TRANSFER: usize = 2 << 20;

/// An engine that compiles and runs components. Cheap to clone.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    engine: Engine,
    linker: Linker<State>,
    clock: engine::Clock,
    /// One for each call that may run beside others.
    places: Semaphore,
    workshop: Workshop,
    /// Compiles in place of this process.
    elsewhere: Option<compile::Elsewhere>,
}

/// A component that is compiled, checked and linked, ready for calls. Cheap to clone.
#[derive(Clone)]
pub struct Prepared {
    sandbox: Sandbox,
    base: ComponentPre<State>,
    optional: Optional,
    limits: Limits,
    make: Arc<Make>,
}

/// The optional interfaces, as far as the component exports them.
#[derive(Clone)]
struct Optional {
    refresh: Option<WithRefreshPre<State>>,
    revocation: Option<WithRevocationPre<State>>,
    account: Option<WithAccountPre<State>>,
    device: Option<WithDevicePre<State>>,
}

impl Optional {
    fn of(linked: &InstancePre<State>, make: &Make) -> Result<Self> {
        Ok(Self {
            refresh: as_exported(make, "refresh", WithRefreshPre::new(linked.clone()))?,
            revocation: as_exported(make, "revocation", WithRevocationPre::new(linked.clone()))?,
            account: as_exported(make, "account", WithAccountPre::new(linked.clone()))?,
            device: as_exported(make, "device", WithDevicePre::new(linked.clone()))?,
        })
    }
}

/// An interface that is not exported is absent; one that is, under another type, is no interface of the contract.
fn as_exported<T>(make: &Make, interface: &str, bound: wasmtime::Result<T>) -> Result<Option<T>> {
    match bound {
        Ok(bound) => Ok(Some(bound)),
        Err(error) if make.exports(interface) => Err(inspect::mismatch(&error)),
        Err(_) => Ok(None),
    }
}

/// Why a call gave no result.
#[derive(Debug)]
pub enum Failed {
    /// The component broke the contract, or could not reach what it needed: the broker's own word.
    Fault(Error),
    /// What the component said went wrong; its word, bounded.
    Said(Failure),
}

impl Failed {
    /// How long the provider wants to be left alone, if it said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Fault(_) => None,
            Self::Said(failure) => failure.seconds("retry_after"),
        }
    }
}

/// How far a refresh token got, which may work only once. Ordered by how little is known of it afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// It was not sent.
    Nobody,
    /// It was sent, and what the server answered to it is known.
    Answered,
    /// It may have been sent, and nobody knows what the server made of it.
    Unknown,
}

/// A refresh that gave no tokens.
#[derive(Debug)]
pub struct Unrenewed {
    /// Why.
    pub failed: Failed,
    /// How far the refresh token got.
    pub reached: Reached,
}

/// A failure as a component told it.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The code, at most 64 characters.
    pub code: String,
    /// A sentence, fit to be shown.
    pub message: String,
    /// Details by their names, fit to be shown.
    pub details: Vec<(String, String)>,
}

impl Failure {
    /// A detail that is a number of whole seconds: `retry_after`, `interval`.
    #[must_use]
    pub fn seconds(&self, name: &str) -> Option<Duration> {
        let (_, value) = self.details.iter().find(|(known, _)| known == name)?;
        value.trim_matches('"').trim().parse().ok().map(Duration::from_secs)
    }
}

/// Pairs that `resolve` returned, and the metadata documents it fetched, each with its address.
pub type Resolved = (Vec<(String, String)>, Vec<(Url, Value)>);

impl Sandbox {
    /// Starts the engine.
    ///
    /// # Errors
    /// `internal` where the platform cannot run the engine.
    pub fn new(workshop: &Workshop) -> Result<Self> {
        let (cache, elsewhere) = workshop.open();
        let engine = engine::engine(cache.as_ref())?;
        let mut linker = Linker::new(&engine);
        let linked = wasmtime_wasi::p2::add_to_linker_async(&mut linker)
            .and_then(|()| bindings::host::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state));
        linked.map_err(|error| {
            Error::new(Code::Internal, format!("The host's functions cannot be linked: {error:#}."), "Report this.")
        })?;
        let clock = engine::Clock::start(&engine);
        let places = Semaphore::new(engine::CALLS);
        Ok(Self(Arc::new(Inner { engine, linker, clock, places, workshop: workshop.clone(), elsewhere })))
    }

    /// Compiles (or takes from the cache), checks and links a component.
    ///
    /// # Errors
    /// `component_rejected`, saying why to who installed it and to who wrote it; `unavailable` where compiling it came to
    /// an end without a result.
    pub async fn prepare(&self, bytes: impl AsRef<[u8]> + Send + 'static) -> Result<Prepared> {
        let (send, receive) = tokio::sync::oneshot::channel();
        let sandbox = self.clone();
        // A thread of its own, not the runtime's pool: the process must be able to end while it still compiles, and who gives
        // up waiting does not make the work undone.
        let spawned = std::thread::Builder::new().name("compile".to_owned()).spawn(move || {
            let _ = send.send(sandbox.compile(bytes.as_ref()));
        });
        let gone = || Error::new(Code::Internal, "The compiler ended without a result.", "Try again.");
        spawned.map_err(|_| gone())?;
        match tokio::time::timeout(self.0.workshop.patience, receive).await {
            Ok(compiled) => compiled.map_err(|_| gone())?,
            Err(_) => Err(Error::new(
                Code::ComponentRejected,
                format!("The component was not compiled within {} seconds.", self.0.workshop.patience.as_secs()),
                "Build it with optimization for size; or try again later, since what was compiled is kept.",
            )),
        }
    }

    fn compile(&self, bytes: &[u8]) -> Result<Prepared> {
        if bytes.len() > MAX_COMPONENT {
            return Err(Error::new(
                Code::ComponentRejected,
                format!("The component is larger than {} MiB.", MAX_COMPONENT >> 20),
                "Build it with optimization for size.",
            ));
        }
        let engine = &self.0.engine;
        let _compiling = match &self.0.elsewhere {
            Some(elsewhere) => {
                elsewhere.see_to(engine, bytes)?;
                None
            }
            None => Some(self.0.workshop.busy.begin()),
        };
        let component =
            Component::from_binary(engine, bytes).map_err(|error| inspect::not_a_component(bytes, &format!("{error:#}")))?;
        inspect::check(engine, &component)?;
        let linked = self.0.linker.instantiate_pre(&component).map_err(|error| inspect::mismatch(&error))?;
        let make = Arc::new(Make::of(engine, &component, bytes));
        let optional = Optional::of(&linked, &make)?;
        let base = ComponentPre::new(linked).map_err(|error| inspect::mismatch(&error))?;
        Ok(Prepared { sandbox: self.clone(), base, optional, limits: Limits::STANDARD, make })
    }
}

impl Prepared {
    /// The same component under other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What it is made of.
    #[must_use]
    pub fn make(&self) -> &Make {
        &self.make
    }

    /// Whether it exports the interface `refresh`.
    #[must_use]
    pub const fn can_refresh(&self) -> bool {
        self.optional.refresh.is_some()
    }

    /// Whether it exports the interface `revocation`.
    #[must_use]
    pub const fn can_revoke(&self) -> bool {
        self.optional.revocation.is_some()
    }

    /// Whether it exports the interface `account`.
    #[must_use]
    pub const fn can_tell_account(&self) -> bool {
        self.optional.account.is_some()
    }

    /// Whether it exports the interface `device`.
    #[must_use]
    pub const fn can_start_device(&self) -> bool {
        self.optional.device.is_some()
    }

    /// The descriptor's JSON text.
    ///
    /// # Errors
    /// `component_fault`.
    pub async fn describe(&self) -> Result<String> {
        let mut store = self.store(None, Limits::DESCRIBE);
        let work = async {
            let instance = self.base.instantiate_async(&mut store).await?;
            instance.credentials_broker_provider_provider().call_describe(&mut store).await
        };
        let result = self.bounded(work, Limits::DESCRIBE.deadline).await;
        result.map_err(|reason| fault(None, &reason))
    }

    fn store(&self, context: Option<Context>, limits: Limits) -> Store<State> {
        let mut store = Store::new(&self.sandbox.0.engine, State::new(context, limits));
        store.limiter(|state| &mut state.meter);
        store.set_hostcall_fuel(TRANSFER);
        store.set_epoch_deadline(1);
        let ticks = u32::try_from(limits.computing.as_millis() / engine::TICK.as_millis()).unwrap_or(u32::MAX);
        store.epoch_deadline_callback(move |mut context| {
            let state = context.data_mut();
            state.ticks += 1;
            if state.ticks > ticks {
                return Err(wasmtime::Error::msg("it computed for too long"));
            }
            Ok(UpdateDeadline::Yield(1))
        });
        store
    }

    /// The deadline around everything; the clock runs meanwhile.
    async fn bounded<T>(&self, work: impl Future<Output = wasmtime::Result<T>>, deadline: Duration) -> Result<T, String> {
        // Before the deadline begins: that others are slow is no fault of this component. Those end by their own. Never closed.
        let _place = self.sandbox.0.places.acquire().await.map_err(|error| error.to_string())?;
        let _running = self.sandbox.0.clock.run();
        match within(deadline, work).await {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => Err(reason(&error)),
            None => Err(format!("it took longer than {} seconds", deadline.as_secs())),
        }
    }
}

/// The trap itself, without a backtrace through somebody's code.
fn reason(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<wasmtime::Trap>() {
        Some(trap) => format!("it trapped ({trap})"),
        None => error.root_cause().to_string(),
    }
}

fn fault(provider: Option<&str>, reason: &str) -> Error {
    let whose = provider.map_or_else(String::new, |name| format!(" of {name}"));
    Error::new(
        Code::ComponentFault,
        format!("The component{whose} failed: {}.", foreign(reason)),
        "Nothing else is affected. Report this to the component's author.",
    )
}

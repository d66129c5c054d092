//! The engine, and the clock that stops a component which does not stop by itself.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wasmtime::{Cache, CacheConfig, Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::error::{Code, Error, Result};

/// How often a running component is interrupted to look at the clock.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// How many components run at once; further calls wait.
pub(super) const CALLS: usize = 32;
/// How many memories one component may have, and how many tables.
const EACH: u32 = 16;
/// The most elements of one table: what an operator may allow all of a component's together.
const TABLE: usize = 1_000_000;
/// How much of each memory that a call used stays with the process, wiped, for the next call there, in bytes.
const KEPT: usize = 128 << 10;
/// The same of a stack and of a table.
const KEPT_STACK: usize = 32 << 10;

/// An engine that runs components, with a cache of what was compiled or without. It has a place for everything that [`CALLS`]
/// components need at once: to map it for every call would take twice as long as most calls.
pub(super) fn engine(cache: Option<&Cache>) -> Result<Engine> {
    let pooling = if cfg!(unix) {
        Engine::new(config(cache).allocation_strategy(InstanceAllocationStrategy::Pooling(places())))
    } else {
        // Setting aside would mean to pay for it there.
        Err(wasmtime::Error::msg("not on this system"))
    };
    match pooling {
        Ok(engine) => Ok(engine),
        // Addresses are short, or the system counts what is set aside.
        Err(error) => {
            tracing::debug!("each call of a component maps its own memory: {error:#}");
            compiler(cache)
        }
    }
}

/// An engine that compiles: what it makes is the same.
pub(super) fn compiler(cache: Option<&Cache>) -> Result<Engine> {
    Engine::new(&config(cache)).map_err(|error| {
        Error::new(
            Code::Internal,
            format!("The WebAssembly engine does not start: {error:#}."),
            "Report this with your platform's name.",
        )
    })
}

fn config(cache: Option<&Cache>) -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.wasm_component_model(true);
    config.cache(cache.cloned());
    // what the host's side of a call left there
    config.async_stack_zeroing(true);
    config
}

/// Addresses are set aside, memory is not: that comes when it is used.
fn places() -> PoolingAllocationConfig {
    // A store may outlive its call for a moment.
    let calls = 2 * CALLS as u32;
    let mut places = PoolingAllocationConfig::new();
    places.total_stacks(calls).total_memories(EACH * calls).total_tables(EACH * calls);
    places.max_memories_per_component(EACH).max_tables_per_component(EACH);
    places.max_memories_per_module(EACH).max_tables_per_module(EACH);
    // Counted only, and what counts is the call's own limit.
    places.total_core_instances(u32::MAX).total_component_instances(u32::MAX);
    places.max_core_instance_size(64 << 20).max_component_instance_size(64 << 20);
    places.table_elements(TABLE);
    places.linear_memory_keep_resident(KEPT).table_keep_resident(KEPT_STACK).async_stack_keep_resident(KEPT_STACK);
    places.pagemap_scan(Enabled::Auto);
    places
}

/// A compile cache in a folder, which is made private first.
///
/// What lies in the folder is executed as native code: it must belong to this user, and nobody else may write to it.
pub(super) fn open_cache(folder: &Path) -> Result<Cache, String> {
    private_folder(folder).map_err(|error| format!("the cache folder {} cannot be used: {error}", folder.display()))?;
    let mut config = CacheConfig::new();
    config.with_directory(folder);
    Cache::new(config).map_err(|error| format!("{error:#}"))
}

#[cfg(unix)]
fn private_folder(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = std::fs::symlink_metadata(folder)?;
    // A file made here just now belongs to whoever runs this: no need to ask the system who that is.
    let probe = folder.join(format!(".owner-{}", std::process::id()));
    std::fs::write(&probe, b"")?;
    let mine = std::fs::metadata(&probe)?.uid();
    std::fs::remove_file(&probe)?;
    if !found.is_dir() || found.uid() != mine {
        return Err(std::io::Error::other("it is not a folder of yours"));
    }
    if found.permissions().mode() & 0o077 != 0 {
        return Err(std::io::Error::other("others can reach it; run chmod 700 on it"));
    }
    Ok(())
}

#[cfg(not(unix))]
fn private_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)
}

/// Advances the engine's epoch while calls run, and sleeps otherwise: an idle broker wakes for nothing.
pub(super) struct Clock(Arc<Shared>);

#[derive(Default)]
struct Shared {
    work: Mutex<Work>,
    woken: Condvar,
}

#[derive(Default)]
struct Work {
    calls: usize,
    /// The clock waits for work.
    asleep: bool,
    over: bool,
}

/// While this lives, the clock runs.
pub(super) struct Running(Arc<Shared>);

impl Clock {
    pub(super) fn start(engine: &Engine) -> Self {
        let shared = Arc::new(Shared::default());
        let (of_thread, engine) = (Arc::clone(&shared), engine.weak());
        let ticker = std::thread::Builder::new().name("epoch".to_owned()).spawn(move || {
            while of_thread.wait_for_work() {
                std::thread::sleep(TICK);
                match engine.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => return,
                }
            }
        });
        if let Err(error) = ticker {
            tracing::error!("no thread for the epoch clock: {error}");
        }
        Self(shared)
    }

    pub(super) fn run(&self) -> Running {
        let mut work = self.0.lock();
        work.calls += 1;
        if work.asleep {
            self.0.woken.notify_one();
        }
        drop(work);
        Running(Arc::clone(&self.0))
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.0.lock().over = true;
        self.0.woken.notify_one();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.lock().calls -= 1;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until a call runs; false when there will be no more.
    fn wait_for_work(&self) -> bool {
        let mut work = self.lock();
        while work.calls == 0 && !work.over {
            work.asleep = true;
            work = self.woken.wait(work).unwrap_or_else(PoisonError::into_inner);
        }
        work.asleep = false;
        !work.over
    }
}

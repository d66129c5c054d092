//! Where components are compiled, and where what was compiled rests.
//!
//! Compiling a small component takes some 20 MB, one with a Python runtime inside 400 MB, and a process that once took so
//! much rarely gives it back. A server that runs all day shall not pay that, so a short-lived child of the same program
//! compiles: it is handed the bytes, and has no environment, no configuration and no vault. What it made is taken into the
//! cache by the server, which then loads it as if it had always been there. Where there is no cache that can be used, or
//! no child can be started, the process that needs the component compiles it itself.
//!
//! | part | what it is |
//! |---|---|
//! | `store` | the cache folder: what is in it, taking in, throwing away |
//! | `child` | the server's side: starts the child, waits, ends it |
//! | `compiler` | the child's side |

mod child;
mod compiler;
mod store;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;
use wasmtime::{Cache, Engine};

pub use compiler::compile_as_child;

use super::{engine, inspect};
use crate::error::{Code, Error, Result};
use child::Unable;
use store::{Key, Store};

/// How long anybody waits for a component to be compiled.
const WITHIN: Duration = Duration::from_secs(60);
/// How many times as long a child may go on for who comes later.
const LIVES: u32 = 3;

/// Who compiles, and where what was compiled is kept. Cheap to clone; all clones know of each other's work.
#[derive(Clone)]
pub struct Workshop {
    folder: Option<PathBuf>,
    compiler: Option<PathBuf>,
    pub(super) patience: Duration,
    pub(super) busy: Busy,
}

impl Workshop {
    /// This process compiles, and keeps nothing.
    #[must_use]
    pub fn here() -> Self {
        Self { folder: None, compiler: None, patience: WITHIN, busy: Busy::default() }
    }

    /// This process compiles, and what comes of it is kept in a folder of the user's own.
    #[must_use]
    pub fn keeping(folder: PathBuf) -> Self {
        Self { folder: Some(folder), ..Self::here() }
    }

    /// The same with this program as the compiler: started with `compile-component` it calls [`compile_as_child`].
    #[must_use]
    pub fn compiled_by(self, program: PathBuf) -> Self {
        Self { compiler: Some(program), ..self }
    }

    /// The same for who would rather wait this long for a large component than hear that it is large.
    #[must_use]
    pub fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// How many components are being compiled at this moment.
    #[must_use]
    pub fn compiling(&self) -> watch::Receiver<usize> {
        self.busy.0.subscribe()
    }

    /// The cache, if it can be used, and the child that fills it, if there is one.
    pub(super) fn open(&self) -> (Option<Cache>, Option<Elsewhere>) {
        let Some(folder) = &self.folder else { return (None, None) };
        let cache = match engine::open_cache(folder) {
            Ok(cache) => cache,
            Err(reason) => {
                tracing::warn!("components are compiled anew each time: {reason}");
                return (None, None);
            }
        };
        let elsewhere = self.compiler.clone().map(|program| Elsewhere {
            store: Store::in_folder(folder.clone()),
            program,
            life: self.patience * LIVES,
            busy: self.busy.clone(),
            turns: Mutex::default(),
        });
        (Some(cache), elsewhere)
    }
}

/// How many compile just now, told to whoever watches.
#[derive(Clone)]
pub(super) struct Busy(Arc<watch::Sender<usize>>);

/// While this lives, one more compiles.
pub(super) struct Compiling(Busy);

impl Default for Busy {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Busy {
    pub(super) fn begin(&self) -> Compiling {
        self.0.send_modify(|count| *count += 1);
        Compiling(self.clone())
    }
}

impl Drop for Compiling {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

/// Sees to it that what is needed is in the cache, by children.
pub(super) struct Elsewhere {
    store: Store,
    program: PathBuf,
    /// How long a child may take.
    life: Duration,
    busy: Busy,
    /// One child at a time for one component: who comes meanwhile finds what the first one made.
    turns: Mutex<HashMap<Key, Weak<Mutex<()>>>>,
}

impl Elsewhere {
    /// Has the component compiled unless it is kept already. Blocks. `Ok` also where this process must do it itself.
    ///
    /// # Errors
    /// `component_rejected` for what is no component; `unavailable` where the child came to an end without a result.
    pub(super) fn see_to(&self, engine: &Engine, bytes: &[u8]) -> Result<()> {
        let key = store::key(engine, bytes);
        if self.store.has(&key) {
            return Ok(());
        }
        let turn = self.turn(&key);
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        if self.store.has(&key) {
            return Ok(());
        }
        let _compiling = self.busy.begin();
        let made = self.store.begin().map_err(|error| Unable::Here(error.to_string())).and_then(|making| {
            child::compile(&self.program, making.folder(), bytes, self.life)?;
            self.store.take(&key, &making).map_err(|error| Unable::Here(error.to_string()))
        });
        match made {
            Ok(()) => {
                tracing::debug!("a child compiled a component of {} bytes", bytes.len());
                Ok(())
            }
            Err(Unable::Rejected(reason)) => Err(inspect::not_a_component(bytes, &reason)),
            Err(Unable::Here(reason)) => {
                tracing::warn!("a component is compiled in this process, since no child could do it: {reason}");
                Ok(())
            }
            Err(Unable::Ended(how)) => Err(Error::new(
                Code::Unavailable,
                format!("The component was not compiled: the process that did it {how}."),
                "Try again. If that happens each time, the component is too large for this machine, or made to be: ask its author for one that was optimized for size.",
            )),
        }
    }

    fn turn(&self, key: &Key) -> Arc<Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(key).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::new(Mutex::new(()));
        turns.insert(key.clone(), Arc::downgrade(&turn));
        turn
    }
}

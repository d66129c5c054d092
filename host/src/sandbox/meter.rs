//! How much memory and how many tables one call's instances may have, all of them together: a component can be made of
//! many instances with a memory each.

use wasmtime::{ResourceLimiter, Result};

/// The most elements of all tables together.
const TABLE_ELEMENTS: usize = 100_000;
/// The most instances, and tables, and memories.
const INSTANCES: usize = 64;

/// What one call has taken so far, and the most bytes of memory that it may take.
#[derive(Debug)]
pub(super) struct Meter {
    memory_limit: usize,
    memory: usize,
    elements: usize,
}

impl Meter {
    pub(super) const fn new(memory_limit: usize) -> Self {
        Self { memory_limit, memory: 0, elements: 0 }
    }
}

/// What was taken, with the growth from `current` to `desired`; `None` where that is more than `limit`.
fn grown(taken: usize, current: usize, desired: usize, limit: usize) -> Option<usize> {
    taken.checked_add(desired.saturating_sub(current)).filter(|total| *total <= limit)
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let Some(total) = grown(self.memory, current, desired, self.memory_limit) else {
            return Err(wasmtime::Error::msg(format!("it wants more than {} MiB of memory", self.memory_limit >> 20)));
        };
        self.memory = total;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let Some(total) = grown(self.elements, current, desired, TABLE_ELEMENTS) else {
            return Err(wasmtime::Error::msg(format!("it wants more than {TABLE_ELEMENTS} elements in its tables")));
        };
        self.elements = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        INSTANCES
    }

    fn tables(&self) -> usize {
        INSTANCES
    }

    fn memories(&self) -> usize {
        INSTANCES
    }
}

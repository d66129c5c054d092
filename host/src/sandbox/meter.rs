//! How much memory and how many tables one call's instances may have, all of them together: a component can be made of
//! many instances with a memory each.

use wasmtime::{ResourceLimiter, Result};

use super::Limits;

/// What one call has taken so far, and the most that it may take.
#[derive(Debug)]
pub(super) struct Meter {
    memory_limit: usize,
    element_limit: usize,
    instances: usize,
    memory: usize,
    elements: usize,
}

impl Meter {
    pub(super) const fn new(limits: &Limits) -> Self {
        Self {
            memory_limit: limits.memory_bytes,
            element_limit: limits.table_elements,
            instances: limits.instances,
            memory: 0,
            elements: 0,
        }
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
        let Some(total) = grown(self.elements, current, desired, self.element_limit) else {
            return Err(wasmtime::Error::msg(format!("it wants more than {} elements in its tables", self.element_limit)));
        };
        self.elements = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.instances
    }

    fn memories(&self) -> usize {
        self.instances
    }
}

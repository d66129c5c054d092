//! The component's own memory: has a secret ever been in it?

use credentials_broker_provider::setting;

use crate::report::Report;

/// What is told of each place found, in bytes.
#[cfg(target_arch = "wasm32")]
const SHOWN: usize = 80;

/// Looks through the whole linear memory for what begins like a canary.
#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "a component's memory is one array of bytes, and all of it is its own to read")]
pub(crate) fn search(report: &mut Report) {
    let Some(canary) = setting("canary").filter(|canary| canary.len() > 3) else { return };
    let size = core::arch::wasm32::memory_size(0) * 65536;
    // Found places are collected before they are told, since telling writes to the memory that is searched.
    let mut found = Vec::with_capacity(64);
    for start in 8..size.saturating_sub(SHOWN) {
        // SAFETY: start and SHOWN lie within the linear memory, and reading any byte of it is defined for the machine.
        let here = |offset: usize| unsafe { core::ptr::read_volatile((start + offset) as *const u8) };
        if canary.bytes().enumerate().all(|(offset, byte)| here(offset) == byte) && found.len() < 64 {
            found.push((0..SHOWN).map(here).collect::<Vec<u8>>());
        }
    }
    for bytes in found {
        report.add("memory", &String::from_utf8_lossy(&bytes));
    }
}

/// Elsewhere there is no such memory.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn search(report: &mut Report) {
    report.add_some("canary", setting("canary"));
}

/// Takes memory until there is none.
pub(crate) fn exhaust() -> ! {
    let mut taken = Vec::new();
    loop {
        taken.push(vec![1_u8; 1 << 20]);
        std::hint::black_box(&taken);
    }
}

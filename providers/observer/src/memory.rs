//! The component's own memory: has a secret ever been in it, and how does it serve the component?

use credentials_broker_provider::{Failure, setting};

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

/// Takes more than a call may have, piece by piece, gives each back, and tells by how much the memory grew before that and in all.
pub(crate) fn churn() -> Failure {
    let before = grown();
    let mut whole = true;
    for round in 1..=100 {
        let mut pieces: Vec<Vec<u8>> = (0..40_u8).map(|piece| vec![piece; 500 * round + usize::from(piece)]).collect();
        // Moved, since the next piece is in the way.
        pieces.iter_mut().for_each(|piece| piece.resize(piece.len() * 2, piece[0]));
        whole &= pieces.iter().zip(0..).all(|(bytes, piece)| bytes.iter().all(|byte| *byte == piece));
    }
    Failure::of("observed_memory", format!("whole: {whole}; grew: {before}, {}", grown()))
}

/// By how many bytes the memory is larger than it was at the start.
#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "the linker says where it put what there was at the start")]
fn grown() -> usize {
    unsafe extern "C" {
        static __heap_base: u8;
    }
    core::arch::wasm32::memory_size(0) * 65536 - (&raw const __heap_base as usize).next_multiple_of(65536)
}

/// Elsewhere there is no such memory.
#[cfg(not(target_arch = "wasm32"))]
fn grown() -> usize {
    0
}

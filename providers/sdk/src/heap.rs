//! Where a component's memory comes from.
//!
//! A component lives for one call, and most calls take a few kilobytes. So those are part of the memory that it has from the
//! start: whatever it asks for beyond is opened for it and closed again after the call, which takes the broker as long as all
//! of the component's own work.

use core::alloc::Layout;
use core::arch::wasm32::memory_grow;
use core::mem::{MaybeUninit, replace};

use talc::base::Talc;
use talc::base::binning::Binning;
use talc::cell::TalcSyncCell;
use talc::source::Source;
use talc::wasm::WasmBinning;

#[global_allocator]
static HEAP: TalcSyncCell<Room, WasmBinning> = TalcSyncCell::new_wasm(Room { begun: false });

/// A page of WebAssembly, in bytes.
const PAGE: usize = 64 << 10;
/// The most that the allocator itself takes of memory that it gets for one allocation, in bytes, and some more.
const OVERHEAD: usize = 128;

static mut FIRST: [MaybeUninit<u8>; PAGE] = [MaybeUninit::uninit(); PAGE];

/// What the allocator takes its memory from: first what is there, then what the broker gives.
#[derive(Debug)]
struct Room {
    begun: bool,
}

#[expect(unsafe_code, reason = "an allocator is told where its memory is")]
// SAFETY: it allocates nothing itself.
unsafe impl Source for Room {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, wanted: Layout) -> Result<(), ()> {
        let (base, bytes) = if replace(&mut talc.source.begun, true) {
            let pages = wanted.size().saturating_add(wanted.align()).saturating_add(OVERHEAD).div_ceil(PAGE);
            match memory_grow::<0>(pages) {
                usize::MAX => return Err(()),
                end => ((end * PAGE) as *mut u8, pages * PAGE),
            }
        } else {
            ((&raw mut FIRST).cast(), PAGE)
        };
        // SAFETY: nobody else has these bytes: the first ones are named nowhere else and claimed once, the others are new.
        unsafe { talc.claim(base, bytes) }.map(drop).ok_or(())
    }
}

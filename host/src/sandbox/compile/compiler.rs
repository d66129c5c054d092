//! The child's side of compiling: reads a component, compiles it into a folder, and ends.
//!
//! The bytes are somebody else's and the compiler is large, so the process has as little as it can: the folder it writes
//! to, a bound for its memory and its computing, and an end when the one who started it is gone.

use std::io::{Read, Write as _};
use std::path::Path;
use std::time::Duration;

use wasmtime::component::Component;

use super::super::{MAX_COMPONENT, engine};

/// Exit codes, as sysexits.h has them: what came in is wrong; what comes out could not be written.
pub(super) const REJECTED: u8 = 65;
pub(super) const NOT_KEPT: u8 = 74;
/// Nobody waits for it any more.
const DESERTED: i32 = 75;
/// The most memory that the compiler may fill, in bytes: an 18 MB component takes some 400 MB.
#[cfg(unix)]
const MEMORY: u64 = 4 << 30;

/// Reads a component from standard input, its length first (eight bytes, the lowest one first), compiles it into the
/// folder, which must be this user's own, and gives the exit code. What went wrong it says on standard output.
#[must_use]
pub fn compile_as_child(into: &Path, seconds: u64) -> u8 {
    #[cfg(unix)]
    bound(Duration::from_secs(seconds));
    #[cfg(not(unix))]
    let _ = Duration::from_secs(seconds);
    let bytes = match component(&mut std::io::stdin()) {
        Ok(bytes) => bytes,
        Err(error) => return say(REJECTED, &format!("it could not be read: {error}")),
    };
    let _ = std::thread::Builder::new().name("deserted".to_owned()).spawn(|| {
        // Standard input ends when whoever started this ends, or gives it up.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(DESERTED);
    });
    let cache = match engine::open_cache(into) {
        Ok(cache) => cache,
        Err(reason) => return say(NOT_KEPT, &reason),
    };
    let engine = match engine::compiler(Some(&cache)) {
        Ok(engine) => engine,
        Err(error) => return say(NOT_KEPT, error.message()),
    };
    match Component::from_binary(&engine, &bytes) {
        Err(error) => say(REJECTED, &format!("{error:#}")),
        // it counts what it wrote
        Ok(_) if cache.cache_misses() == 0 => say(NOT_KEPT, "what was compiled could not be written"),
        Ok(_) => 0,
    }
}

fn component(input: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 8];
    input.read_exact(&mut length)?;
    let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_COMPONENT {
        return Err(std::io::Error::other("it is too large"));
    }
    let mut bytes = vec![0; length];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn say(code: u8, text: &str) -> u8 {
    let _ = writeln!(std::io::stdout(), "{text}");
    code
}

/// The system's own limits: memory that is written to, computing on all cores for as long as it may take, no core dump.
#[cfg(unix)]
fn bound(life: Duration) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    for (resource, most) in
        [(Resource::Data, MEMORY), (Resource::Cpu, life.as_secs().max(1).saturating_mul(cores)), (Resource::Core, 0)]
    {
        let most = getrlimit(resource).maximum.map_or(most, |before| before.min(most));
        let _ = setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_read_whole_or_not_at_all() {
        let framed = |length: u64, bytes: &[u8]| [&length.to_le_bytes()[..], bytes].concat();
        assert_eq!(component(&mut &framed(3, b"abcd")[..]).unwrap(), b"abc");
        for bad in [framed(5, b"abcd"), framed(u64::MAX, b""), framed(MAX_COMPONENT as u64 + 1, b""), vec![1, 2]] {
            assert!(component(&mut &bad[..]).is_err());
        }
    }
}

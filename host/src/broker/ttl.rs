//! Lifetimes: what was asked for, what is allowed, and when something ends.

use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::descriptor::Ttl;
use crate::error::{Code, Error, Result};

/// Lifetimes of references to values that belong to no provider.
pub const STATIC: Ttl = Ttl { default: 3600, maximum: 86_400 };

/// The caps that hold for one provider: its own, narrowed by the operator's.
#[must_use]
pub fn caps(provider: Ttl, operator: Option<u64>) -> Ttl {
    let maximum = operator.map_or(provider.maximum, |most| most.min(provider.maximum)).max(1);
    Ttl { default: provider.default.min(maximum), maximum }
}

/// Reads `ttl_seconds` as it came: a whole number of seconds, at least 1.
///
/// # Errors
/// `invalid_ttl`, saying what is allowed.
pub fn parse(value: Option<&Value>, caps: Ttl) -> Result<u64> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(caps.default) };
    let whole = value.as_u64().or_else(|| {
        let float = value.as_f64()?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be whole and in range")]
        (float.fract() == 0.0 && (0.0..=9e15).contains(&float)).then_some(float as u64)
    });
    whole.filter(|seconds| *seconds > 0).ok_or_else(|| {
        Error::new(
            Code::InvalidTtl,
            "ttl_seconds must be a whole number of seconds.",
            format!("Use 1 to {}, or leave it out for {}.", caps.maximum, caps.default),
        )
    })
}

/// Moments in which something ends, by both clocks: a wall clock that is set back keeps nothing alive, and a machine
/// that slept does not either.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    wall: SystemTime,
    steady: Instant,
}

impl Deadline {
    /// Ends that many seconds from now.
    #[must_use]
    pub fn after(seconds: u64) -> Self {
        let span = Duration::from_secs(seconds.min(100 * 365 * 24 * 3600));
        Self { wall: SystemTime::now() + span, steady: Instant::now() + span }
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.steady || SystemTime::now() >= self.wall
    }

    /// By the wall clock.
    #[must_use]
    pub const fn wall(&self) -> SystemTime {
        self.wall
    }

    /// By the clock that is never set.
    #[must_use]
    pub const fn steady(&self) -> Instant {
        self.steady
    }
}

/// A deadline in 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packed {
    /// Nanoseconds since 1970.
    pub(super) wall: u64,
    /// Nanoseconds since a moment that whoever packs it knows.
    pub(super) steady: u64,
}

impl Deadline {
    pub(super) fn packed(&self, since: Instant) -> Packed {
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Packed {
            wall: nanos(self.wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()),
            steady: nanos(self.steady.saturating_duration_since(since)),
        }
    }

    pub(super) fn unpacked(packed: Packed, since: Instant) -> Self {
        Self {
            wall: SystemTime::UNIX_EPOCH + Duration::from_nanos(packed.wall),
            steady: since + Duration::from_nanos(packed.steady),
        }
    }
}

/// Milliseconds since 1970, as the predecessor told times.
#[must_use]
pub fn millis(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// Seconds since 1970.
#[must_use]
pub fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GITHUB: Ttl = Ttl { default: 3600, maximum: 28_800 };

    #[test]
    fn only_whole_positive_seconds_are_taken() {
        for (good, seconds) in
            [(json!(1), 1), (json!(3600), 3600), (json!(60.0), 60), (json!(1e6), 1_000_000), (json!(null), 3600)]
        {
            assert_eq!(parse(Some(&good), GITHUB).unwrap(), seconds, "{good}");
        }
        for bad in [
            json!(0),
            json!(-1),
            json!(1.5),
            json!("60"),
            json!("abc"),
            json!({}),
            json!([99_999, 1]),
            json!(true),
            json!(1e308),
            json!(-0.0),
        ] {
            let error = parse(Some(&bad), GITHUB).unwrap_err();
            assert_eq!(error.code(), Code::InvalidTtl, "{bad}");
            assert!(error.hint().contains("28800"), "{}", error.hint());
        }
    }

    #[test]
    fn the_operator_narrows_and_never_widens() {
        assert_eq!(caps(GITHUB, None), GITHUB);
        assert_eq!(caps(GITHUB, Some(600)), Ttl { default: 600, maximum: 600 });
        assert_eq!(caps(GITHUB, Some(1_000_000)), GITHUB);
    }
}

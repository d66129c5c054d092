//! What is measured of every contestant, and what the broker should come to.

/// Something that is measured, in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Metric {
    Start,
    Resident,
    ResidentAfterLogin,
    Binary,
    GetMedian,
    GetTail,
    ResolveMedian,
    ResolveTail,
    GetMany,
    ResolveMany,
    ResidentWithReferences,
    BytesEach,
    ResidentWithSecrets,
    WakeUps,
    Instructions,
    Allocations,
}

/// What the broker should come to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Goal {
    /// At most so many times the echo's.
    TimesEcho(f64),
    /// At least so many times the predecessor's.
    TimesPredecessor(f64),
    /// At most so much.
    AtMost(f64),
    /// Shown for orientation.
    None,
}

/// A metric, as the table shows it.
pub(super) struct About {
    pub(super) metric: Metric,
    pub(super) what: &'static str,
    pub(super) unit: &'static str,
    pub(super) goal: Goal,
}

const fn about(metric: Metric, what: &'static str, unit: &'static str, goal: Goal) -> About {
    About { metric, what, unit, goal }
}

/// The table.
pub(super) const ALL: [About; 16] = [
    about(Metric::Start, "start until `initialize` is answered", "ms", Goal::TimesEcho(2.5)),
    about(Metric::Resident, "resident then", "MiB", Goal::AtMost(12.0)),
    about(Metric::ResidentAfterLogin, "resident after the first login", "MiB", Goal::AtMost(24.0)),
    about(Metric::Binary, "the program's file", "MB", Goal::AtMost(30.0)),
    about(Metric::GetMedian, "`get_secret` one at a time, median", "µs", Goal::TimesEcho(1.5)),
    about(Metric::GetTail, "the same, 99th percentile", "µs", Goal::TimesEcho(2.5)),
    about(Metric::ResolveMedian, "`resolve_secret` one at a time, median", "µs", Goal::TimesEcho(1.5)),
    about(Metric::ResolveTail, "the same, 99th percentile", "µs", Goal::TimesEcho(2.5)),
    about(Metric::GetMany, "`get_secret` pipelined", "a second", Goal::TimesPredecessor(2.0)),
    about(Metric::ResolveMany, "`resolve_secret` pipelined", "a second", Goal::TimesPredecessor(2.0)),
    about(Metric::ResidentWithReferences, "resident with 100,000 references", "MiB", Goal::None),
    about(Metric::BytesEach, "each of them", "bytes", Goal::AtMost(200.0)),
    about(Metric::ResidentWithSecrets, "resident with 10,000 secrets", "MiB", Goal::None),
    about(Metric::WakeUps, "wake-ups when idle", "a second", Goal::AtMost(0.0)),
    about(Metric::Instructions, "instructions for a `get_secret`", "thousand", Goal::None),
    about(Metric::Allocations, "allocations for a `get_secret`", "", Goal::None),
];

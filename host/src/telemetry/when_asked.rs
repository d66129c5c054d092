//! A log that is made when there is something to say, which at most starts of a server there is not. To make it takes some
//! forty kilobytes that were not touched before, and a client waits.

use std::sync::OnceLock;

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

/// Stands for a log.
pub(super) struct WhenAsked {
    /// What it lets through at most.
    level: LevelFilter,
    make: fn() -> Log,
    made: OnceLock<Log>,
}

pub(super) type Log = Box<dyn Subscriber + Send + Sync>;

impl WhenAsked {
    pub(super) const fn new(level: LevelFilter, make: fn() -> Log) -> Self {
        Self { level, make, made: OnceLock::new() }
    }

    fn log(&self) -> &Log {
        self.made.get_or_init(self.make)
    }
}

impl Subscriber for WhenAsked {
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.log().register_callsite(metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.log().enabled(metadata)
    }

    fn event_enabled(&self, event: &Event<'_>) -> bool {
        self.log().event_enabled(event)
    }

    fn event(&self, event: &Event<'_>) {
        self.log().event(event);
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        self.log().new_span(attributes)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.log().record(span, values);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.log().record_follows_from(span, follows);
    }

    fn enter(&self, span: &Id) {
        self.log().enter(span);
    }

    fn exit(&self, span: &Id) {
        self.log().exit(span);
    }

    fn clone_span(&self, span: &Id) -> Id {
        self.log().clone_span(span)
    }

    fn try_close(&self, span: Id) -> bool {
        self.log().try_close(span)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;
    use std::time::Duration;

    use super::super::{Lines, log, usual};
    use super::*;
    use crate::telemetry::Memory;

    static MEMORY: LazyLock<Memory> = LazyLock::new(Memory::default);
    static LINES: LazyLock<Lines> = LazyLock::new(|| Lines::to(MEMORY.clone()));

    #[test]
    fn what_is_said_comes_through_and_only_that_makes_a_log() {
        let log = WhenAsked::new(LevelFilter::INFO, || log(usual(), LINES.clone()));
        assert_eq!(log.max_level_hint(), Some(LevelFilter::INFO));
        assert!(log.made.get().is_none());
        tracing::subscriber::with_default(log, || {
            let span = tracing::info_span!(target: "credentials_broker", "within").entered();
            tracing::info!(target: "credentials_broker", "ours");
            tracing::info!(target: "rmcp::service", "theirs");
            tracing::debug!(target: "credentials_broker", "too much");
            drop(span);
        });
        LINES.flush(Duration::from_secs(5));
        let text = MEMORY.text();
        assert!(text.contains("ours") && text.lines().count() == 1, "{text}");
    }
}

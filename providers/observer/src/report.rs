//! Telling what was seen, in every way that a component has.

use credentials_broker_provider::{Failure, Pairs, log, pair};

/// What was seen, each thing once.
#[derive(Default)]
pub(crate) struct Report(Vec<String>);

/// What the broker shows of one line or message.
const LINE: usize = 280;
/// What one pair or note can carry.
const PAIR: usize = 4000;

impl Report {
    pub(crate) fn add(&mut self, from: &str, text: &str) {
        let line = format!("{from}={text}");
        if !text.is_empty() && !self.0.contains(&line) {
            self.0.push(line);
        }
    }

    pub(crate) fn add_some(&mut self, from: &str, text: Option<String>) {
        if let Some(text) = text {
            self.add(from, &text);
        }
    }

    /// As lines of the log.
    pub(crate) fn log(&self) {
        for (line, level) in self.chunks(LINE).iter().zip(["error", "warn", "info", "debug"].into_iter().cycle()) {
            log(level, line);
        }
    }

    /// As pairs, under names that mean nothing to the broker.
    pub(crate) fn pairs(&self) -> Pairs {
        self.chunks(PAIR).into_iter().take(32).enumerate().map(|(index, text)| pair(format!("seen_{index}"), text)).collect()
    }

    /// As a failure.
    pub(crate) fn failure(&self) -> Failure {
        let mut lines = self.chunks(LINE).into_iter();
        let mut failure = Failure::of("observed", lines.next().unwrap_or_default());
        for detail in ["hint", "correlation_id", "subtype", "interval", "retry_after"] {
            failure = failure.detail(detail, lines.next().unwrap_or_default());
        }
        failure
    }

    fn chunks(&self, size: usize) -> Vec<String> {
        let all: Vec<char> = self.0.join(" | ").chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        all.chunks(size).map(|chunk| chunk.iter().collect()).collect()
    }
}

//! The audit trail: who asked for what, why, and what came of it, as one JSON line each on standard error.
//!
//! It names secrets and never holds one. The id of a reference works like a key for whoever has it, so only a short
//! digest is written: enough to see which lines belong together, and to recognise an id that one already has. What
//! comes from the agent is bounded.
//!
//! Recording never waits. When nobody reads standard error, lines are dropped, and the next one that fits says how many.

mod entry;

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::telemetry::Lines;

use entry::bounded;
pub use entry::{Event, Outcome, digest};

/// How long [`Audit::flush`] waits for a reader.
const FLUSH: Duration = Duration::from_millis(200);

/// The trail. Cheap to clone; all clones write to the same place.
#[derive(Clone)]
pub struct Audit(Arc<Inner>);

struct Inner {
    lines: Lines,
    dropped: AtomicU64,
    client: OnceLock<String>,
}

impl Audit {
    /// The trail on standard error.
    #[must_use]
    pub fn stderr() -> Self {
        Self::on(Lines::stderr())
    }

    /// The trail into `writer`.
    #[must_use]
    pub fn to(writer: impl Write + Send + 'static) -> Self {
        Self::on(Lines::to(writer))
    }

    fn on(lines: Lines) -> Self {
        Self(Arc::new(Inner { lines, dropped: AtomicU64::new(0), client: OnceLock::new() }))
    }

    /// Tells who is at the other end of the pipe. Every later line names them; the first word counts, since one process
    /// serves one client.
    pub fn name_client(&self, name: &str, version: &str) {
        let _ = self.0.client.set(bounded(&format!("{} {}", bounded(name, 96), bounded(version, 32)), 128));
    }

    /// Writes one entry, without waiting.
    pub fn record(&self, event: Event<'_>) {
        let dropped = self.0.dropped.swap(0, Ordering::Relaxed);
        let line = event.line(self.0.client.get().map(String::as_str), dropped);
        let written = line.is_some_and(|line| self.0.lines.push(&line));
        if !written {
            self.0.dropped.fetch_add(dropped + 1, Ordering::Relaxed);
        }
    }

    /// Waits until the trail is written, at most for a fifth of a second: at the end of the process.
    pub fn flush(&self) {
        self.0.lines.flush(FLUSH);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use serde_json::Value;

    use super::*;
    use crate::error::Code;
    use crate::telemetry::Memory;

    fn parsed(memory: &Memory) -> Vec<Value> {
        memory.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// More patient than [`Audit::flush`]: a busy machine is no failure.
    fn finish(audit: &Audit) {
        assert!(audit.0.lines.flush(Duration::from_secs(10)));
    }

    #[test]
    fn an_entry_is_one_json_line_with_what_applies_and_nothing_else() {
        let memory = Memory::default();
        let audit = Audit::to(memory.clone());
        audit.name_client("claude-code", "2.1");
        audit.record(Event {
            event: "get_secret",
            secret: Some("github-token"),
            reference: Some("cac1a1a4-7c64-4718-b403-0978e931cd5d"),
            provider: Some("github"),
            purpose: Some("clone the repository"),
            ..Event::default()
        });
        finish(&audit);
        let mut line = parsed(&memory).remove(0);
        let time = line.as_object_mut().unwrap().remove("time").unwrap();
        assert!(humantime::parse_rfc3339(time.as_str().unwrap()).is_ok(), "{time}");
        assert_eq!(line.as_object_mut().unwrap().remove("pid").unwrap(), std::process::id());
        assert_eq!(
            line,
            serde_json::json!({
                "event": "get_secret", "outcome": "ok", "secret": "github-token", "reference": "928c3064af8b",
                "provider": "github", "purpose": "clone the repository", "client": "claude-code 2.1",
            })
        );
    }

    #[test]
    fn the_id_of_a_reference_is_not_written() {
        let memory = Memory::default();
        let audit = Audit::to(memory.clone());
        let id = "cac1a1a4-7c64-4718-b403-0978e931cd5d";
        audit.record(Event { event: "resolve_secret", reference: Some(id), ..Event::default() });
        finish(&audit);
        assert!(memory.text().contains(&digest(id)));
        assert!(!memory.text().contains("cac1a1a4"), "{}", memory.text());
    }

    #[test]
    fn the_agents_text_is_bounded_and_stays_inside_its_line() {
        let memory = Memory::default();
        let audit = Audit::to(memory.clone());
        let purpose = format!("a\",\"outcome\":\"ok\"}}\n{{\u{202e}{}", "x".repeat(100_000));
        audit.name_client(&"n".repeat(100_000), &"v".repeat(100_000));
        audit.record(Event {
            event: "get_secret",
            outcome: Outcome::Refused,
            purpose: Some(&purpose),
            code: Some(Code::UnknownSecret),
            ..Event::default()
        });
        finish(&audit);
        let lines = parsed(&memory);
        assert_eq!(lines.len(), 1);
        assert_eq!((&lines[0]["outcome"], &lines[0]["code"]), (&Value::from("refused"), &Value::from("unknown_secret")));
        assert!(memory.text().len() < 1500, "{}", memory.text().len());
        assert!(!memory.text().contains('\u{202e}'));
    }

    #[test]
    fn the_longest_entry_is_still_whole() {
        for filler in ["\\", "\u{1f600}"] {
            let memory = Memory::default();
            let audit = Audit::to(memory.clone());
            let long = filler.repeat(5000);
            let some = Some(long.as_str());
            audit.name_client(&long, &long);
            audit.record(Event {
                event: &long,
                outcome: Outcome::Failed,
                secret: some,
                reference: some,
                provider: some,
                purpose: some,
                flow: some,
                destination: some,
                process: some,
                uses: Some(u64::MAX),
                code: Some(Code::ComponentRejected),
            });
            finish(&audit);
            assert_eq!(parsed(&memory)[0]["outcome"], "failed", "{}", memory.text());
        }
    }

    /// Keeps everybody waiting until it is opened.
    #[derive(Clone, Default)]
    struct Gate(Arc<(Mutex<bool>, Condvar)>, Memory);

    impl Gate {
        fn open(&self) {
            *self.0.0.lock().unwrap() = true;
            self.0.1.notify_all();
        }
    }

    impl Write for Gate {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |open| !*open).unwrap());
            self.1.write(text)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_was_dropped_is_counted_in_the_next_line_that_fits() {
        let gate = Gate::default();
        let audit = Audit::to(gate.clone());
        for _ in 0..20_000 {
            audit.record(Event { event: "get_secret", ..Event::default() });
        }
        gate.open();
        finish(&audit);
        let fitted = parsed(&gate.1).len() as u64;
        assert!(fitted < 20_000);
        audit.record(Event { event: "last", ..Event::default() });
        audit.record(Event { event: "after", ..Event::default() });
        finish(&audit);
        let lines = parsed(&gate.1);
        assert_eq!(lines[lines.len() - 2]["dropped"], 20_000 - fitted);
        assert_eq!(lines[lines.len() - 1].get("dropped"), None);
    }
}

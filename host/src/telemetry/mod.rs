//! What the broker says of its own doings, for whoever runs it: on standard error, never on standard output, which
//! belongs to the protocol.
//!
//! Only the broker's own modules can be turned up. Its dependencies print whole headers, URLs and messages once asked
//! for more than warnings, and those carry secrets: they stay at `warn` whatever the operator asks for.

mod lines;
mod when_asked;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing::subscriber::set_global_default;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{LevelFilter, Targets, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;

pub use lines::Lines;
#[cfg(test)]
pub(crate) use lines::tests::Memory;
use when_asked::{Log, WhenAsked};

/// The environment variable that says how much is told: `debug`, or `warn,credentials_broker::egress=debug`.
pub const ENV_LOG: &str = "MCP_CREDENTIALS_BROKER_LOG";

/// The root of the targets of our own lines: the library's name, and the binary's.
const OURS: [&str; 2] = ["credentials_broker", "mcp_credentials_broker"];

/// How long the end of the process waits for lines that nobody may be reading.
const FLUSH: Duration = Duration::from_millis(200);

/// Starts logging to standard error, as [`ENV_LOG`] says. A second call changes nothing.
pub fn init() {
    let asked = std::env::var(ENV_LOG).unwrap_or_default();
    if asked.trim().is_empty() {
        let _ = set_global_default(WhenAsked::new(LevelFilter::INFO, || log(usual(), Lines::stderr())));
        return;
    }
    let (filter, understood) = filter(&asked);
    if set_global_default(log(filter, Lines::stderr())).is_ok() && !understood {
        tracing::warn!("{ENV_LOG} is not understood and ignored. Set it to error, warn, info, debug or trace.");
    }
}

/// Waits until what was logged is written, but not for long: at the end of the process.
pub fn flush() {
    Lines::stderr().flush(FLUSH);
}

/// A log of what passes the filter and is fit to print.
fn log(filter: Targets, lines: Lines) -> Log {
    let written = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Writer::new(lines));
    Box::new(tracing_subscriber::registry().with(filter_fn(fit_to_print)).with(filter).with(written))
}

/// What is told where nobody asked for more or less. What the SDK warns of is an agent's message, in its words and whole.
fn usual() -> Targets {
    let theirs = Targets::new().with_default(LevelFilter::WARN).with_target("rmcp", LevelFilter::ERROR);
    theirs.with_targets(OURS.map(|target| (target, LevelFilter::INFO)))
}

/// What the operator asked for, and whether it made sense.
fn filter(asked: &str) -> (Targets, bool) {
    let targets = asked.parse().ok().filter(|_| asked.split(',').all(is_directive));
    targets.map_or_else(|| (usual(), false), |targets| (targets, true))
}

/// Whether it is a level, or gives one to a module. `Targets` takes any other word for a module, and tells only of that.
fn is_directive(text: &str) -> bool {
    let (module, level) = text.split_once('=').unwrap_or(("all", text));
    [module, level].iter().all(|word| !word.trim().is_empty()) && level.trim().parse::<LevelFilter>().is_ok()
}

/// Whether a line of this kind may be printed at all.
fn fit_to_print(line: &Metadata<'_>) -> bool {
    *line.level() <= Level::WARN || is_ours(line.target())
}

fn is_ours(target: &str) -> bool {
    let root = target.split("::").next().unwrap_or_default();
    OURS.contains(&root)
}

/// Where tracing puts its finished lines.
struct Writer {
    lines: Lines,
    dropped: AtomicU64,
}

impl Writer {
    const fn new(lines: Lines) -> Self {
        Self { lines, dropped: AtomicU64::new(0) }
    }
}

impl<'a> MakeWriter<'a> for Writer {
    type Writer = OneLine<'a>;

    fn make_writer(&'a self) -> OneLine<'a> {
        OneLine(self)
    }
}

/// Takes one event's text, which tracing hands over in one piece.
struct OneLine<'a>(&'a Writer);

impl io::Write for OneLine<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let mut line = String::from_utf8_lossy(text).trim_end().to_owned();
        let dropped = self.0.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            line.push_str(&format!(" ({dropped} lines before this one were dropped: nobody read them)"));
        }
        if !self.0.lines.push(&line) {
            self.0.dropped.fetch_add(dropped + 1, Ordering::Relaxed);
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tracing::subscriber::with_default;

    use super::*;

    fn logged(asked: &str, say: impl FnOnce()) -> String {
        let memory = Memory::default();
        let lines = Lines::to(memory.clone());
        let filter = if asked.is_empty() { usual() } else { filter(asked).0 };
        with_default(log(filter, lines.clone()), say);
        lines.flush(Duration::from_secs(5));
        memory.text()
    }

    #[test]
    fn by_default_our_own_news_and_the_warnings_of_others_are_told() {
        let text = logged("", || {
            tracing::info!(target: "credentials_broker::broker", "ours");
            tracing::debug!(target: "credentials_broker::broker", "too much");
            tracing::info!(target: "rmcp::service", "theirs");
            tracing::warn!(target: "hyper::proto", "careful");
            tracing::warn!(target: "rmcp::service", "an agent's own words");
        });
        assert!(text.contains("ours") && text.contains("careful"), "{text}");
        assert!(!text.contains("too much") && !text.contains("theirs") && !text.contains("words"), "{text}");
    }

    #[test]
    fn dependencies_stay_at_warn_whatever_is_asked_for() {
        for asked in ["trace", "rmcp=trace,hyper=trace", "credentials_broker=trace,rmcp::service=debug"] {
            let text = logged(asked, || {
                tracing::debug!(target: "rmcp::service", "arguments: hunter2");
                tracing::info!(target: "hyper::proto", "authorization: hunter2");
                tracing::info!(target: "credentials_brokers", "not us: hunter2");
            });
            assert!(!text.contains("hunter2"), "{asked}: {text}");
        }
    }

    #[test]
    fn our_own_modules_can_be_turned_up() {
        assert!(logged("debug", || tracing::debug!(target: "credentials_broker::egress", "detail")).contains("detail"));
    }

    #[test]
    fn nonsense_is_noticed_and_changes_nothing() {
        for nonsense in ["credentials_broker=loud", "warning", "debug=", "=debug", "warn,verbose"] {
            let (targets, understood) = filter(nonsense);
            assert!(!understood, "{nonsense}");
            assert!(targets.would_enable("credentials_broker", &Level::INFO), "{nonsense}");
        }
        assert!(filter("warn, credentials_broker::egress=debug").1);
    }

    #[test]
    fn a_message_cannot_pretend_to_be_a_line_of_its_own() {
        let text = logged("", || tracing::warn!("a\n{{\"event\":\"get_secret\"}}\r\n\u{1b}[2Jb"));
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}

//! What references cost as they become many.

use anyhow::Result;
use serde_json::{Value, json};

use super::contestants::Contestant;
use super::example::{number, told, verdict};

/// The most bytes that one of a hundred thousand may take.
const GOAL: f64 = 200.0;
/// How many times as long the next may take where there are a million.
const SLOWER: f64 = 2.0;

pub(super) struct Figures(Value);

pub(super) fn measure(broker: &Contestant) -> Result<Figures> {
    let told = told("references", broker.program())?;
    for name in ["same_bytes", "other_bytes", "million_bytes", "first_ns", "last_ns", "longest_us"] {
        number(&told, name)?;
    }
    Ok(Figures(told))
}

impl Figures {
    fn get(&self, name: &str) -> f64 {
        number(&self.0, name).unwrap_or_default()
    }

    fn small(&self) -> bool {
        self.get("same_bytes") <= GOAL
    }

    fn slower(&self) -> f64 {
        self.get("last_ns") / self.get("first_ns")
    }

    pub(super) fn section(&self) -> String {
        format!(
            "## References\n\n\
             | what | figure | goal | |\n|---|--:|---|---|\n\
             | 100,000 references, each | {:.0} bytes | at most {GOAL:.0} bytes | {} |\n\
             | 100,000 with purposes of which no two are the same, each | {:.0} bytes | | |\n\
             | a million references, each | {:.0} bytes | | |\n\
             | one more where there is none, median | {:.2} µs | | |\n\
             | one more where there are a million, median | {:.2} µs ({:.2}×) | at most {SLOWER}× | {} |\n\
             | the longest of the last 100,000 | {:.0} µs | | |\n\n\
             `get_secret` of the broker as a library (`host/examples/references.rs`): no pipe, no JSON. *Bytes*: what the resident\n\
             memory of the process grew by. The longest is what the machine makes of it; which work a call may have to do is\n\
             counted in a test.\n",
            self.get("same_bytes"),
            verdict(self.small()),
            self.get("other_bytes"),
            self.get("million_bytes"),
            self.get("first_ns") / 1e3,
            self.get("last_ns") / 1e3,
            self.slower(),
            verdict(self.slower() <= SLOWER),
            self.get("longest_us"),
        )
    }

    pub(super) fn json(&self) -> Value {
        json!({ "figures": self.0, "slower": self.slower(), "goal_bytes_met": self.small(), "goal_slower_met": self.slower() <= SLOWER })
    }
}

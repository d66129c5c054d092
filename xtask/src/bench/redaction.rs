//! How fast a thousand secrets are taken out of text.

use anyhow::Result;
use serde_json::{Value, json};

use super::contestants::Contestant;
use super::example::{number, told, verdict};

/// What must be redacted in a second, in megabytes.
const GOAL: f64 = 200.0;

pub(super) struct Figures(Value);

pub(super) fn measure(broker: &Contestant) -> Result<Figures> {
    let told = told("redactor", broker.program())?;
    for name in ["answers_mb_s", "base64_mb_s", "stream_mb_s", "message_us", "made_ms", "secrets"] {
        number(&told, name)?;
    }
    Ok(Figures(told))
}

impl Figures {
    fn get(&self, name: &str) -> f64 {
        number(&self.0, name).unwrap_or_default()
    }

    fn is_met(&self) -> bool {
        self.get("answers_mb_s") >= GOAL
    }

    pub(super) fn section(&self) -> String {
        format!(
            "## Redaction\n\n\
             | with {:.0} live secrets, in all their encodings | figure | goal | |\n|---|--:|---|---|\n\
             | 10 MB of JSON, as APIs answer | {:.0} MB/s | at least {GOAL:.0} MB/s | {} |\n\
             | the same in chunks of 64 KiB, as a pipe brings it | {:.0} MB/s | | |\n\
             | 10 MB of base64 without a secret | {:.0} MB/s | | |\n\
             | a message of 4 KiB | {:.1} µs | | |\n\
             | making the redactor | {:.1} ms | | |\n\n\
             The JSON has a secret in every hundred kilobytes, the secrets are of the forms that tokens have. In base64 any four\n\
             characters may begin the encoding of some secret, so more places are looked at closely. The redactor is made anew only\n\
             where a secret was added or changed. `cargo bench --bench redaction` says more.\n",
            self.get("secrets"),
            self.get("answers_mb_s"),
            verdict(self.is_met()),
            self.get("stream_mb_s"),
            self.get("base64_mb_s"),
            self.get("message_us"),
            self.get("made_ms"),
        )
    }

    pub(super) fn json(&self) -> Value {
        json!({ "figures": self.0, "goal_mb_s": GOAL, "goal_met": self.is_met() })
    }
}

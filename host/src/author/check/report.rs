//! What came of a check.

use std::fmt::Write as _;

use serde::Serialize;

/// How one part of a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it must be.
    Passed,
    /// Not as it must be.
    Failed,
    /// Not played: the component does not claim it.
    Skipped,
    /// Nothing wrong, but worth a look.
    Note,
}

/// One part of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable word, such as `refresh` or `no-refresh-token`.
    pub id: &'static str,
    /// How it ended.
    pub verdict: Verdict,
    /// What was played, in one sentence.
    pub what: &'static str,
    /// What was seen.
    pub seen: String,
    /// What to change, where something is to be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
}

/// The whole check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The provider's name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the component, in hex.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// All parts, in the order of playing.
    pub findings: Vec<Finding>,
}

impl Report {
    /// How many parts ended so.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == verdict).count()
    }

    /// Whether nothing failed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.count(Verdict::Failed) == 0
    }

    /// For a person.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out =
            format!("{} ({}) {}, {} bytes, sha256 {}\n\n", self.title, self.name, self.version, self.bytes, self.sha256);
        for finding in &self.findings {
            let verdict = match finding.verdict {
                Verdict::Passed => "passed",
                Verdict::Failed => "FAILED",
                Verdict::Skipped => "-     ",
                Verdict::Note => "note  ",
            };
            let _ = writeln!(out, "{verdict}  {:17} {}", finding.id, finding.what);
            if finding.verdict != Verdict::Passed {
                let _ = writeln!(out, "{:26}{}", "", finding.seen);
            }
            if let Some(change) = &finding.change {
                let _ = writeln!(out, "{:26}To change: {change}", "");
            }
        }
        let _ = writeln!(
            out,
            "\n{} passed, {} failed, {} not claimed.",
            self.count(Verdict::Passed),
            self.count(Verdict::Failed),
            self.count(Verdict::Skipped)
        );
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_was_seen_and_what_to_change() {
        let finding = |id, verdict, change: Option<&str>| Finding {
            id,
            verdict,
            what: "a login",
            seen: "it was so".to_owned(),
            change: change.map(str::to_owned),
        };
        let report = Report {
            name: "acme".to_owned(),
            title: "Acme".to_owned(),
            version: "1".to_owned(),
            sha256: "00".to_owned(),
            bytes: 7,
            findings: vec![
                finding("sign-in", Verdict::Passed, None),
                finding("refresh", Verdict::Failed, Some("Do it otherwise.")),
                finding("device", Verdict::Skipped, None),
            ],
        };
        assert!(!report.passed());
        insta::assert_snapshot!(report.text(), @r"
        Acme (acme) 1, 7 bytes, sha256 00

        passed  sign-in           a login
        FAILED  refresh           a login
                                  it was so
                                  To change: Do it otherwise.
        -       device            a login
                                  it was so

        1 passed, 1 failed, 1 not claimed.
        ");
    }
}

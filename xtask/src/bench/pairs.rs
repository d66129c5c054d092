//! The same work with the broker in between and without it, turn by turn: what the way costs.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::figures::median;
use super::report::told;

/// One line of the table.
pub(super) struct Pair {
    pub(super) what: &'static str,
    /// The medians of the turns, in microseconds.
    with: Vec<f64>,
    without: Vec<f64>,
    /// How many times as long it may take, where there is a goal.
    goal: Option<f64>,
}

impl Pair {
    pub(super) const fn new(what: &'static str, goal: Option<f64>) -> Self {
        Self { what, with: Vec::new(), without: Vec::new(), goal }
    }

    /// Of medians that were taken elsewhere.
    pub(super) const fn of(what: &'static str, goal: Option<f64>, with: Vec<f64>, without: Vec<f64>) -> Self {
        Self { what, with, without, goal }
    }

    /// A turn of each.
    pub(super) fn add(&mut self, with: &[Duration], without: &[Duration]) {
        let middle = |times: &[Duration]| median(times.iter().map(|time| time.as_secs_f64() * 1e6));
        self.with.extend(middle(with));
        self.without.extend(middle(without));
    }

    /// The median of the turns' ratios: what disturbs a turn disturbs both of it.
    pub(super) fn ratio(&self) -> Option<f64> {
        median(self.with.iter().zip(&self.without).map(|(with, without)| with / without))
    }

    fn is_met(&self) -> Option<bool> {
        Some(self.ratio()? <= self.goal?)
    }

    pub(super) fn json(&self) -> Value {
        json!({ "what": self.what, "with_us": self.with, "without_us": self.without, "ratio": self.ratio(), "goal_met": self.is_met() })
    }
}

/// The section: the table, and what it means.
pub(super) fn section(pairs: &[Pair]) -> String {
    format!(
        "## With the broker in between\n\nThe same calls to the same kind of process, with the broker in between and without it, one at a time and in\n\
         turns. The ratio is the median of the rounds' ratios.\n\n{}",
        table(pairs)
    )
}

/// The table; nothing where nothing was measured.
fn table(pairs: &[Pair]) -> String {
    let mut table =
        String::from("| median, µs | with the broker | without | with ÷ without | goal | |\n|---|--:|--:|--:|---|---|\n");
    for pair in pairs {
        let (Some(with), Some(without), Some(ratio)) =
            (median(pair.with.iter().copied()), median(pair.without.iter().copied()), pair.ratio())
        else {
            continue;
        };
        let goal = pair.goal.map_or_else(|| "none".to_owned(), |goal| format!("at most {goal}×"));
        let met = match pair.is_met() {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "",
        };
        let _ = writeln!(table, "| {} | {} | {} | {ratio:.2}× | {goal} | {met} |", pair.what, told(with), told(without));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_judged_by_the_median_of_its_turns() {
        let micros = |count| vec![Duration::from_micros(count); 3];
        let mut pair = Pair::new("x", Some(1.2));
        for (with, without) in [(110, 100), (1100, 1000), (300, 100)] {
            pair.add(&micros(with), &micros(without));
        }
        assert!((pair.ratio().unwrap() - 1.1).abs() < 1e-9);
        assert_eq!(pair.is_met(), Some(true));
        assert!(table(&[pair]).contains("| 1.10× | at most 1.2× | met |"));
        assert_eq!(Pair::new("y", Some(1.0)).is_met(), None);
    }
}

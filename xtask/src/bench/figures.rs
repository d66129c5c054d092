//! What the measurements come to: medians over the rounds, ratios, and whether a goal is met.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::contestants::{BROKER, ECHO, NAMES, NPM};
use super::metrics::{ALL, About, Goal, Metric};

/// What one contestant came to in one round, or in the only one there was.
pub(super) type Turn = BTreeMap<Metric, f64>;

/// All turns of all contestants.
#[derive(Default)]
pub(super) struct Figures(BTreeMap<&'static str, Vec<Turn>>);

impl Figures {
    /// Takes a turn in.
    pub(super) fn add(&mut self, contestant: &'static str, turn: Turn) {
        self.0.entry(contestant).or_default().push(turn);
    }

    fn turns(&self, contestant: &str, metric: Metric) -> Vec<f64> {
        let turns = self.0.get(contestant).into_iter().flatten();
        turns.filter_map(|turn| turn.get(&metric).copied()).collect()
    }

    /// The median of the rounds: one bad round does not count.
    pub(super) fn of(&self, contestant: &str, metric: Metric) -> Option<f64> {
        median(self.turns(contestant, metric).into_iter())
    }

    /// How many times the other's the broker's is: the median of the rounds' ratios, since what disturbs a round disturbs
    /// everybody in it.
    pub(super) fn ratio(&self, metric: Metric, other: &str) -> Option<f64> {
        let (ours, theirs) = (self.turns(BROKER, metric), self.turns(other, metric));
        median(ours.iter().zip(&theirs).filter(|(_, theirs)| **theirs != 0.0).map(|(ours, theirs)| ours / theirs))
    }

    /// Whether the goal is met, where there is one and it was measured.
    pub(super) fn is_met(&self, about: &About) -> Option<bool> {
        match about.goal {
            Goal::TimesEcho(most) => Some(self.ratio(about.metric, ECHO)? <= most),
            Goal::TimesPredecessor(least) => Some(self.ratio(about.metric, NPM)? >= least),
            Goal::AtMost(most) => Some(self.of(BROKER, about.metric)? <= most),
            Goal::None => None,
        }
    }

    /// Everything that was measured, per round.
    pub(super) fn json(&self) -> Value {
        let row = |about: &About| {
            let of = |name: &'static str| (name.to_owned(), json!(self.turns(name, about.metric)));
            json!({
                "what": about.what, "unit": about.unit, "rounds": NAMES.map(of).into_iter().collect::<serde_json::Map<_, _>>(),
                "times_predecessor": self.ratio(about.metric, NPM), "times_echo": self.ratio(about.metric, ECHO),
                "goal": about.goal.told(), "goal_met": self.is_met(about),
            })
        };
        ALL.iter().map(row).collect()
    }
}

impl Goal {
    /// In words.
    pub(super) fn told(self) -> String {
        match self {
            Self::TimesEcho(most) => format!("at most {most} × echo"),
            Self::TimesPredecessor(least) => format!("at least {least} × predecessor"),
            Self::AtMost(most) => format!("at most {most}"),
            Self::None => String::new(),
        }
    }
}

/// The middle one, or between the two middle ones.
pub(super) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

/// The value that 99 of 100 do not exceed.
pub(super) fn tail(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get((values.len() * 99).div_ceil(100).checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(metric: Metric, broker: [f64; 3], npm: [f64; 3], echo: [f64; 3]) -> Figures {
        let mut figures = Figures::default();
        for (name, rounds) in [(BROKER, broker), (NPM, npm), (ECHO, echo)] {
            rounds.into_iter().for_each(|value| figures.add(name, Turn::from([(metric, value)])));
        }
        figures
    }

    fn about(metric: Metric) -> &'static About {
        ALL.iter().find(|about| about.metric == metric).unwrap()
    }

    #[test]
    fn the_median_is_in_the_middle_and_the_tail_near_the_end() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
        assert_eq!(tail((1..=1000).map(f64::from)), Some(990.0));
        assert_eq!((tail([5.0].into_iter()), tail(std::iter::empty())), (Some(5.0), None));
    }

    #[test]
    fn a_goal_is_judged_by_the_median_of_the_rounds_ratios() {
        // the second round was disturbed for everybody, the third for the broker alone
        let near = figures(Metric::GetMedian, [150.0, 1500.0, 900.0], [90.0; 3], [100.0, 1000.0, 100.0]);
        assert_eq!(near.ratio(Metric::GetMedian, ECHO), Some(1.5));
        assert_eq!(near.is_met(about(Metric::GetMedian)), Some(true));
        let far = figures(Metric::GetMedian, [151.0; 3], [90.0; 3], [100.0; 3]);
        assert_eq!(far.is_met(about(Metric::GetMedian)), Some(false));
        let many = |broker| figures(Metric::GetMany, [broker; 3], [25.0; 3], [900.0; 3]).is_met(about(Metric::GetMany));
        assert_eq!((many(50.0), many(49.0)), (Some(true), Some(false)));
        let resident = |broker| figures(Metric::Resident, [broker; 3], [60.0; 3], [2.0; 3]).is_met(about(Metric::Resident));
        assert_eq!((resident(12.0), resident(12.1)), (Some(true), Some(false)));
    }

    #[test]
    fn what_was_not_measured_is_neither_met_nor_missed() {
        let figures = Figures::default();
        assert!(ALL.iter().all(|about| figures.is_met(about).is_none() && figures.of(BROKER, about.metric).is_none()));
    }
}

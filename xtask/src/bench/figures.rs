//! What the measurements come to: medians, ratios, and whether a goal is met.

use std::time::Duration;

use serde_json::{Value, json};

use super::contestants::{BROKER, ECHO, NPM};

/// One turn of one contestant.
pub(super) struct Round {
    pub(super) starts: Vec<Duration>,
    pub(super) resident_kib: Option<u64>,
    pub(super) calls: Vec<Duration>,
}

/// All turns of one contestant.
pub(super) struct Figures {
    pub(super) name: &'static str,
    pub(super) rounds: Vec<Round>,
}

/// One line of the table. Less is better in all of them.
pub(super) struct Row {
    pub(super) what: &'static str,
    pub(super) unit: &'static str,
    pub(super) broker: f64,
    pub(super) npm: f64,
    pub(super) echo: f64,
    goal: Goal,
}

/// What the broker should come to beside its predecessor.
enum Goal {
    /// At least so many times less.
    TimesLess(f64),
    /// No more.
    NoMore,
}

impl Figures {
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, rounds: Vec::new() }
    }

    fn start_ms(&self) -> Option<f64> {
        median(self.rounds.iter().flat_map(|round| &round.starts).map(|start| start.as_secs_f64() * 1e3))
    }

    fn resident_mib(&self) -> Option<f64> {
        median(self.rounds.iter().filter_map(|round| round.resident_kib).map(|kib| kib as f64 / 1024.0))
    }

    /// The median of the rounds' medians: one bad round does not count.
    fn call_us(&self) -> Option<f64> {
        median(self.rounds.iter().filter_map(|round| median(round.calls.iter().map(|call| call.as_secs_f64() * 1e6))))
    }

    /// Everything that was measured, per round.
    pub(super) fn json(&self) -> Value {
        let micros = |times: &[Duration]| times.iter().map(|time| time.as_micros() as u64).collect::<Vec<_>>();
        let rounds = self.rounds.iter().map(|round| {
            json!({
                "start_us": micros(&round.starts),
                "resident_kib": round.resident_kib,
                "get_secret_median_us": median(round.calls.iter().map(|call| call.as_secs_f64() * 1e6)),
            })
        });
        json!({ "name": self.name, "rounds": rounds.collect::<Vec<_>>() })
    }
}

impl Row {
    /// How many times less the broker needs than the predecessor.
    pub(super) fn times_less(&self) -> f64 {
        self.npm / self.broker
    }

    /// How many times more than the echo.
    pub(super) fn times_echo(&self) -> f64 {
        self.broker / self.echo
    }

    pub(super) fn goal(&self) -> String {
        match self.goal {
            Goal::TimesLess(times) => format!("{times:.0}× less than the predecessor"),
            Goal::NoMore => "no more than the predecessor".to_owned(),
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "what": self.what, "unit": self.unit, "broker": self.broker, "predecessor": self.npm, "echo": self.echo,
            "predecessor_to_broker": self.times_less(), "broker_to_echo": self.times_echo(), "goal_met": self.is_met(),
        })
    }

    pub(super) fn is_met(&self) -> bool {
        let wanted = match self.goal {
            Goal::TimesLess(times) => times,
            Goal::NoMore => 1.0,
        };
        self.times_less() >= wanted
    }
}

/// The table. A row that could not be measured here is left out.
pub(super) fn rows(figures: &[Figures]) -> Vec<Row> {
    let row = |what, unit, goal, figure: fn(&Figures) -> Option<f64>| {
        let of = |name| figures.iter().find(|figures| figures.name == name).and_then(figure);
        Some(Row { what, unit, goal, broker: of(BROKER)?, npm: of(NPM)?, echo: of(ECHO)? })
    };
    let rows = [
        row("start until `initialize` is answered", "ms", Goal::TimesLess(20.0), Figures::start_ms),
        row("resident memory then", "MiB", Goal::TimesLess(3.0), Figures::resident_mib),
        row("`get_secret`, one at a time", "µs", Goal::NoMore, Figures::call_us),
    ];
    rows.into_iter().flatten().collect()
}

/// The middle one, or between the two middle ones.
pub(super) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(name: &'static str, start_ms: u64, kib: Option<u64>, call_us: u64) -> Figures {
        let round = |extra| Round {
            starts: vec![Duration::from_millis(start_ms + extra)],
            resident_kib: kib,
            calls: vec![Duration::from_micros(call_us), Duration::from_micros(call_us + extra)],
        };
        Figures { name, rounds: vec![round(0), round(1000), round(0)] }
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }

    #[test]
    fn a_goal_is_met_or_missed_by_the_ratio() {
        let npm = || figures(NPM, 200, Some(60 * 1024), 90);
        let echo = || figures(ECHO, 1, Some(2048), 50);
        let met = rows(&[figures(BROKER, 10, Some(20 * 1024), 90), npm(), echo()]);
        assert!(met.iter().all(Row::is_met));
        assert_eq!(met.iter().map(Row::times_less).collect::<Vec<_>>(), [20.0, 3.0, 1.0]);
        let missed = rows(&[figures(BROKER, 11, Some(21 * 1024), 91), npm(), echo()]);
        assert!(!missed.iter().any(Row::is_met));
    }

    #[test]
    fn what_the_system_does_not_tell_is_left_out() {
        let all = [figures(BROKER, 1, None, 1), figures(NPM, 1, None, 1), figures(ECHO, 1, None, 1)];
        assert_eq!(rows(&all).iter().map(|row| row.unit).collect::<Vec<_>>(), ["ms", "µs"]);
    }
}

//! One picture of the figures that people ask for first, as SVG.

use std::fmt::Write as _;

use super::contestants::{BROKER, NAMES};
use super::figures::Figures;
use super::metrics::{ALL, Metric};
use super::report::told;

/// What is in the picture, with what is good.
const PANELS: [(Metric, &str); 4] = [
    (Metric::Start, "start, ms (less is better)"),
    (Metric::Resident, "resident at start, MiB (less is better)"),
    (Metric::GetMedian, "get_secret, one at a time, µs (less is better)"),
    (Metric::GetMany, "get_secret, pipelined, a second (more is better)"),
];
const WIDTH: f64 = 760.0;
/// Where bars begin, and how long the longest is.
const LEFT: f64 = 130.0;
const LONGEST: f64 = 520.0;
const BAR: f64 = 18.0;

/// Draws it. What was not measured is left out.
pub(super) fn draw(figures: &Figures) -> String {
    let mut body = String::new();
    let mut y = 8.0;
    for (metric, title) in PANELS {
        let measured: Vec<(&str, f64)> = NAMES.into_iter().filter_map(|name| Some((name, figures.of(name, metric)?))).collect();
        // The echo does no work: where many calls are counted it would make all other bars vanish.
        let is_many = ALL.iter().any(|about| about.metric == metric && about.unit == "a second");
        let shown = measured.iter().filter(|(name, _)| !is_many || *name != super::contestants::ECHO);
        let most = shown.clone().map(|(_, value)| *value).fold(0.0, f64::max);
        if most <= 0.0 {
            continue;
        }
        y += 20.0;
        let _ = writeln!(body, r#"<text x="8" y="{y}" class="title">{title}</text>"#);
        y += 8.0;
        for (name, value) in shown {
            let (length, class) = (value / most * LONGEST, if *name == BROKER { "ours" } else { "theirs" });
            let (base, after) = (y + 13.0, LEFT + length.max(1.0) + 6.0);
            let _ = writeln!(
                body,
                r#"<text x="{}" y="{base}" class="name">{name}</text><rect x="{LEFT}" y="{y}" width="{:.1}" height="14" class="{class}"/><text x="{after:.1}" y="{base}">{}</text>"#,
                LEFT - 8.0,
                length.max(1.0),
                told(*value),
            );
            y += BAR;
        }
        y += 8.0;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" width=\"{WIDTH}\" height=\"{y}\" role=\"img\" aria-label=\"The broker beside others; the figures are in benchmarks.md\">\n\
         <style>text{{font:12px sans-serif;fill:#444}}.title{{font-weight:bold}}.name{{text-anchor:end}}.ours{{fill:#2b6cb0}}.theirs{{fill:#a0aec0}}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{body}</svg>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::super::contestants::{ECHO, NPM};
    use super::super::figures::Turn;
    use super::*;

    #[test]
    fn the_longest_bar_is_the_largest_figure_and_the_others_are_in_proportion() {
        let mut figures = Figures::default();
        for (name, start) in [(BROKER, 5.0), (NPM, 200.0)] {
            figures.add(name, Turn::from([(Metric::Start, start)]));
        }
        figures.add(ECHO, Turn::from([(Metric::GetMany, 900_000.0)]));
        let drawn = draw(&figures);
        assert!(drawn.contains(r#"width="520.0" height="14" class="theirs""#), "{drawn}");
        assert!(drawn.contains(r#"width="13.0" height="14" class="ours""#), "{drawn}");
        assert!(!drawn.contains("pipelined"), "a panel of nothing but the echo says nothing");
    }
}

//! A panel for each policy: the band from the emptiest endpoint to the fullest, over time.

use std::fmt::Write;

use super::samples::Samples;
use crate::compare::plot::{FONT, Theme, escape};

/// The whole file.
pub(super) fn svg(title: &str, samples: &Samples, theme: &Theme) -> String {
    let policies = samples.policies();
    let rows = policies.len().div_ceil(COLUMNS);
    let height = TOP + ROW * rows as f64 + BOTTOM;
    let title = escape(title);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\" \
         font-family=\"{FONT}\" font-size=\"13\">\n\
         <text x=\"{MARGIN}\" y=\"24\" font-size=\"16\" font-weight=\"600\" fill=\"{}\">{title}</text>\n\
         <text x=\"{MARGIN}\" y=\"44\" fill=\"{}\">live tunnels for its weight of the fullest and the \
         emptiest endpoint, as times of the mean; 1 on the time axis is the mean life of a \
         tunnel</text>\n",
        theme.text, theme.muted
    );
    for (index, policy) in policies.into_iter().enumerate() {
        let left = MARGIN + (index % COLUMNS) as f64 * COLUMN + LABELS;
        let top = TOP + (index / COLUMNS) as f64 * ROW + HEAD;
        svg += &Panel { left, top, theme }.draw(policy, samples);
    }
    svg + "</svg>\n"
}

struct Panel<'a> {
    left: f64,
    top: f64,
    theme: &'a Theme,
}

// ===== impl Panel =====

impl Panel<'_> {
    fn draw(&self, policy: &str, samples: &Samples) -> String {
        let Self { left, top, theme } = self;
        let (right, bottom) = (left + PANEL.0, top + PANEL.1);
        let x = |time: f64| left + PANEL.0 * time / samples.end();
        let y = |load: f64| bottom - PANEL.1 * load.min(MOST) / MOST;
        let mut svg = String::new();
        let (text, muted, grid) = (theme.text, theme.muted, theme.grid);
        let title = escape(policy);
        let _ = writeln!(
            svg,
            "<text x=\"{left:.1}\" y=\"{:.1}\" font-weight=\"600\" fill=\"{text}\">{title}</text>",
            top - 22.0
        );
        for load in [0.0, 0.5, 1.0, 1.5, MOST] {
            let at = y(load);
            let _ = writeln!(
                svg,
                "<line x1=\"{left:.1}\" y1=\"{at:.1}\" x2=\"{right:.1}\" y2=\"{at:.1}\" \
                 stroke=\"{grid}\" stroke-opacity=\"0.6\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"11\" text-anchor=\"end\" \
                 fill=\"{muted}\">{load}</text>",
                left - 6.0,
                at + 4.0
            );
        }
        for phase in samples.phases() {
            let at = x(phase.begin);
            let name = escape(&phase.name);
            let _ = writeln!(
                svg,
                "<line x1=\"{at:.1}\" y1=\"{:.1}\" x2=\"{at:.1}\" y2=\"{bottom:.1}\" \
                 stroke=\"{grid}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"11\" fill=\"{muted}\">{name}</text>",
                top - 4.0,
                at + 4.0,
                top - 6.0
            );
        }
        let point = |time: f64, load: f64| format!("{:.1} {:.1}", x(time), y(load));
        let line = |points: &[String]| points.join("L");
        let fullest = samples.of(policy).map(|s| point(s.time, s.fullest));
        let fullest: Vec<_> = fullest.collect();
        let emptiest = samples.of(policy).map(|s| point(s.time, s.emptiest));
        let mut emptiest: Vec<_> = emptiest.collect();
        let (upper, lower) = (line(&fullest), line(&emptiest));
        emptiest.reverse();
        let (back, ours) = (line(&emptiest), theme.ours);
        let _ = writeln!(
            svg,
            "<path d=\"M{upper}L{back}Z\" fill=\"{ours}\" fill-opacity=\"0.2\"/>\
             <path d=\"M{upper}M{lower}\" stroke=\"{ours}\" stroke-width=\"1.5\" fill=\"none\"/>"
        );
        for time in 0..=(samples.end() + 0.1) as u32 {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"11\" text-anchor=\"middle\" \
                 fill=\"{muted}\">{time}</text>",
                x(f64::from(time)).min(right),
                bottom + 16.0
            );
        }
        svg
    }
}

const WIDTH: f64 = 840.0;
const MARGIN: f64 = 16.0;
const COLUMNS: usize = 2;
const COLUMN: f64 = 408.0;
/// Room for the figures beside a panel.
const LABELS: f64 = 30.0;
/// Room for a panel's title, and the names of the phases.
const HEAD: f64 = 44.0;
const PANEL: (f64, f64) = (360.0, 120.0);
const ROW: f64 = 196.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 8.0;
/// What is fuller is drawn at the upper edge.
const MOST: f64 = 2.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::plot::{DARK, LIGHT};

    fn picture(theme: &Theme) -> String {
        let csv = "policy,phase,time,fullest,emptiest\n\
                   a,steady,0,1.5,0.5\na,two more,1,7,0\nb,steady,0,1,1\nb,two more,1,1,1\n";
        svg("A & B", &Samples::parse(csv).unwrap(), theme)
    }

    #[test]
    fn every_policy_has_a_panel_with_its_phases() {
        let svg = picture(&LIGHT);
        assert!(svg.contains(">A &amp; B</text>"), "{svg}");
        assert_eq!(svg.matches(">two more</text>").count(), 2);
        assert_eq!(svg.matches("fill-opacity=\"0.2\"").count(), 2);
        assert!(picture(&DARK).contains(DARK.ours));
    }

    #[test]
    fn the_band_is_between_the_emptiest_and_the_fullest() {
        let svg = picture(&LIGHT);
        // Half a mean is a quarter of the panel; what is beyond the edge stays on it.
        let (left, top) = (MARGIN + LABELS, TOP + HEAD);
        let (right, bottom) = (left + PANEL.0, top + PANEL.1);
        let upper = format!("M{left:.1} {:.1}L{right:.1} {top:.1}", top + PANEL.1 / 4.0);
        let lower = format!(
            "M{left:.1} {:.1}L{right:.1} {bottom:.1}",
            bottom - PANEL.1 / 4.0
        );
        assert!(
            svg.contains(&upper) && svg.contains(&lower),
            "{upper} {lower}\n{svg}"
        );
    }
}

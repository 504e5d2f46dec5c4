//! Bars as SVG: one for each peer, the best at the top, whiskers from the least to the most of its rounds.
//!
//! The colours are those of GitHub's light and dark pages, on which the pictures are transparent; text is
//! set in the reader's own font.

use std::fmt::Write;

use super::measures::{Spread, figure};

/// A chart of one measure.
#[derive(Debug)]
pub(crate) struct Chart {
    pub(crate) title: String,
    /// What the bars are, and which end is good.
    pub(crate) subtitle: String,
    pub(crate) unit: &'static str,
    /// From the top down.
    pub(crate) bars: Vec<Bar>,
}

#[derive(Debug)]
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) spread: Spread,
    /// A multiple of the baseline, where there is one.
    pub(crate) ratio: Option<f64>,
    pub(crate) ours: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Theme {
    /// In the name of the file.
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
    pub(crate) muted: &'static str,
    pub(crate) grid: &'static str,
    pub(crate) ours: &'static str,
    other: &'static str,
    whisker: &'static str,
}

pub(crate) const LIGHT: Theme = Theme {
    name: "light",
    text: "#1f2328",
    muted: "#59636e",
    grid: "#d1d9e0",
    ours: "#0969da",
    other: "#b6c2cf",
    whisker: "#424a53",
};

pub(crate) const DARK: Theme = Theme {
    name: "dark",
    text: "#f0f6fc",
    muted: "#9198a1",
    grid: "#3d444d",
    ours: "#4493f8",
    other: "#525c66",
    whisker: "#c8d1da",
};

// ===== impl Chart =====

impl Chart {
    /// The whole file.
    pub(crate) fn svg(&self, theme: &Theme) -> String {
        let labels = self.bars.iter().map(|bar| text_width(&bar.label));
        let left = MARGIN + labels.fold(0.0, f64::max) + GAP;
        let values = self.bars.iter().map(|bar| text_width(&self.value(bar)));
        let right = WIDTH - MARGIN - values.fold(0.0, f64::max) - GAP;
        let (step, last) = scale(
            self.bars
                .iter()
                .map(|bar| bar.spread.max)
                .fold(0.0, f64::max),
        );
        let x = |value: f64| left + (right - left) * value.max(0.0) / last;
        let bottom = TOP + ROW * self.bars.len() as f64;
        let height = bottom + AXIS;

        let mut svg = String::new();
        let mut line = |text: String| {
            svg.push_str(&text);
            svg.push('\n');
        };
        line(format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{}" font-family="{FONT}" font-size="13">"#,
            escape(&self.title)
        ));
        line(format!(
            r#"<text x="{MARGIN}" y="24" font-size="16" font-weight="600" fill="{}">{}</text>"#,
            theme.text,
            escape(&self.title)
        ));
        line(format!(
            r#"<text x="{MARGIN}" y="44" fill="{}">{}</text>"#,
            theme.muted,
            escape(&self.subtitle)
        ));
        let ticks = (0..).map(|tick| step * f64::from(tick));
        for tick in ticks.take_while(|tick| *tick <= last + step / 2.0) {
            let (at, top) = (x(tick), TOP - 4.0);
            line(format!(
                r#"<line x1="{at:.1}" y1="{top}" x2="{at:.1}" y2="{bottom}" stroke="{}" stroke-opacity="0.6"/>"#,
                theme.grid
            ));
            let label = tick_label(tick, step);
            line(format!(
                r#"<text x="{at:.1}" y="{}" font-size="11" text-anchor="middle" fill="{}">{label}</text>"#,
                bottom + 16.0,
                theme.muted
            ));
        }
        for (index, bar) in self.bars.iter().enumerate() {
            line(self.bar(bar, TOP + ROW * index as f64, x, theme));
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn bar(&self, bar: &Bar, top: f64, x: impl Fn(f64) -> f64, theme: &Theme) -> String {
        let Spread { median, min, max } = bar.spread;
        let (zero, end) = (x(0.0), x(median));
        let (fill, weight) = if bar.ours {
            (theme.ours, 600)
        } else {
            (theme.other, 400)
        };
        let (middle, baseline) = (top + ROW / 2.0, top + ROW / 2.0 + 4.5);
        let mut svg = String::new();
        let _ = write!(
            svg,
            r#"<text x="{:.1}" y="{baseline}" text-anchor="end" font-weight="{weight}" fill="{}">{}</text>"#,
            zero - GAP,
            theme.text,
            escape(&bar.label)
        );
        let (y, thick) = (middle - BAR / 2.0, BAR);
        let _ = write!(
            svg,
            r#"<rect x="{zero:.1}" y="{y}" width="{:.1}" height="{thick}" rx="2" fill="{fill}"/>"#,
            (end - zero).max(1.0)
        );
        let (from, to) = (x(min), x(max));
        // A whisker of less than a pixel is a blot.
        if to - from >= 1.5 {
            let (upper, lower) = (middle - 4.0, middle + 4.0);
            let _ = write!(
                svg,
                r#"<path d="M{from:.1} {upper}V{lower}M{from:.1} {middle}H{to:.1}M{to:.1} {upper}V{lower}" stroke="{}" stroke-width="1.2" fill="none"/>"#,
                theme.whisker
            );
        }
        let _ = write!(
            svg,
            r#"<text x="{:.1}" y="{baseline}" font-weight="{weight}" fill="{}">{}</text>"#,
            to.max(end) + GAP,
            theme.text,
            escape(&self.value(bar))
        );
        svg
    }

    /// What stands behind a bar.
    fn value(&self, bar: &Bar) -> String {
        let value = format!("{} {}", figure(bar.spread.median), self.unit);
        match bar.ratio {
            Some(ratio) => format!("{} · {ratio:.2}×", value.trim_end()),
            None => value.trim_end().to_owned(),
        }
    }
}

/// The distance of ticks, and the last of them, for values up to `most`: four to eight round numbers.
fn scale(most: f64) -> (f64, f64) {
    if most <= 0.0 {
        return (1.0, 1.0);
    }
    let size = 10_f64.powf((most / 4.0).log10().floor());
    let fits = |step: &f64| most / (step * size) <= 6.0;
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .find(fits)
        .unwrap_or(10.0)
        * size;
    (step, (most / step).ceil() * step)
}

fn tick_label(tick: f64, step: f64) -> String {
    if step >= 1.0 && step.fract() == 0.0 {
        let whole = figure(tick.round());
        return if tick < 99.95 {
            format!("{tick:.0}")
        } else {
            whole
        };
    }
    let decimals = if (step * 10.0).fract().abs() < 1e-9 {
        1
    } else {
        2
    };
    format!("{tick:.decimals$}")
}

/// Enough room for a text of 13 px in any of the fonts.
fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * 7.4
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

pub(crate) const FONT: &str =
    "-apple-system, BlinkMacSystemFont, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif";

const WIDTH: f64 = 840.0;
const MARGIN: f64 = 16.0;
/// Between text and what it belongs to.
const GAP: f64 = 10.0;
/// Where the first bar begins.
const TOP: f64 = 64.0;
const ROW: f64 = 28.0;
const BAR: f64 = 18.0;
/// For the figures below the bars.
const AXIS: f64 = 28.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> Chart {
        let bar = |label: &str, median: f64, ours: bool| Bar {
            label: label.to_owned(),
            spread: Spread {
                median,
                min: median * 0.9,
                max: median * 1.2,
            },
            ratio: (!ours).then_some(1.0),
            ours,
        };
        Chart {
            title: "CPU & <more>".to_owned(),
            subtitle: "less is better".to_owned(),
            unit: "µs",
            bars: vec![bar("wsgate", 10.0, true), bar("nginx", 20.0, false)],
        }
    }

    /// The figures of an attribute, in the order of the file.
    fn attributes(svg: &str, tag: &str, name: &str) -> Vec<f64> {
        let mark = format!("<{tag} ");
        let tags = svg.split(mark.as_str()).skip(1);
        let value = |tag: &str| {
            let rest = tag.split_once(&format!(" {name}=\""))?.1;
            rest.split_once('"')?.0.parse().ok()
        };
        tags.filter_map(|tag| value(&format!(" {tag}"))).collect()
    }

    #[test]
    fn bars_are_as_long_as_their_medians() {
        let widths = attributes(&chart().svg(&LIGHT), "rect", "width");
        assert_eq!(widths.len(), 2);
        assert!((widths[1] / widths[0] - 2.0).abs() < 0.01, "{widths:?}");
    }

    #[test]
    fn all_is_within_the_picture() {
        let svg = chart().svg(&LIGHT);
        let values = attributes(&svg, "text", "x");
        assert!(
            values.iter().all(|x| (MARGIN..WIDTH - MARGIN).contains(x)),
            "{values:?}"
        );
        let (left, widths) = (
            attributes(&svg, "rect", "x"),
            attributes(&svg, "rect", "width"),
        );
        assert!(
            left.iter().zip(widths).all(|(x, width)| x + width < WIDTH),
            "{svg}"
        );
    }

    #[test]
    fn texts_are_escaped_and_values_labelled() {
        let svg = chart().svg(&LIGHT);
        assert!(svg.contains(">CPU &amp; &lt;more&gt;</text>"), "{svg}");
        assert!(
            svg.contains(">10.0 µs</text>") && svg.contains(">20.0 µs · 1.00×</text>"),
            "{svg}"
        );
    }

    #[test]
    fn ours_are_highlighted_in_either_theme() {
        for theme in [LIGHT, DARK] {
            let svg = chart().svg(&theme);
            assert_eq!(svg.matches(theme.ours).count(), 1, "{}", theme.name);
            assert_eq!(svg.matches(theme.other).count(), 1, "{}", theme.name);
        }
    }

    #[test]
    fn a_scale_has_a_few_round_ticks() {
        for (most, expected) in [
            (0.0, (1.0, 1.0)),
            (24.0, (5.0, 25.0)),
            (1.2, (0.2, 1.2)),
            (1100.0, (200.0, 1200.0)),
            (4.7, (1.0, 5.0)),
        ] {
            let (step, last) = scale(most);
            let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
            assert!(
                close(step, expected.0) && close(last, expected.1),
                "{most}: {step} {last}"
            );
        }
        for (tick, step, expected) in [
            (0.0, 5.0, "0"),
            (1000.0, 200.0, "1,000"),
            (0.4, 0.2, "0.4"),
            (0.25, 0.25, "0.25"),
        ] {
            assert_eq!(tick_label(tick, step), expected);
        }
    }
}

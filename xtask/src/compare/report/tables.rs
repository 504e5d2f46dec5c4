//! A scenario's rows: as a table of the report, as bars, and as lines of a terminal.

use crate::compare::measures::{Measure, figure};
use crate::compare::plot::{Bar, Chart};
use crate::compare::results::{Outcome, PeerInfo, Results};
use crate::compare::scenarios::Scenario;

/// Those who have samples, the best first.
pub(super) fn ranked<'a>(
    results: &'a Results,
    scenario: &Scenario,
    measure: Measure,
) -> Vec<&'a PeerInfo> {
    let key = |peer: &PeerInfo| {
        let median = results.spread(&peer.name, scenario.name, measure)?.median;
        Some(if measure.lower_is_better() {
            median
        } else {
            -median
        })
    };
    let peers = results
        .peers
        .iter()
        .filter_map(|peer| Some((key(peer)?, peer)));
    let mut peers: Vec<_> = peers.collect();
    peers.sort_by(|a, b| a.0.total_cmp(&b.0));
    peers.into_iter().map(|(_, peer)| peer).collect()
}

/// The table, the best first, and below it why some are not in it.
pub(super) fn markdown(results: &Results, scenario: &Scenario) -> String {
    let mut head = vec!["".to_owned()];
    for measure in scenario.main {
        head.push(with_unit(measure.title(scenario.noun), *measure));
        head.push("least–most".to_owned());
        head.push(format!("× {}", reference(scenario)));
    }
    for measure in scenario.aside {
        head.push(with_unit(measure.title(scenario.noun), *measure));
    }
    let mut table = row(&head) + &row(&align(head.len()));
    for peer in ranked(results, scenario, scenario.main[0]) {
        let name = if peer.ours {
            format!("**{}**", peer.title)
        } else {
            peer.title.clone()
        };
        let mut cells = vec![name];
        for measure in scenario.main {
            cells.extend(compared(results, scenario, peer, *measure));
        }
        for measure in scenario.aside {
            let spread = results.spread(&peer.name, scenario.name, *measure);
            cells.push(spread.map_or(DASH.to_owned(), |spread| figure(spread.median)));
        }
        table += &row(&cells);
    }
    let failed = failures(results, scenario);
    for (peer, _) in &failed {
        let mut cells = vec![peer.title.clone()];
        cells.resize(head.len(), DASH.to_owned());
        table += &row(&cells);
    }
    let notes = failed
        .iter()
        .map(|(peer, why)| format!("- {}: {why}\n", peer.title));
    let notes: Vec<_> = notes
        .chain(blemishes(results, scenario))
        .chain(absent(results, scenario))
        .collect();
    if notes.is_empty() {
        table
    } else {
        format!("{table}\n{}", notes.concat())
    }
}

/// The bars of a measure; nothing where nobody has it.
pub(super) fn chart(results: &Results, scenario: &Scenario, measure: Measure) -> Option<Chart> {
    let bars = ranked(results, scenario, measure)
        .into_iter()
        .filter_map(|peer| {
            Some(Bar {
                label: peer.title.clone(),
                spread: results.spread(&peer.name, scenario.name, measure)?,
                ratio: results.compared(&peer.name, scenario, measure),
                ours: peer.ours,
            })
        });
    let bars: Vec<_> = bars.collect();
    let unit = measure.unit();
    let good = if measure.lower_is_better() {
        "less is better"
    } else {
        "more is better"
    };
    let compared = bars.iter().any(|bar| bar.ratio.is_some());
    let many = compared.then(|| format!(", × {}", reference(scenario)));
    let many = many.unwrap_or_default();
    let what = with_unit(measure.title(scenario.noun), measure);
    let subtitle = format!("{what}{many}: median, whiskers from the least to the most; {good}");
    let title = scenario.title.to_owned();
    (!bars.is_empty()).then_some(Chart {
        title,
        subtitle,
        unit,
        bars,
    })
}

/// For a terminal.
pub(super) fn plain(results: &Results, scenario: &Scenario) -> String {
    let peers = ranked(results, scenario, scenario.main[0]);
    let failed = failures(results, scenario);
    if peers.is_empty() && failed.is_empty() {
        return String::new();
    }
    let measures: Vec<_> = scenario
        .main
        .iter()
        .map(|m| with_unit(m.title(scenario.noun), *m))
        .collect();
    let mut text = format!("{}: {}\n", scenario.title, measures.join("; "));
    for peer in peers {
        text += &format!("  {:<22}", peer.name);
        for measure in scenario.main {
            let [median, range, ratio] = compared(results, scenario, peer, *measure);
            text += &format!("{median:>9}  {range:<17}{ratio:>6}  ");
        }
        text = text.trim_end().to_owned() + "\n";
    }
    for (peer, why) in failed {
        text += &format!("  {:<22}failed: {why}\n", peer.name);
    }
    text + "\n"
}

/// Whose multiples the ratios are.
fn reference(scenario: &Scenario) -> &'static str {
    match scenario.http2 {
        Some(_) => "its own over HTTP/1.1",
        None => "nginx",
    }
}

/// Median, range, and the ratio.
fn compared(
    results: &Results,
    scenario: &Scenario,
    peer: &PeerInfo,
    measure: Measure,
) -> [String; 3] {
    let spread = results.spread(&peer.name, scenario.name, measure);
    let ratio = results.compared(&peer.name, scenario, measure);
    [
        spread.map_or(DASH.to_owned(), |spread| figure(spread.median)),
        spread.map_or(DASH.to_owned(), |spread| {
            format!("{}–{}", figure(spread.min), figure(spread.max))
        }),
        ratio.map_or(DASH.to_owned(), |ratio| format!("{ratio:.2}")),
    ]
}

/// Who has no sample at all, and why.
fn failures<'a>(results: &'a Results, scenario: &Scenario) -> Vec<(&'a PeerInfo, &'a str)> {
    let failed = results.peers.iter().filter_map(|peer| {
        let mut errors = results
            .runs_of(&peer.name, scenario.name)
            .filter_map(|run| match &run.outcome {
                Outcome::Error(error) => Some(error),
                Outcome::Sample(_) => None,
            });
        let error = errors.next()?;
        let none = results.samples(&peer.name, scenario.name).next().is_none();
        none.then_some((peer, error.as_str()))
    });
    failed.collect()
}

/// Samples with errors in them, and rounds that failed among others.
fn blemishes(results: &Results, scenario: &Scenario) -> Vec<String> {
    let mut notes = Vec::new();
    for peer in &results.peers {
        let samples: Vec<_> = results.samples(&peer.name, scenario.name).collect();
        let errors: u64 = samples.iter().map(|sample| sample.errors).sum();
        if let Some(first) = samples
            .iter()
            .find_map(|sample| sample.first_error.as_deref())
        {
            notes.push(format!(
                "- {}: {errors} errors in all, such as: {}\n",
                peer.title, first
            ));
        }
        let failed = results.runs_of(&peer.name, scenario.name).count() - samples.len();
        if failed > 0 && !samples.is_empty() {
            notes.push(format!("- {}: {failed} rounds failed\n", peer.title));
        }
    }
    notes
}

/// Who takes no part, and why.
fn absent(results: &Results, scenario: &Scenario) -> Vec<String> {
    let mut whys: Vec<(&str, Vec<&str>)> = Vec::new();
    for peer in results.peers.iter().filter(|_| scenario.http2.is_some()) {
        let Some(why) = peer.no_http2.as_deref() else {
            continue;
        };
        match whys.iter_mut().find(|(known, _)| *known == why) {
            Some((_, peers)) => peers.push(&peer.title),
            None => whys.push((why, vec![&peer.title])),
        }
    }
    let notes = whys
        .into_iter()
        .map(|(why, peers)| format!("- Not here: {} ({why}).\n", peers.join("; ")));
    notes.collect()
}

fn with_unit(title: String, measure: Measure) -> String {
    match measure.unit() {
        "" => title,
        unit => format!("{title}, {unit}"),
    }
}

/// The cells as a line of Markdown.
pub(super) fn row(cells: &[String]) -> String {
    let cells: String = cells.iter().map(|cell| format!(" {cell} |")).collect();
    format!("|{cells}\n").replace("|  |", "| |")
}

/// Names to the left, figures to the right.
pub(super) fn align(columns: usize) -> Vec<String> {
    let mut cells = vec!["---:".to_owned(); columns];
    cells[0] = "---".to_owned();
    cells
}

pub(super) const DASH: &str = "–";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::results::fixture;

    fn scenario(name: &str) -> &'static Scenario {
        Scenario::named(name).unwrap()
    }

    #[test]
    fn rows_are_ranked_and_ours_stand_out() {
        let table = markdown(&fixture::results(), scenario("echo-64"));
        let lines: Vec<_> = table.lines().collect();
        assert!(
            lines[0].starts_with("| | CPU per echo, µs | least–most | × nginx |"),
            "{table}"
        );
        assert!(
            lines[2].starts_with("| HAProxy <2> | 11.0 | 10.0–12.0 | 0.52 |"),
            "{table}"
        );
        assert!(
            lines[3].starts_with("| **wsgate** | 15.0 | 14.0–16.0 | 0.71 |"),
            "{table}"
        );
        assert!(
            lines[4].starts_with("| nginx | 21.0 | 20.0–22.0 | 1.00 |"),
            "{table}"
        );
        assert_eq!(lines.len(), 5, "{table}");
    }

    #[test]
    fn who_failed_gets_a_dash_and_a_note() {
        let table = markdown(&fixture::results(), scenario("echo-1m"));
        assert!(table.contains("| HAProxy <2> | – | – |"), "{table}");
        assert!(
            table.ends_with("\n\n- HAProxy <2>: no | answer\n"),
            "{table}"
        );
    }

    #[test]
    fn who_speaks_no_http2_is_named_where_it_matters() {
        let results = fixture::results();
        let note = "- Not here: nginx (takes no extended CONNECT).\n";
        assert!(markdown(&results, scenario("h2-idle")).contains(note));
        assert!(!markdown(&results, scenario("idle")).contains(note));
    }

    #[test]
    fn a_chart_has_a_bar_for_each_sample() {
        let chart = chart(
            &fixture::results(),
            scenario("echo-64"),
            Measure::CpuPerMessage,
        )
        .unwrap();
        let labels: Vec<_> = chart.bars.iter().map(|bar| bar.label.as_str()).collect();
        assert_eq!(labels, ["HAProxy <2>", "wsgate", "nginx"]);
        let none = super::chart(&fixture::results(), scenario("idle"), Measure::IdleMemory);
        assert!(none.is_none());
    }
}

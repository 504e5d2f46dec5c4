//! What we set out to reach, and what the run says of it.

use super::tables::{DASH, align, row};
use crate::compare::measures::Measure;
use crate::compare::peers::BASELINE;
use crate::compare::results::{PeerInfo, Results};

/// One line of the table.
struct Target {
    what: &'static str,
    scenario: &'static str,
    measure: Measure,
    against: Against,
    /// At the most.
    must: f64,
    /// Better than that.
    aim: f64,
}

/// What the figure is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Against {
    /// A multiple of the baseline's.
    Baseline,
    /// As it was measured.
    Nothing,
    /// The variant's, as a multiple of that of the peer itself.
    Itself,
    /// The variant's, less that of the peer itself.
    MoreThanItself,
}

const TARGETS: &[Target] = &[
    Target {
        what: "CPU per 64 B echo, 64 sockets, × nginx",
        scenario: "echo-64",
        measure: Measure::CpuPerMessage,
        against: Against::Baseline,
        must: 0.78,
        aim: 0.65,
    },
    Target {
        what: "CPU per message at 5,000 a second over 200 sockets, × nginx",
        scenario: "rate",
        measure: Measure::CpuPerMessage,
        against: Against::Baseline,
        must: 0.80,
        aim: 0.62,
    },
    Target {
        what: "CPU per 64 B message, 16 in flight a socket, × nginx",
        scenario: "echo-64x16",
        measure: Measure::CpuPerMessage,
        against: Against::Baseline,
        must: 0.65,
        aim: 0.45,
    },
    Target {
        what: "CPU per 16 KiB echo, × nginx",
        scenario: "echo-16k",
        measure: Measure::CpuPerMessage,
        against: Against::Baseline,
        must: 0.33,
        aim: 0.28,
    },
    Target {
        what: "CPU per 1 MiB echo, × nginx",
        scenario: "echo-1m",
        measure: Measure::CpuPerMib,
        against: Against::Baseline,
        must: 0.32,
        aim: 0.25,
    },
    Target {
        what: "idle memory a tunnel, KiB",
        scenario: "idle",
        measure: Measure::IdleMemory,
        against: Against::Nothing,
        must: 6.0,
        aim: 4.0,
    },
    Target {
        what: "idle memory a tunnel over HTTP/2, 100 a connection, KiB",
        scenario: "h2-idle",
        measure: Measure::IdleMemory,
        against: Against::Nothing,
        must: 4.0,
        aim: 3.0,
    },
    Target {
        what: "three layers on: CPU per 64 B echo, × without",
        scenario: "echo-64",
        measure: Measure::CpuPerMessage,
        against: Against::Itself,
        must: 1.05,
        aim: 1.02,
    },
    Target {
        what: "three layers on: idle memory a tunnel, KiB more",
        scenario: "idle",
        measure: Measure::IdleMemory,
        against: Against::MoreThanItself,
        must: 0.6,
        aim: 0.3,
    },
    Target {
        what: "CPU per full handshake, × nginx",
        scenario: "handshakes",
        measure: Measure::CpuPerMessage,
        against: Against::Baseline,
        must: 0.55,
        aim: 0.47,
    },
    Target {
        what: "system calls per 64 B echo",
        scenario: "syscalls",
        measure: Measure::Syscalls,
        against: Against::Nothing,
        must: 4.0,
        aim: 3.7,
    },
];

/// The targets, our figures, and the best of the others.
pub(super) fn markdown(results: &Results) -> String {
    let ours = results
        .peers
        .iter()
        .filter(|peer| peer.ours && peer.variant_of.is_none());
    let ours: Vec<_> = ours.collect();
    let mut head = vec!["".to_owned(), "at most".to_owned(), "aim".to_owned()];
    head.extend(ours.iter().map(|peer| peer.title.clone()));
    head.push("best of the others".to_owned());
    head.push("floor".to_owned());
    let mut table = row(&head) + &row(&align(head.len()));
    for target in TARGETS {
        let limit = |limit: f64| format!("{}{limit:.2}", target.sign());
        let mut cells = vec![
            target.what.to_owned(),
            limit(target.must),
            limit(target.aim),
        ];
        for peer in &ours {
            let value = target.value(results, peer);
            cells.push(value.map_or(DASH.to_owned(), |value| target.verdict(value)));
        }
        let best = target.best_of_others(results);
        cells.push(best.map_or(DASH.to_owned(), |(peer, value)| {
            format!("{value:.2} {}", peer.title)
        }));
        let floor = results.peers.iter().find(|peer| peer.floor);
        let floor = floor.and_then(|floor| target.value(results, floor));
        cells.push(floor.map_or(DASH.to_owned(), |value| format!("{value:.2}")));
        table += &row(&cells);
    }
    table
}

// ===== impl Target =====

impl Target {
    fn value(&self, results: &Results, peer: &PeerInfo) -> Option<f64> {
        let median = |name: &str| Some(results.spread(name, self.scenario, self.measure)?.median);
        let variant = || {
            results
                .peers
                .iter()
                .find(|other| other.variant_of.as_ref() == Some(&peer.name))
        };
        match self.against {
            Against::Baseline => results.ratio(&peer.name, BASELINE, self.scenario, self.measure),
            Against::Nothing => median(&peer.name),
            Against::Itself => {
                results.ratio(&variant()?.name, &peer.name, self.scenario, self.measure)
            }
            Against::MoreThanItself => Some(median(&variant()?.name)? - median(&peer.name)?),
        }
    }

    /// The figure, and whether it will do.
    fn verdict(&self, value: f64) -> String {
        let sign = if value < 0.0 { "" } else { self.sign() };
        match value {
            _ if value <= self.aim => format!("**{sign}{value:.2}**, aim met"),
            _ if value <= self.must => format!("**{sign}{value:.2}**, met"),
            _ => format!("{sign}{value:.2}, missed"),
        }
    }

    fn sign(&self) -> &'static str {
        if self.against == Against::MoreThanItself {
            "+"
        } else {
            ""
        }
    }

    fn best_of_others<'a>(&self, results: &'a Results) -> Option<(&'a PeerInfo, f64)> {
        let others = results.peers.iter().filter(|peer| peer.is_rival());
        let values = others.filter_map(|peer| Some((peer, self.value(results, peer)?)));
        values.min_by(|a, b| a.1.total_cmp(&b.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::results::fixture;

    fn line(results: &Results, what: &str) -> String {
        let table = markdown(results);
        let line = table.lines().find(|line| line.contains(what));
        line.unwrap_or_else(|| panic!("{what} is not in\n{table}"))
            .to_owned()
    }

    #[test]
    fn a_target_is_held_against_the_baseline() {
        assert_eq!(
            line(&fixture::results(), "CPU per 64 B echo, 64"),
            "| CPU per 64 B echo, 64 sockets, × nginx | 0.78 | 0.65 | **0.71**, met | 0.52 HAProxy <2> | – |"
        );
    }

    #[test]
    fn the_floor_is_no_rival() {
        let mut results = fixture::results();
        results.peers[1].floor = true;
        let line = line(&results, "CPU per 64 B echo, 64");
        assert!(line.ends_with("| 1.00 nginx | 0.52 |"), "{line}");
    }

    #[test]
    fn a_missed_target_says_so() {
        let results = fixture::results();
        assert!(line(&results, "CPU per 1 MiB").contains("| 0.33, missed |"));
    }

    #[test]
    fn what_was_not_measured_is_a_dash() {
        assert!(line(&fixture::results(), "system calls").ends_with("| 4.00 | 3.70 | – | – | – |"));
    }

    #[test]
    fn layers_are_held_against_the_same_without_them() {
        let mut results = fixture::results();
        results.peers[1].variant_of = Some("wsgate".to_owned());
        results.peers[1].ours = true;
        assert!(line(&results, "three layers on: CPU").contains("| **0.73**, aim met |"));
    }
}

//! Where somebody is better than we are.

use super::tables::ranked;
use crate::compare::measures::{Measure, figure};
use crate::compare::results::{PeerInfo, Results};
use crate::compare::scenarios::{SCENARIOS, Scenario};

/// A list, costs before latencies; a sentence when there is nothing to list.
pub(super) fn markdown(results: &Results) -> String {
    let all = || {
        SCENARIOS.iter().flat_map(|scenario| {
            [scenario.main, scenario.aside]
                .concat()
                .into_iter()
                .map(move |m| (scenario, m))
        })
    };
    let list = |wanted: fn(Measure) -> bool| {
        let lines = all().filter(|(_, measure)| wanted(*measure));
        lines
            .filter_map(|(scenario, measure)| line(results, scenario, measure))
            .collect::<String>()
    };
    let costs = list(is_cost);
    let latencies = list(is_latency);
    let paragraph = |what: &str, list: String| match list.as_str() {
        "" => format!("In {what}: nowhere in this run.\n"),
        _ => format!("In {what}:\n\n{list}"),
    };
    let costs = paragraph("CPU, memory and system calls", costs);
    format!("{costs}\n{}", paragraph("latency", latencies))
}

/// Who beats whom of ours in one measure, as an item of the list.
fn line(results: &Results, scenario: &Scenario, measure: Measure) -> Option<String> {
    let ranked = ranked(results, scenario, measure);
    let is_ours = |peer: &&&PeerInfo| peer.ours && peer.variant_of.is_none();
    let lost = ranked.iter().filter(is_ours).filter_map(|ours| {
        let own = results.spread(&ours.name, scenario.name, measure)?;
        let better = ranked
            .iter()
            .filter(|peer| peer.is_rival())
            .filter_map(|peer| {
                let theirs = results.spread(&peer.name, scenario.name, measure)?;
                let beaten = if measure.lower_is_better() {
                    theirs.median < own.median
                } else {
                    theirs.median > own.median
                };
                let tie = if theirs.overlaps(&own) {
                    ", rounds overlap"
                } else {
                    ""
                };
                let share = theirs.median / own.median;
                beaten.then(|| {
                    format!(
                        "{} {} ({share:.2}×{tie})",
                        peer.title,
                        figure(theirs.median)
                    )
                })
            });
        let better: Vec<_> = better.collect();
        let own = figure(own.median);
        (!better.is_empty()).then(|| format!("{} has {own}; {}", ours.title, better.join(", ")))
    });
    let lost: Vec<_> = lost.collect();
    let unit = match measure.unit() {
        "" => String::new(),
        unit => format!(" in {unit}"),
    };
    let what = measure.title(scenario.noun);
    (!lost.is_empty())
        .then(|| format!("- {}, {what}{unit}: {}.\n", scenario.title, lost.join(". ")))
}

/// Figures of the proxy alone. What one CPU does in a second says the same as its CPU per thing.
fn is_cost(measure: Measure) -> bool {
    match measure {
        Measure::CpuPerMessage
        | Measure::CpuPerMib
        | Measure::IdleMemory
        | Measure::BusyMemory
        | Measure::Syscalls => true,
        Measure::PerCpuSecond
        | Measure::MedianLatency
        | Measure::TailLatency
        | Measure::Throughput => false,
    }
}

/// Throughput is not there: in a closed loop it is latency once more, in an open one a setting.
fn is_latency(measure: Measure) -> bool {
    matches!(measure, Measure::MedianLatency | Measure::TailLatency)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::results::fixture;

    #[test]
    fn a_loss_names_the_winner_and_by_how_much() {
        let list = markdown(&fixture::results());
        let line = "- Echo of 64 B, 64 sockets, CPU per echo in µs: wsgate has 15.0; HAProxy <2> 11.0 (0.73×).\n";
        assert!(list.contains(line), "{list}");
    }

    #[test]
    fn where_we_are_best_or_equal_nothing_is_listed() {
        let list = markdown(&fixture::results());
        // The others have failed, or are dearer.
        assert!(!list.contains("1 MiB"), "{list}");
        // All have the same.
        assert!(
            list.ends_with("In latency: nowhere in this run.\n"),
            "{list}"
        );
    }

    #[test]
    fn a_narrow_loss_says_that_it_is_one() {
        let mut results = fixture::results();
        // One of our rounds becomes as cheap as HAProxy's dearest.
        let ours = results
            .runs
            .iter_mut()
            .find(|run| run.peer == "wsgate")
            .unwrap();
        if let crate::compare::results::Outcome::Sample(sample) = &mut ours.outcome {
            sample.cpu_ns = Some(12_000_000);
        }
        assert!(markdown(&results).contains("HAProxy <2> 11.0 (0.73×, rounds overlap)"));
    }
}

//! What was measured, as it is kept in `results.json`: enough to write the report again.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::measures::{Measure, Spread};
use super::peers::BASELINE;
use super::scenarios::Scenario;

/// A whole run.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Results {
    /// The day, in UTC.
    pub(crate) date: String,
    /// Of our repository, with `-dirty` where there was more than it holds.
    pub(crate) commit: String,
    pub(crate) machine: Machine,
    pub(crate) rounds: usize,
    /// Measured in each round, after a warm-up.
    pub(crate) seconds: f64,
    /// Of `wsgate-load`, for whoever wants to check: TLS version, cipher suite and key exchange.
    pub(crate) tls: String,
    pub(crate) peers: Vec<PeerInfo>,
    pub(crate) runs: Vec<Run>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory: String,
    pub(crate) kernel: String,
    pub(crate) system: String,
    /// Which cores had whom.
    pub(crate) placement: String,
}

/// One who was compared.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct PeerInfo {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) version: String,
    /// What to read about how it was set up, from the root of the repository.
    pub(crate) config: String,
    pub(crate) ours: bool,
    /// No proxy: what stands below all that are.
    #[serde(default)]
    pub(crate) floor: bool,
    /// The peer of which this is a variant: with more of it switched on.
    pub(crate) variant_of: Option<String>,
    /// Why it takes no WebSocket over HTTP/2, if so.
    pub(crate) no_http2: Option<String>,
}

/// One peer in one scenario in one round.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Run {
    pub(crate) peer: String,
    pub(crate) scenario: String,
    pub(crate) round: usize,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are samples, and there are some hundreds"
)]
pub(crate) enum Outcome {
    Sample(Sample),
    /// Why there is none.
    Error(String),
}

/// The part of `wsgate-load`'s answer that is kept.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Sample {
    pub(crate) connections: u64,
    pub(crate) seconds: f64,
    pub(crate) messages: u64,
    /// Payload, one way.
    pub(crate) bytes: u64,
    pub(crate) errors: u64,
    pub(crate) cpu_ns: Option<u64>,
    pub(crate) load_cpu_ns: u64,
    pub(crate) upstream_cpu_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency_us: Option<Latency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory: Option<Memory>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) syscalls: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resumed: Option<u64>,
    /// CPU of each of the proxy's threads, in nanoseconds.
    pub(crate) workers: Vec<u64>,
    #[serde(skip_serializing)]
    pub(crate) tls: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

/// Bytes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Memory {
    pub(crate) before: u64,
    pub(crate) idle: u64,
    pub(crate) after_busy: u64,
}

// ===== impl PeerInfo =====

impl PeerInfo {
    /// Whether it is somebody else's proxy, to be better than.
    pub(crate) fn is_rival(&self) -> bool {
        !self.ours && !self.floor
    }
}

// ===== impl Results =====

impl Results {
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let json = fs::read_to_string(path)
            .with_context(|| format!("cannot read {}: run the comparison first", path.display()))?;
        serde_json::from_str(&json).with_context(|| format!("cannot understand {}", path.display()))
    }

    /// Takes over what `newer` has run, and keeps the rest.
    pub(crate) fn updated_by(mut self, newer: Self) -> Self {
        let again = |old: &Run| {
            let same = |new: &Run| new.peer == old.peer && new.scenario == old.scenario;
            newer.runs.iter().any(same)
        };
        self.runs.retain(|run| !again(run));
        self.runs.extend(newer.runs);
        if self.commit != newer.commit {
            self.commit = format!("{}, in part {}", self.commit, newer.commit);
        }
        self
    }

    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        fs::write(path, self.json()?).with_context(|| format!("cannot write {}", path.display()))
    }

    /// One run a line, so that a change can be read.
    fn json(&self) -> Result<String> {
        let whole = serde_json::to_value(self).context("results are plain data")?;
        let mut lines = Vec::new();
        for (key, value) in whole.as_object().into_iter().flatten() {
            let value = match value.as_array() {
                Some(items) => {
                    let items: Vec<_> = items.iter().map(|item| format!("    {item}")).collect();
                    format!("[\n{}\n  ]", items.join(",\n"))
                }
                None => value.to_string(),
            };
            lines.push(format!(
                "  {}: {value}",
                serde_json::Value::from(key.as_str())
            ));
        }
        Ok(format!("{{\n{}\n}}\n", lines.join(",\n")))
    }

    /// The samples of a peer in a scenario.
    pub(crate) fn samples(&self, peer: &str, scenario: &str) -> impl Iterator<Item = &Sample> {
        self.runs_of(peer, scenario)
            .filter_map(|run| match &run.outcome {
                Outcome::Sample(sample) => Some(sample),
                Outcome::Error(_) => None,
            })
    }

    pub(crate) fn runs_of(&self, peer: &str, scenario: &str) -> impl Iterator<Item = &Run> {
        let runs = self.runs.iter();
        runs.filter(move |run| run.peer == peer && run.scenario == scenario)
    }

    pub(crate) fn spread(&self, peer: &str, scenario: &str, measure: Measure) -> Option<Spread> {
        Spread::of(
            self.samples(peer, scenario)
                .filter_map(|sample| measure.of(sample)),
        )
    }

    /// The median as a multiple of the baseline's; over HTTP/2 as one of the peer's own over HTTP/1.1.
    pub(crate) fn compared(
        &self,
        peer: &str,
        scenario: &Scenario,
        measure: Measure,
    ) -> Option<f64> {
        let Some(twin) = scenario.http2 else {
            return self.ratio(peer, BASELINE, scenario.name, measure);
        };
        let median = |scenario| Some(self.spread(peer, scenario, measure)?.median);
        Some(median(scenario.name)? / median(twin).filter(|to| *to > 0.0)?)
    }

    /// The median as a multiple of another peer's.
    pub(crate) fn ratio(
        &self,
        peer: &str,
        to: &str,
        scenario: &str,
        measure: Measure,
    ) -> Option<f64> {
        let median = |peer| Some(self.spread(peer, scenario, measure)?.median);
        Some(median(peer)? / median(to).filter(|to| *to > 0.0)?)
    }
}

#[cfg(test)]
pub(crate) mod fixture {
    use super::*;

    /// nginx, HAProxy, and ours in three rounds: we are cheaper than nginx at 64 B, dearer than HAProxy,
    /// and HAProxy failed with 1 MiB.
    pub(crate) fn results() -> Results {
        let peer = |name: &str, title: &str, ours| PeerInfo {
            name: name.to_owned(),
            title: title.to_owned(),
            version: "1.2".to_owned(),
            config: format!("tests/compare/peers/{name}"),
            ours,
            ..PeerInfo::default()
        };
        let mut results = Results {
            date: "2026-01-02".to_owned(),
            commit: "0123456789ab".to_owned(),
            machine: Machine::default(),
            rounds: 3,
            seconds: 1.5,
            tls: "TLSv1.3".to_owned(),
            peers: vec![
                peer("nginx", "nginx", false),
                peer("haproxy", "HAProxy <2>", false),
                peer("wsgate", "wsgate", true),
            ],
            runs: Vec::new(),
        };
        results.peers[0].no_http2 = Some("takes no extended CONNECT".to_owned());
        for (name, micros) in [
            ("nginx", [20, 22, 21]),
            ("haproxy", [11, 10, 12]),
            ("wsgate", [14, 15, 16]),
        ] {
            for (round, micros) in micros.into_iter().enumerate() {
                results.runs.push(Run {
                    peer: name.to_owned(),
                    scenario: "echo-64".to_owned(),
                    round,
                    outcome: Outcome::Sample(sample(micros)),
                });
            }
        }
        for (name, outcome) in [
            ("nginx", Outcome::Sample(sample(900))),
            ("haproxy", Outcome::Error("no | answer".to_owned())),
            ("wsgate", Outcome::Sample(sample(300))),
        ] {
            let (peer, scenario) = (name.to_owned(), "echo-1m".to_owned());
            results.runs.push(Run {
                peer,
                scenario,
                round: 0,
                outcome,
            });
        }
        results
    }

    /// A thousand messages at so many microseconds each.
    fn sample(micros: u64) -> Sample {
        Sample {
            connections: 64,
            seconds: 1.5,
            messages: 1000,
            bytes: 1000 << 20,
            cpu_ns: Some(micros * 1_000_000),
            load_cpu_ns: 4_000_000,
            latency_us: Some(Latency {
                p50: 100.0,
                p99: 400.0,
                ..Latency::default()
            }),
            ..Sample::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_can_be_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.json");
        let results = fixture::results();
        results.save(&path).unwrap();
        let again = Results::load(&path).unwrap();
        assert_eq!(again.json().unwrap(), results.json().unwrap());
        assert_eq!(again.samples("haproxy", "echo-1m").count(), 0);
        assert_eq!(again.runs_of("haproxy", "echo-1m").count(), 1);
    }

    #[test]
    fn an_update_replaces_what_was_run_again() {
        let mut newer = fixture::results();
        newer.commit = "newer".to_owned();
        newer.runs.retain(|run| run.scenario == "echo-1m");
        let (old, again) = (fixture::results(), newer.runs.len());
        let (all, commit) = (old.runs.len(), old.commit.clone());
        let updated = old.updated_by(newer);
        assert_eq!(updated.runs.len(), all);
        let last = &updated.runs[all - again..];
        assert!(last.iter().all(|run| run.scenario == "echo-1m"));
        assert_eq!(updated.commit, format!("{commit}, in part newer"));
    }

    #[test]
    fn a_run_is_a_line() {
        let json = fixture::results().json().unwrap();
        let line = "    {\"error\":\"no | answer\",\"peer\":\"haproxy\",\"round\":0,\"scenario\":\"echo-1m\"},\n";
        assert!(json.contains(line), "{json}");
    }

    #[test]
    fn over_http2_a_peer_is_compared_with_itself() {
        let mut results = fixture::results();
        for run in results
            .runs
            .iter_mut()
            .filter(|run| run.scenario == "echo-1m")
        {
            run.scenario = "h2-echo-64".to_owned();
        }
        let compared = |scenario| {
            let scenario = Scenario::named(scenario).unwrap();
            results.compared("wsgate", scenario, Measure::CpuPerMessage)
        };
        assert_eq!(compared("echo-64"), Some(15.0 / 21.0));
        assert_eq!(compared("h2-echo-64"), Some(300.0 / 15.0));
    }

    #[test]
    fn ratios_are_those_of_medians() {
        let results = fixture::results();
        let ratio = |peer| results.ratio(peer, "nginx", "echo-64", Measure::CpuPerMessage);
        assert_eq!(ratio("wsgate"), Some(15.0 / 21.0));
        assert_eq!(ratio("nobody"), None);
        assert_eq!(
            results.ratio("haproxy", "nginx", "echo-1m", Measure::CpuPerMib),
            None
        );
    }
}

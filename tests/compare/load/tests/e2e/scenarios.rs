//! Each scenario, for a moment, straight at the upstream.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::proxy::Proxy;
use crate::support::{Upstream, good_report, number, report, run};

#[track_caller]
fn check_fields(report: &Value, more: &[&str]) {
    let mut expected = BTreeSet::from_iter(COMMON.iter().copied());
    expected.extend(more);
    let fields = report.as_object().unwrap().keys().map(String::as_str);
    assert_eq!(BTreeSet::from_iter(fields), expected);
}

/// In every report.
const COMMON: &[&str] = &[
    "scenario",
    "connections",
    "size",
    "in_flight",
    "http",
    "tls",
    "seconds",
    "messages",
    "bytes",
    "errors",
    "cpu_ns",
    "cpu_is_coarse",
    "load_cpu_ns",
    "upstream_cpu_ns",
    "latency_us",
    "workers",
];

#[test]
fn echo() {
    let upstream = Upstream::start();
    let pid = upstream.pid();
    let load = "--plain --connections 5 --in-flight 3 --threads 2";
    let arguments = format!("{load} --watch {pid} --upstream-pid {pid}");
    let report = good_report("echo", upstream.address, &arguments);

    check_fields(&report, &[]);
    assert_eq!(report["scenario"], "echo");
    assert_eq!(report["connections"], 5);
    assert_eq!(report["in_flight"], 3);
    assert_eq!(report["http"], "1.1");
    assert_eq!(report["tls"], Value::Null);
    assert_eq!(number(&report, "bytes"), 64 * number(&report, "messages"));
    assert!(report["seconds"].as_f64().unwrap() >= 0.3);
    let workers = report["workers"].as_array().unwrap();
    let workers: u64 = workers.iter().map(|cpu| cpu.as_u64().unwrap()).sum();
    assert_eq!(workers, number(&report, "cpu_ns"));
    assert!(number(&report, "upstream_cpu_ns") > 0);
    assert!(number(&report, "load_cpu_ns") > 0);
    let latency = ["p50", "p90", "p99", "p999", "max"];
    let latency = latency.map(|name| report["latency_us"][name].as_f64().unwrap());
    assert!(latency[0] > 0.0 && latency.is_sorted(), "{latency:?}");
}

#[test]
fn echo_of_messages_larger_than_any_buffer() {
    let upstream = Upstream::start();
    let arguments = "--plain --connections 2 --in-flight 2 --size 3000000";
    good_report("echo", upstream.address, arguments);
}

#[test]
fn rate() {
    let upstream = Upstream::start();
    let arguments = "--plain --connections 10 --rate 500";
    let report = good_report("rate", upstream.address, arguments);
    check_fields(&report, &[]);
    // 150 in 0.3 s; those of the warm-up that come late would be in the window as well.
    assert!(number(&report, "messages") <= 200, "{report}");
}

#[test]
fn fanout() {
    let upstream = Upstream::start();
    let load = "--plain --connections 20 --rate 100";
    let arguments = format!("{load} --publish-to {}", upstream.address);
    let report = good_report("fanout", upstream.address, &arguments);
    check_fields(&report, &[]);
    assert!(number(&report, "messages") <= 20 * 40, "{report}");
}

#[test]
fn idle() {
    let upstream = Upstream::start();
    let arguments = format!("--plain --connections 40 --watch {}", upstream.pid());
    let report = good_report("idle", upstream.address, &arguments);
    check_fields(&report, &["memory"]);
    assert_eq!(report["size"], 16_384);
    for moment in ["before", "idle", "after_busy"] {
        assert!(number(&report["memory"], moment) > 100_000, "{report}");
    }
}

#[test]
fn handshakes() {
    let upstream = Upstream::start();
    let report = good_report("handshakes", upstream.address, "--plain --connections 2");
    check_fields(&report, &["resumed"]);
    assert_eq!(report["bytes"], 0);
    assert_eq!(report["resumed"], 0);
}

#[test]
fn a_byte_that_is_changed_on_its_way_is_an_error() {
    let upstream = Upstream::start();
    let proxy = Proxy::spoiling(upstream.address, 5000);
    let report = report("echo", proxy.address, "--plain --connections 1");
    check_fields(&report, &["first_error"]);
    assert_eq!(report["errors"], 1);
    let error = report["first_error"].as_str().unwrap();
    assert!(error.contains("came back changed"), "{error}");
}

#[test]
fn a_server_that_is_not_there_is_one_line_on_stderr() {
    let upstream = Upstream::start();
    let gone = upstream.address;
    drop(upstream);
    let output = run("echo", gone, "--plain");
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
    let stderr = String::from_utf8(output.stderr).unwrap();
    let expected = format!("wsgate-load: no WebSocket at {gone}: ");
    assert!(stderr.starts_with(&expected), "{stderr}");
    assert_eq!(stderr.lines().count(), 1);
}

#[test]
fn a_process_that_is_not_there_cannot_be_watched() {
    let upstream = Upstream::start();
    let output = run("echo", upstream.address, "--plain --watch 4294967295");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr, "wsgate-load: there is no process 4294967295\n");
}

//! The scenarios through a proxy that ends TLS, over both versions of HTTP.

use serde_json::Value;

use crate::support::proxy::Proxy;
use crate::support::{Upstream, good_report, number, run};

#[track_caller]
fn check(scenario: &str, http: &str, arguments: &str) -> Value {
    let upstream = Upstream::start();
    let proxy = Proxy::tls(upstream.address);
    let arguments = format!("--ca {} {arguments}", proxy.ca());
    let arguments = arguments.replace("UPSTREAM", &upstream.address.to_string());
    let report = good_report(scenario, proxy.address, &arguments);
    assert_eq!(report["http"], http);
    assert_eq!(report["tls"], "TLSv1.3 TLS13_AES_128_GCM_SHA256 X25519");
    report
}

#[test]
fn echo_over_http1() {
    check("echo", "1.1", "--connections 3 --size 100000");
}

#[test]
fn echo_over_http2() {
    check("echo", "2", "--streams-per-connection 2 --connections 5");
}

#[test]
fn large_messages_over_http2() {
    check(
        "echo",
        "2",
        "--streams-per-connection 2 --connections 2 --size 1000000",
    );
}

#[test]
fn fanout_over_http2() {
    let load = "--connections 20 --rate 100 --publish-to UPSTREAM";
    check(
        "fanout",
        "2",
        &format!("--streams-per-connection 10 {load}"),
    );
}

#[test]
fn full_handshakes() {
    let report = check("handshakes", "1.1", "--connections 2");
    assert_eq!(report["resumed"], 0);
}

#[test]
fn resumed_handshakes() {
    let report = check("handshakes", "1.1", "--connections 2 --resume");
    assert_eq!(number(&report, "resumed"), number(&report, "messages"));
}

#[test]
fn handshakes_over_http2() {
    check(
        "handshakes",
        "2",
        "--streams-per-connection 3 --connections 2",
    );
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let upstream = Upstream::start();
    let proxy = Proxy::tls(upstream.address);
    let arguments = format!("--host example.com --ca {}", proxy.ca());
    let output = run("echo", proxy.address, &arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("invalid peer certificate"), "{stderr}");
    assert!(!output.status.success());
}

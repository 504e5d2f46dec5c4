//! Upstreams with TLS: whom the gateway trusts, under what name, and who it says it is.

use std::time::Duration;

use wsgate::WebSocketProxy;
use wsgate::proxy::UpstreamTls;
use wsgate::server::Pem;
use wsgate_tests::alone::alone_with;
use wsgate_tests::certs::TestCa;
use wsgate_tests::gateway::{self, Gateway};
use wsgate_tests::trace;
use wsgate_tests::upstream::{Upstream, script};

use super::{fails, proxy, reaches, tls};

/// An echo with TLS that agrees on HTTP/1.1 and nothing else.
async fn echo(ca: &TestCa, names: &[&str]) -> Upstream {
    Upstream::tls(ca.server(names, &["http/1.1"]), script::echo()).await
}

fn trusting(ca: &TestCa) -> UpstreamTls {
    UpstreamTls::ca_pem(ca.pem()).unwrap()
}

/// A proxy to this name and the port of this upstream.
fn to(scheme: &str, name: &str, upstream: &Upstream, tls: UpstreamTls) -> WebSocketProxy {
    let endpoint = format!("{scheme}://{name}:{}", upstream.addr().port());
    WebSocketProxy::to_with_tls(&endpoint, tls).unwrap()
}

#[tokio::test]
async fn a_ca_of_ones_own_is_trusted() {
    let _trace = trace::init();
    let ca = TestCa::new();
    for (scheme, name) in [
        ("https", "localhost"),
        ("wss", "localhost"),
        ("wss", "127.0.0.1"),
    ] {
        let upstream = echo(&ca, &[name]).await;
        reaches(to(scheme, name, &upstream, trusting(&ca))).await;
        for seen in upstream.ended(2).await {
            assert_eq!(
                (seen.messages, seen.close),
                (1, Some((1000, String::new())))
            );
        }
    }
}

#[tokio::test]
async fn another_ca_is_not() {
    let trace = trace::init();
    let upstream = echo(&TestCa::new(), &["localhost"]).await;
    let proxy = to("https", "localhost", &upstream, trusting(&TestCa::new()));
    fails(
        &trace,
        proxy,
        502,
        "failed the TLS handshake",
        "UnknownIssuer",
    )
    .await;
    for seen in upstream.ended(2).await {
        assert!(seen.error.unwrap().contains("UnknownCA"));
    }
}

#[tokio::test]
async fn nor_a_certificate_for_another_name() {
    let trace = trace::init();
    let ca = TestCa::new();
    let upstream = echo(&ca, &["backend.internal"]).await;
    let proxy = to("wss", "localhost", &upstream, trusting(&ca));
    let cause = "not valid for name \"localhost\"";
    fails(&trace, proxy, 502, "failed the TLS handshake", cause).await;
    upstream.ended(2).await;
}

/// The name is asked for as well: the upstream, a gateway too, has another certificate for all
/// others.
#[tokio::test]
async fn an_upstream_can_be_asked_for_another_name() {
    let _trace = trace::init();
    let ca = TestCa::new();
    let upstream = Upstream::tcp(script::echo()).await;
    let (default, named) = (
        ca.leaf(&["default.internal"]),
        ca.leaf(&["backend.internal"]),
    );
    let certificates = tls(&default).and_pem(Pem::bytes(named.cert_pem), Pem::bytes(named.key_pem));
    let trusting = trusting(&ca).server_name("backend.internal").unwrap();
    let inner = Gateway::with_tls(gateway::app(proxy(upstream.addr())), ca, certificates).await;

    let endpoint = format!("https://{}", inner.addr());
    reaches(WebSocketProxy::to_with_tls(&endpoint, trusting).unwrap()).await;
    for seen in upstream.ended(2).await {
        // One gateway does not believe the other, unless it is told to.
        assert_eq!(seen.request().fields.all("x-forwarded-for"), ["127.0.0.1"]);
    }
    inner.join().await;
}

#[tokio::test]
async fn a_certificate_is_shown_to_those_who_ask() {
    let _trace = trace::init();
    let ca = TestCa::new();
    let config = ca.server_that_verifies(&["localhost"], &["http/1.1"]);
    let upstream = Upstream::tls(config, script::echo()).await;
    let leaf = ca.leaf(&["gateway.internal"]);
    let tls = trusting(&ca)
        .client_certificate_pem(&leaf.cert_pem, &leaf.key_pem)
        .unwrap();
    reaches(to("https", "localhost", &upstream, tls)).await;
    upstream.ended(2).await;
}

#[tokio::test]
async fn without_one_the_upstream_refuses() {
    let trace = trace::init();
    let ca = TestCa::new();
    let config = ca.server_that_verifies(&["localhost"], &["http/1.1"]);
    let upstream = Upstream::tls(config, script::echo()).await;
    let proxy = to("https", "localhost", &upstream, trusting(&ca));
    // With TLS 1.3 we learn it where the answer should be.
    let failure = "broke off the handshake";
    fails(&trace, proxy, 502, failure, "CertificateRequired").await;
    for seen in upstream.ended(2).await {
        assert!(seen.error.unwrap().contains("no certificates"));
    }
}

#[tokio::test]
async fn plain_http_and_tls_do_not_understand_each_other() {
    let trace = trace::init();
    let ca = TestCa::new();
    let greeting = script::script(|mut connection| async move {
        connection.write("220 ready when you are\r\n").await;
        connection.drain().await;
    });
    let greeting = Upstream::tcp(greeting).await;
    let proxy_to_greeting = to("https", "localhost", &greeting, trusting(&ca));
    let cause = "received corrupt message";
    fails(
        &trace,
        proxy_to_greeting,
        502,
        "failed the TLS handshake",
        cause,
    )
    .await;
    greeting.ended(2).await;

    let encrypted = echo(&ca, &["localhost"]).await;
    let cause = "invalid HTTP";
    fails(
        &trace,
        proxy(encrypted.addr()),
        502,
        "did not answer in HTTP/1.1",
        cause,
    )
    .await;
    encrypted.ended(2).await;
}

#[tokio::test]
async fn a_tls_handshake_counts_as_connecting() {
    let trace = trace::init();
    let silent = Upstream::tcp(script::silence()).await;
    let proxy = to("https", "localhost", &silent, trusting(&TestCa::new()))
        .connect_timeout(Duration::from_millis(200));
    fails(
        &trace,
        proxy,
        504,
        "did not take the connection within 200ms",
        "",
    )
    .await;
    silent.ended(2).await;
}

/// Which roots a system has is for the environment to say, so this test runs in a process of its own.
#[tokio::test]
async fn the_roots_of_the_system_are_trusted_by_default() {
    let _trace = trace::init();
    let ca = TestCa::new();
    let folder = tempfile::tempdir().unwrap();
    let roots = ca.write(folder.path());
    let upstream = echo(&ca, &["localhost"]).await;
    let endpoint = format!("https://localhost:{}", upstream.addr().port());

    let test = "tls::upstreams::the_roots_of_the_system_are_trusted_by_default";
    let variables = [
        ("SSL_CERT_FILE", roots.to_str().unwrap()),
        (ENDPOINT, &endpoint),
    ];
    if alone_with(test, &variables).await {
        // The upstream is the other process's, and so is the CA.
        let endpoint = std::env::var(ENDPOINT).unwrap();
        reaches(WebSocketProxy::to(&endpoint).unwrap()).await;
        upstream.ended(0).await;
    } else {
        upstream.ended(2).await;
    }
}

const ENDPOINT: &str = "WSGATE_TEST_ENDPOINT";

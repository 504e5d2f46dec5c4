//! Clients that show a certificate.

use std::sync::Arc;

use axum::Extension;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use wsgate::server::{Pem, Tls, TlsInfo};
use wsgate_tests::certs::{Leaf, TestCa};
use wsgate_tests::client::{Handshake, Protocol, Target};
use wsgate_tests::gateway::{self, Gateway};
use wsgate_tests::trace;
use wsgate_tests::upstream::{Upstream, script};

use super::{proxy, tls};

/// Tells the upstream what TLS tells, as an application in front of the proxy would.
async fn tell(
    Extension(tls): Extension<Arc<TlsInfo>>,
    mut request: Request,
    next: Next,
) -> Response {
    let protocol = tls.alpn_protocol.as_deref().unwrap_or_default();
    let certificates: Vec<_> = tls.peer_certificates.iter().map(|der| hex(der)).collect();
    for (name, value) in [
        (
            "x-tls-server-name",
            tls.server_name.clone().unwrap_or_default(),
        ),
        (
            "x-tls-protocol",
            String::from_utf8_lossy(protocol).into_owned(),
        ),
        ("x-tls-client", certificates.join(",")),
    ] {
        let value = HeaderValue::try_from(value).unwrap();
        request.headers_mut().insert(name, value);
    }
    next.run(request).await
}

fn hex(der: &[u8]) -> String {
    der.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the upstream is told of a client with this certificate.
fn facts(leaf: Option<&Leaf>) -> String {
    leaf.map_or_else(String::new, |leaf| {
        hex(&CertificateDer::from_pem_slice(leaf.cert_pem.as_bytes()).unwrap())
    })
}

/// A gateway, the CA of its clients, and what is behind it.
async fn start(adjust: impl FnOnce(Tls, Pem) -> Tls) -> (Upstream, Gateway, TestCa) {
    let (ca, clients) = (TestCa::new(), TestCa::new());
    let tls = adjust(tls(&ca.leaf(&["localhost"])), Pem::bytes(clients.pem()));
    let upstream = Upstream::tcp(script::echo()).await;
    let app = gateway::app(proxy(upstream.addr())).layer(from_fn(tell));
    let gateway = Gateway::with_tls(app, ca, tls).await;
    (upstream, gateway, clients)
}

async fn comes(upstream: &Upstream, target: &Target, leaf: Option<&Leaf>) {
    for (protocol, alpn) in Protocol::BOTH.into_iter().zip(["http/1.1", "h2"]) {
        target
            .visit(protocol, Handshake::of("/websocket"))
            .await
            .unwrap();
        let seen = upstream.seen();
        let fields = &seen.last().unwrap().request().fields;
        assert_eq!(fields.all("x-tls-server-name"), ["localhost"]);
        assert_eq!(fields.all("x-tls-protocol"), [alpn]);
        assert_eq!(fields.all("x-tls-client"), [facts(leaf)]);
    }
}

/// With TLS 1.3 a client learns only with its first read that it was not let in.
async fn is_turned_away(target: &Target) {
    use tokio::io::AsyncReadExt;

    if let Ok(mut io) = target.try_connect(&["http/1.1"]).await {
        let read = wsgate_tests::within("the alert", io.read(&mut [0])).await;
        assert!(read.is_err(), "{read:?}");
    }
}

#[tokio::test]
async fn only_clients_with_a_certificate_come_in_where_it_is_required() {
    let trace = trace::init();
    let (upstream, gateway, clients) = start(Tls::require_client_certificate).await;
    let leaf = clients.leaf(&["client.example"]);
    let known = Target::tls_with(gateway.addr(), gateway.ca().client_with(&leaf));
    comes(&upstream, &known, Some(&leaf)).await;

    is_turned_away(&gateway.target()).await;
    trace.until("the client brought no certificate", 1).await;
    let foreign = TestCa::new().leaf(&["client.example"]);
    let foreign = Target::tls_with(gateway.addr(), gateway.ca().client_with(&foreign));
    is_turned_away(&foreign).await;
    trace
        .until("signed by the CA that is set for clients", 1)
        .await;
    upstream.ended(2).await;
    gateway.join().await;
}

#[tokio::test]
async fn others_too_where_it_is_allowed() {
    let trace = trace::init();
    let (upstream, gateway, clients) = start(Tls::allow_client_certificate).await;
    let leaf = clients.leaf(&["client.example"]);
    let known = Target::tls_with(gateway.addr(), gateway.ca().client_with(&leaf));
    comes(&upstream, &known, Some(&leaf)).await;
    comes(&upstream, &gateway.target(), None).await;

    let foreign = TestCa::new().leaf(&["client.example"]);
    let foreign = Target::tls_with(gateway.addr(), gateway.ca().client_with(&foreign));
    is_turned_away(&foreign).await;
    trace
        .until("signed by the CA that is set for clients", 1)
        .await;
    upstream.ended(4).await;
    gateway.join().await;
}

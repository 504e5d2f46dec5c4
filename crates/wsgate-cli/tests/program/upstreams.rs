//! Upstreams that are more than an address.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::default_provider,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use tokio::{
    net::{TcpListener, UnixListener},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    process::Program,
    support::{ANYWHERE, Client, Identity, Upstream, echo, roots},
};

#[tokio::test]
async fn tls_is_checked_and_shown_as_told() {
    let (front, back) = (Identity::new("localhost"), Identity::new("back.test"));
    let gateway = Identity::new("gateway.test");
    let listener = TcpListener::bind(ANYWHERE).await.unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    let acceptor = accepting(&back, &gateway);
    let mut upstream = JoinSet::new();
    upstream.spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        echo(acceptor.accept(stream).await.unwrap()).await;
    });

    let mut wsgate = Program::start(&format!(
        "--listen {ANYWHERE} {} --route /={endpoint} --upstream-ca {} \
         --upstream-server-name back.test --upstream-cert {} --upstream-key {}",
        front.args(),
        back.chain().display(),
        gateway.chain().display(),
        gateway.key().display(),
    ));
    let client = Client::new(wsgate.address().await, "localhost", &front.der);
    assert!(client.reaches("/a").await.starts_with("/a localhost:"));
    wsgate.stop().await;
}

#[tokio::test]
async fn a_unix_socket_takes_a_path_behind_a_colon() {
    let identity = Identity::new("localhost");
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("app.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let mut upstream = JoinSet::new();
    upstream.spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        echo(stream).await;
    });

    let mut wsgate = Program::start(&format!(
        "--listen {ANYWHERE} {} --route /live/=unix:{}:/ --upstream-host endpoint",
        identity.args(),
        socket.display()
    ));
    let client = Client::new(wsgate.address().await, "localhost", &identity.der);
    assert_eq!(client.reaches("/live/a?b").await, "/a?b localhost");
    wsgate.stop().await;
}

#[tokio::test]
async fn the_host_is_the_one_asked_for() {
    let identity = Identity::new("localhost");
    let upstream = Upstream::start().await;
    let own = upstream.address.to_string();
    for (host, expected) in [("endpoint", &*own), ("chat.test", "chat.test")] {
        let mut wsgate = Program::start(&format!(
            "--listen {ANYWHERE} {} --route /={} --upstream-host {host}",
            identity.args(),
            upstream.url()
        ));
        let client = Client::new(wsgate.address().await, "localhost", &identity.der);
        assert_eq!(client.reaches("/").await, format!("/ {expected}"));
        wsgate.stop().await;
    }
}

/// TLS as `own`, for whoever is `client`.
fn accepting(own: &Identity, client: &Identity) -> TlsAcceptor {
    let provider = Arc::new(default_provider());
    let clients = Arc::new(roots(&client.der));
    let verifier = WebPkiClientVerifier::builder_with_provider(clients, provider.clone());
    let key = PrivatePkcs8KeyDer::from(own.key.serialize_der());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![own.der.clone()], PrivateKeyDer::from(key))
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

//! Clients that come back and resume their session.

use std::fs;
use std::io;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, SupportedProtocolVersion};
use wsgate_server::{Pem, Running, Tls, rustls};

use crate::client_certificates::{Clients, counting};
use crate::support::{
    Identity, LOOPBACK, Log, bind, by, connect, get_root, hello, request, secret, trusting,
    trusting_by,
};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// How a handshake went, and what was answered in it.
async fn visit(running: &Running, client: &ClientConfig) -> io::Result<(HandshakeKind, String)> {
    let stream = connect(running.local_addr(), "localhost", client).await?;
    let kind = stream.get_ref().1.handshake_kind().unwrap();
    // Tickets of TLS 1.3 come with it.
    let answer = request(stream, "GET / HTTP/1.1\nhost: localhost\n").await?;
    Ok((kind, answer))
}

/// The same client without anything to remember.
fn forgetting(client: &ClientConfig) -> ClientConfig {
    let mut client = client.clone();
    client.resumption = Resumption::in_memory_sessions(8);
    client
}

/// rustls itself would remember 256 sessions, and so 128 clients with TLS 1.3.
#[tokio::test]
async fn each_of_many_clients_resumes() {
    let _log = Log::capture();
    let identity = Identity::new(&["localhost"]);
    let running = bind(LOOPBACK).tls(identity.tls());
    let running = running.start(hello()).await.unwrap();
    let client = trusting(&[&identity.der]);
    let clients: Vec<_> = (0..300).map(|_| forgetting(&client)).collect();
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        for client in &clients {
            let (kind, answer) = visit(&running, client).await.unwrap();
            assert_eq!(kind, expected);
            assert!(answer.ends_with("hello"));
        }
    }
}

#[tokio::test]
async fn tickets_outlive_the_certificate() {
    let _log = Log::capture();
    for version in VERSIONS {
        let directory = tempfile::tempdir().unwrap();
        let (chain, key) = (directory.path().join("c"), directory.path().join("k"));
        let write = |identity: &Identity| {
            fs::write(&chain, &identity.chain).unwrap();
            secret(&key, &identity.key);
        };
        let (old, new) = (Identity::new(&["localhost"]), Identity::new(&["localhost"]));
        write(&old);
        let tls = by(Tls::pem_files(&chain, &key));
        let running = bind(LOOPBACK).tls(tls).start(hello()).await.unwrap();
        let client = trusting_by(&[&old.der], &[version]);
        assert_eq!(
            visit(&running, &client).await.unwrap().0,
            HandshakeKind::Full
        );

        write(&new);
        running.reloader().reload().await.unwrap();
        let (kind, _) = visit(&running, &client).await.unwrap();
        assert_eq!(kind, HandshakeKind::Resumed, "{version:?}");
    }
}

/// Who resumes shows no certificate: the ticket stands for the one that was shown, and was good then.
#[tokio::test]
async fn a_client_whose_ca_is_gone_cannot_resume() {
    let log = Log::capture();
    for version in VERSIONS {
        let (stays, leaves) = (Clients::new(), Clients::new());
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("clients.pem");
        fs::write(&file, format!("{}{}", stays.ca_pem, leaves.ca_pem)).unwrap();
        let identity = Identity::new(&["localhost"]);
        let tls = identity.tls();
        let tls = tls.require_client_certificate(Pem::file(&file));
        let running = bind(LOOPBACK).tls(tls).start(counting()).await.unwrap();
        let client = |clients: &Clients| clients.identify_by(&identity, &[version]);
        let (staying, leaving) = (client(&stays), client(&leaves));

        for client in [&staying, &leaving] {
            for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
                let (kind, answer) = visit(&running, client).await.unwrap();
                assert_eq!(kind, expected);
                assert!(answer.ends_with("certificates: 1"), "{answer}");
            }
        }
        // Reading the same again takes nothing from anybody.
        running.reloader().reload().await.unwrap();
        let (kind, _) = visit(&running, &leaving).await.unwrap();
        assert_eq!(kind, HandshakeKind::Resumed);

        fs::write(&file, &stays.ca_pem).unwrap();
        running.reloader().reload().await.unwrap();
        visit(&running, &leaving).await.unwrap_err();
        log.line(&["WARN", "signed by the CA that is set for clients"])
            .await;
        let (kind, answer) = visit(&running, &staying).await.unwrap();
        assert_eq!(kind, HandshakeKind::Full);
        assert!(answer.ends_with("certificates: 1"), "{answer}");
        // A certificate is still required.
        get_root(&running, &trusting(&[&identity.der]))
            .await
            .unwrap_err();
    }
}

#[tokio::test]
async fn a_ticket_is_for_this_server_alone() {
    let _log = Log::capture();
    let identity = Identity::new(&["localhost"]);
    let client = trusting(&[&identity.der]);
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let running = bind(LOOPBACK).tls(identity.tls());
        let running = running.start(hello()).await.unwrap();
        kinds.push(visit(&running, &client).await.unwrap().0);
    }
    assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Full]);
}

/// A client that hopes for early data is given none to send.
#[tokio::test]
async fn a_ticket_allows_no_early_data() {
    let _log = Log::capture();
    let identity = Identity::new(&["localhost"]);
    let running = bind(LOOPBACK).tls(identity.tls());
    let running = running.start(hello()).await.unwrap();
    let mut client = trusting(&[&identity.der]);
    client.enable_early_data = true;
    visit(&running, &client).await.unwrap();

    let name = "localhost".try_into().unwrap();
    let mut connection = rustls::ClientConnection::new(Arc::new(client), name).unwrap();
    assert!(connection.early_data().is_none());
}

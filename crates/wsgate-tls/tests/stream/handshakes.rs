//! Full and resumed handshakes, clients that show who they are, and those that fail.

use std::io;
use std::sync::Arc;
use std::task::Poll;

use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, ClientConfig, Error as TlsError, HandshakeKind, PeerIncompatible,
    ServerConfig,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_test::task;
use wsgate_tls::{TlsStream, rustls};

use crate::support::{House, KINDS, Kind, Peer, Served, VERSIONS, pattern, tls_error};
use crate::wire::Wire;

async fn echoes(served: &mut Served, peer: &mut Peer) {
    peer.send(b"ping");
    let mut buffer = [0; 4];
    served.read_exact(&mut buffer).await.unwrap();
    served.write_all(&buffer).await.unwrap();
    served.flush().await.unwrap();
    peer.listen().unwrap();
    assert_eq!(peer.received, b"ping");
}

async fn refusal(kind: Kind, server: &ServerConfig, client: ClientConfig) -> (io::Error, Peer) {
    let mut peer = Peer::new(client, Wire::default());
    let Err(error) = peer.shake(kind, server.clone()).await else {
        panic!("{kind:?}: the handshake went well");
    };
    (error, peer)
}

#[tokio::test]
async fn a_second_handshake_is_resumed() {
    let house = House::new();
    let mut ticketing = house.server();
    ticketing.ticketer = Ticketer::new().unwrap();
    for kind in KINDS {
        for version in VERSIONS {
            // By the server's memory, and by what the client brings.
            for server in [house.server(), ticketing.clone()] {
                let client = house.client_of(version);
                for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
                    let mut peer = Peer::new(client.clone(), Wire::default());
                    let mut served = peer.shake(kind, server.clone()).await.unwrap();
                    // The tickets.
                    peer.listen().unwrap();
                    let handshake = peer.tls.handshake_kind();
                    assert_eq!(handshake, Some(expected), "{kind:?}, {version:?}");
                    echoes(&mut served, &mut peer).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_handshake_may_be_cut_anywhere() {
    let house = House::new();
    // In more than one record: larger than 16 KiB.
    let long: Vec<_> = house.chain.iter().cycle().take(80).cloned().collect();
    for kind in KINDS {
        for version in VERSIONS {
            for chain in [house.chain.clone(), long.clone()] {
                for chunk in [1, 7, 1000] {
                    let client = house.identified(version, chain.clone());
                    let mut peer = Peer::new(client, Wire::default());
                    peer.wire.read_at_most(chunk);
                    let mut served = peer.shake(kind, house.asking(true)).await.unwrap();
                    peer.listen().unwrap();
                    echoes(&mut served, &mut peer).await;
                }
            }
        }
    }
}

/// A stream that has a buffer of its own would keep the other side waiting.
#[tokio::test]
async fn what_is_sent_is_flushed_at_once() {
    let house = House::new();
    for kind in KINDS {
        let mut peer = Peer::new(house.client(), Wire::default());
        let accepting = kind.accept(peer.wire.clone(), Arc::new(house.server()));
        let mut accepting = task::spawn(accepting);
        peer.send(b"");
        assert!(accepting.poll().is_pending());
        let flushes = peer.wire.flushes();
        assert!(flushes > 0);

        peer.listen().unwrap();
        peer.wire.block_flush(true);
        peer.send(b"");
        assert!(accepting.poll().is_pending());
        peer.wire.block_flush(false);
        assert!(accepting.is_woken());
        assert!(matches!(accepting.poll(), Poll::Ready(Ok(_))));
        assert!(peer.wire.flushes() > flushes, "{kind:?}");
    }
}

#[tokio::test]
async fn the_facts_tell_who_the_client_is() {
    let house = House::new();
    for version in VERSIONS {
        let mut client = house.identified(version, house.chain.clone());
        client.alpn_protocols = vec![b"h2".to_vec()];
        let mut server = house.asking(false);
        server.alpn_protocols = vec![b"h2".to_vec()];
        let mut peer = Peer::new(client, Wire::default());
        let accepting = TlsStream::accept(peer.wire.clone(), Arc::new(server));
        let mut accepting = task::spawn(accepting);
        let served = loop {
            peer.send(b"");
            if let Poll::Ready(served) = accepting.poll() {
                break served.unwrap();
            }
            peer.listen().unwrap();
        };
        let facts = served.facts();
        assert_eq!(facts.protocol_version(), Some(version.version));
        assert_eq!(facts.alpn_protocol(), Some(&b"h2"[..]));
        assert_eq!(facts.peer_certificates(), Some(&house.chain[..]));
    }
}

#[tokio::test]
async fn a_client_that_has_to_show_who_it_is_and_does_not_is_told() {
    let house = House::new();
    for kind in KINDS {
        for version in VERSIONS {
            let client = house.client_of(version);
            let (error, mut peer) = refusal(kind, &house.asking(true), client.clone()).await;
            assert_eq!(tls_error(&error), &TlsError::NoCertificatesPresented);
            let alert = AlertDescription::CertificateRequired;
            let told = peer.listen().unwrap_err();
            assert_eq!(told, TlsError::AlertReceived(alert), "{kind:?}");

            let mut stranger = House::stranger();
            stranger.roots = Arc::clone(&house.roots);
            let stranger = stranger.identified(version, stranger.chain.clone());
            let (error, _) = refusal(kind, &house.asking(false), stranger).await;
            tls_error(&error);

            let mut peer = Peer::new(client, Wire::default());
            let mut served = peer.shake(kind, house.asking(false)).await.unwrap();
            peer.listen().unwrap();
            echoes(&mut served, &mut peer).await;
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_trust_us_says_so() {
    let house = House::new();
    for kind in KINDS {
        for version in VERSIONS {
            let client = House::stranger().client_of(version);
            let (error, _) = refusal(kind, &house.server(), client).await;
            let expected = TlsError::AlertReceived(AlertDescription::UnknownCA);
            assert_eq!(tls_error(&error), &expected, "{kind:?}, {version:?}");
        }
    }
}

#[tokio::test]
async fn without_a_version_or_a_protocol_in_common_both_learn_why() {
    let house = House::new();
    let mut server =
        ServerConfig::builder_with_provider(Arc::clone(house.server().crypto_provider()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(house.chain.clone(), house.key.clone_key())
            .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec()];
    for kind in KINDS {
        let (error, mut peer) = refusal(kind, &server, house.client_of(&TLS12)).await;
        let expected = TlsError::from(PeerIncompatible::Tls12NotOfferedOrEnabled);
        assert_eq!(tls_error(&error), &expected, "{kind:?}");
        let alert = TlsError::AlertReceived(AlertDescription::ProtocolVersion);
        assert_eq!(peer.listen().unwrap_err(), alert, "{kind:?}");

        let mut client = house.client();
        client.alpn_protocols = vec![b"imap".to_vec()];
        let (error, mut peer) = refusal(kind, &server, client).await;
        assert_eq!(tls_error(&error), &TlsError::NoApplicationProtocol);
        let alert = TlsError::AlertReceived(AlertDescription::NoApplicationProtocol);
        assert_eq!(peer.listen().unwrap_err(), alert, "{kind:?}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_half_way_is_an_unexpected_end() {
    let house = House::new();
    for kind in KINDS {
        // Before its hello, in it, and in answer to ours.
        for stage in 0..3 {
            let mut peer = Peer::new(house.client(), Wire::default());
            let hello = peer.records(b"");
            let part = [0, hello.len() / 2, hello.len()][stage];
            peer.wire.bring(&hello[..part]);
            peer.wire.end();
            let accepted = kind
                .accept(peer.wire.clone(), Arc::new(house.server()))
                .await;
            let error = accepted.err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{kind:?}");
            assert_eq!(error.to_string(), "tls handshake eof", "{kind:?}, {stage}");
        }
    }
}

#[tokio::test]
async fn what_is_no_hello_gets_the_same_answer_from_both() {
    let house = House::new();
    let endless = [&[0x16, 3, 1, 0, 5, 1, 1, 0, 0, 0][..], &pattern(10)].concat();
    let noise: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0x16, 3, 1, 0, 4, 1, 0, 0, 0],
        &[0x15, 3, 1, 0, 2, 2, 40],
        &endless,
    ];
    for bytes in noise {
        let mut answers = Vec::new();
        for kind in KINDS {
            let wire = Wire::default();
            wire.bring(bytes);
            let accepted = kind.accept(wire.clone(), Arc::new(house.server())).await;
            let error = accepted.err().unwrap();
            answers.push((tls_error(&error).clone(), wire.take_sent()));
        }
        assert_eq!(answers[0], answers[1], "{bytes:x?}");
    }
}

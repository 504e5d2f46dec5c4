//! How a connection ends, and how the other side learns of it.

use std::io;
use std::sync::Arc;
use std::task::Poll;

use rustls::{AlertDescription, Error as TlsError, ServerConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_test::{assert_pending, assert_ready_ok, task};
use wsgate_tls::rustls;

use crate::support::{House, KINDS, Kind, Served, VERSIONS, connected, tls_error};
use crate::wire::Wire;

async fn reads_nothing(served: &mut Served) {
    let mut buffer = [0; 8];
    // Also when it is asked again.
    for _ in 0..2 {
        assert_eq!(served.read(&mut buffer).await.unwrap(), 0);
    }
}

async fn fails_to_read(kind: Kind, served: &mut Served) -> io::Error {
    let mut buffer = [0; 8];
    let first = served.read(&mut buffer).await.unwrap_err();
    if kind == Kind::TlsStream {
        // tokio-rustls goes to the socket again, and may wait for it.
        let second = served.read(&mut buffer).await.unwrap_err();
        assert_eq!(first.to_string(), second.to_string());
    }
    first
}

#[tokio::test]
async fn a_close_notify_is_the_end_of_reading_only() {
    let house = House::new();
    for kind in KINDS {
        for version in VERSIONS {
            let (mut served, mut peer) = connected(kind, &house, house.client_of(version)).await;
            peer.send(b"last");
            peer.close();
            // RFC 8446 6.1: ignored.
            peer.wire.bring(b"noise");
            let mut buffer = [0; 8];
            assert_eq!(served.read(&mut buffer).await.unwrap(), 4);
            reads_nothing(&mut served).await;

            served.write_all(b"answer").await.unwrap();
            served.shutdown().await.unwrap();
            peer.listen().unwrap();
            assert_eq!(peer.received, b"answer", "{kind:?}, {version:?}");
            assert!(peer.has_closed());
            reads_nothing(&mut served).await;
        }
    }
}

#[tokio::test]
async fn without_a_close_notify_the_end_is_an_error() {
    let house = House::new();
    for kind in KINDS {
        let (mut served, mut peer) = connected(kind, &house, house.client()).await;
        peer.send(b"last");
        peer.wire.end();
        let mut buffer = [0; 8];
        assert_eq!(served.read(&mut buffer).await.unwrap(), 4);
        let error = fails_to_read(kind, &mut served).await;
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(error.to_string().contains("close_notify"), "{error}");

        // The other direction may still be there.
        served.write_all(b"answer").await.unwrap();
        peer.listen().unwrap();
        assert_eq!(peer.received, b"answer", "{kind:?}");
    }
}

#[tokio::test]
async fn an_end_inside_of_a_record_is_an_error() {
    let house = House::new();
    for kind in KINDS {
        let (mut served, mut peer) = connected(kind, &house, house.client()).await;
        let records = peer.records(b"hello");
        peer.wire.bring(&records[..records.len() - 1]);
        peer.wire.end();
        let error = fails_to_read(kind, &mut served).await;
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{kind:?}");
    }
}

/// A server takes in what a client has sent, and gives its answer.
fn answer(server: &mut ServerConnection, wire: &Wire) -> Vec<u8> {
    let sent = wire.take_sent();
    let mut rest = &sent[..];
    while !rest.is_empty() {
        server.read_tls(&mut rest).unwrap();
        server.process_new_packets().unwrap();
    }
    let mut records = Vec::new();
    while server.wants_write() {
        server.write_tls(&mut records).unwrap();
    }
    records
}

#[tokio::test]
async fn after_an_end_inside_of_a_handshake_message_there_is_still_writing() {
    let house = House::new();
    for kind in KINDS {
        let mut config = house.server();
        // A ticket takes some records then.
        config.max_fragment_size = Some(32);
        let mut server = ServerConnection::new(Arc::new(config)).unwrap();
        let wire = Wire::default();
        let mut connecting = task::spawn(kind.connect(wire.clone(), Arc::new(house.client())));
        assert!(connecting.poll().is_pending());
        wire.bring(&answer(&mut server, &wire));
        let Poll::Ready(connected) = connecting.poll() else {
            panic!("the client has all that it needs");
        };
        let mut client = connected.unwrap();

        let tickets = answer(&mut server, &wire);
        let first = 5 + usize::from(u16::from_be_bytes([tickets[3], tickets[4]]));
        assert!(first < tickets.len());
        wire.bring(&tickets[..first]);
        wire.end();
        let error = fails_to_read(kind, &mut client).await;
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{kind:?}");

        client.write_all(b"hello").await.unwrap();
        client.shutdown().await.unwrap();
        answer(&mut server, &wire);
        let mut received = [0; 5];
        io::Read::read_exact(&mut server.reader(), &mut received).unwrap();
        assert_eq!(&received, b"hello");
        assert!(server.process_new_packets().unwrap().peer_has_closed());
    }
}

#[tokio::test]
async fn a_shutdown_says_so_once_and_lets_the_peer_finish() {
    let house = House::new();
    for kind in KINDS {
        for version in VERSIONS {
            let (mut served, mut peer) = connected(kind, &house, house.client_of(version)).await;
            served.shutdown().await.unwrap();
            assert!(peer.wire.is_shut());
            peer.listen().unwrap();
            assert!(peer.has_closed(), "{kind:?}, {version:?}");
            served.shutdown().await.unwrap();
            assert_eq!(peer.wire.peek_sent(), 0);

            peer.send(b"last");
            peer.close();
            let mut buffer = [0; 8];
            assert_eq!(served.read(&mut buffer).await.unwrap(), 4);
            reads_nothing(&mut served).await;
        }
    }
}

#[tokio::test]
async fn a_shutdown_of_what_is_gone_is_no_error() {
    let house = House::new();
    for kind in KINDS {
        let (mut served, peer) = connected(kind, &house, house.client()).await;
        peer.wire.break_shutdown(io::ErrorKind::NotConnected);
        served.shutdown().await.unwrap();
        peer.wire.break_shutdown(io::ErrorKind::ConnectionReset);
        let error = served.shutdown().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{kind:?}");
    }
}

/// tokio-rustls sends records behind its close_notify.
#[tokio::test]
async fn after_a_shutdown_nothing_can_be_written() {
    let house = House::new();
    let (mut served, peer) = connected(Kind::TlsStream, &house, house.client()).await;
    served.shutdown().await.unwrap();
    let sent = peer.wire.peek_sent();
    let error = served.write(b"more").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    served.flush().await.unwrap();
    assert_eq!(peer.wire.peek_sent(), sent);
}

#[tokio::test]
async fn a_shutdown_waits_for_what_was_written() {
    let house = House::new();
    for kind in KINDS {
        let (mut served, mut peer) = connected(kind, &house, house.client()).await;
        peer.wire.set_room(10);
        served.write_all(b"hello").await.unwrap();
        let mut closing = task::spawn(served.shutdown());
        assert_pending!(closing.poll());
        assert!(!peer.wire.is_shut());

        peer.wire.set_room(usize::MAX);
        assert!(closing.is_woken());
        assert_ready_ok!(closing.poll());
        assert!(peer.wire.is_shut());
        peer.listen().unwrap();
        assert_eq!(peer.received, b"hello", "{kind:?}");
        assert!(peer.has_closed());
    }
}

#[tokio::test]
async fn a_forged_record_ends_it_and_the_peer_is_told_why() {
    let house = House::new();
    for kind in KINDS {
        for version in VERSIONS {
            let (mut served, mut peer) = connected(kind, &house, house.client_of(version)).await;
            let mut records = peer.records(b"hello");
            *records.last_mut().unwrap() ^= 1;
            peer.wire.bring(&records);

            let error = fails_to_read(kind, &mut served).await;
            assert_eq!(tls_error(&error), &TlsError::DecryptError, "{kind:?}");
            let told = peer.listen().unwrap_err();
            let alert = TlsError::AlertReceived(AlertDescription::BadRecordMac);
            assert_eq!(told, alert, "{kind:?}, {version:?}");

            let error = served.write(b"more").await.unwrap_err();
            assert_eq!(tls_error(&error), &TlsError::DecryptError);
            served.shutdown().await.unwrap();
            assert!(peer.wire.is_shut());
        }
    }
}

/// tokio-rustls fails first, and gives the rest if it is asked again.
#[tokio::test]
async fn what_came_before_a_forged_record_is_read_first() {
    let house = House::new();
    for size in [8, 3] {
        let (mut served, mut peer) = connected(Kind::TlsStream, &house, house.client()).await;
        let mut records = peer.records(b"good");
        records.extend(peer.records(b"forged"));
        *records.last_mut().unwrap() ^= 1;
        peer.wire.bring(&records);

        let mut buffer = [0; 8];
        let mut read = Vec::new();
        while read.len() < 4 {
            let count = served.read(&mut buffer[..size]).await.unwrap();
            read.extend_from_slice(&buffer[..count]);
        }
        assert_eq!(read, b"good");
        let error = fails_to_read(Kind::TlsStream, &mut served).await;
        assert_eq!(tls_error(&error), &TlsError::DecryptError);
    }
}

#[tokio::test]
async fn what_is_no_record_at_all_ends_it() {
    let house = House::new();
    for kind in KINDS {
        let (mut served, mut peer) = connected(kind, &house, house.client()).await;
        peer.wire.bring(b"GET / HTTP/1.1\r\n\r\n");
        let error = fails_to_read(kind, &mut served).await;
        let TlsError::InvalidMessage(_) = tls_error(&error) else {
            panic!("{error}");
        };
        let told = peer.listen().unwrap_err();
        let alert = TlsError::AlertReceived(AlertDescription::DecodeError);
        assert_eq!(told, alert, "{kind:?}");
    }
}

#[tokio::test]
async fn the_peers_alert_is_the_readers_error() {
    let house = House::new();
    for kind in KINDS {
        for version in VERSIONS {
            let (mut served, mut peer) = connected(kind, &house, house.client_of(version)).await;
            served.write_all(b"hello").await.unwrap();
            let mut sent = peer.wire.take_sent();
            *sent.last_mut().unwrap() ^= 1;
            peer.tls.read_tls(&mut &sent[..]).unwrap();
            peer.tls.process_new_packets().unwrap_err();
            let mut alert = Vec::new();
            peer.tls.write_tls(&mut alert).unwrap();
            peer.wire.bring(&alert);

            let error = fails_to_read(kind, &mut served).await;
            let expected = TlsError::AlertReceived(AlertDescription::BadRecordMac);
            assert_eq!(tls_error(&error), &expected, "{kind:?}, {version:?}");
        }
    }
}

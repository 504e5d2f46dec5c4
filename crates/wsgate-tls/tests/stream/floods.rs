//! Peers that send much of what is worth nothing, and how soon that is enough.

use std::io;
use std::sync::Arc;
use std::task::Poll;

use proptest::prelude::*;
use rustls::{Error as TlsError, InvalidMessage, PeerMisbehaved};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_test::task;
use wsgate_tls::rustls;

use crate::support::{House, KINDS, Kind, Peer, connected, pattern, tls_error};
use crate::wire::Wire;

/// Every kind answers these bytes, at the beginning of a connection, with the same error and alert.
#[track_caller]
fn refused(error: &TlsError, bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let house = House::new();
    for kind in KINDS {
        let wire = Wire::default();
        wire.bring(bytes);
        let accepting = kind.accept(wire, Arc::new(house.server()));
        let refusal = runtime.block_on(accepting).err().unwrap();
        assert_eq!(tls_error(&refusal), error, "{kind:?}");
    }
}

#[test]
fn records_with_nothing_in_them() {
    let error = InvalidMessage::InvalidEmptyPayload.into();
    refused(&error, &[0x16, 3, 1, 0, 0].repeat(100));
}

#[test]
fn warnings() {
    let error = PeerMisbehaved::TooManyWarningAlertsReceived.into();
    refused(&error, &[0x15, 3, 1, 0, 2, 1, 0x5a].repeat(100));
}

#[tokio::test]
async fn key_updates() {
    let house = House::new();
    for kind in KINDS {
        let (mut served, mut peer) = connected(kind, &house, house.client()).await;
        for _ in 0..100 {
            peer.tls.refresh_traffic_keys().unwrap();
            peer.send(b"");
        }
        let error = served.read(&mut [0; 8]).await.unwrap_err();
        let expected = TlsError::from(PeerMisbehaved::TooManyKeyUpdateRequests);
        assert_eq!(tls_error(&error), &expected, "{kind:?}");
    }
}

#[tokio::test]
async fn answers_to_key_updates_do_not_pile_up() {
    let house = House::new();
    for kind in KINDS {
        let (mut served, mut peer) = connected(kind, &house, house.client()).await;
        for _ in 0..100 {
            peer.tls.refresh_traffic_keys().unwrap();
            peer.send(b"x");
            assert_eq!(served.read(&mut [0; 8]).await.unwrap(), 1);
        }
        assert_eq!(peer.wire.peek_sent(), 0);
        served.write_all(b"hello").await.unwrap();
        // A record each: header, message, its type, tag.
        let (answer, hello) = (5 + 5 + 1 + 16, 5 + 5 + 1 + 16);
        assert_eq!(peer.wire.peek_sent(), answer + hello, "{kind:?}");
        peer.listen().unwrap();
        assert_eq!(peer.received, b"hello");
    }
}

/// tokio-rustls goes on for as long as the socket gives something.
#[tokio::test]
async fn a_reader_who_gets_nothing_leaves_the_thread_to_others() {
    let house = House::new();
    let (mut served, mut peer) = connected(Kind::TlsStream, &house, house.client()).await;
    peer.wire.read_at_most(1);
    peer.send(&pattern(1000));
    let mut buffer = [0; 1000];
    let mut reading = task::spawn(served.read(&mut buffer));
    let mut polls = 1;
    while reading.poll().is_pending() {
        assert!(reading.is_woken());
        let reads = peer.wire.reads();
        assert!(reads <= 20 * polls, "{reads} reads in {polls} polls");
        polls += 1;
    }
    drop(reading);
    assert!(polls > 50);
    assert_eq!(buffer[..], pattern(1000));
}

/// A handshake message in records of one byte each, as nobody sends it who means well.
#[tokio::test]
async fn crumbs_of_a_hello() {
    let house = House::new();
    for kind in KINDS {
        let wire = Wire::default();
        wire.bring(&[0x16, 3, 1, 0, 4, 1, 0, 0xff, 0xff]);
        for _ in 0..40_000 {
            wire.bring(&[0x16, 3, 1, 0, 1, 0]);
        }
        let accepted = kind.accept(wire.clone(), Arc::new(house.server())).await;
        let error = accepted.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{kind:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// A hello that is not quite one, whole or in parts: nothing panics, and both kinds find the same
    /// fault or wait for more.
    #[test]
    fn noise_in_a_hello(
        changes in prop::collection::vec((0..600usize, any::<u8>()), 1..5),
        cut in 0..600usize,
        chunk in prop_oneof![1..10usize, 1..1000usize],
    ) {
        let house = House::new();
        let mut hello = Peer::new(house.client(), Wire::default()).records(b"");
        for (at, with) in changes {
            let at = at % hello.len();
            hello[at] = with;
        }
        let cut = cut % hello.len();
        let server = Arc::new(house.server());
        let outcomes = KINDS.map(|kind| {
            let wire = Wire::default();
            wire.read_at_most(chunk);
            let mut accepting = task::spawn(kind.accept(wire.clone(), Arc::clone(&server)));
            let mut outcome = None;
            for part in [&hello[..cut], &hello[cut..]] {
                wire.bring(part);
                if outcome.is_none() && let Poll::Ready(accepted) = accepting.poll() {
                    outcome = Some(accepted.err().map(|error| error.to_string()));
                }
            }
            outcome
        });
        prop_assert_eq!(&outcomes[0], &outcomes[1]);
    }
}

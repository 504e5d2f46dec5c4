//! What a reader gets, however the records were cut.

use std::io::Write;
use std::task::Poll;

use tokio::io::AsyncReadExt;
use tokio_test::{assert_pending, assert_ready_ok, task};

use crate::support::{House, KINDS, Kind, Peer, VERSIONS, connected, pattern};
use crate::wire::Wire;

#[tokio::test]
async fn records_may_be_cut_anywhere() {
    let house = House::new();
    let plain = pattern(90);
    let records = |peer: &mut Peer| -> Vec<u8> {
        let parts = plain.chunks(30);
        parts.flat_map(|part| peer.records(part)).collect()
    };
    for kind in KINDS {
        for version in VERSIONS {
            let (mut served, mut peer) = connected(kind, &house, house.client_of(version)).await;
            let mut cut = 0;
            loop {
                let records = records(&mut peer);
                if cut == records.len() {
                    break;
                }
                let (first, second) = records.split_at(cut);
                let mut read = [0; 90];
                let mut reading = task::spawn(served.read_exact(&mut read));

                peer.wire.bring(first);
                assert_pending!(reading.poll());
                peer.wire.bring(second);
                assert_ready_ok!(reading.poll());
                drop(reading);
                assert_eq!(&read[..], plain, "{kind:?}, {version:?}, cut at {cut}");
                cut += 1;
            }
        }
    }
}

#[tokio::test]
async fn records_may_come_byte_by_byte() {
    let house = House::new();
    for kind in KINDS {
        let (mut served, mut peer) = connected(kind, &house, house.client()).await;
        peer.wire.read_at_most(1);
        let plain = pattern(20_000);
        peer.send(&plain);
        let mut read = vec![0; plain.len()];
        served.read_exact(&mut read).await.unwrap();
        assert!(read == plain);
    }
}

#[tokio::test]
async fn many_records_come_in_order_whatever_the_buffer() {
    let house = House::new();
    let plain = pattern(60_000);
    for kind in KINDS {
        for size in [1, 7, 100, 4096, 0x4000, 100_000] {
            let (mut served, mut peer) = connected(kind, &house, house.client()).await;
            let mut rest = &plain[..];
            for len in [1, 100, 0x4000, 2, 20_000, 10, usize::MAX] {
                let (part, others) = rest.split_at(len.min(rest.len()));
                peer.send(part);
                rest = others;
            }
            let mut buffer = vec![0; size];
            let mut read = Vec::new();
            while read.len() < plain.len() {
                let count = served.read(&mut buffer).await.unwrap();
                read.extend_from_slice(&buffer[..count]);
            }
            assert!(read == plain, "{kind:?}, {size}");
        }
    }
}

#[tokio::test]
async fn one_read_takes_all_that_has_come() {
    let house = House::new();
    for kind in KINDS {
        let (mut served, mut peer) = connected(kind, &house, house.client()).await;
        for _ in 0..4 {
            peer.send(&pattern(10_000));
        }
        let mut buffer = vec![0; 0x1_0000];
        assert_eq!(served.read(&mut buffer).await.unwrap(), 40_000, "{kind:?}");
    }
}

#[tokio::test]
async fn what_a_small_buffer_left_over_needs_no_socket() {
    let house = House::new();
    for kind in KINDS {
        let (mut served, mut peer) = connected(kind, &house, house.client()).await;
        peer.send(b"hello");
        let mut buffer = [0; 2];
        served.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"he");

        let reads = peer.wire.reads();
        served.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"ll");
        assert_eq!(peer.wire.reads(), reads, "{kind:?}");
    }
}

/// tokio-rustls looks at the socket, and may wait for it.
#[tokio::test]
async fn a_read_without_room_does_nothing() {
    let house = House::new();
    let (mut served, mut peer) = connected(Kind::TlsStream, &house, house.client()).await;
    let reads = peer.wire.reads();
    assert_ready_ok!(task::spawn(served.read(&mut [])).poll());
    peer.send(b"hello");
    assert_ready_ok!(task::spawn(served.read(&mut [])).poll());
    assert_eq!(peer.wire.reads(), reads);
}

#[tokio::test]
async fn a_reader_is_woken_and_waits_on_for_the_rest() {
    let house = House::new();
    for kind in KINDS {
        let (mut served, mut peer) = connected(kind, &house, house.client()).await;
        let mut buffer = [0; 8];
        let mut reading = task::spawn(served.read(&mut buffer));
        assert_pending!(reading.poll());

        let records = peer.records(b"hello");
        peer.wire.bring(&records[..10]);
        assert!(reading.is_woken());
        assert_pending!(reading.poll());
        assert!(!reading.is_woken());

        peer.wire.bring(&records[10..]);
        assert!(reading.is_woken());
        assert_eq!(assert_ready_ok!(reading.poll()), 5);
    }
}

#[tokio::test]
async fn a_read_that_was_dropped_loses_nothing() {
    let house = House::new();
    for kind in KINDS {
        let (mut served, mut peer) = connected(kind, &house, house.client()).await;
        let plain = pattern(3000);
        let records = peer.records(&plain);
        let mut read = Vec::new();
        for part in records.chunks(700) {
            peer.wire.bring(part);
            let mut buffer = [0; 100];
            // A future for each poll, most of them dropped while they wait.
            while let Poll::Ready(count) = task::spawn(served.read(&mut buffer)).poll() {
                read.extend_from_slice(&buffer[..count.unwrap()]);
            }
        }
        assert!(read == plain, "{kind:?}");
    }
}

#[tokio::test]
async fn the_first_request_may_come_with_the_end_of_the_handshake() {
    let house = House::new();
    for kind in KINDS {
        for version in VERSIONS {
            let mut peer = Peer::new(house.client_of(version), Wire::default());
            let plain = pattern(40_000);
            peer.tls.writer().write_all(&plain).unwrap();
            let mut served = peer.shake(kind, house.server()).await.unwrap();
            peer.listen().unwrap();
            // TLS 1.2 clients hear the server's Finished first.
            peer.send(b"");
            let mut read = vec![0; plain.len()];
            served.read_exact(&mut read).await.unwrap();
            assert!(read == plain, "{kind:?}, {version:?}");
        }
    }
}

//! What goes out, when, and how much waits for a slow peer.

use std::io::{self, IoSlice};
use std::task::Poll;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};

use crate::support::{House, KINDS, Kind, VERSIONS, connected, pattern, tls_error};

#[tokio::test]
async fn a_write_goes_out_at_once() {
    let house = House::new();
    for kind in KINDS {
        let (mut served, mut peer) = connected(kind, &house, house.client()).await;
        let writes = peer.wire.writes();
        assert_eq!(served.write(b"hello").await.unwrap(), 5);
        assert_eq!(peer.wire.writes(), writes + 1);
        peer.listen().unwrap();
        assert_eq!(peer.received, b"hello", "{kind:?}");
        assert_eq!(served.write(b"").await.unwrap(), 0);
        assert_eq!(peer.wire.writes(), writes + 1, "{kind:?}");
    }
}

/// tokio-rustls writes a megabyte in sixteen, too, and says so when all are written.
#[tokio::test]
async fn three_records_go_out_in_one_write() {
    let house = House::new();
    for version in VERSIONS {
        let client = house.client_of(version);
        let (mut served, mut peer) = connected(Kind::TlsStream, &house, client).await;
        let writes = peer.wire.writes();
        let plain = pattern(1_000_000);
        assert_eq!(served.write(&plain).await.unwrap(), 0xc000);
        assert_eq!(peer.wire.writes(), writes + 1);
        peer.listen().unwrap();
        assert!(peer.received == plain[..0xc000]);
    }
}

#[tokio::test]
async fn tiny_records_are_made_where_the_configuration_says_so() {
    let house = House::new();
    let (plain, mut server) = (pattern(100_000), house.server());
    server.max_fragment_size = Some(40);
    for kind in KINDS {
        let mut peer = crate::support::Peer::new(house.client(), Default::default());
        let mut served = peer.shake(kind, server.clone()).await.unwrap();
        served.write_all(&plain).await.unwrap();
        served.flush().await.unwrap();
        peer.listen().unwrap();
        assert!(peer.received == plain, "{kind:?}");
    }
}

#[tokio::test]
async fn a_slow_peer_makes_the_writer_wait() {
    let house = House::new();
    let plain = pattern(1_000_000);
    for kind in KINDS {
        let (mut served, mut peer) = connected(kind, &house, house.client()).await;
        peer.wire.set_room(1000);
        let mut taken = 0;
        while let Poll::Ready(count) = task::spawn(served.write(&plain[taken..])).poll() {
            taken += count.unwrap();
        }
        // A batch waits, and no more.
        assert!((0xc000..0x1_8000).contains(&taken), "{kind:?}: {taken}");

        let mut writing = task::spawn(served.write_all(&plain[taken..]));
        assert_pending!(writing.poll());
        peer.wire.set_room(usize::MAX);
        assert!(writing.is_woken());
        assert_ready_ok!(writing.poll());
        drop(writing);
        served.flush().await.unwrap();
        peer.listen().unwrap();
        assert!(peer.received == plain, "{kind:?}");
    }
}

#[tokio::test]
async fn nothing_is_lost_when_the_socket_takes_crumbs() {
    let house = House::new();
    let plain = pattern(30_000);
    for kind in KINDS {
        for crumb in [1, 13, 1000] {
            let (mut served, mut peer) = connected(kind, &house, house.client()).await;
            let mut writing = task::spawn(async {
                for part in plain.chunks(7000) {
                    served.write_all(part).await?;
                }
                served.flush().await
            });
            peer.wire.set_room(0);
            while writing.poll().is_pending() {
                peer.wire.set_room(crumb);
            }
            peer.listen().unwrap();
            assert!(peer.received == plain, "{kind:?}, {crumb}");
        }
    }
}

#[tokio::test]
async fn a_flush_waits_for_the_records_then_for_the_stream() {
    let house = House::new();
    for kind in KINDS {
        let (mut served, mut peer) = connected(kind, &house, house.client()).await;
        peer.wire.set_room(10);
        peer.wire.block_flush(true);
        served.write_all(b"hello").await.unwrap();
        let mut flushing = task::spawn(served.flush());
        assert_pending!(flushing.poll());

        peer.wire.set_room(usize::MAX);
        assert!(flushing.is_woken());
        assert_pending!(flushing.poll());
        peer.listen().unwrap();
        assert_eq!(peer.received, b"hello", "{kind:?}");

        let flushes = peer.wire.flushes();
        peer.wire.block_flush(false);
        assert!(flushing.is_woken());
        assert_ready_ok!(flushing.poll());
        assert_eq!(peer.wire.flushes(), flushes + 1);
    }
}

#[tokio::test]
async fn slices_become_one_record() {
    let house = House::new();
    let plain = pattern(640);
    for kind in KINDS {
        let (mut served, mut peer) = connected(kind, &house, house.client()).await;
        assert!(served.is_write_vectored());
        let slices: Vec<_> = plain.chunks(10).map(IoSlice::new).collect();
        assert_eq!(served.write_vectored(&slices).await.unwrap(), 640);
        // Header, the record's own type, tag.
        assert_eq!(peer.wire.peek_sent(), 640 + 5 + 1 + 16, "{kind:?}");
        peer.listen().unwrap();
        assert_eq!(peer.received, plain);

        let empty = [IoSlice::new(b""), IoSlice::new(b"")];
        assert_eq!(served.write_vectored(&empty).await.unwrap(), 0);
        assert_eq!(served.write_vectored(&[]).await.unwrap(), 0);
        assert_eq!(peer.wire.peek_sent(), 0, "{kind:?}");
    }
}

#[tokio::test]
async fn slices_of_any_size_arrive_whole() {
    let house = House::new();
    let plain = pattern(200_000);
    for kind in KINDS {
        let (mut served, mut peer) = connected(kind, &house, house.client()).await;
        let mut written = 0;
        while written < plain.len() {
            let (head, body) = plain[written..].split_at(300.min(plain.len() - written));
            let slices = [IoSlice::new(b""), IoSlice::new(head), IoSlice::new(body)];
            written += served.write_vectored(&slices).await.unwrap();
        }
        served.flush().await.unwrap();
        peer.listen().unwrap();
        assert!(peer.received == plain, "{kind:?}");
    }
}

#[tokio::test]
async fn the_streams_errors_are_the_writers() {
    let house = House::new();
    for kind in KINDS {
        let (mut served, peer) = connected(kind, &house, house.client()).await;
        peer.wire.break_writing(io::ErrorKind::ConnectionReset);
        let error = served.write(b"hello").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{kind:?}");
    }
}

#[tokio::test]
async fn a_stream_that_takes_nothing_is_broken() {
    let house = House::new();
    for kind in KINDS {
        let (mut served, peer) = connected(kind, &house, house.client()).await;
        peer.wire.break_writing(io::ErrorKind::WriteZero);
        let written = async {
            served.write_all(b"hello").await?;
            served.flush().await
        };
        let error = written.await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WriteZero, "{kind:?}");
    }
}

#[tokio::test]
async fn reader_and_writer_are_woken_apart() {
    let house = House::new();
    for kind in KINDS {
        let (served, mut peer) = connected(kind, &house, house.client()).await;
        let (mut reader, mut writer) = tokio::io::split(served);
        peer.wire.set_room(10);
        let mut buffer = [0; 8];
        let mut reading = task::spawn(reader.read(&mut buffer));
        let mut writing = task::spawn(async {
            writer.write_all(b"hello").await?;
            writer.flush().await
        });
        assert_pending!(reading.poll());
        assert_pending!(writing.poll());

        peer.send(b"hello");
        assert!(reading.is_woken() && !writing.is_woken());
        assert_eq!(assert_ready_ok!(reading.poll()), 5);
        peer.wire.set_room(usize::MAX);
        assert!(writing.is_woken(), "{kind:?}");
        assert_ready_ok!(writing.poll());
    }
}

/// tokio-rustls tries to send its alert, and takes the writer's place in the queue.
#[tokio::test]
async fn a_reader_that_fails_does_not_take_the_writers_place() {
    let house = House::new();
    let (served, mut peer) = connected(Kind::TlsStream, &house, house.client()).await;
    let (mut reader, mut writer) = tokio::io::split(served);
    peer.wire.set_room(10);
    let mut writing = task::spawn(async {
        writer.write_all(b"hello").await?;
        writer.flush().await
    });
    assert_pending!(writing.poll());

    let mut records = peer.records(b"hello");
    *records.last_mut().unwrap() ^= 1;
    peer.wire.bring(&records);
    let mut buffer = [0; 8];
    let mut reading = task::spawn(reader.read(&mut buffer));
    tls_error(&assert_ready_err!(reading.poll()));

    peer.wire.set_room(usize::MAX);
    assert!(writing.is_woken());
    assert_ready_ok!(writing.poll());
    // What was written came first, then the alert.
    peer.listen().unwrap_err();
    assert_eq!(peer.received, b"hello");
}

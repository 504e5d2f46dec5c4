//! Who does not read one tunnel stops that one, and holds little of it in the gateway.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncWriteExt;
use tokio_util::task::AbortOnDropHandle;
use wsgate_tests::bulk::Bulk;
use wsgate_tests::client::Protocol;
use wsgate_tests::{Frame, Role, trace};

use super::Stage;

/// More than all buffers and windows hold between two ends.
const STALLING: usize = 64 << 20;

/// Much is said on another tunnel of the connection.
async fn another_goes_on(stage: &mut Stage) {
    let (mut client, mut upstream, connection) = stage.open().await;
    assert_eq!(connection, 0);
    for _ in 0..100 {
        let piece = Frame::binary(vec![1; 100_000]);
        let ((), up) = tokio::join!(client.send(piece.clone()), upstream.frame());
        assert_eq!(up.unmasked(), piece);
        let ((), down) = tokio::join!(upstream.send(piece.clone()), client.frame());
        assert_eq!(down, piece);
    }
    assert_eq!(stage.upstream.connections(), (1, 0));
}

#[tokio::test]
async fn a_client_that_does_not_read_its_tunnel() {
    let _trace = trace::init();
    for protocol in Protocol::BOTH {
        let mut stage = Stage::start(protocol).await;
        let (client, upstream, _) = stage.open().await;
        let bulk = Bulk::from(Role::Server, STALLING);
        let flood = tokio::spawn({
            let bulk = bulk.clone();
            async move {
                let mut from = upstream.into_parts().0;
                bulk.send(&mut from, |_| {}).await;
                from
            }
        });
        another_goes_on(&mut stage).await;
        assert!(!flood.is_finished(), "who has read {STALLING} bytes?");
        bulk.receive(&mut client.into_parts().0).await;
        flood.await.unwrap();
    }
}

#[tokio::test]
async fn an_upstream_that_does_not_read_its_tunnel() {
    let _trace = trace::init();
    for protocol in Protocol::BOTH {
        let mut stage = Stage::start(protocol).await;
        let (client, upstream, _) = stage.open().await;
        let bulk = Bulk::from(Role::Client, STALLING);
        let flood = tokio::spawn({
            let bulk = bulk.clone();
            async move {
                let mut from = client.into_parts().0;
                bulk.send(&mut from, |_| {}).await;
                from
            }
        });
        another_goes_on(&mut stage).await;
        assert!(!flood.is_finished(), "who has read {STALLING} bytes?");
        bulk.receive(&mut upstream.into_parts().0).await;
        flood.await.unwrap();
    }
}

/// Each message in a frame of HTTP/2 by itself, which takes many times its size while it waits: h2 would
/// end the connection of all tunnels for that.
#[tokio::test]
async fn clients_that_do_not_read_the_smallest_messages() {
    let _trace = trace::init();
    // A window that is soon full, where TCP would take megabytes.
    let mut stage = Stage::start(Protocol::Http2).await;
    let message = Frame::text("x").to_bytes();
    let mut stalled = Vec::new();
    for _ in 0..CLIENTS {
        let (client, upstream, _) = stage.open().await;
        let (sent, message) = (Arc::new(AtomicUsize::new(0)), message.clone());
        let count = Arc::clone(&sent);
        let flood = AbortOnDropHandle::new(tokio::spawn(async move {
            let mut upstream = upstream.into_parts().0;
            while upstream.write_all(&message).await.is_ok() {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }));
        stalled.push((client, flood, sent));
    }
    // Until none gets on any more: what is under way to the clients is full as well.
    let (mut client, mut upstream, _) = stage.open().await;
    let total = || -> usize {
        let sent = stalled
            .iter()
            .map(|(.., sent)| sent.load(Ordering::Relaxed));
        sent.sum()
    };
    let mut before = usize::MAX;
    while before != total() {
        before = total();
        for _ in 0..100 {
            upstream.send(Frame::text("others go on")).await;
            assert_eq!(client.frame().await, Frame::text("others go on"));
        }
    }
    for (client, flood, sent) in &mut stalled {
        assert!(!flood.is_finished(), "the connection is lost");
        let sent = sent.load(Ordering::Relaxed);
        let messages = client.raw(sent * message.len()).await;
        assert!(messages.chunks_exact(message.len()).all(|m| m == message));
    }
    assert_eq!(stage.upstream.connections(), (1, 0));
}

/// Of as many the frames are more than h2 is told to bear.
const CLIENTS: usize = 4;

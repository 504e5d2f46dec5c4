//! Who does not read stops who writes: the gateway holds a bounded amount, and loses none of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use wsgate_tests::bulk::Bulk;
use wsgate_tests::client::Handshake;
use wsgate_tests::stage::{Ends, Http, Stage};
use wsgate_tests::{Io, Role, trace};

#[tokio::test]
async fn a_client_that_does_not_read_stops_the_upstream() {
    let _trace = trace::init();
    for http in Http::BOTH {
        let mut stage = Stage::start(http).await;
        let Ends {
            client, upstream, ..
        } = stage.open(Handshake::of("/websocket")).await;
        let bulk = Bulk::from(Role::Server, LENGTH);
        let flood = Flood::start(&bulk, upstream.into_parts().0);
        let written = flood.stalls().await;
        assert!(written < SOCKETS, "{http:?}: {written} bytes are held");

        let mut client = client.into_parts().0;
        bulk.receive(&mut client).await;
        flood.sender.await.unwrap();
        drop(client);
        stage.join().await;
    }
}

#[tokio::test]
async fn an_upstream_that_does_not_read_stops_the_client() {
    let _trace = trace::init();
    for http in Http::BOTH {
        let mut stage = Stage::start(http).await;
        let Ends {
            client, upstream, ..
        } = stage.open(Handshake::of("/websocket")).await;
        let bulk = Bulk::from(Role::Client, LENGTH);
        let flood = Flood::start(&bulk, client.into_parts().0);
        let written = flood.stalls().await;
        assert!(written < SOCKETS, "{http:?}: {written} bytes are held");

        let mut upstream = upstream.into_parts().0;
        bulk.receive(&mut upstream).await;
        flood.sender.await.unwrap();
        drop(upstream);
        stage.join().await;
    }
}

/// hyper takes any write to a stream of HTTP/2 whole, so only small ones are held back.
#[tokio::test]
async fn little_waits_for_the_window_of_a_stream() {
    let trace = trace::init();
    let mut stage = Stage::start(Http::Two).await;
    let Ends {
        client, upstream, ..
    } = stage.open(Handshake::of("/websocket")).await;
    let bulk = Bulk::from(Role::Server, LENGTH);
    let flood = Flood::start(&bulk, upstream.into_parts().0);
    flood.stalls().await;
    client.reset();
    flood.sender.abort();

    let closed = trace.until("tunnel closed", 1).await;
    let taken: usize = closed[0].field("upstream_bytes").parse().unwrap();
    assert!(
        (STREAM_WINDOW..STREAM_WINDOW + (128 << 10)).contains(&taken),
        "{taken}"
    );
    stage.join().await;
}

/// A message on its way to somebody.
struct Flood {
    /// The bytes that were taken from the sender.
    taken: Arc<AtomicUsize>,
    sender: JoinHandle<Box<dyn Io>>,
}

// ===== impl Flood =====

impl Flood {
    fn start(bulk: &Bulk, mut io: Box<dyn Io>) -> Self {
        let taken = Arc::new(AtomicUsize::new(0));
        let sender = tokio::spawn({
            let (bulk, taken) = (bulk.clone(), Arc::clone(&taken));
            async move {
                let count = |length| _ = taken.fetch_add(length, Ordering::Relaxed);
                bulk.send(&mut io, count).await;
                io
            }
        });
        Self { taken, sender }
    }

    /// Waits until nothing more is taken, and says how much was.
    async fn stalls(&self) -> usize {
        let mut last = 0;
        let mut quiet = 0;
        while quiet < 5 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let taken = self.taken.load(Ordering::Relaxed);
            quiet = if taken == last { quiet + 1 } else { 0 };
            last = taken;
        }
        last
    }
}

/// Far more than may be held.
const LENGTH: usize = 64 << 20;

/// What two pairs of sockets may hold: Linux lets each of their buffers grow to some megabytes.
const SOCKETS: usize = 24 << 20;

/// What a client of HTTP/2 takes of a stream before it has read any of it (RFC 9113, 6.9.2).
const STREAM_WINDOW: usize = 0xffff;

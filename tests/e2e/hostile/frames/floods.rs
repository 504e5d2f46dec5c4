//! Tiny frames as fast as they can be sent, to whoever reads them and whoever does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use axum::routing::any;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use wsgate::layer::limit::{Excess, Rate};
use wsgate::layer::{KeepaliveLayer, LimitLayer, ReadTimeoutLayer, StrictFramesLayer};
use wsgate_tests::alone::{alone, memory, peak_memory};
use wsgate_tests::client::Handshake;
use wsgate_tests::gateway::Gateway;
use wsgate_tests::stage::{Ends, Http, Stage};
use wsgate_tests::upstream::script::Accept;
use wsgate_tests::{Frame, Io, Role, trace};

use super::cases::right;

/// A handler that does nothing with what it hears; pings are answered by axum. What the client does not
/// take of the answers has no bound by default.
async fn listen(ws: WebSocketUpgrade) -> Response {
    let ws = ws.max_write_buffer_size(256 << 10);
    ws.on_upgrade(|mut socket| async move { while let Some(Ok(_)) = socket.recv().await {} })
}

/// What a flood is made of.
fn kinds() -> [(&'static str, Vec<u8>); 4] {
    let empty = Frame::continuation("").unfinished();
    [
        ("pings", right(Role::Client, Frame::ping("p".repeat(125)))),
        ("pongs", right(Role::Client, Frame::pong(""))),
        ("empty pieces", right(Role::Client, empty)),
        ("empty messages", right(Role::Client, Frame::text(""))),
    ]
}

/// Two of them each, so that it does not take all day.
fn some(http: Http) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let first = usize::from(http == Http::Two);
    kinds().into_iter().skip(first).step_by(2)
}

/// What has to go before it.
fn before(kind: &str) -> Vec<u8> {
    match kind {
        "empty pieces" => right(Role::Client, Frame::text("").unfinished()),
        _ => Vec::new(),
    }
}

/// The layers of the program, and all others that look at frames.
fn layered(router: Router) -> Router {
    router
        .layer(StrictFramesLayer::new())
        .layer(KeepaliveLayer::default())
        .layer(ReadTimeoutLayer::default())
        .layer(LimitLayer::new().message_size(1 << 20))
}

#[tokio::test]
async fn an_upstream_that_does_not_read_stops_it() {
    if !alone("hostile::frames::floods::an_upstream_that_does_not_read_stops_it").await {
        return;
    }
    let _trace = trace::init();
    for http in Http::BOTH {
        for (kind, frame) in some(http) {
            let mut stage = Stage::serving(http, Accept::default(), |proxy| {
                layered(Router::new().route_service("/websocket", proxy))
            })
            .await;
            let Ends {
                client, upstream, ..
            } = stage.open(Handshake::of("/websocket")).await;
            let held = memory();
            let flood = Flood::start(client.into_parts().0, before(kind), &frame, ENDLESS);
            let taken = flood.stalls().await;
            let more = peak_memory().saturating_sub(held);
            assert!(taken < SOCKETS, "{http:?}, {kind}: {taken} bytes are held");
            assert!(more < MEMORY, "{http:?}, {kind}: {more} bytes of memory");
            flood.stop().await;
            drop(upstream);
            stage.join().await;
        }
    }
}

/// It answers pings, to a client that takes no answer.
#[tokio::test]
async fn a_handler_of_axums_holds_little_of_it() {
    if !alone("hostile::frames::floods::a_handler_of_axums_holds_little_of_it").await {
        return;
    }
    let _trace = trace::init();
    for http in Http::BOTH {
        for (kind, frame) in kinds() {
            let app = layered(Router::new().route("/axum", any(listen)));
            let gateway = Gateway::serving(app).await;
            let mut h2 = match http {
                Http::One => None,
                Http::Two => Some(gateway.target().h2().await),
            };
            let handshake = Handshake::of("/axum");
            let client = match &mut h2 {
                None => gateway.target().tunnel(handshake).await,
                Some(h2) => h2.open(handshake).await.unwrap().tunnel,
            };
            let held = memory();
            // Of pings that are not answered more than may be held.
            let length = frame.len() << if kind == "pings" { 16 } else { 13 };
            let flood = Flood::start(client.into_parts().0, before(kind), &frame, length);
            let taken = flood.stalls().await;
            let more = peak_memory().saturating_sub(held);
            assert!(more < MEMORY, "{http:?}, {kind}: {more} bytes of {taken}");
            flood.stop().await;
            if let Some(h2) = h2 {
                h2.join().await;
            }
            gateway.join().await;
        }
    }
}

/// Whoever sends faster than that waits, and loses nothing.
#[tokio::test]
async fn a_frame_rate_holds_it_back() {
    let _trace = trace::init();
    for http in Http::BOTH {
        let rate = Rate::per_second(40).burst(4);
        let mut stage = limited(http, LimitLayer::new().frame_rate(rate)).await;
        let Ends {
            mut client,
            mut upstream,
            ..
        } = stage.open(Handshake::of("/websocket")).await;
        let start = Instant::now();
        for (kind, frame) in kinds() {
            let sent = [before(kind), frame.clone()].concat();
            let sent = if kind == "empty pieces" {
                [sent, right(Role::Client, Frame::continuation(""))].concat()
            } else {
                [sent, frame.clone(), frame].concat()
            };
            client.send_raw(&sent).await;
            assert_eq!(upstream.raw(sent.len()).await, sent, "{http:?}, {kind}");
        }
        // What is read at once passes at once, and is paid for before the next: of twelve frames nine
        // have been paid for, less the four that are free.
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(125), "{http:?}: {took:?}");
        drop((client, upstream));
        stage.join().await;
    }
}

#[tokio::test]
async fn or_it_is_closed() {
    let trace = trace::init();
    let mut count = 0;
    for http in Http::BOTH {
        for (kind, frame) in kinds() {
            let rate = Rate::new(5, Duration::from_secs(3600));
            let limit = LimitLayer::new().frame_rate(rate).excess(Excess::Close);
            let mut stage = limited(http, limit).await;
            let Ends {
                mut client,
                mut upstream,
                ..
            } = stage.open(Handshake::of("/websocket")).await;
            let flood = [before(kind), frame.repeat(100)].concat();
            client.send_raw(&flood).await;
            let close = Frame::close(1008, "too many frames");
            assert_eq!(client.frame().await, close, "{http:?}, {kind}");
            client.send(Frame::close(1008, "")).await;
            for _ in 0..5 {
                assert_ne!(upstream.frame().await.unmasked(), close);
            }
            assert_eq!(upstream.frame().await.unmasked(), close);
            upstream.shutdown().await;
            client.end().await;
            drop((client, upstream));
            count += 1;
            let closed = trace.until("tunnel closed", count).await;
            assert_eq!(closed.last().unwrap().field("cause"), "frame rate");
            stage.join().await;
        }
    }
}

async fn limited(http: Http, limit: LimitLayer) -> Stage {
    Stage::serving(http, Accept::default(), |proxy| {
        Router::new()
            .route_service("/websocket", proxy)
            .layer(limit)
    })
    .await
}

/// A client that only sends.
struct Flood {
    /// The bytes that were taken from it.
    taken: Arc<AtomicUsize>,
    task: JoinHandle<Box<dyn Io>>,
}

// ===== impl Flood =====

impl Flood {
    fn start(mut io: Box<dyn Io>, before: Vec<u8>, frame: &[u8], length: usize) -> Self {
        let taken = Arc::new(AtomicUsize::new(0));
        let many = frame.repeat(PIECE / frame.len());
        let task = tokio::spawn({
            let taken = Arc::clone(&taken);
            async move {
                io.write_all(&before).await.unwrap();
                while taken.load(Ordering::Relaxed) < length {
                    // A part of a frame is as good to take as a whole one.
                    let mut rest = &many[..];
                    while !rest.is_empty() {
                        let n = io.write(rest).await.unwrap();
                        taken.fetch_add(n, Ordering::Relaxed);
                        rest = &rest[n..];
                    }
                }
                io.flush().await.unwrap();
                io
            }
        });
        Self { taken, task }
    }

    /// Breaks off, and lets go of the stream.
    async fn stop(self) {
        self.task.abort();
        drop(self.task.await);
    }

    /// Waits until nothing more is taken, and says how much was.
    async fn stalls(&self) -> usize {
        let mut last = 0;
        let mut quiet = 0;
        while quiet < 4 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let taken = self.taken.load(Ordering::Relaxed);
            quiet = if taken == last { quiet + 1 } else { 0 };
            last = taken;
        }
        last
    }
}

const PIECE: usize = 64 << 10;

const ENDLESS: usize = usize::MAX;

/// What two pairs of sockets may hold: Linux lets each of their buffers grow to some megabytes.
const SOCKETS: usize = 24 << 20;

/// What a tunnel may hold of it, by far.
const MEMORY: u64 = 4 << 20;

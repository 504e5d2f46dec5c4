//! Where nobody can tell any more where a frame begins: a length with its highest bit set.

use std::time::Duration;

use axum::Router;
use wsgate::WebSocketProxy;
use wsgate::layer::drain::Drained;
use wsgate::layer::limit::{Excess, Rate};
use wsgate::layer::{Drain, KeepaliveLayer, LimitLayer};
use wsgate_tests::client::Handshake;
use wsgate_tests::stage::{Ends, Http, Stage};
use wsgate_tests::trace::Trace;
use wsgate_tests::upstream::script::Accept;
use wsgate_tests::{Frame, Role, trace};

use super::cases::raw;

/// Both sides see each other's bytes as before, nothing of the gateway's is in between, and all who
/// see it say it once.
#[tokio::test]
async fn nothing_is_put_between_the_bytes_and_the_log_says_so_once() {
    let trace = trace::init();
    for http in Http::BOTH {
        let before = trace.find(LOST).len();
        let drain = Drain::new().spread(Duration::ZERO);
        let often = KeepaliveLayer::every(Duration::from_millis(20));
        let often = often.pong_timeout(Duration::from_secs(3600));
        let mut stage = Stage::serving(http, Accept::default(), |proxy| {
            let proxy = proxy.upstream_keepalive(often.clone());
            Router::new()
                .route_service("/websocket", proxy)
                .layer(KeepaliveLayer::every(Duration::from_secs(3600)))
                .layer(drain.layer())
        })
        .await;
        let mut ends = stage.open(Handshake::of("/websocket")).await;
        let (client, upstream) = (&mut ends.client, &mut ends.upstream);
        client.send_raw(&lost(Role::Client)).await;
        let mut seen = Vec::new();
        // A ping may have gone out before.
        while !seen.ends_with(&lost(Role::Client)) {
            seen.extend(upstream.raw(1).await);
        }
        upstream.send_raw(&lost(Role::Server)).await;
        assert_eq!(client.raw(LENGTH).await, lost(Role::Server));
        for words in ["several", "times", "the", "interval"] {
            tokio::time::sleep(Duration::from_millis(30)).await;
            client.send_raw(words.as_bytes()).await;
            assert_eq!(upstream.raw(words.len()).await, words);
            upstream.send_raw(words.as_bytes()).await;
            assert_eq!(client.raw(words.len()).await, words);
        }
        let drained = is_cut(&drain, ends).await;
        assert_eq!(
            (drained.closed, drained.cut),
            (0, 1),
            "it could not be told"
        );
        stage.join().await;

        let warnings = &trace.find(LOST)[before..];
        let sides: Vec<_> = warnings.iter().map(|event| event.field("side")).collect();
        assert_eq!(sides, ["client", "server"], "{http:?}");
        assert!(warnings.iter().all(|e| e.level == tracing::Level::WARN));
    }
}

/// Without any layer it is the relay that says so, and it names the tunnel.
#[tokio::test]
async fn the_relay_says_so_where_there_are_no_layers() {
    let trace = trace::init();
    for http in Http::BOTH {
        let before = trace.find(LOST).len();
        let mut stage = Stage::start(http).await;
        let mut ends = stage.open(Handshake::of("/websocket")).await;
        ends.client.send_raw(&lost(Role::Client)).await;
        ends.upstream.raw(LENGTH + 4).await;
        ends.upstream.send_raw(&lost(Role::Server)).await;
        ends.client.raw(LENGTH).await;
        // No farewell, for which there is no place.
        ends.upstream.shutdown().await;
        ends.client.end().await;
        drop(ends);
        stage.join().await;
        let warnings = &trace.find(LOST)[before..];
        let sides: Vec<_> = warnings.iter().map(|event| event.field("side")).collect();
        assert_eq!(sides, ["client", "server"], "{http:?}");
        assert!(warnings.iter().all(|e| e.field("route") == "/websocket"));
    }
}

/// No ping can be sent to it any more, and so its silence has to do.
#[tokio::test]
async fn a_client_that_dies_after_that_is_found_by_the_keepalive_alone() {
    let trace = trace::init();
    for (number, http) in (1..).zip(Http::BOTH) {
        let mut stage = Stage::serving(http, Accept::default(), |proxy| {
            let short = Duration::from_millis(200);
            let keepalive = KeepaliveLayer::every(short).pong_timeout(short);
            around(proxy, keepalive)
        })
        .await;
        let mut ends = stage.open(Handshake::of("/websocket")).await;
        ends.upstream.send_raw(&lost(Role::Server)).await;
        ends.client.raw(LENGTH).await;
        let told = ends.upstream.frame().await.unmasked();
        assert_eq!(told, Frame::close(1011, "pong timeout"));
        ends.upstream.shutdown().await;
        drop(ends);
        let closed = is_closed(&trace, number).await;
        assert_eq!(closed, "pong timeout");
        stage.join().await;
    }
}

/// There is no frame that could be measured or counted.
#[tokio::test]
async fn it_is_no_way_round_a_limit() {
    let trace = trace::init();
    let plenty = Rate::per_second(1_000_000);
    let limits = [
        LimitLayer::new().message_size(1 << 40),
        LimitLayer::new().frame_size(u64::MAX - 1),
        LimitLayer::new().frame_rate(plenty).excess(Excess::Close),
    ];
    let mut count = 0;
    for http in Http::BOTH {
        for limit in &limits {
            let limit = limit.clone();
            let start = Stage::serving(http, Accept::default(), |proxy| around(proxy, limit));
            let mut stage = start.await;
            let mut ends = stage.open(Handshake::of("/websocket")).await;
            ends.client.send_bytewise(&lost(Role::Client)).await;
            let close = Frame::close(1009, "frame too big");
            assert_eq!(ends.client.frame().await, close);
            ends.client.send_raw(b"whatever").await;
            ends.client.shutdown().await;
            assert_eq!(ends.upstream.frame().await.unmasked(), close);
            ends.upstream.shutdown().await;
            drop(ends);
            count += 1;
            assert_eq!(is_closed(&trace, count).await, "frame size");
            stage.join().await;
        }
    }
}

/// The longest length that there is: nobody holds it, and nobody counts on its end.
#[tokio::test]
async fn a_frame_of_nearly_two_to_the_63_is_a_frame_that_goes_on() {
    let trace = trace::init();
    for (number, http) in (1..).zip(Http::BOTH) {
        let drain = Drain::new().spread(Duration::ZERO);
        let layer = drain.layer();
        let mut stage = Stage::serving(http, Accept::default(), |proxy| around(proxy, layer)).await;
        let mut ends = stage.open(Handshake::of("/websocket")).await;
        let endless = |role| {
            raw(
                role,
                0x82,
                &[127, 0x7f, 255, 255, 255, 255, 255, 255, 255],
                b"!",
            )
        };
        for role in [Role::Client, Role::Server] {
            let endless = endless(role);
            let (from, to) = match role {
                Role::Client => (&mut ends.client, &mut ends.upstream),
                Role::Server => (&mut ends.upstream, &mut ends.client),
            };
            from.send_bytewise(&endless).await;
            assert_eq!(to.raw(endless.len()).await, endless);
        }
        let drained = is_cut(&drain, ends).await;
        assert_eq!(
            (drained.closed, drained.cut),
            (0, 1),
            "there was no boundary"
        );
        assert_eq!(is_closed(&trace, number).await, "drain");
        stage.join().await;
    }
    assert_eq!(trace.find(LOST).len(), 0);
}

/// Drains the gateway, which finds no place for its Close on either side: both see the end and nothing
/// else.
async fn is_cut(drain: &Drain, ends: Ends) -> Drained {
    let Ends {
        mut client,
        mut upstream,
        ..
    } = ends;
    let cut = async {
        client.end().await;
        upstream.end().await;
        drop((client, upstream));
    };
    let (drained, ()) = tokio::join!(drain.within(Duration::from_millis(300)), cut);
    drained
}

/// The cause of the last of so many ends.
async fn is_closed(trace: &Trace, count: usize) -> String {
    let closed = trace.until("tunnel closed", count).await;
    closed.last().unwrap().field("cause").to_owned()
}

fn around<L>(proxy: WebSocketProxy, layer: L) -> Router
where
    L: tower::Layer<axum::routing::Route> + Clone + Send + Sync + 'static,
    L::Service: tower::Service<axum::extract::Request, Error = std::convert::Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    <L::Service as tower::Service<axum::extract::Request>>::Response:
        axum::response::IntoResponse + 'static,
    <L::Service as tower::Service<axum::extract::Request>>::Future: Send + 'static,
{
    Router::new()
        .route_service("/websocket", proxy)
        .layer(layer)
}

/// A length that is no number of bytes, and something after it. A client's has a mask beside.
fn lost(role: Role) -> Vec<u8> {
    raw(
        role,
        0x82,
        &[127, 0x80, 0, 0, 0, 0, 0, 0, 0],
        b"what is this",
    )
}

/// Of a server's.
const LENGTH: usize = 22;

const LOST: &str = "63 bits";

//! Ends that do not come to an end.

use std::time::Duration;

use axum::Router;
use axum::extract::WebSocketUpgrade;
use axum::extract::ws::Message;
use axum::routing::any;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use wsgate::WebSocketProxy;
use wsgate::layer::{Drain, KeepaliveLayer, timeout::CloseTimeoutLayer};
use wsgate_tests::client::Handshake;
use wsgate_tests::gateway::{self, Gateway};
use wsgate_tests::stage::{Ends, Http, Stage};
use wsgate_tests::tasks::Tasks;
use wsgate_tests::trace::{self, Trace};
use wsgate_tests::upstream::script::Accept;
use wsgate_tests::{Frame, Tunnel, within};

use super::{LONG, SHORT, lenient, took_its_time};

async fn stage(http: Http) -> Stage {
    let app = |proxy: WebSocketProxy| gateway::app(lenient(proxy).close_timeout(SHORT));
    Stage::serving(http, Accept::default(), app).await
}

/// Sends a byte of a frame that has no end now and then, until the connection is gone.
async fn dribbles(tunnel: &mut Tunnel, header: &[u8]) {
    within("an end", async {
        let mut sent = tunnel.try_send_raw(header).await;
        while sent.is_ok() {
            sleep(SHORT / 20).await;
            sent = tunnel.try_send_raw(b"x").await;
        }
    })
    .await;
}

/// The tunnel was given up on because of this side.
async fn told(trace: &Trace, closed_by: &str, side: &str) {
    let closed = trace.until("tunnel closed", 1).await;
    let fields = ["closed_by", "cause", "side", "cut"].map(|name| closed[0].field(name));
    assert_eq!(fields, [closed_by, "close", side, "close timeout"]);
}

#[tokio::test]
async fn an_upstream_that_answers_no_close() {
    for http in Http::BOTH {
        let trace = trace::init();
        let mut stage = stage(http).await;
        let tasks = Tasks::now();
        let Ends {
            mut client,
            mut upstream,
            ..
        } = stage.open(Handshake::of("/websocket")).await;
        let mut beside = stage.open(Handshake::of("/websocket")).await;
        let begun = Instant::now();
        client.send(Frame::close(1000, "bye")).await;
        assert_eq!(upstream.frame().await.unmasked(), Frame::close(1000, "bye"));
        // It goes on talking, and never comes to the end of a frame.
        dribbles(&mut upstream, b"\x82\x7e\xff\xff").await;
        took_its_time(begun);
        within("the client's end", async {
            while client.next().await.is_ok() {}
        })
        .await;
        told(&trace, "client", "upstream").await;

        beside.client.send(Frame::text("still there?")).await;
        let heard = beside.upstream.frame().await.unmasked();
        assert_eq!(heard, Frame::text("still there?"));
        drop((client, upstream, beside));
        trace.until("tunnel closed", 2).await;
        tasks.settle().await;
        stage.join().await;
    }
}

#[tokio::test]
async fn a_client_that_answers_no_close() {
    for http in Http::BOTH {
        let trace = trace::init();
        let mut stage = stage(http).await;
        let Ends {
            mut client,
            mut upstream,
            ..
        } = stage.open(Handshake::of("/websocket")).await;
        let begun = Instant::now();
        upstream.send(Frame::close(1001, "leaving")).await;
        assert_eq!(client.frame().await, Frame::close(1001, "leaving"));
        let gone = async {
            within("the upstream's end", async {
                while upstream.next().await.is_ok() {}
            })
            .await;
        };
        // A frame of 65,535 bytes, masked.
        let header = b"\x82\xfe\xff\xff\0\0\0\0";
        tokio::join!(dribbles(&mut client, header), gone);
        took_its_time(begun);
        told(&trace, "upstream", "client").await;
        drop((client, upstream));
        stage.join().await;
    }
}

/// A Close from both sides, and then nobody ends: the two have 5 s, however long an answer may take.
#[tokio::test]
async fn two_that_have_closed_and_stay() {
    let trace = trace::init();
    let app = |proxy: WebSocketProxy| gateway::app(lenient(proxy));
    let mut stage = Stage::serving(Http::One, Accept::default(), app).await;
    let Ends {
        mut client,
        mut upstream,
        ..
    } = stage.open(Handshake::of("/websocket")).await;
    let begun = Instant::now();
    client.send(Frame::close(1000, "")).await;
    upstream.frame().await;
    upstream.send(Frame::close(1000, "")).await;
    client.frame().await;
    // Neither half of either connection is closed by its peer.
    client.end().await;
    upstream.end().await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(5), "{took:?}");
    trace.until("tunnel closed", 1).await;
    drop((client, upstream));
    stage.join().await;
}

/// axum's own handler sends a Close, and waits for an answer that never comes.
#[tokio::test]
async fn a_handler_is_freed_of_a_client_that_answers_no_close() {
    let _trace = trace::init();
    let (over, mut ended) = mpsc::channel::<()>(1);
    let handler = any(move |ws: WebSocketUpgrade| async move {
        ws.on_upgrade(move |mut socket| async move {
            socket.send(Message::Close(None)).await.unwrap();
            while let Some(Ok(_)) = socket.recv().await {}
            over.send(()).await.unwrap();
        })
    });
    let app = Router::new()
        .route("/websocket", handler)
        .layer(CloseTimeoutLayer::new(SHORT))
        // To which each byte is a sign of life.
        .layer(KeepaliveLayer::every(LONG));
    let gateway = Gateway::serving(app).await;
    let tasks = Tasks::now();
    let begun = Instant::now();
    let mut client = gateway.target().tunnel(Handshake::of("/websocket")).await;
    assert_eq!(client.frame().await.opcode, Frame::close(1000, "").opcode);
    let freed = async { within("the end of the handler", ended.recv()).await };
    let header = b"\x82\xfe\xff\xff\0\0\0\0";
    let (freed, ()) = tokio::join!(freed, dribbles(&mut client, header));
    assert!(freed.is_some());
    took_its_time(begun);
    drop(client);
    tasks.settle().await;
    gateway.join().await;
}

/// A drain does not wait for a client that dribbles for ever.
#[tokio::test]
async fn a_drain_does_not_wait_for_a_client_that_dribbles() {
    let _trace = trace::init();
    let drain = Drain::new();
    let layer = drain.layer();
    let app = move |proxy: WebSocketProxy| gateway::app(lenient(proxy)).layer(layer);
    let mut stage = Stage::serving(Http::One, Accept::default(), app).await;
    let Ends {
        mut client,
        upstream,
        ..
    } = stage.open(Handshake::of("/websocket")).await;
    let begun = Instant::now();
    let drained = within("the drain's end", drain.within(SHORT));
    let header = b"\x82\xfe\xff\xff\0\0\0\0";
    let gone = async {
        dribbles(&mut client, header).await;
        begun.elapsed()
    };
    let (_, gone) = tokio::join!(drained, gone);
    took_its_time(begun);
    // The proxy would do it as well, 5 s later.
    assert!(gone < Duration::from_secs(4), "{gone:?}");
    drop((client, upstream));
    stage.join().await;
}

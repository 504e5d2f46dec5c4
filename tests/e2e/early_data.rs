//! Frames that come in the segment of a handshake or of its answer: first, once, and all of them.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wsgate_tests::client::Handshake;
use wsgate_tests::stage::{Ends, Http, Stage};
use wsgate_tests::upstream::script::Accept;
use wsgate_tests::{End, Frame, trace};

/// A few small ones, and one that no single read takes.
fn frames() -> Vec<Frame> {
    vec![
        Frame::text("one"),
        Frame::ping("two"),
        Frame::binary(vec![3; 200_000]),
        Frame::text("four"),
    ]
}

fn wire(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(Frame::to_bytes).collect()
}

#[tokio::test]
async fn a_client_does_not_wait_for_the_answer() {
    let trace = trace::init();
    for http in Http::BOTH {
        let mut stage = Stage::start(http).await;
        let handshake = Handshake::of("/websocket").early(&frames());
        let mut ends = stage.open(handshake).await;
        ends.client.send(Frame::text("later")).await;
        for expected in [frames(), vec![Frame::text("later")]].concat() {
            assert_eq!(ends.upstream.frame().await.unmasked(), expected);
        }
        finish(ends).await;
        stage.join().await;
    }
    for event in trace.until("tunnel closed", 2).await {
        // Without the ping and the Close.
        assert_eq!(event.field("client_messages"), "4");
    }
}

#[tokio::test]
async fn an_upstream_speaks_with_its_answer() {
    let trace = trace::init();
    let accept = Accept {
        early: wire(&frames()),
        ..Accept::default()
    };
    for http in Http::BOTH {
        let mut stage = Stage::accepting(http, accept.clone()).await;
        let mut ends = stage.open(Handshake::of("/websocket")).await;
        ends.upstream.send(Frame::text("later")).await;
        for expected in [frames(), vec![Frame::text("later")]].concat() {
            assert_eq!(ends.client.frame().await, expected);
        }
        finish(ends).await;
        stage.join().await;
    }
    for event in trace.until("tunnel closed", 2).await {
        assert_eq!(event.field("upstream_messages"), "4");
    }
}

#[tokio::test]
async fn both_are_early() {
    let _trace = trace::init();
    let accept = Accept {
        before: EARLY_HINTS,
        early: wire(&frames()),
        ..Accept::default()
    };
    for http in Http::BOTH {
        let mut stage = Stage::accepting(http, accept.clone()).await;
        let handshake = Handshake::of("/websocket").early(&frames());
        let mut ends = stage.open(handshake).await;
        for expected in frames() {
            assert_eq!(ends.upstream.frame().await.unmasked(), expected);
            assert_eq!(ends.client.frame().await, expected);
        }
        finish(ends).await;
        stage.join().await;
    }
}

/// An upstream may say all that it has to say, Close included, before anybody reads any of it.
#[tokio::test]
async fn an_upstream_says_everything_with_its_answer() {
    let trace = trace::init();
    let accept = Accept {
        early: wire(&[Frame::text("full"), Frame::close(1013, "try again later")]),
        ..Accept::default()
    };
    for http in Http::BOTH {
        let mut stage = Stage::accepting(http, accept.clone()).await;
        let mut ends = stage.open(Handshake::of("/websocket")).await;
        drop(ends.upstream);
        assert_eq!(ends.client.frame().await, Frame::text("full"));
        let close = Frame::close(1013, "try again later");
        assert_eq!(ends.client.frame().await, close);
        assert!(matches!(ends.client.end().await, End::Eof));
        drop(ends.client);
        stage.join().await;
    }
    for event in trace.until("tunnel closed", 2).await {
        assert_eq!(event.field("closed_by"), "upstream");
        assert_eq!(event.field("close_code"), "1013");
    }
}

#[tokio::test]
async fn early_hints_are_passed_over() {
    let _trace = trace::init();
    let accept = Accept {
        before: EARLY_HINTS,
        ..Accept::default()
    };
    for http in Http::BOTH {
        let mut stage = Stage::accepting(http, accept.clone()).await;
        let mut ends = stage.open(Handshake::of("/websocket")).await;
        assert_eq!(ends.response.fields.get("link"), None);
        ends.client.send(Frame::text("hello")).await;
        assert_eq!(ends.upstream.frame().await.unmasked(), Frame::text("hello"));
        finish(ends).await;
        stage.join().await;
    }
}

/// Most clients know of nothing that could come before a 101.
#[tokio::test]
async fn no_early_hint_reaches_a_client() {
    let _trace = trace::init();
    let accept = Accept {
        before: EARLY_HINTS,
        ..Accept::default()
    };
    let stage = Stage::accepting(Http::One, accept).await;
    let mut io = stage.gateway.target().connect(&["http/1.1"]).await;
    let host = stage.gateway.target().authority();
    let request = format!(
        "GET /websocket HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    io.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    io.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 101");
    drop(io);
    stage.join().await;
}

/// Closes from the client's side; nothing else must be under way.
async fn finish(ends: Ends) {
    let Ends {
        client,
        mut upstream,
        ..
    } = ends;
    tokio::join!(client.close(1000, ""), async {
        let close = upstream.frame().await.unmasked();
        assert_eq!(close, Frame::close(1000, ""));
        upstream.send(close).await;
        upstream.shutdown().await;
        assert!(matches!(upstream.end().await, End::Eof));
    });
}

const EARLY_HINTS: &str = "HTTP/1.1 100 Continue\r\n\r\n\
     HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";

//! Connections that end without a Close: by half, in order, or broken.

use wsgate_tests::client::Handshake;
use wsgate_tests::stage::{Ends, Http, Stage};
use wsgate_tests::trace::Trace;
use wsgate_tests::{End, Frame, trace};

/// How a tunnel ended by the log, which has one event of each.
async fn assert_logged(trace: &Trace, closed_by: &str, causes: [&str; 2]) {
    let events = trace.until("tunnel closed", causes.len()).await;
    for (event, cause) in events.iter().zip(causes) {
        assert_eq!(
            (event.field("closed_by"), event.field("cause")),
            (closed_by, cause)
        );
        assert!(!event.fields.contains_key("close_code"), "{event:?}");
    }
}

const ENDED: &str = "connection ended without a close";
const LOST: &str = "connection lost";

#[tokio::test]
async fn a_client_that_has_said_all_goes_on_listening() {
    let trace = trace::init();
    for http in Http::BOTH {
        let mut stage = Stage::start(http).await;
        let Ends {
            mut client,
            mut upstream,
            ..
        } = stage.open(Handshake::of("/websocket")).await;
        client.send(Frame::text("all I had to say")).await;
        client.shutdown().await;
        assert_eq!(
            upstream.frame().await.unmasked(),
            Frame::text("all I had to say")
        );
        assert!(matches!(upstream.end().await, End::Eof));

        for length in [1, 100_000] {
            let more = Frame::binary(vec![7; length]);
            let ((), arrived) = tokio::join!(upstream.send(more.clone()), client.frame());
            assert_eq!(arrived, more);
        }
        upstream.send(Frame::close(1000, "that was it")).await;
        upstream.shutdown().await;
        assert_eq!(client.frame().await, Frame::close(1000, "that was it"));
        assert!(matches!(client.end().await, End::Eof));
        drop((client, upstream));
        stage.join().await;
    }
    assert_logged(&trace, "client", [ENDED; 2]).await;
}

#[tokio::test]
async fn a_client_is_told_of_an_upstream_that_ends_between_frames() {
    let trace = trace::init();
    for http in Http::BOTH {
        let mut stage = Stage::start(http).await;
        let mut ends = stage.open(Handshake::of("/websocket")).await;
        // Between two frames of a message is between frames.
        let begun = Frame::text("to be continued").unfinished();
        ends.upstream.send(begun.clone()).await;
        drop(ends.upstream);
        assert_eq!(ends.client.frame().await, begun);
        assert_eq!(
            ends.client.frame().await,
            Frame::close(1014, "upstream lost")
        );
        assert!(matches!(ends.client.end().await, End::Eof));
        drop(ends.client);
        stage.join().await;
    }
    assert_logged(&trace, "upstream", [ENDED; 2]).await;
}

/// A Close there would become part of the frame.
#[tokio::test]
async fn a_client_is_told_nothing_inside_a_frame() {
    let trace = trace::init();
    for http in Http::BOTH {
        let mut stage = Stage::start(http).await;
        let mut ends = stage.open(Handshake::of("/websocket")).await;
        ends.upstream.send_raw(b"\x81\x7e\x01\x00half").await;
        drop(ends.upstream);
        assert_eq!(ends.client.raw(8).await, b"\x81\x7e\x01\x00half"[..]);
        assert!(matches!(ends.client.end().await, End::Eof));
        drop(ends.client);
        stage.join().await;
    }
    assert_logged(&trace, "upstream", [ENDED; 2]).await;
}

#[tokio::test]
async fn a_reset_of_the_upstream_is_its_end() {
    let trace = trace::init();
    for http in Http::BOTH {
        let mut stage = Stage::start(http).await;
        let mut ends = stage.open(Handshake::of("/websocket")).await;
        ends.upstream.send(Frame::text("all")).await;
        assert_eq!(ends.client.frame().await, Frame::text("all"));
        ends.upstream.reset();
        assert_eq!(
            ends.client.frame().await,
            Frame::close(1014, "upstream lost")
        );
        assert!(matches!(ends.client.end().await, End::Eof));
        drop(ends.client);
        stage.join().await;
    }
    assert_logged(&trace, "upstream", [LOST; 2]).await;
    for event in trace.find("tunnel closed") {
        assert!(event.field("error").contains("reset"), "{event:?}");
    }
}

#[tokio::test]
async fn a_reset_of_the_upstream_inside_a_frame_is_only_the_end() {
    let trace = trace::init();
    for http in Http::BOTH {
        let mut stage = Stage::start(http).await;
        let mut ends = stage.open(Handshake::of("/websocket")).await;
        ends.upstream.send_raw(b"\x82\x05ha").await;
        assert_eq!(ends.client.raw(4).await, b"\x82\x05ha"[..]);
        ends.upstream.reset();
        assert!(matches!(ends.client.end().await, End::Eof));
        drop(ends.client);
        stage.join().await;
    }
    assert_logged(&trace, "upstream", [LOST; 2]).await;
}

/// Over HTTP/2 it is one stream that the client breaks, and hyper takes a CANCEL for an end.
#[tokio::test]
async fn a_reset_of_the_client_is_its_end() {
    let trace = trace::init();
    for http in Http::BOTH {
        let mut stage = Stage::start(http).await;
        let mut ends = stage.open(Handshake::of("/websocket")).await;
        ends.client.send(Frame::text("all")).await;
        assert_eq!(ends.upstream.frame().await.unmasked(), Frame::text("all"));
        ends.client.reset();
        assert!(matches!(ends.upstream.end().await, End::Eof));
        drop(ends.upstream);
        stage.join().await;
    }
    assert_logged(&trace, "client", [LOST, ENDED]).await;
}

/// What an upstream goes on sending meets a broken connection, and then the upstream is cut off too:
/// not by and by, but as soon as its data cannot be delivered.
#[tokio::test]
async fn an_upstream_that_goes_on_after_the_clients_reset_is_stopped() {
    let trace = trace::init();
    for http in Http::BOTH {
        let mut stage = Stage::start(http).await;
        let mut ends = stage.open(Handshake::of("/websocket")).await;
        ends.client.reset();
        let piece = Frame::binary(vec![0; 1 << 16]);
        while ends.upstream.try_send(piece.clone()).await.is_ok() {}
        drop(ends.upstream);
        stage.join().await;
    }
    trace.until("tunnel closed", 2).await;
}

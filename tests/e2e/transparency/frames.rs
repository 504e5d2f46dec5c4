//! Frames of every kind.

use wsgate_tests::client::Handshake;
use wsgate_tests::stage::{Http, Stage};
use wsgate_tests::upstream::script::Accept;
use wsgate_tests::{Frame, trace};

use super::{close, masked, passes, unmasked};

#[tokio::test]
async fn compression_is_between_the_two_ends() {
    let _trace = trace::init();
    const OFFER: &str =
        "permessage-deflate; client_max_window_bits; server_max_window_bits=10, x-own";
    let accept = Accept {
        fields: "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n",
        ..Accept::default()
    };
    for http in Http::BOTH {
        let mut stage = Stage::accepting(http, accept.clone()).await;
        let handshake = Handshake::of("/websocket").field("Sec-WebSocket-Extensions", OFFER);
        let mut ends = stage.open(handshake).await;
        let offered = stage.upstream.seen()[0].request().clone();
        assert_eq!(offered.fields.all("sec-websocket-extensions"), [OFFER]);
        assert_eq!(
            ends.response.fields.all("sec-websocket-extensions"),
            ["permessage-deflate; server_max_window_bits=10"]
        );

        // RFC 7692, 7.2.3: "Hello" in one frame, in two, and without compression.
        let messages = [
            Frame::new(1, &b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..]).with_rsv(0b100),
            Frame::new(1, &b"\xf2\x48\xcd"[..])
                .with_rsv(0b100)
                .unfinished(),
            Frame::ping("uncompressed"),
            Frame::continuation(&b"\xc9\xc9\x07\x00"[..]),
            Frame::text("Hello"),
        ];
        passes(&mut ends.client, &mut ends.upstream, &masked(&messages)).await;
        passes(&mut ends.upstream, &mut ends.client, &unmasked(&messages)).await;
        close(ends).await;
        stage.join().await;
    }
}

/// Reserved bits and opcodes, rules broken and all: what they mean is between the two ends.
#[tokio::test]
async fn every_first_byte_passes() {
    let _trace = trace::init();
    const CLOSE: u8 = 8;
    for http in Http::BOTH {
        let mut stage = Stage::start(http).await;
        let mut ends = stage.open(Handshake::of("/websocket")).await;
        let mut frames = Vec::new();
        for first in (0..=u8::MAX).filter(|first| first & 0xf != CLOSE) {
            for length in [0, 5, 125, 126] {
                let frame = Frame::new(first & 0xf, vec![first; length]);
                let frame = frame.with_rsv(first >> 4 & 0b111);
                frames.push(if first & 0x80 == 0 {
                    frame.unfinished()
                } else {
                    frame
                });
            }
        }
        passes(&mut ends.client, &mut ends.upstream, &masked(&frames)).await;
        passes(&mut ends.upstream, &mut ends.client, &unmasked(&frames)).await;
        close(ends).await;
        stage.join().await;
    }
}

#[tokio::test]
async fn messages_of_every_length_and_key_pass() {
    let _trace = trace::init();
    for http in Http::BOTH {
        let mut stage = Stage::start(http).await;
        let mut ends = stage.open(Handshake::of("/websocket")).await;
        for length in [0, 1, 125, 126, 0xffff, 0x1_0000, 300_000] {
            let text = Frame::text("ä".repeat(length / 2));
            let binary = Frame::binary((0..length).map(|at| at as u8).collect::<Vec<_>>());
            for frame in [text, binary] {
                let sent = frame.clone().masked([length as u8, 0, 0xff, 7]);
                let (client, upstream) = (&mut ends.client, &mut ends.upstream);
                let ((), arrived) = tokio::join!(client.send(sent.clone()), upstream.frame());
                assert_eq!(arrived, sent);
                let ((), arrived) = tokio::join!(upstream.send(frame.clone()), client.frame());
                assert_eq!(arrived, frame);
            }
        }
        close(ends).await;
        stage.join().await;
    }
}

#[tokio::test]
async fn fragments_keep_their_shape_and_what_stands_between_them() {
    let _trace = trace::init();
    for http in Http::BOTH {
        let mut stage = Stage::start(http).await;
        let mut ends = stage.open(Handshake::of("/websocket")).await;
        let frames = [
            Frame::text("a ").unfinished(),
            Frame::ping("between"),
            Frame::continuation("").unfinished(),
            Frame::pong("unasked"),
            Frame::continuation("message \u{1f980}").unfinished(),
            Frame::continuation("in pieces"),
        ];
        for frame in &frames {
            ends.client.send(frame.clone()).await;
            assert_eq!(ends.upstream.frame().await.unmasked(), *frame);
        }
        for frame in &frames {
            ends.upstream.send(frame.clone()).await;
            assert_eq!(ends.client.frame().await, *frame);
        }
        close(ends).await;
        stage.join().await;
    }
}

#[tokio::test]
async fn a_ping_is_answered_by_the_peer_or_by_nobody() {
    let _trace = trace::init();
    for http in Http::BOTH {
        let mut stage = Stage::start(http).await;
        let mut ends = stage.open(Handshake::of("/websocket")).await;
        ends.client.send(Frame::ping("1")).await;
        assert_eq!(ends.upstream.frame().await.unmasked(), Frame::ping("1"));
        ends.upstream.send(Frame::ping("2")).await;
        // An answer of the gateway's to the client's ping would come first.
        assert_eq!(ends.client.frame().await, Frame::ping("2"));
        ends.client.send(Frame::pong("2")).await;
        // And so would one to the upstream's.
        assert_eq!(ends.upstream.frame().await.unmasked(), Frame::pong("2"));
        ends.upstream.send(Frame::pong("1")).await;
        assert_eq!(ends.client.frame().await, Frame::pong("1"));
        close(ends).await;
        stage.join().await;
    }
}

/// Headers, masks and letters are cut at every place, the handshake included.
#[tokio::test]
async fn a_byte_at_a_time_arrives() {
    let _trace = trace::init();
    for http in Http::BOTH {
        let mut stage = Stage::start(http).await;
        let mut ends = stage.open(Handshake::of("/websocket").bytewise()).await;
        let frames = [
            Frame::text("für "),
            Frame::binary(""),
            Frame::text("ä".repeat(100)).unfinished(),
            Frame::ping("p".repeat(125)),
            Frame::continuation("\u{1f980}"),
        ];
        let (up, down) = (masked(&frames), unmasked(&frames));
        let (client, upstream) = (&mut ends.client, &mut ends.upstream);
        let ((), arrived) = tokio::join!(client.send_bytewise(&up), upstream.raw(up.len()));
        assert_eq!(arrived, up);
        let ((), arrived) = tokio::join!(upstream.send_bytewise(&down), client.raw(down.len()));
        assert_eq!(arrived, down);
        close(ends).await;
        stage.join().await;
    }
}

//! Frames: their streams, and what nobody knows (RFC 9113, 4 and 6).

use bytes::Bytes;
use wsgate_tests::client::Http2Frame;
use wsgate_tests::client::frames::{Frames, Outcome, PREFACE, block, code, flag, kind};

use super::{Case, GET, Want, act, check_all, get, headers, outcome, post, send};

fn frame(kind: u8, flags: u8, stream: u32, length: usize) -> Http2Frame {
    Http2Frame::new(kind, flags, stream, vec![0; length])
}

#[tokio::test]
async fn the_beginning() {
    let app = axum::Router::new();
    let gateway = wsgate_tests::gateway::Gateway::serving(app).await;
    // RFC 9113, 3.4: SETTINGS first; RFC 8441, 3: with which WebSockets are offered.
    let mut client = Frames::new(gateway.target().connect(&["h2"]).await);
    client.send_raw(PREFACE).await;
    client.send(&[Http2Frame::settings(&[])]).await;
    let first = client.next().await.unwrap();
    assert_eq!(
        (first.kind, first.flags, first.stream),
        (kind::SETTINGS, 0, 0)
    );
    assert!(
        first
            .payload
            .chunks(6)
            .any(|setting| setting == [0, 8, 0, 0, 0, 1]),
        "{first:?}"
    );
    // And ours are acknowledged (6.5.3).
    client
        .wait("an acknowledgement", |f| {
            f.kind == kind::SETTINGS && f.flags == flag::ACK
        })
        .await;
    // Another beginning is none.
    let mut client = Frames::new(gateway.target().connect(&["h2"]).await);
    client.send_raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX").await;
    while client.next().await.is_some() {}
    // The client's SETTINGS are to come first as well; h2 does not mind.
    let mut client = Frames::new(gateway.target().connect(&["h2"]).await);
    client
        .send_raw(&[PREFACE, &get(1).to_bytes()].concat())
        .await;
    assert_eq!(client.answer(1).await, Outcome::Status(404));
    drop(client);
    gateway.join().await;
}

#[tokio::test]
async fn what_nobody_knows_is_passed_over() {
    let extension = || Http2Frame::new(0xfa, 0x16, 0, vec![0; 8]);
    let mut reserved = Http2Frame::ping([0; 8]);
    reserved.stream = 1 << 31;
    check_all(vec![
        send("4.1", "an unknown frame", &[extension()], Want::Nothing),
        send(
            "4.1",
            "an unknown flag",
            &[Http2Frame {
                flags: 0x16,
                ..Http2Frame::ping([0; 8])
            }],
            Want::Nothing,
        ),
        send("4.1", "a reserved bit", &[reserved], Want::Nothing),
        send(
            "5.5",
            "an unknown frame on a stream",
            &[
                post(1),
                Http2Frame {
                    stream: 1,
                    ..extension()
                },
                Http2Frame::data(1, Bytes::new(), true),
            ],
            Want::Status(200),
        ),
        send(
            "5.5",
            "an unknown frame inside of a head",
            &[
                headers(flag::END_STREAM, 1, block(GET)),
                extension(),
                Http2Frame::continuation(1, Bytes::new(), true),
            ],
            Want::Connection(code::PROTOCOL_ERROR),
        ),
        send(
            "7",
            "an unknown code in GOAWAY",
            &[Http2Frame::new(
                kind::GOAWAY,
                0,
                0,
                [0, 0, 0, 0, 0, 0, 0, 0xff].to_vec(),
            )],
            Want::Nothing,
        ),
        send(
            "7",
            "an unknown code in RST_STREAM",
            &[post(1), Http2Frame::reset(1, 0xff)],
            Want::Nothing,
        ),
    ])
    .await;
}

#[tokio::test]
async fn the_wrong_stream() {
    let protocol = Want::Connection(code::PROTOCOL_ERROR);
    check_all(vec![
        send(
            "6.1",
            "DATA on stream 0",
            &[Http2Frame::data(0, &b"test"[..], true)],
            protocol,
        ),
        send("6.2", "HEADERS on stream 0", &[get(0)], protocol),
        send(
            "6.3",
            "PRIORITY on stream 0",
            &[Http2Frame::priority(0, 1)],
            protocol,
        ),
        send(
            "6.4",
            "RST_STREAM on stream 0",
            &[Http2Frame::reset(0, code::CANCEL)],
            protocol,
        ),
        send(
            "6.4",
            "RST_STREAM on an idle stream",
            &[Http2Frame::reset(1, code::CANCEL)],
            protocol,
        ),
        send(
            "6.5",
            "SETTINGS on a stream",
            &[Http2Frame {
                stream: 1,
                ..Http2Frame::settings(&[])
            }],
            protocol,
        ),
        send(
            "6.7",
            "PING on a stream",
            &[Http2Frame {
                stream: 1,
                ..Http2Frame::ping([0; 8])
            }],
            protocol,
        ),
        send(
            "6.8",
            "GOAWAY on a stream",
            &[frame(kind::GOAWAY, 0, 1, 8)],
            protocol,
        ),
        send(
            "6.10",
            "CONTINUATION on stream 0",
            &[
                headers(flag::END_STREAM, 1, block(GET)),
                Http2Frame::continuation(0, Bytes::new(), true),
            ],
            protocol,
        ),
        send(
            "8.4",
            "PUSH_PROMISE of a client",
            &[
                post(1),
                Http2Frame::new(
                    kind::PUSH_PROMISE,
                    flag::END_HEADERS,
                    1,
                    [&[0, 0, 0, 2], &block(GET)[..]].concat(),
                ),
            ],
            protocol,
        ),
    ])
    .await;
}

#[tokio::test]
async fn pings() {
    check_all(vec![
        act(
            "6.7",
            "a PING is answered with what it says",
            |client| {
                Box::pin(async move {
                    client.send(&[Http2Frame::ping(*b"a ping!!")]).await;
                    let pong = client
                        .wait("a pong", |frame| frame.kind == kind::PING)
                        .await;
                    assert_eq!(
                        (pong.flags, &pong.payload[..]),
                        (flag::ACK, &b"a ping!!"[..])
                    );
                    outcome(client, 1).await
                })
            },
            Want::Nothing,
        ),
        send(
            "6.7",
            "an answer to no PING is passed over",
            &[Http2Frame {
                flags: flag::ACK,
                ..Http2Frame::ping(*b"no ping!")
            }],
            Want::Nothing,
        ),
    ])
    .await;
}

/// The connection ends after the GOAWAY (RFC 9113, 5.4.1).
#[tokio::test]
async fn after_an_error_the_connection_ends() {
    let cases: Vec<Case> = vec![act(
        "5.4.1",
        "GOAWAY and the end",
        |client| {
            Box::pin(async move {
                client.send(&[get(0)]).await;
                let code = client.goodbye().await;
                assert_eq!(code, Some(code::PROTOCOL_ERROR));
                while client.next().await.is_some() {}
                Outcome::Ended
            })
        },
        Want::Connection(code::PROTOCOL_ERROR),
    )];
    check_all(cases).await;
}

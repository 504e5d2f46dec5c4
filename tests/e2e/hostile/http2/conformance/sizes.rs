//! The sizes of frames, and what fills them (RFC 9113, 4.2 and 6).

use bytes::Bytes;
use wsgate_tests::client::Http2Frame;
use wsgate_tests::client::frames::{Outcome, block, code, flag, kind};

use super::{GET, WHOLE, Want, check_all, headers, post, send};

fn frame(kind: u8, flags: u8, stream: u32, length: usize) -> Http2Frame {
    Http2Frame::new(kind, flags, stream, vec![0; length])
}

#[tokio::test]
async fn sizes() {
    // h2 has one code for them all.
    const PROTOCOL: Outcome = Outcome::GoneAway(code::PROTOCOL_ERROR);
    let most = 16_384;
    let size = Want::Connection(code::FRAME_SIZE_ERROR);
    check_all(vec![
        send(
            "4.2",
            "the largest DATA",
            &[post(1), Http2Frame::data(1, vec![0; most], true)],
            Want::Status(200),
        ),
        send(
            "4.2",
            "a larger DATA",
            &[post(1), Http2Frame::data(1, vec![0; most + 1], true)],
            Want::Stream(code::FRAME_SIZE_ERROR),
        ),
        send(
            "4.2",
            "a larger HEADERS",
            &[headers(WHOLE, 1, vec![0; most + 1])],
            size,
        ),
        send(
            "6.2",
            "HEADERS too short for their padding",
            &[headers(WHOLE | flag::PADDED, 1, Bytes::new())],
            Want::Connection(code::FRAME_SIZE_ERROR),
        )
        .but(PROTOCOL),
        send(
            "6.2",
            "HEADERS too short for their priority",
            &[headers(WHOLE | flag::PRIORITY, 1, vec![0; 4])],
            Want::Connection(code::FRAME_SIZE_ERROR),
        )
        .but(PROTOCOL),
        send(
            "6.3",
            "PRIORITY of 4",
            &[frame(kind::PRIORITY, 0, 1, 4)],
            Want::Stream(code::FRAME_SIZE_ERROR),
        )
        .but(PROTOCOL),
        send(
            "6.4",
            "RST_STREAM of 3",
            &[post(1), frame(kind::RST_STREAM, 0, 1, 3)],
            size,
        )
        .but(PROTOCOL),
        send(
            "6.5",
            "SETTINGS of 3",
            &[frame(kind::SETTINGS, 0, 0, 3)],
            size,
        )
        .but(PROTOCOL),
        send(
            "6.5",
            "an acknowledgement of 6",
            &[frame(kind::SETTINGS, flag::ACK, 0, 6)],
            size,
        )
        .but(PROTOCOL),
        send("6.7", "PING of 6", &[frame(kind::PING, 0, 0, 6)], size).but(PROTOCOL),
        send("6.8", "GOAWAY of 4", &[frame(kind::GOAWAY, 0, 0, 4)], size).but(PROTOCOL),
        send(
            "6.9",
            "WINDOW_UPDATE of 3",
            &[frame(kind::WINDOW_UPDATE, 0, 0, 3)],
            size,
        )
        .but(PROTOCOL),
    ])
    .await;
}

#[tokio::test]
async fn padding() {
    let protocol = Want::Connection(code::PROTOCOL_ERROR);
    let padded = |kind, flags, stream, pad: u8, content: &[u8], padding: usize| {
        let payload = [&[pad], content, &vec![0; padding][..]].concat();
        Http2Frame::new(kind, flags | flag::PADDED, stream, payload)
    };
    check_all(vec![
        send(
            "6.1",
            "padded DATA",
            &[
                post(1),
                padded(kind::DATA, flag::END_STREAM, 1, 5, b"test", 5),
            ],
            Want::Status(200),
        ),
        send(
            "6.1",
            "more padding than DATA",
            &[
                post(1),
                padded(kind::DATA, flag::END_STREAM, 1, 6, b"test", 0),
            ],
            protocol,
        ),
        send(
            "6.2",
            "padded HEADERS",
            &[padded(kind::HEADERS, WHOLE, 1, 5, &block(GET), 5)],
            Want::Status(200),
        ),
        send(
            "6.2",
            "more padding than HEADERS",
            &[padded(kind::HEADERS, WHOLE, 1, 0xff, &block(GET), 0)],
            protocol,
        ),
        send(
            "6.2",
            "HEADERS with a priority",
            &[headers(
                WHOLE | flag::PRIORITY,
                1,
                [&[0, 0, 0, 0, 0xff], &block(GET)[..]].concat(),
            )],
            Want::Status(200),
        ),
    ])
    .await;
}

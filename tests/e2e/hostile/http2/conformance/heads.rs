//! Heads in several frames (RFC 9113, 4.3 and 6.10).

use wsgate_tests::client::Http2Frame;
use wsgate_tests::client::frames::{block, code, flag};

use super::{GET, Want, check_all, get, headers, post, send};

#[tokio::test]
async fn heads_in_several_frames() {
    let protocol = Want::Connection(code::PROTOCOL_ERROR);
    let open = || headers(flag::END_STREAM, 1, block(&GET[..2]));
    let rest = || block(&GET[2..]);
    let mut more: Vec<_> = vec![open()];
    more.extend((0..5).map(|_| Http2Frame::continuation(1, block(&[]), false)));
    more.push(Http2Frame::continuation(1, rest(), true));
    check_all(vec![
        send(
            "6.10",
            "a CONTINUATION",
            &[open(), Http2Frame::continuation(1, rest(), true)],
            Want::Status(200),
        ),
        send("6.10", "several", &more, Want::Status(200)),
        send(
            "6.10",
            "DATA in between",
            &[open(), Http2Frame::data(1, &b"test"[..], true)],
            protocol,
        ),
        send(
            "6.2",
            "PRIORITY in between",
            &[open(), Http2Frame::priority(1, 3)],
            protocol,
        ),
        send(
            "4.3",
            "HEADERS of another stream in between",
            &[open(), get(3)],
            protocol,
        ),
        send(
            "4.3",
            "a PING in between",
            &[
                open(),
                Http2Frame::ping([0; 8]),
                Http2Frame::continuation(1, rest(), true),
            ],
            protocol,
        ),
        send(
            "6.10",
            "a CONTINUATION of another stream",
            &[open(), Http2Frame::continuation(3, rest(), true)],
            protocol,
        ),
        send(
            "6.10",
            "a CONTINUATION after a whole head",
            &[get(1), Http2Frame::continuation(1, rest(), true)],
            protocol,
        ),
        send(
            "6.10",
            "and after the last one",
            &[
                open(),
                Http2Frame::continuation(1, rest(), true),
                Http2Frame::continuation(1, rest(), true),
            ],
            protocol,
        ),
        send(
            "6.10",
            "and after DATA",
            &[
                post(1),
                Http2Frame::data(1, &b"test"[..], false),
                Http2Frame::continuation(1, rest(), true),
            ],
            protocol,
        ),
    ])
    .await;
}

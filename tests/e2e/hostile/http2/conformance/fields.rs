//! The fields of a request (RFC 9113, 8.2 and 8.3).

use wsgate_tests::client::Http2Frame;
use wsgate_tests::client::frames::{Outcome, block, code};

use super::{GET, WHOLE, Want, check_all, headers, post, post_with, send};

/// A GET with these fields added at its end.
fn with(more: &[(&str, &str)]) -> [Http2Frame; 1] {
    [Http2Frame::headers(1, &[GET, more].concat(), true)]
}

/// A GET without this field.
fn without(name: &str) -> [Http2Frame; 1] {
    let rest: Vec<_> = GET
        .iter()
        .copied()
        .filter(|field| field.0 != name)
        .collect();
    [Http2Frame::headers(1, &rest, true)]
}

#[tokio::test]
async fn names_and_values() {
    let malformed = Want::Stream(code::PROTOCOL_ERROR);
    check_all(vec![
        send(
            "8.2.1",
            "an upper-case name",
            &with(&[("X-TEST", "1")]),
            malformed,
        ),
        send(
            "8.2.1",
            "a space in a name",
            &with(&[("x test", "1")]),
            malformed,
        ),
        send("8.2.1", "no name", &with(&[("", "1")]), malformed),
        send(
            "8.2.1",
            "NUL in a value",
            &with(&[("x-test", "1\0")]),
            malformed,
        ),
        send(
            "8.2.1",
            "CR in a value",
            &with(&[("x-test", "1\r2")]),
            malformed,
        ),
        send(
            "8.2.1",
            "LF in a value",
            &with(&[("x-test", "1\n2")]),
            malformed,
        ),
        send(
            "8.2.2",
            "connection",
            &with(&[("connection", "keep-alive")]),
            malformed,
        ),
        send("8.2.2", "upgrade", &with(&[("upgrade", "h2c")]), malformed),
        send(
            "8.2.2",
            "keep-alive",
            &with(&[("keep-alive", "timeout=5")]),
            malformed,
        ),
        send(
            "8.2.2",
            "proxy-connection",
            &with(&[("proxy-connection", "close")]),
            malformed,
        ),
        send(
            "8.2.2",
            "transfer-encoding",
            &with(&[("transfer-encoding", "chunked")]),
            malformed,
        ),
        send(
            "8.2.2",
            "te with more than trailers",
            &with(&[("te", "trailers, deflate;q=0.5")]),
            malformed,
        ),
        send(
            "8.2.2",
            "te with trailers",
            &with(&[("te", "trailers")]),
            Want::Status(200),
        ),
    ])
    .await;
}

#[tokio::test]
async fn pseudo_fields() {
    let malformed = Want::Stream(code::PROTOCOL_ERROR);
    let late = [&[("x-test", "1")], GET].concat();
    let trailers = headers(WHOLE, 1, block(&[(":path", "/")]));
    check_all(vec![
        send("8.3", "an unknown one", &with(&[(":test", "1")]), malformed),
        send(
            "8.3",
            "one of an answer",
            &with(&[(":status", "200")]),
            malformed,
        ),
        send(
            "8.3",
            "one in the trailers",
            &[post(1), Http2Frame::data(1, &b"test"[..], false), trailers],
            malformed,
        )
        .but(Outcome::Status(200)),
        send(
            "8.3",
            "one after a field",
            &[Http2Frame::headers(1, &late, true)],
            malformed,
        ),
        send(
            "8.3.1",
            "an empty :path",
            &[Http2Frame::headers(
                1,
                &[GET[0], GET[1], (":path", ""), GET[3]],
                true,
            )],
            malformed,
        ),
        send("8.3.1", "no :method", &without(":method"), malformed),
        send("8.3.1", "no :scheme", &without(":scheme"), malformed),
        send("8.3.1", "no :path", &without(":path"), malformed),
        send(
            "8.3.1",
            ":method twice",
            &[Http2Frame::headers(1, &[&GET[..1], GET].concat(), true)],
            malformed,
        ),
        send(
            "8.3.1",
            ":scheme twice",
            &[Http2Frame::headers(1, &[&GET[1..2], GET].concat(), true)],
            malformed,
        ),
        send(
            "8.3.1",
            ":path twice",
            &[Http2Frame::headers(1, &[&GET[2..3], GET].concat(), true)],
            malformed,
        ),
        send(
            "8.3.1",
            ":authority twice",
            &[Http2Frame::headers(1, &[&GET[3..], GET].concat(), true)],
            malformed,
        ),
        send(
            "8.3.1",
            "no :authority",
            &without(":authority"),
            Want::Status(200),
        ),
    ])
    .await;
}

#[tokio::test]
async fn lengths() {
    let malformed = Want::Stream(code::PROTOCOL_ERROR);
    let post =
        |length: &str| Http2Frame::headers(1, &post_with(&[("content-length", length)]), false);
    let data = |end| Http2Frame::data(1, &b"test"[..], end);
    check_all(vec![
        send(
            "8.1.1",
            "as long as it says",
            &[post("4"), data(true)],
            Want::Status(200),
        ),
        send("8.1.1", "longer", &[post("1"), data(true)], malformed),
        send("8.1.1", "shorter", &[post("5"), data(true)], malformed),
        send(
            "8.1.1",
            "longer, in two pieces",
            &[post("7"), data(false), data(true)],
            malformed,
        ),
        send(
            "8.1.1",
            "none where some was promised",
            &with(&[("content-length", "1")]),
            malformed,
        ),
        send("8.1.1", "no number", &[post("four"), data(true)], malformed),
    ])
    .await;
}

/// Unlike h2spec's, a request that is malformed may also be answered with 400 (RFC 9113, 8.1.1).
#[tokio::test]
async fn hosts() {
    let malformed = Want::Stream(code::PROTOCOL_ERROR);
    let authority = |authority| {
        [Http2Frame::headers(
            1,
            &[GET[0], GET[1], GET[2], (":authority", authority)],
            true,
        )]
    };
    check_all(vec![
        send(
            "8.3.1",
            "a space in :authority",
            &authority("local host"),
            malformed,
        ),
        send(
            "8.3.1",
            "a path in :authority",
            &authority("localhost/a"),
            malformed,
        ),
    ])
    .await;
}

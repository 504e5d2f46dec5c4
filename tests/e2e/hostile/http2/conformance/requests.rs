//! Whole requests (RFC 9113, 8), as h2spec's "generic" ones.

use bytes::Bytes;
use wsgate_tests::client::Http2Frame;
use wsgate_tests::client::frames::{Outcome, block, code};

use super::{GET, WHOLE, Want, act, check_all, get, headers, post, post_with, send};

fn with_method(method: &'static str) -> [Http2Frame; 1] {
    [Http2Frame::headers(
        1,
        &[&[(":method", method)], &GET[1..]].concat(),
        true,
    )]
}

#[tokio::test]
async fn are_answered() {
    let data = |end| Http2Frame::data(1, &b"test"[..], end);
    check_all(vec![
        send("8.1", "GET", &[get(1)], Want::Status(200)),
        send("8.1", "HEAD", &with_method("HEAD"), Want::Status(200)),
        send("8.1", "OPTIONS", &with_method("OPTIONS"), Want::Status(200)),
        send(
            "8.1",
            "a method of one's own",
            &with_method("BREW"),
            Want::Status(200),
        ),
        send("8.1", "POST", &[post(1), data(true)], Want::Status(200)),
        send(
            "8.1",
            "POST in several pieces",
            &[post(1), data(false), data(false), data(true)],
            Want::Status(200),
        ),
        send(
            "8.1",
            "POST with a length",
            &[
                Http2Frame::headers(1, &post_with(&[("content-length", "4")]), false),
                data(true),
            ],
            Want::Status(200),
        ),
        send(
            "8.1",
            "POST with an empty end",
            &[
                post(1),
                data(false),
                Http2Frame::data(1, Bytes::new(), true),
            ],
            Want::Status(200),
        ),
        send(
            "8.1",
            "POST with trailers",
            &[
                post(1),
                data(false),
                headers(WHOLE, 1, block(&[("x-test", "1")])),
            ],
            Want::Status(200),
        ),
        send(
            "8.1",
            "a reset by the client",
            &[post(1), data(false), Http2Frame::reset(1, code::CANCEL)],
            Want::Nothing,
        ),
        act(
            "8.1",
            "many at once",
            |client| {
                Box::pin(async move {
                    let all: Vec<_> = (0..50).map(|at| get(2 * at + 1)).collect();
                    client.send(&all).await;
                    for _ in 1..50 {
                        client.wait("an answer", |frame| frame.kind == 0x1).await;
                    }
                    let last = client
                        .wait("the last answer", |frame| frame.kind == 0x1)
                        .await;
                    Outcome::Status(last.status())
                })
            },
            Want::Status(200),
        ),
    ])
    .await;
}

/// Extended CONNECT (RFC 8441, 4), to a page that is no WebSocket.
#[tokio::test]
async fn extended_connect_needs_all_of_its_fields() {
    let malformed = Want::Stream(code::PROTOCOL_ERROR);
    let connect = |without: &str| {
        let fields = super::super::connect("localhost");
        let rest: Vec<_> = fields
            .into_iter()
            .filter(|field| field.0 != without)
            .collect();
        [Http2Frame::headers(1, &rest, false)]
    };
    check_all(vec![
        send("RFC 8441, 4", "no :scheme", &connect(":scheme"), malformed),
        send("RFC 8441, 4", "no :path", &connect(":path"), malformed),
        send(
            "RFC 8441, 4",
            "no :authority",
            &connect(":authority"),
            malformed,
        )
        .but(Outcome::Status(404)),
        send(
            "RFC 8441, 4",
            ":protocol with GET",
            &[Http2Frame::headers(
                1,
                &[GET, &[(":protocol", "websocket")]].concat(),
                true,
            )],
            malformed,
        ),
    ])
    .await;
}

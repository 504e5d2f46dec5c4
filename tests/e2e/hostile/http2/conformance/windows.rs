//! Flow control (RFC 9113, 6.9).

use bytes::Bytes;
use wsgate_tests::client::Http2Frame;
use wsgate_tests::client::frames::{Frames, Outcome, code, kind, setting};

use super::{Want, act, check_all, get, outcome, post, send};

/// The lengths of the DATA of an answer, as the windows let them through.
async fn lengths(client: &mut Frames, pieces: usize) -> Vec<usize> {
    let mut lengths = Vec::new();
    while lengths.len() < pieces {
        let data = client.wait("DATA", |frame| {
            frame.kind == kind::DATA && frame.stream == 1
        });
        lengths.push(data.await.payload.len());
    }
    lengths
}

fn window(size: u32) -> Http2Frame {
    Http2Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, size)])
}

/// A request that is sent back whole.
fn echo() -> [Http2Frame; 2] {
    [post(1), Http2Frame::data(1, &b"12345678"[..], true)]
}

#[tokio::test]
async fn updates() {
    let most = (1 << 31) - 1;
    check_all(vec![
        send(
            "6.9",
            "WINDOW_UPDATE of 0",
            &[Http2Frame::window_update(0, 0)],
            Want::Connection(code::PROTOCOL_ERROR),
        ),
        send(
            "6.9",
            "WINDOW_UPDATE of 0 on a stream",
            &[post(1), Http2Frame::window_update(1, 0)],
            Want::Stream(code::PROTOCOL_ERROR),
        ),
        send(
            "6.9.1",
            "beyond 2^31 - 1",
            &[
                Http2Frame::window_update(0, most),
                Http2Frame::window_update(0, most),
            ],
            Want::Connection(code::FLOW_CONTROL_ERROR),
        ),
        send(
            "6.9.1",
            "beyond 2^31 - 1 on a stream",
            &[
                post(1),
                Http2Frame::window_update(1, most),
                Http2Frame::window_update(1, most),
            ],
            Want::Stream(code::FLOW_CONTROL_ERROR),
        ),
        send(
            "6.9.2",
            "beyond it by SETTINGS",
            &[
                post(1),
                Http2Frame::window_update(1, most - 65_535),
                window(65_536),
            ],
            Want::Connection(code::FLOW_CONTROL_ERROR),
        ),
        send(
            "6.9",
            "a reserved bit",
            &[Http2Frame::window_update(0, 1 << 31 | 1)],
            Want::Nothing,
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_may_be_sent() {
    check_all(vec![
        act(
            "6.9.1",
            "no more than a window of 1",
            |client| {
                Box::pin(async move {
                    client.send(&[&[window(1)][..], &echo()].concat()).await;
                    assert_eq!(lengths(client, 1).await, [1]);
                    client.send(&[Http2Frame::window_update(1, 3)]).await;
                    assert_eq!(lengths(client, 1).await, [3]);
                    outcome(client, 1).await
                })
            },
            Want::Nothing,
        ),
        act(
            "6.9.2",
            "SETTINGS change the window of a stream",
            |client| {
                Box::pin(async move {
                    client.send(&[&[window(0)][..], &echo()].concat()).await;
                    client.send(&[window(1)]).await;
                    assert_eq!(lengths(client, 1).await, [1]);
                    outcome(client, 1).await
                })
            },
            Want::Nothing,
        ),
        act(
            "6.9.2",
            "to less than nothing",
            |client| {
                Box::pin(async move {
                    client.send(&[&[window(3)][..], &echo()].concat()).await;
                    assert_eq!(lengths(client, 1).await, [3]);
                    // 3 were sent, so there is 1 less than nothing; with 2 more there is 1.
                    client
                        .send(&[window(2), Http2Frame::window_update(1, 2)])
                        .await;
                    assert_eq!(lengths(client, 1).await, [1]);
                    outcome(client, 1).await
                })
            },
            Want::Nothing,
        ),
        act(
            "6.5.3",
            "the last of several values counts",
            |client| {
                Box::pin(async move {
                    let both = [
                        (setting::INITIAL_WINDOW_SIZE, 100),
                        (setting::INITIAL_WINDOW_SIZE, 1),
                    ];
                    client
                        .send(&[&[Http2Frame::settings(&both)][..], &echo()].concat())
                        .await;
                    assert_eq!(lengths(client, 1).await, [1]);
                    outcome(client, 1).await
                })
            },
            Want::Nothing,
        ),
        act(
            "5.2",
            "a head needs no window",
            |client| {
                Box::pin(async move {
                    client.send(&[window(0), get(1)]).await;
                    client.answer(1).await
                })
            },
            Want::Status(200),
        ),
    ])
    .await;
}

/// More than the gateway has room for: 256 KiB a stream.
#[tokio::test]
async fn what_may_be_received() {
    check_all(vec![act(
        "6.9.1",
        "more than the window",
        |client| {
            Box::pin(async move {
                // A handler would read it, and make room: this stream's has been told to be long.
                let data = Http2Frame::data(1, Bytes::from(vec![0; 16_384]), false);
                let all = [&[post(1)][..], &vec![data; 2000]].concat();
                client.send(&all).await;
                match client.answer(1).await {
                    // axum gives up at 2 MB.
                    Outcome::Status(413) => Outcome::Reset(code::FLOW_CONTROL_ERROR),
                    other => other,
                }
            })
        },
        Want::Either(code::FLOW_CONTROL_ERROR, code::FLOW_CONTROL_ERROR),
    )])
    .await;
}

//! The life of a stream (RFC 9113, 5).

use bytes::Bytes;
use wsgate_tests::client::Http2Frame;
use wsgate_tests::client::frames::{Frames, Outcome, block, code, flag, kind};

use super::{GET, WHOLE, Want, act, check_all, get, headers, outcome, post, send};

fn data(stream: u32) -> Http2Frame {
    Http2Frame::data(stream, &b"test"[..], true)
}

fn continuation(stream: u32) -> Http2Frame {
    Http2Frame::continuation(stream, block(GET), true)
}

#[tokio::test]
async fn idle() {
    let protocol = Want::Connection(code::PROTOCOL_ERROR);
    check_all(vec![
        send("5.1", "DATA", &[data(1)], protocol),
        send(
            "5.1",
            "RST_STREAM",
            &[Http2Frame::reset(1, code::CANCEL)],
            protocol,
        ),
        send(
            "5.1",
            "WINDOW_UPDATE",
            &[Http2Frame::window_update(1, 100)],
            protocol,
        ),
        send("5.1", "CONTINUATION", &[continuation(1)], protocol),
        send(
            "5.1",
            "PRIORITY",
            &[Http2Frame::priority(1, 0)],
            Want::Nothing,
        ),
        send(
            "5.1",
            "PRIORITY, and then a request",
            &[Http2Frame::priority(1, 0), get(1)],
            Want::Status(200),
        ),
    ])
    .await;
}

/// The client has said all. What it may still send is about the answer.
#[tokio::test]
async fn half_closed() {
    // Held open by a window that lets no answer through.
    let hold = || Http2Frame::settings(&[(0x4, 0)]);
    check_all(vec![
        send(
            "5.1",
            "DATA",
            &[hold(), get(1), data(1)],
            Want::Stream(code::STREAM_CLOSED),
        )
        .but(Outcome::GoneAway(code::PROTOCOL_ERROR)),
        send(
            "5.1",
            "HEADERS",
            &[hold(), get(1), get(1)],
            Want::Stream(code::STREAM_CLOSED),
        )
        .but(Outcome::GoneAway(code::PROTOCOL_ERROR)),
        send(
            "5.1",
            "CONTINUATION",
            &[hold(), get(1), continuation(1)],
            Want::Either(code::STREAM_CLOSED, code::PROTOCOL_ERROR),
        ),
        send(
            "5.1",
            "WINDOW_UPDATE",
            &[get(1), Http2Frame::window_update(1, 100)],
            Want::Status(200),
        ),
        send(
            "5.1",
            "PRIORITY",
            &[get(1), Http2Frame::priority(1, 3)],
            Want::Status(200),
        ),
        send(
            "5.1",
            "RST_STREAM",
            &[get(1), Http2Frame::reset(1, code::CANCEL)],
            Want::Nothing,
        ),
    ])
    .await;
}

#[tokio::test]
async fn closed_by_a_reset() {
    let reset = || [post(1), Http2Frame::reset(1, code::CANCEL)];
    let after = |frame| [&reset()[..], &[frame]].concat();
    check_all(vec![
        send(
            "5.1",
            "DATA",
            &after(data(1)),
            Want::Stream(code::STREAM_CLOSED),
        ),
        send(
            "5.1",
            "HEADERS",
            &after(get(1)),
            Want::Stream(code::STREAM_CLOSED),
        )
        .but(Outcome::GoneAway(code::PROTOCOL_ERROR)),
        send(
            "5.1",
            "CONTINUATION",
            &after(continuation(1)),
            Want::Either(code::STREAM_CLOSED, code::PROTOCOL_ERROR),
        ),
        send(
            "5.1",
            "PRIORITY",
            &after(Http2Frame::priority(1, 3)),
            Want::Nothing,
        ),
        send(
            "5.1",
            "WINDOW_UPDATE",
            &after(Http2Frame::window_update(1, 1)),
            Want::Nothing,
        ),
        send(
            "5.1",
            "RST_STREAM",
            &after(Http2Frame::reset(1, code::CANCEL)),
            Want::Nothing,
        ),
    ])
    .await;
}

/// Has a request answered to its end, sends this, and looks what comes of it.
async fn after_the_answer(client: &mut Frames, frame: Http2Frame) -> Outcome {
    client.send(&[get(1)]).await;
    client
        .wait("the end of the answer", |f| {
            f.stream == 1 && f.flags & flag::END_STREAM != 0
        })
        .await;
    client.send(&[frame]).await;
    outcome(client, 1).await
}

#[tokio::test]
async fn closed_by_its_end() {
    check_all(vec![
        act(
            "5.1",
            "DATA",
            |client| Box::pin(after_the_answer(client, data(1))),
            Want::Stream(code::STREAM_CLOSED),
        ),
        act(
            "5.1",
            "HEADERS",
            |client| Box::pin(after_the_answer(client, get(1))),
            Want::Stream(code::STREAM_CLOSED),
        )
        .but(Outcome::GoneAway(code::PROTOCOL_ERROR)),
        act(
            "5.1",
            "CONTINUATION",
            |client| Box::pin(after_the_answer(client, continuation(1))),
            Want::Either(code::STREAM_CLOSED, code::PROTOCOL_ERROR),
        ),
        act(
            "5.1",
            "PRIORITY",
            |client| Box::pin(after_the_answer(client, Http2Frame::priority(1, 3))),
            Want::Nothing,
        ),
        act(
            "5.1",
            "WINDOW_UPDATE",
            |client| Box::pin(after_the_answer(client, Http2Frame::window_update(1, 1))),
            Want::Nothing,
        ),
        act(
            "5.1",
            "RST_STREAM",
            |client| Box::pin(after_the_answer(client, Http2Frame::reset(1, code::CANCEL))),
            Want::Nothing,
        ),
    ])
    .await;
}

#[tokio::test]
async fn identifiers() {
    let protocol = Want::Connection(code::PROTOCOL_ERROR);
    check_all(vec![
        send("5.1.1", "an even one", &[get(2)], protocol),
        send(
            "5.1.1",
            "a smaller one than before",
            &[get(5), get(3)],
            protocol,
        ),
    ])
    .await;
}

#[tokio::test]
async fn priorities() {
    let on_itself = |stream: u32| [&stream.to_be_bytes()[..], &[0xff]].concat();
    let with_priority = [&on_itself(1)[..], &block(GET)].concat();
    // RFC 9113 has done away with priorities; by RFC 7540 5.3.1 a stream may not depend on itself.
    check_all(vec![
        send(
            "5.3.1",
            "HEADERS that depend on themselves",
            &[headers(WHOLE | flag::PRIORITY, 1, with_priority)],
            Want::Stream(code::PROTOCOL_ERROR),
        ),
        send(
            "5.3.1",
            "PRIORITY that depends on itself",
            &[post(1), Http2Frame::new(kind::PRIORITY, 0, 1, on_itself(1))],
            Want::Stream(code::PROTOCOL_ERROR),
        ),
    ])
    .await;
}

#[tokio::test]
async fn as_many_as_there_may_be() {
    check_all(vec![act(
        "5.1.2",
        "and one more",
        |client| {
            Box::pin(async move {
                let posts: Vec<_> = (0..=200).map(|at| post(2 * at + 1)).collect();
                client.send(&posts).await;
                client.answer(401).await
            })
        },
        Want::Either(code::REFUSED_STREAM, code::PROTOCOL_ERROR),
    )])
    .await;
}

#[tokio::test]
async fn a_second_head_ends_the_stream() {
    let trailers = |flags| headers(flags, 1, block(&[("x-trailer", "1")]));
    check_all(vec![
        send(
            "8.1",
            "a second head that is no end",
            &[post(1), trailers(flag::END_HEADERS)],
            Want::Stream(code::PROTOCOL_ERROR),
        ),
        send(
            "8.1",
            "trailers",
            &[
                post(1),
                Http2Frame::data(1, Bytes::new(), false),
                trailers(WHOLE),
            ],
            Want::Status(200),
        ),
    ])
    .await;
}

//! Streams that are opened to be reset, by the client or by us: rapid reset (CVE-2023-44487), and
//! "made you reset" (CVE-2025-8671).

use bytes::Bytes;
use wsgate_tests::client::Http2Frame;
use wsgate_tests::client::frames::{Frames, Outcome, code};
use wsgate_tests::trace;
use wsgate_tests::upstream::script;

use super::{GET, Scene, open, streams};

/// As many as are let through before patience ends, and some for the seconds that the test takes.
const PATIENCE: usize = 100 + 60;

/// All in one segment: h2 ends the connection for what was reset before it was looked at.
#[tokio::test]
async fn a_rapid_reset_ends_the_connection() {
    let _trace = trace::init();
    let mut scene = Scene::before(script::silence()).await;
    let mut attacker = scene.attacker().await;
    let both = |stream| [open(stream), Http2Frame::reset(stream, code::CANCEL)];
    let all: Vec<_> = streams(2000).flat_map(both).collect();
    attacker.send(&all).await;
    assert_eq!(attacker.goodbye().await, Some(code::ENHANCE_YOUR_CALM));
    scene.is_quiet().await;
    let handshakes = scene.join().await.len();
    assert!(handshakes <= PATIENCE, "{handshakes} reached the upstream");
}

/// One after the other, each once its handshake has reached the upstream: no limit of h2's sees that.
#[tokio::test]
async fn patience_with_slower_resets_ends_too() {
    let _trace = trace::init();
    let mut scene = Scene::before(script::silence()).await;
    let mut attacker = scene.attacker().await;
    let mut reached = 0;
    let mut outcome = Outcome::Nothing;
    for stream in streams(1000) {
        attacker.send(&[open(stream)]).await;
        // The next one is an answer, or the upstream's to wait for.
        tokio::select! {
            answer = attacker.answer(stream) => {
                outcome = answer;
                break;
            }
            _ = scene.upstream.until("a handshake", |seen| seen.len() > reached) => reached += 1,
        }
        attacker
            .send(&[Http2Frame::reset(stream, code::CANCEL)])
            .await;
    }
    assert_eq!(outcome, Outcome::Status(429));
    assert!((100..=PATIENCE).contains(&reached), "{reached}");
    // What it had opened is gone at the upstream as well.
    scene
        .upstream
        .until("their ends", |seen| seen.iter().all(|seen| seen.ended))
        .await;
    scene.is_quiet().await;
    drop(attacker);
    scene.join().await;
}

/// A client that waits for its answers may leave as many as it likes in between.
#[tokio::test]
async fn who_waits_for_every_other_answer_is_served_on() {
    let _trace = trace::init();
    let scene = Scene::before(script::silence()).await;
    let mut client = scene.attacker().await;
    for stream in streams(300) {
        let other = 2 * 300 + 2 * stream + 1;
        let page = Http2Frame::headers(other, GET, true);
        client.send(&[page]).await;
        assert_eq!(client.answer(other).await, Outcome::Status(200));
        client
            .send(&[open(other + 2), Http2Frame::reset(other + 2, code::CANCEL)])
            .await;
    }
    drop(client);
    scene.join().await;
}

/// Makes the gateway reset one stream after the other, until the connection ends with this code.
async fn make_reset(code: u32, provoke: impl Fn(u32) -> Vec<Http2Frame>) {
    let _trace = trace::init();
    let mut scene = Scene::before(script::silence()).await;
    let mut attacker = scene.attacker().await;
    let mut streams = streams(1000);
    let end = loop {
        let stream = streams.next().expect("the connection ends before");
        attacker
            .send(&[vec![open(stream)], provoke(stream)].concat())
            .await;
        match attacker.answer(stream).await {
            Outcome::Reset(_) => {}
            end => break end,
        }
    };
    assert_eq!(end, Outcome::GoneAway(code));
    drop(attacker);
    scene.is_quiet().await;
    let handshakes = scene.join().await.len();
    // As many as it is allowed to make us reset.
    assert!(handshakes <= 65, "{handshakes} reached the upstream");
}

/// h2 ends the connection at the first of these.
#[tokio::test]
async fn by_a_window_that_grows_by_nothing() {
    make_reset(code::PROTOCOL_ERROR, |stream| {
        vec![Http2Frame::window_update(stream, 0)]
    })
    .await;
}

#[tokio::test]
async fn by_a_window_that_grows_too_far() {
    make_reset(code::ENHANCE_YOUR_CALM, |stream| {
        vec![Http2Frame::window_update(stream, 0x7fff_ffff)]
    })
    .await;
}

/// And of these.
#[tokio::test]
async fn by_data_after_the_end() {
    let data = |stream, end| Http2Frame::data(stream, Bytes::from_static(b"a"), end);
    make_reset(code::PROTOCOL_ERROR, |stream| {
        vec![data(stream, true), data(stream, false)]
    })
    .await;
}

#[tokio::test]
async fn by_a_priority_of_a_stream_over_itself() {
    make_reset(code::ENHANCE_YOUR_CALM, |stream| {
        vec![Http2Frame::priority(stream, stream)]
    })
    .await;
}

#[tokio::test]
async fn by_a_second_head() {
    make_reset(code::ENHANCE_YOUR_CALM, |stream| vec![open(stream)]).await;
}

#[tokio::test]
async fn by_a_malformed_head() {
    let _trace = trace::init();
    let scene = Scene::start().await;
    let mut attacker: Frames = scene.attacker().await;
    let mut ended = None;
    for stream in streams(1000) {
        let bad = [GET, &[("connection", "close")]].concat();
        attacker
            .send(&[Http2Frame::headers(stream, &bad, true)])
            .await;
        match attacker.answer(stream).await {
            Outcome::Reset(code::PROTOCOL_ERROR) => {}
            end => {
                ended = Some(end);
                break;
            }
        }
    }
    assert_eq!(ended, Some(Outcome::GoneAway(code::ENHANCE_YOUR_CALM)));
    drop(attacker);
    assert_eq!(scene.join().await.len(), 0);
}

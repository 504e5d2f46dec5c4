//! Windows that stay shut while upstreams have much to say.

use std::time::Duration;

use tokio::time::sleep;
use wsgate_tests::alone::{alone, memory};
use wsgate_tests::client::Http2Frame;
use wsgate_tests::client::frames::{Outcome, code, setting};
use wsgate_tests::upstream::script;
use wsgate_tests::{Frame, trace};

use super::{Scene, open, streams};

/// As many as one connection may have.
const STREAMS: u32 = 200;

/// Opens all the streams there may be, and shuts each one's window to this.
async fn stall(window: u32) {
    let _trace = trace::init();
    let flood = script::flooding(&Frame::binary(vec![1; 16 * 1024]));
    let mut scene = Scene::before(flood).await;
    scene.is_quiet().await;
    let before = memory();
    let settings = [(setting::INITIAL_WINDOW_SIZE, window)];
    let mut attacker = scene.gateway.target().frames(&settings).await;
    for stream in streams(STREAMS) {
        attacker.send(&[open(stream)]).await;
        assert_eq!(attacker.answer(stream).await, Outcome::Status(200));
    }
    // Until no upstream gets rid of anything any more, for a while.
    let (mut written, mut quiet) = (0, 0);
    while quiet < 5 {
        sleep(Duration::from_millis(50)).await;
        let now: u64 = scene.upstream.seen().iter().map(|seen| seen.written).sum();
        quiet = if now == written { quiet + 1 } else { 0 };
        written = now;
    }
    let each = memory().saturating_sub(before) / u64::from(STREAMS);
    tracing::info!("a stream with a window of {window} holds {each} bytes");
    assert!(
        each < 128 << 10,
        "a stream with a window of {window} holds {each} bytes"
    );
    scene.is_quiet().await;

    // One more is refused, and can be asked for again.
    let one_more = 2 * STREAMS + 1;
    attacker.send(&[open(one_more)]).await;
    assert_eq!(
        attacker.answer(one_more).await,
        Outcome::Reset(code::REFUSED_STREAM)
    );
    attacker
        .send(&[Http2Frame::reset(1, code::CANCEL), open(one_more + 2)])
        .await;
    assert_eq!(attacker.answer(one_more + 2).await, Outcome::Status(200));

    drop(attacker);
    let ended = scene
        .upstream
        .until("the upstreams' ends", |seen| seen.iter().all(|s| s.ended));
    assert_eq!(ended.await.len() as u32, STREAMS + 1);
    scene.join().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_of_nothing_holds_little() {
    if alone("hostile::http2::windows::a_window_of_nothing_holds_little").await {
        stall(0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_of_a_byte_holds_little() {
    if alone("hostile::http2::windows::a_window_of_a_byte_holds_little").await {
        stall(1).await;
    }
}

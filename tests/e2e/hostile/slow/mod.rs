//! Peers that are silent, or dribble: each stage has its own limit, and at it the connection is gone,
//! the task too, while others are served.
//!
//! What comes before a handler runs, and answers that are not read, are in the server's own tests
//! (`crates/wsgate-server/tests/server/slow.rs` and `limits.rs`).

mod closing;
mod frames;
mod stuck;
mod upstreams;

use std::time::Duration;

use tokio::time::Instant;
use wsgate::WebSocketProxy;
use wsgate_tests::Frame;
use wsgate_tests::client::{Handshake, Target};

/// Of the limit that a test is about.
const SHORT: Duration = Duration::from_millis(400);

/// Of the others.
const LONG: Duration = Duration::from_secs(600);

/// A proxy that waits for everything but what a test is about.
fn lenient(proxy: WebSocketProxy) -> WebSocketProxy {
    proxy
        .connect_timeout(LONG)
        .handshake_timeout(LONG)
        .refusal_timeout(LONG)
        .close_timeout(LONG)
        .send_timeout(LONG)
}

/// Another client is served.
async fn serves(target: &Target, path: &str) {
    let mut other = target.tunnel(Handshake::of(path)).await;
    other.send(Frame::text("still there?")).await;
    assert_eq!(other.frame().await, Frame::text("still there?"));
    other.close(1000, "").await;
}

/// How long it took, which is not less than the limit.
#[track_caller]
fn took_its_time(begun: Instant) {
    assert!(begun.elapsed() >= SHORT, "{:?}", begun.elapsed());
}

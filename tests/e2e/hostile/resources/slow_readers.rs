//! Clients that do not read what fast upstreams send.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;
use wsgate_tests::client::{H2, Target};
use wsgate_tests::upstream::{Upstream, script};
use wsgate_tests::wsgate::Wsgate;
use wsgate_tests::{Frame, Tunnel, trace};

use super::handshake;

/// What the clients speak.
#[derive(Clone, Copy, Debug)]
pub(super) enum Http {
    One,
    /// A hundred tunnels to a connection.
    Two,
}

#[tokio::test]
async fn over_http1_each_takes_a_bounded_amount_of_memory() {
    let taken = taken(Http::One).await;
    assert!(taken < HTTP1, "{} KiB each", taken >> 10);
}

#[tokio::test]
async fn over_http2_too() {
    let taken = taken(Http::Two).await;
    assert!(taken < HTTP2, "{} KiB each", taken >> 10);
}

/// The memory that each of a crowd makes the gateway take, with all that upstreams can get rid of on its
/// way to a client that does not read.
async fn taken(http: Http) -> u64 {
    let _trace = trace::init();
    let frame = Frame::binary(vec![0x55; 16 << 10]);
    let upstream = Upstream::tcp(script::flooding(&frame)).await;
    let wsgate = Wsgate::before(upstream.addr()).tls().start().await;
    // What the first of all takes is there once.
    let warm = wsgate.target().tunnel(handshake()).await;
    let before = wsgate.memory();
    let tunnels = crowd(&wsgate.target(), http, CROWD).await;
    let sent = stalls(&upstream).await / CROWD as u64;
    let taken = wsgate.memory().saturating_sub(before) / CROWD as u64;
    assert!(
        sent > taken,
        "the upstreams were stopped before they were fast"
    );
    drop((warm, tunnels));
    wsgate
        .until("the ends", |w| w.count("tunnel closed") > CROWD)
        .await;
    wsgate.terminate().await;
    upstream.ended(CROWD + 1).await;
    taken
}

/// So many tunnels, which nobody reads, and their connections.
pub(super) async fn crowd(target: &Target, http: Http, size: usize) -> (Vec<Tunnel>, Vec<H2>) {
    let (mut tunnels, mut connections) = (Vec::new(), Vec::new());
    while tunnels.len() < size {
        match http {
            // Not all at once: the machine may be busy, and a TLS handshake has a deadline.
            Http::One => {
                let some = (0..20).map(|_| target.tunnel(handshake()));
                tunnels.append(&mut join_all(some).await);
            }
            Http::Two => {
                let mut h2 = target.h2().await;
                for _ in 0..100 {
                    tunnels.push(h2.tunnel(handshake()).await);
                }
                connections.push(h2);
            }
        }
    }
    (tunnels, connections)
}

/// Waits until the upstreams get rid of nothing more. How much it was.
pub(super) async fn stalls(upstream: &Upstream) -> u64 {
    let (mut last, mut quiet) = (0, 0);
    while quiet < 10 {
        sleep(Duration::from_millis(50)).await;
        let written = upstream.seen().iter().map(|seen| seen.written).sum();
        quiet = if written == last { quiet + 1 } else { 0 };
        last = written;
    }
    last
}

const CROWD: usize = 300;

/// A scratch buffer of 48 KiB that the client has not taken, and the TLS records of another.
const HTTP1: u64 = 128 << 10;

/// The same, and what hyper keeps of the stream.
const HTTP2: u64 = 192 << 10;

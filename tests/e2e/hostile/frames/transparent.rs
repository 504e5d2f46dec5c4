//! Where nobody is held to the rules: all passes as it came, and the gateway keeps its own place.

use std::time::Duration;

use axum::Router;
use futures_util::future::join_all;
use wsgate::layer::{Drain, KeepaliveLayer, LimitLayer, ReadTimeoutLayer};
use wsgate_tests::client::Handshake;
use wsgate_tests::stage::{Ends, Http, Stage};
use wsgate_tests::upstream::script::Accept;
use wsgate_tests::{End, Frame, Role, trace};

use super::cases::{self, After, Case};

/// Whole and byte by byte; and when the gateway is drained, its Close stands at a boundary.
#[tokio::test]
async fn wrong_frames_pass_and_the_gateways_own_stand_between_them() {
    let trace = trace::init();
    for http in Http::BOTH {
        let drain = Drain::new().spread(Duration::ZERO);
        let mut stage = Stage::serving(http, Accept::default(), |proxy| {
            Router::new()
                .route_service("/websocket", proxy)
                .layer(KeepaliveLayer::every(HOUR))
                .layer(ReadTimeoutLayer::new(2 * HOUR))
                .layer(LimitLayer::new().tunnels(1000))
                .layer(drain.layer())
        })
        .await;
        let mut tunnels = Vec::new();
        for case in cases::all() {
            if case.after == After::Known {
                let ends = stage.open(Handshake::of("/websocket")).await;
                tunnels.push((case, ends));
            }
        }
        let count = tunnels.len();
        let passed = tunnels.into_iter().map(|(case, mut ends)| async {
            passes(&case, &mut ends).await;
            (case, ends)
        });
        let passed = join_all(passed).await;
        let closed = passed
            .into_iter()
            .map(|(case, ends)| is_drained(case, ends));
        let (drained, _) = tokio::join!(drain.within(HOUR), join_all(closed));
        assert_eq!((drained.closed, drained.cut, drained.left), (count, 0, 0));
        stage.join().await;
    }
    assert_eq!(trace.find("63 bits").len(), 0);
}

/// In front of a gateway without any layer, and those after which it can say nothing too.
#[tokio::test]
async fn every_wrong_frame_passes_where_there_are_no_layers() {
    let trace = trace::init();
    let mut count = 0;
    for http in Http::BOTH {
        let mut stage = Stage::start(http).await;
        for case in cases::all() {
            let mut ends = stage.open(Handshake::of("/websocket")).await;
            passes(&case, &mut ends).await;
            let Ends {
                mut client,
                mut upstream,
                ..
            } = ends;
            client.shutdown().await;
            assert!(matches!(upstream.end().await, End::Eof), "{case:?}");
            upstream.shutdown().await;
            assert!(matches!(client.end().await, End::Eof), "{case:?}");
            count += 1;
            let closed = trace.until("tunnel closed", count).await;
            let side = match case.from {
                Role::Client => "client",
                Role::Server => "upstream",
            };
            let closed = closed.last().unwrap();
            // Of reserved bits the gateway thinks nothing at all.
            if !case.violation.contains("reserved bit") {
                let violation = closed.field(&format!("{side}_violation"));
                assert_eq!(violation, case.violation);
            }
        }
        stage.join().await;
    }
}

async fn passes(case: &Case, ends: &mut Ends) {
    let once = [&case.before[..], &case.wrong, &case.good("and on")].concat();
    let (from, to) = case.ends(ends);
    for bytewise in [false, true] {
        // The last one would take a while.
        if bytewise && once.len() > 1000 {
            continue;
        }
        let send = async {
            match bytewise {
                true => from.send_bytewise(&once).await,
                false => from.send_raw(&once).await,
            }
        };
        let ((), arrived) = tokio::join!(send, to.raw(once.len()));
        assert!(arrived == once, "{case:?}: {arrived:02x?}");
    }
}

async fn is_drained(case: Case, ends: Ends) {
    let Ends {
        mut client,
        mut upstream,
        ..
    } = ends;
    let close = Frame::close(1001, "server shutting down");
    assert_eq!(client.frame().await, close, "{case:?}");
    client.send(Frame::close(1001, "")).await;
    let answer = upstream.frame().await.unmasked();
    assert_eq!(answer, Frame::close(1001, ""), "{case:?}");
    upstream.send(answer).await;
    upstream.shutdown().await;
    assert!(matches!(client.end().await, End::Eof));
    client.shutdown().await;
    assert!(matches!(upstream.end().await, End::Eof));
}

/// Longer than any test.
const HOUR: Duration = Duration::from_secs(60 * 60);

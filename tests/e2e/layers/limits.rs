//! How many WebSockets there may be, and how fast they may come.

use std::time::Duration;

use axum::Router;
use wsgate::layer::LimitLayer;
use wsgate::layer::limit::Rate;
use wsgate_tests::client::{Handshake, Opened};
use wsgate_tests::gateway::Gateway;
use wsgate_tests::stage::{Ends, Http, Stage};
use wsgate_tests::trace;
use wsgate_tests::upstream::script::{self, Accept};
use wsgate_tests::upstream::{Script, Upstream};
use wsgate_tests::{Frame, Tunnel};

use super::{House, Visitor};

#[tokio::test]
async fn a_client_has_so_many_and_another_has_its_own() {
    let _trace = trace::init();
    for http in Http::BOTH {
        let house = House::start().await;
        let limits = LimitLayer::new().tunnels_per_client(2);
        let gateway = Gateway::serving(house.router().layer(limits)).await;
        let target = gateway.target();
        let mut first = Visitor::new(target.clone(), http).await;
        let mut second = Visitor::new(target.clone().coming_from([127, 0, 0, 2]), http).await;

        let one = first.enter("/axum").await;
        let two = first.enter("/proxy").await;
        assert_eq!(first.is_sent_away("/axum", 429).await, 5);
        let other = second.enter("/axum").await;
        // Another connection makes nobody another client.
        let mut again = Visitor::new(target, http).await;
        again.is_sent_away("/proxy", 429).await;

        one.close(1000, "").await;
        house.app.until_told(1).await;
        let three = enters_soon(&mut again, "/proxy").await;
        first.is_sent_away("/axum", 429).await;
        for tunnel in [two, three, other] {
            tunnel.close(1000, "").await;
        }
        for visitor in [first, second, again] {
            visitor.leave().await;
        }
        gateway.join().await;
        house.join().await;
    }
}

#[tokio::test]
async fn there_are_so_many_in_all_and_others_stand_in_the_queue() {
    let _trace = trace::init();
    for http in Http::BOTH {
        let house = House::start().await;
        let limits = LimitLayer::new()
            .tunnels(2)
            .queue(1, Duration::from_secs(20));
        let gateway = Gateway::serving(house.router().layer(limits)).await;
        let mut visitor = Visitor::new(gateway.target(), http).await;
        let mut late = Visitor::new(gateway.target(), http).await;
        let one = visitor.enter("/axum").await;
        let two = visitor.enter("/proxy").await;

        let (three, ()) = tokio::join!(late.enter("/axum"), async {
            // Whoever stands there leaves no room for a second.
            loop {
                let mut more = Visitor::new(gateway.target(), http).await;
                let knock = more.open(Handshake::of("/proxy"));
                let waits = Duration::from_millis(200);
                if let Ok(answer) = tokio::time::timeout(waits, knock).await {
                    let refused = answer.unwrap_err().response;
                    assert_eq!(refused.status, 503);
                    assert_eq!(refused.fields.get("retry-after"), Some("5"));
                    more.leave().await;
                    break;
                }
            }
            house.app.until_open(2).await;
            one.close(1000, "").await;
        });
        for tunnel in [two, three] {
            tunnel.close(1000, "").await;
        }
        visitor.leave().await;
        late.leave().await;
        gateway.join().await;
        assert_eq!(house.join().await.len(), 3);
    }
}

#[tokio::test]
async fn they_come_so_fast() {
    let _trace = trace::init();
    for http in Http::BOTH {
        let house = House::start().await;
        let rate = Rate::new(3, Duration::from_secs(90));
        let limits = LimitLayer::new().handshake_rate(rate);
        let gateway = Gateway::serving(house.router().layer(limits)).await;
        let target = gateway.target();
        let mut hasty = Visitor::new(target.clone(), http).await;
        for path in ["/axum", "/proxy", "/axum"] {
            hasty.enter(path).await.close(1000, "").await;
        }
        let again = hasty.is_sent_away("/proxy", 429).await;
        assert!((15..=30).contains(&again), "{again} s");
        // Pages are not handshakes.
        assert_eq!(target.get("/nowhere").await.response.status, 404);
        let mut other = Visitor::new(target.coming_from([127, 0, 0, 2]), http).await;
        other.enter("/axum").await.close(1000, "").await;
        hasty.leave().await;
        other.leave().await;
        gateway.join().await;
        house.join().await;
    }
}

// ===== a place is free again =====

#[tokio::test]
async fn after_the_client_has_closed() {
    after(async |ends| {
        let Ends {
            client,
            mut upstream,
            ..
        } = ends;
        let closing = async {
            let close = upstream.frame().await.unmasked();
            upstream.send(close).await;
            upstream.shutdown().await;
            upstream.end().await;
        };
        tokio::join!(client.close(1000, "bye"), closing);
    })
    .await;
}

#[tokio::test]
async fn after_the_client_was_lost() {
    after(async |ends| ends.client.reset()).await;
}

#[tokio::test]
async fn after_the_client_has_ended_without_a_word() {
    after(async |ends| drop(ends.client)).await;
}

#[tokio::test]
async fn after_the_upstream_was_lost() {
    after(async |ends| {
        ends.upstream.reset();
        told_and_gone(ends.client).await;
    })
    .await;
}

#[tokio::test]
async fn after_the_upstream_has_ended_without_a_word() {
    after(async |ends| {
        drop(ends.upstream);
        told_and_gone(ends.client).await;
    })
    .await;
}

async fn told_and_gone(mut client: Tunnel) {
    let close = client.frame().await;
    assert_eq!(close, Frame::close(1014, "upstream lost"));
    let _ = client.try_send(close).await;
    client.end().await;
}

/// Has the only tunnel end in this way, over both protocols, and opens the next.
async fn after(end: impl AsyncFn(Ends)) {
    let trace = trace::init();
    for (at, http) in Http::BOTH.into_iter().enumerate() {
        let mut stage = Stage::serving(http, Accept::default(), one_place).await;
        let ends = stage.open(Handshake::of("/websocket")).await;
        let full = stage.knock(Handshake::of("/websocket")).await.unwrap_err();
        assert_eq!(full.response.status, 503);
        end(ends).await;
        // The log comes with the end of the tunnel.
        trace.until("tunnel closed", 2 * at + 1).await;

        let ends = stage.open(Handshake::of("/websocket")).await;
        drop(ends);
        trace.until("tunnel closed", 2 * at + 2).await;
        stage.join().await;
    }
}

#[tokio::test]
async fn after_the_upstream_has_refused() {
    let _trace = trace::init();
    check_refused(script::respond("401 Unauthorized", &[], "who?"), 401).await;
    check_refused(script::wrong_accept(), 502).await;
    check_refused(script::reset_on_accept(), 502).await;
}

async fn check_refused(script: Script, status: u16) {
    for http in Http::BOTH {
        let upstream = Upstream::tcp(script.clone()).await;
        let gateway = Gateway::serving(one_place(proxy(&upstream))).await;
        let mut visitor = Visitor::new(gateway.target(), http).await;
        for _ in 0..3 {
            let refused = visitor.open(Handshake::of("/websocket")).await.unwrap_err();
            assert_eq!(refused.response.status, status);
        }
        visitor.leave().await;
        upstream.join().await;
        gateway.join().await;
    }
}

#[tokio::test]
async fn after_the_client_has_left_before_the_answer() {
    let _trace = trace::init();
    for http in Http::BOTH {
        let upstream = Upstream::tcp(script::silence()).await;
        let gateway = Gateway::serving(one_place(proxy(&upstream))).await;
        for count in 1..=3 {
            let mut visitor = Visitor::new(gateway.target(), http).await;
            let asked = upstream.until("the handshake", |seen| {
                seen.len() == count && seen[count - 1].request.is_some()
            });
            tokio::select! {
                answer = visitor.open(Handshake::of("/websocket")) => panic!("{answer:?}"),
                _ = asked => {}
            }
            drop(visitor);
            let left = |seen: &Vec<wsgate_tests::upstream::Seen>| seen.iter().all(|s| s.ended);
            upstream.until("the upstream to be let go", left).await;
        }
        upstream.join().await;
        gateway.join().await;
    }
}

fn one_place(proxy: wsgate::WebSocketProxy) -> Router {
    Router::new()
        .route_service("/websocket", proxy)
        .layer(LimitLayer::new().tunnels(1))
}

fn proxy(upstream: &Upstream) -> wsgate::WebSocketProxy {
    wsgate::WebSocketProxy::to(&format!("http://{}", upstream.addr())).unwrap()
}

/// Opens a tunnel for which a place is about to be free: the app has let go of the one that ended, and
/// the proxy before it does so a moment later.
async fn enters_soon(visitor: &mut Visitor, path: &str) -> Tunnel {
    loop {
        match visitor.open(Handshake::of(path)).await {
            Ok(Opened { tunnel, .. }) => return tunnel,
            Err(refused) => assert_eq!(refused.response.status, 429),
        }
        tokio::task::yield_now().await;
    }
}

//! The orderly end of those who are in the middle of something, or do not play their part.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, sleep_until};
use wsgate::WebSocketProxy;
use wsgate::layer::Drain;
use wsgate_tests::alone::alone;
use wsgate_tests::client::Handshake;
use wsgate_tests::gateway::Gateway;
use wsgate_tests::stage::{Ends, Http, Stage};
use wsgate_tests::upstream::{Upstream, script, switching};
use wsgate_tests::{Frame, trace, within};

use super::house::FLOOD;
use super::{Behind, House, Visitor, is_closed};

#[tokio::test]
async fn a_restart_is_called_so() {
    let _trace = trace::init();
    let house = House::start().await;
    let drain = Drain::new().restart();
    let gateway = Gateway::serving(house.router().layer(drain.layer())).await;
    let mut visitors = Vec::new();
    let mut clients = Vec::new();
    for http in Http::BOTH {
        let mut visitor = Visitor::new(gateway.target(), http).await;
        for behind in Behind::BOTH {
            let client = visitor.enter(behind.path()).await;
            clients.push(is_closed(client, 1012, "service restart"));
        }
        visitors.push(visitor);
    }
    let (drained, _) = tokio::join!(drain.within(DEADLINE), join_all(clients));
    assert_eq!((drained.closed, drained.cut, drained.left), (4, 0, 0));
    for visitor in visitors {
        visitor.leave().await;
    }
    gateway.join().await;
    house.join().await;
}

/// Told and not answering, it is cut when the time is over; the app is told as well.
#[tokio::test]
async fn a_client_that_does_not_answer_is_cut_at_the_deadline() {
    let _trace = trace::init();
    for http in Http::BOTH {
        let house = House::start().await;
        let drain = Drain::new();
        let app = house.router().layer(drain.layer());
        let deadline = Duration::from_secs(1);
        let gateway = Gateway::adjusted(app, |server| server.drain(drain.within(deadline))).await;
        let mut visitor = Visitor::new(gateway.target(), http).await;
        let mut clients = [visitor.enter("/axum").await, visitor.enter("/proxy").await];
        house.app.until_open(2).await;

        let start = Instant::now();
        let left = drain.clone();
        let stopped = tokio::spawn(async move {
            gateway.join().await;
            (start.elapsed(), left.live())
        });
        for client in &mut clients {
            assert_eq!(
                client.frame().await,
                Frame::close(1001, "server shutting down")
            );
            client.end().await;
            assert!(
                start.elapsed() >= deadline,
                "{http:?} {:?}",
                start.elapsed()
            );
        }
        drop(clients);
        visitor.leave().await;
        // The server stays as long as there is one, also where it sees none.
        let (took, left) = stopped.await.unwrap();
        assert!((deadline..deadline + SLACK).contains(&took), "{took:?}");
        assert_eq!(left, 0);
        for told in house.join().await {
            assert_eq!(told.close, Some((1001, "server shutting down".to_owned())));
        }
    }
}

/// The Close may not stand in the middle of a frame. It follows as soon as the frame is whole.
#[tokio::test]
async fn a_frame_under_way_is_finished_first() {
    let _trace = trace::init();
    for http in Http::BOTH {
        let drain = Drain::new();
        let layer = drain.layer();
        let app = |proxy| {
            Router::new()
                .route_service("/websocket", proxy)
                .layer(layer)
        };
        let mut stage = Stage::serving(http, script::Accept::default(), app).await;
        let mut ends = stage.open(Handshake::of("/websocket")).await;
        let frame = Frame::binary(vec![7; 1000]);
        let bytes = frame.to_bytes();
        let (begin, rest) = bytes.split_at(500);
        ends.upstream.send_raw(begin).await;
        assert_eq!(ends.client.raw(500).await, begin);

        let draining = tokio::spawn(drain.within(DEADLINE));
        let until = Instant::now() + Duration::from_millis(300);
        tokio::select! {
            early = ends.client.raw(1) => panic!("{early:?} in the middle of a frame"),
            () = sleep_until(until) => {}
        }
        // What follows the frame comes too late.
        ends.upstream
            .send_raw(&[rest, &Frame::text("too late").to_bytes()].concat())
            .await;
        assert_eq!(ends.client.raw(rest.len()).await, rest);
        let told = async {
            let close = ends.upstream.frame().await.unmasked();
            assert_eq!(close, Frame::close(1001, "server shutting down"));
            ends.upstream.shutdown().await;
            ends.upstream.end().await;
            drop(ends.upstream);
        };
        let closed = is_closed(ends.client, 1001, "server shutting down");
        tokio::join!(closed, told);
        assert_eq!(draining.await.unwrap().closed, 1);
        stage.join().await;
    }
}

/// Nothing can be read from the client then, so a layer has to have its turn otherwise.
#[tokio::test]
async fn a_client_whose_upstream_does_not_read_is_told() {
    let _trace = trace::init();
    for http in Http::BOTH {
        let drain = Drain::new();
        let layer = drain.layer();
        let app = |proxy| {
            let app = Router::new().route_service("/websocket", proxy);
            app.layer(layer)
        };
        let mut stage = Stage::serving(http, script::Accept::default(), app).await;
        let Ends {
            client, upstream, ..
        } = stage.open(Handshake::of("/websocket")).await;
        let (mut reader, mut writer) = tokio::io::split(client.into_parts().0);
        let header = Frame::binary("").masked([1, 2, 3, 4]).header_for(1 << 40);
        let flood = tokio::spawn(async move {
            writer.write_all(&header).await.unwrap();
            while writer.write_all(&[0; 1 << 16]).await.is_ok() {}
        });
        // Until the sockets are full.
        sleep(Duration::from_millis(500)).await;

        let deadline = Duration::from_secs(2);
        let draining = tokio::spawn(drain.within(deadline));
        let close = Frame::close(1001, "server shutting down").to_bytes();
        let mut told = vec![0; close.len()];
        within("a Close", reader.read_exact(&mut told))
            .await
            .unwrap();
        assert_eq!(told, close);
        assert_eq!(drain.live(), 1, "it was told in time");
        // It is in the middle of a message, and has no way to answer. Nor has the proxy one to tell the
        // upstream, whom it gives a moment more.
        let drained = draining.await.unwrap();
        assert_eq!((drained.closed, drained.cut + drained.left), (0, 1));
        within("the end of the flood", flood).await.unwrap();
        drop((reader, upstream));
        stage.join().await;
    }
}

/// It was let in before the drain began, so it is waited for.
#[tokio::test]
async fn a_handshake_under_way_is_closed_as_soon_as_it_is_done() {
    let _trace = trace::init();
    for http in Http::BOTH {
        let (accept, accepted) = watch::channel(false);
        let late = script::script(move |mut connection| {
            let mut accepted = accepted.clone();
            async move {
                let request = connection.request().await.unwrap();
                accepted.wait_for(|accepted| *accepted).await.unwrap();
                connection.write(switching(&request, "")).await;
                let mut tunnel = connection.into_tunnel();
                let close = tunnel.frame().await;
                assert_eq!(
                    close.close_parts(),
                    Some((1001, "server shutting down".to_owned()))
                );
                tunnel.shutdown().await;
                tunnel.end().await;
            }
        });
        let upstream = Upstream::tcp(late).await;
        let proxy = WebSocketProxy::to(&format!("http://{}", upstream.addr())).unwrap();
        let drain = Drain::new();
        let app = Router::new()
            .route_service("/websocket", proxy)
            .layer(drain.layer());
        let gateway = Gateway::serving(app).await;
        let mut visitor = Visitor::new(gateway.target(), http).await;
        let entering = async {
            let client = visitor.enter("/websocket").await;
            is_closed(client, 1001, "server shutting down").await;
        };
        let draining = async {
            upstream
                .until("the handshake", |seen| {
                    seen.iter().any(|s| s.request.is_some())
                })
                .await;
            let begun = async {
                while !drain.is_draining() {
                    yield_now().await;
                }
                accept.send_replace(true);
            };
            let (drained, ()) = tokio::join!(drain.within(DEADLINE), begun);
            drained
        };
        let ((), drained) = tokio::join!(entering, draining);
        assert_eq!((drained.closed, drained.cut, drained.left), (1, 0, 0));
        visitor.leave().await;
        upstream.ended(1).await;
        gateway.join().await;
    }
}

/// Who floods does not wait for its client to answer, and does not keep others from their turn: on
/// this one thread that would be the end of everything, so the test has a process of its own.
#[tokio::test]
async fn a_flood_ends_with_the_close() {
    if !alone("layers::drained::a_flood_ends_with_the_close").await {
        return;
    }
    let _trace = trace::init();
    for http in Http::BOTH {
        let house = House::start().await;
        let drain = Drain::new();
        let gateway = Gateway::serving(house.router().layer(drain.layer())).await;
        let mut visitor = Visitor::new(gateway.target(), http).await;
        let heard = AtomicUsize::new(0);
        let mut clients = Vec::new();
        for behind in Behind::BOTH {
            let mut client = visitor.enter(behind.path()).await;
            client.send(Frame::text(FLOOD)).await;
            clients.push(async {
                let mut client = client;
                loop {
                    let frame = client.frame().await;
                    if frame.close_parts().is_some() {
                        assert_eq!(frame, Frame::close(1001, "server shutting down"));
                        client.send(frame).await;
                        break;
                    }
                    heard.fetch_add(1, Ordering::Relaxed);
                }
                client.end().await;
            });
        }
        let flowing = async {
            while heard.load(Ordering::Relaxed) < 100 {
                yield_now().await;
            }
            drain.within(DEADLINE).await
        };
        let (drained, _) = tokio::join!(flowing, join_all(clients));
        assert_eq!((drained.closed, drained.cut, drained.left), (2, 0, 0));
        visitor.leave().await;
        gateway.join().await;
        house.join().await;
    }
}

const DEADLINE: Duration = Duration::from_secs(25);

/// For a busy machine.
const SLACK: Duration = Duration::from_secs(5);

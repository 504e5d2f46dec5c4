use std::{future::Future, pin::Pin};

use tokio::time::advance;
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task::Spawn};
use tower_test::mock;

use super::*;

const A: &str = "192.0.2.1:4711";
const B: &str = "192.0.2.2:4711";
const C: &str = "192.0.2.3:4711";

type Opening = Pin<Box<dyn Future<Output = Result<Opened, Response<String>>>>>;

/// A client that may have to wait.
fn knock(layer: &LimitLayer, client: &'static str) -> Spawn<Opening> {
    let layer = layer.clone();
    tokio_test::task::spawn(Box::pin(async move { open(&layer, client).await }))
}

/// Polls until it is done: what a tunnel needs besides its place is there within a few polls.
async fn done(opening: &mut Spawn<Opening>) -> Result<Opened, Response<String>> {
    for _ in 0..10 {
        if let std::task::Poll::Ready(opened) = opening.poll() {
            return opened;
        }
        tokio::task::yield_now().await;
    }
    panic!("it still waits");
}

fn one_place() -> LimitLayer {
    LimitLayer::new().tunnels(1).queue(2, WAIT)
}

const WAIT: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn who_came_first_is_served_first() {
    let layer = one_place().queue(3, WAIT);
    let first = open(&layer, A).await.unwrap();
    let mut second = knock(&layer, B);
    let mut third = knock(&layer, C);
    assert_pending!(second.poll());
    assert_pending!(third.poll());

    drop(first.handler);
    assert!(second.is_woken());
    // The place is promised: nobody gets in between, neither from behind nor from outside.
    assert_pending!(third.poll());
    assert_pending!(knock(&layer, A).poll());
    let second = done(&mut second).await.unwrap();
    assert_pending!(third.poll());

    drop(second.handler);
    let _third = done(&mut third).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_queue_has_its_length() {
    let layer = one_place();
    let _first = open(&layer, A).await.unwrap();
    let mut second = knock(&layer, A);
    let mut third = knock(&layer, A);
    assert_pending!(second.poll());
    assert_pending!(third.poll());
    // At once, not after a time.
    let fourth = assert_ready!(knock(&layer, A).poll());
    is_refused(fourth, Limit::Tunnels, 503, "5");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_leaves_the_queue() {
    let layer = one_place();
    let first = open(&layer, A).await.unwrap();
    let mut second = knock(&layer, A);
    let mut third = knock(&layer, A);
    assert_pending!(second.poll());
    assert_pending!(third.poll());
    drop(second);
    let mut fourth = knock(&layer, A);
    assert_pending!(fourth.poll());

    drop(first.handler);
    assert!(third.is_woken() && !fourth.is_woken());
    // It leaves with the place already its own.
    drop(third);
    let _fourth = done(&mut fourth).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever() {
    let layer = one_place().tunnels_per_client(1);
    let first = open(&layer, A).await.unwrap();
    let mut second = knock(&layer, B);
    assert_pending!(second.poll());
    advance(WAIT - Duration::from_millis(1)).await;
    assert_pending!(second.poll());
    advance(Duration::from_millis(1)).await;
    let refused = assert_ready!(second.poll());
    is_refused(refused, Limit::Tunnels, 503, "5");

    drop(first.handler);
    // Neither the place nor the client's own was kept.
    let _second = open(&layer, B).await.unwrap();
}

/// Else one client could fill the queue.
#[tokio::test(start_paused = true)]
async fn who_waits_counts_as_a_tunnel_of_its_client() {
    let layer = one_place().tunnels_per_client(1);
    let _first = open(&layer, A).await.unwrap();
    let mut second = knock(&layer, B);
    assert_pending!(second.poll());
    let again = assert_ready!(knock(&layer, B).poll());
    is_refused(again, Limit::TunnelsPerClient, 429, "5");
    drop(second);
    let mut third = knock(&layer, B);
    assert_pending!(third.poll());
}

#[tokio::test(start_paused = true)]
async fn observers_are_told_when_the_time_is_up() {
    let layer = one_place();
    let _first = open(&layer, A).await.unwrap();
    let (mut req, _connection) = handshake(B);
    let told = Told::by(&Tunnel::of(req.extensions_mut()));
    let mut res = tokio_test::task::spawn(layer.layer(service_fn(accept)).oneshot(req));
    assert_pending!(res.poll());
    assert_eq!(told.take(), []);
    advance(WAIT).await;
    assert_eq!(assert_ready!(res.poll()).unwrap().status(), 503);
    assert_eq!(told.take(), [Limit::Tunnels]);
}

/// A mock panics when it is called without having said that it is ready, which a clone has not.
#[tokio::test(start_paused = true)]
async fn who_waited_is_given_to_the_handler_that_was_ready() {
    let (mut service, mut handler) =
        mock::spawn_layer::<Request<()>, Response<String>, _>(one_place());
    handler.allow(1);
    assert_ready_ok!(service.poll_ready());
    let (req, _connection) = handshake(A);
    let first = service.call(req);
    let (_, respond) = handler.next_request().await.unwrap();

    assert_pending!(service.poll_ready());
    handler.allow(1);
    assert_ready_ok!(service.poll_ready());
    let (req, _connection) = handshake(B);
    let mut second = tokio_test::task::spawn(service.call(req));
    assert_pending!(second.poll());
    respond.send_response(Response::new("no upgrade".to_owned()));
    assert_eq!(first.await.unwrap().status(), 200);

    assert!(second.is_woken());
    assert_pending!(second.poll());
    let (req, respond) = handler.next_request().await.unwrap();
    assert!(req.extensions().get::<OnUpgrade>().is_some());
    respond.send_response(Response::new("nor here".to_owned()));
    assert_eq!(assert_ready_ok!(second.poll()).body(), "nor here");
}

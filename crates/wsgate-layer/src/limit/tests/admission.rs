use std::future::pending;

use tokio::task::yield_now;
use tokio_test::assert_pending;

use super::*;
use crate::{client::TrustedProxies, limit::Rate};

const A: &str = "192.0.2.1:4711";
const B: &str = "192.0.2.2:4711";

#[tokio::test]
async fn a_tunnel_holds_its_place_until_the_handler_lets_go() {
    let layer = LimitLayer::new().tunnels(2);
    let first = open(&layer, A).await.unwrap();
    let _second = open(&layer, B).await.unwrap();
    is_refused(open(&layer, B).await, Limit::Tunnels, 503, "5");
    drop(first.handler);
    let _third = open(&layer, B).await.unwrap();
    is_refused(open(&layer, B).await, Limit::Tunnels, 503, "5");
}

/// One that is never answered, as far as the handler.
fn begin(layer: &LimitLayer) -> tokio_test::task::Spawn<impl Future<Output = ()> + use<>> {
    let (req, _connection) = handshake(A);
    let silent = service_fn(|_: Request<()>| pending::<Result<Response<String>, Infallible>>());
    let res = layer.layer(silent).oneshot(req);
    let mut begun = tokio_test::task::spawn(async move { drop(res.await) });
    assert_pending!(begun.poll());
    begun
}

#[tokio::test]
async fn a_handshake_is_pending_until_its_answer() {
    let layer = LimitLayer::new().tunnels(4).pending_handshakes(2);
    let first = begin(&layer);
    // Those that were answered do not count, however long their tunnels live.
    let _open = (open(&layer, B).await, open(&layer, B).await);
    let second = begin(&layer);
    // A place for a tunnel that it had is free again.
    drop(_open);
    for _ in 0..8 {
        is_refused(open(&layer, B).await, Limit::PendingHandshakes, 503, "1");
    }
    drop(first);
    open(&layer, B).await.unwrap();
    drop(second);
}

#[tokio::test]
async fn one_from_the_queue_is_pending_too() {
    let layer = LimitLayer::new()
        .tunnels(1)
        .queue(1, Duration::from_secs(5))
        .pending_handshakes(0);
    let refused = open(&layer, A).await;
    is_refused(refused, Limit::PendingHandshakes, 503, "1");
    let layer = LimitLayer::new()
        .tunnels(2)
        .queue(1, Duration::from_secs(5))
        .pending_handshakes(1);
    let (one, two) = (
        open(&layer, A).await.unwrap(),
        open(&layer, A).await.unwrap(),
    );
    let mut queued = tokio_test::task::spawn(open(&layer, B));
    assert_pending!(queued.poll());
    drop(one);
    queued.await.unwrap();

    // The place that it waited for is one for a tunnel.
    let one = open(&layer, A).await.unwrap();
    drop(two);
    let silent = begin(&layer);
    let mut queued = tokio_test::task::spawn(open(&layer, B));
    assert_pending!(queued.poll());
    drop(one);
    is_refused(queued.await, Limit::PendingHandshakes, 503, "1");
    drop(silent);
    open(&layer, B).await.unwrap();
}

#[tokio::test]
async fn a_client_has_places_of_its_own() {
    let layer = LimitLayer::new().tunnels_per_client(1);
    let first = open(&layer, A).await.unwrap();
    is_refused(open(&layer, A).await, Limit::TunnelsPerClient, 429, "5");
    let _second = open(&layer, B).await.unwrap();
    drop(first.handler);
    let _third = open(&layer, A).await.unwrap();
}

#[track_caller]
fn is_one_client(a: &str, b: &str, expected: bool) {
    let client = |addr: &str| crate::client::subscriber(addr.parse().unwrap());
    assert_eq!(client(a) == client(b), expected, "{a} {b}");
}

#[test]
fn a_client_is_an_ipv4_address_or_an_ipv6_network() {
    is_one_client("192.0.2.1", "192.0.2.1", true);
    is_one_client("192.0.2.1", "192.0.2.2", false);
    is_one_client("192.0.2.1", "::ffff:192.0.2.1", true);
    is_one_client("::ffff:192.0.2.1", "::ffff:192.0.2.2", false);
    is_one_client("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true);
    is_one_client("2001:db8:0:1::1", "2001:db8:0:2::1", false);
}

#[tokio::test]
async fn a_trusted_proxy_names_the_client() {
    let trusted = TrustedProxies::new(["192.0.2.1"]).unwrap();
    let layer = LimitLayer::new()
        .tunnels_per_client(1)
        .trusted_proxies(trusted);
    let through_proxy = |client: &str| {
        let (mut req, connection) = handshake(A);
        let value = client.parse().unwrap();
        req.headers_mut().insert("x-forwarded-for", value);
        let res = layer.layer(service_fn(accept)).oneshot(req);
        async { opened(res.await.unwrap(), connection).await }
    };
    let _first = through_proxy("203.0.113.1").await.unwrap();
    let _second = through_proxy("203.0.113.2").await.unwrap();
    let third = through_proxy("203.0.113.1").await;
    is_refused(third, Limit::TunnelsPerClient, 429, "5");
}

/// There is nothing to count by; the limit in all holds.
#[tokio::test]
async fn without_an_address_the_limits_per_client_cannot_act() {
    let layer = LimitLayer::new()
        .tunnels(2)
        .tunnels_per_client(1)
        .handshake_rate(Rate::per_second(1));
    let anonymous = || {
        let (mut req, connection) = handshake(A);
        req.extensions_mut().remove::<ConnectInfo<SocketAddr>>();
        let res = layer.layer(service_fn(accept)).oneshot(req);
        async { opened(res.await.unwrap(), connection).await }
    };
    let _first = anonymous().await.unwrap();
    let _second = anonymous().await.unwrap();
    is_refused(anonymous().await, Limit::Tunnels, 503, "5");
}

#[tokio::test(start_paused = true)]
async fn who_knocks_too_often_is_told_when_to_come_back() {
    let rate = Rate::new(1, Duration::from_secs(10)).burst(2);
    let layer = LimitLayer::new().tunnels(2).handshake_rate(rate);
    drop(open(&layer, A).await.unwrap());
    drop(open(&layer, A).await.unwrap());
    tokio::time::advance(Duration::from_millis(500)).await;
    // Half a second has gone, and the rest is rounded up.
    is_refused(open(&layer, A).await, Limit::HandshakeRate, 429, "10");
    let _other = open(&layer, B).await.unwrap();
    tokio::time::advance(Duration::from_secs(10)).await;
    let _again = open(&layer, A).await.unwrap();
}

#[tokio::test]
async fn other_requests_need_no_place() {
    let layer = LimitLayer::new().tunnels(0).tunnels_per_client(0);
    let (mut req, _connection) = handshake(A);
    req.headers_mut().remove(UPGRADE);
    let res = layer.layer(service_fn(accept)).oneshot(req).await.unwrap();
    assert!(res.extensions().get::<OnUpgrade>().is_some(), "untouched");
    is_refused(open(&layer, A).await, Limit::TunnelsPerClient, 429, "5");
    is_refused(
        open(&LimitLayer::new().tunnels(0), A).await,
        Limit::Tunnels,
        503,
        "5",
    );
}

#[tokio::test]
async fn clones_and_services_of_one_layer_count_together() {
    let layer = LimitLayer::new().tunnels(1);
    let _first = open(&layer.clone(), A).await.unwrap();
    is_refused(open(&layer, A).await, Limit::Tunnels, 503, "5");
    // A new setting is a new count.
    let _other = open(&layer.clone().tunnels(1), A).await.unwrap();
}

#[tokio::test]
async fn a_handshake_that_the_handler_refuses_gives_its_place_back() {
    let layer = LimitLayer::new().tunnels(1).tunnels_per_client(1);
    let (req, _connection) = handshake(A);
    let refuse = service_fn(|_: Request<()>| async {
        let mut res = Response::new(String::new());
        *res.status_mut() = StatusCode::UNAUTHORIZED;
        Ok::<_, Infallible>(res)
    });
    let res = layer.layer(refuse).oneshot(req).await.unwrap();
    assert_eq!(res.status(), 401);
    let _next = open(&layer, A).await.unwrap();
}

#[tokio::test]
async fn a_handler_that_fails_gives_its_place_back() {
    let layer = LimitLayer::new().tunnels(1).tunnels_per_client(1);
    let (req, _connection) = handshake(A);
    let fail = service_fn(|_: Request<()>| async { Err::<Response<String>, _>("no") });
    assert_eq!(layer.layer(fail).oneshot(req).await.unwrap_err(), "no");
    let _next = open(&layer, A).await.unwrap();
}

#[tokio::test]
async fn a_client_that_leaves_during_the_handshake_gives_its_place_back() {
    let layer = LimitLayer::new().tunnels(1).tunnels_per_client(1);
    let (req, _connection) = handshake(A);
    let think = service_fn(|_: Request<()>| pending::<Result<Response<String>, Infallible>>());
    let mut res = tokio_test::task::spawn(layer.layer(think).oneshot(req));
    assert_pending!(res.poll());
    is_refused(open(&layer, B).await, Limit::Tunnels, 503, "5");
    drop(res);
    let _next = open(&layer, A).await.unwrap();
}

/// The answer was 101, but there was nobody to send it to.
#[tokio::test]
async fn a_client_that_leaves_before_the_upgrade_gives_its_place_back() {
    let layer = LimitLayer::new().tunnels(1).tunnels_per_client(1);
    let (req, connection) = handshake(A);
    let res = layer.layer(service_fn(accept)).oneshot(req).await.unwrap();
    assert_eq!(res.status(), 101);
    is_refused(open(&layer, B).await, Limit::Tunnels, 503, "5");
    drop(connection);
    yield_now().await;
    let _next = open(&layer, A).await.unwrap();
}

/// A server that does not upgrade has no tunnels, only handshakes.
#[tokio::test]
async fn without_an_upgrade_the_place_is_held_until_the_answer() {
    let layer = LimitLayer::new().tunnels(1);
    let (mut req, _connection) = handshake(A);
    req.extensions_mut().remove::<OnUpgrade>();
    let res = layer.layer(service_fn(accept)).oneshot(req).await.unwrap();
    assert_eq!(res.status(), 101);
    let _next = open(&layer, A).await.unwrap();
}

#[tokio::test]
async fn observers_are_told_of_each_refusal() {
    #[track_caller]
    fn check(layer: &LimitLayer, limit: Limit) {
        let (mut req, _connection) = handshake(A);
        let told = Told::by(&Tunnel::of(req.extensions_mut()));
        let mut service = layer.layer(service_fn(accept));
        // Refused within `call`; dropping the answer changes nothing.
        drop(tower_service::Service::call(&mut service, req));
        assert_eq!(told.take(), [limit]);
    }
    check(&LimitLayer::new().tunnels(0), Limit::Tunnels);
    check(
        &LimitLayer::new().tunnels_per_client(0),
        Limit::TunnelsPerClient,
    );
    let knocked = LimitLayer::new().handshake_rate(Rate::new(1, Duration::from_secs(60)));
    drop(open(&knocked, A).await.unwrap());
    check(&knocked, Limit::HandshakeRate);
}

//! Behind a balancer that passes TCP on and tells whose connection it is: the real HAProxy.

use axum::Router;
use wsgate::WebSocketProxy;
use wsgate::server::{Running, Server};
use wsgate_tests::client::{Handshake, Protocol, Target};
use wsgate_tests::gateway::{self, Gateway};
use wsgate_tests::haproxy::Haproxy;
use wsgate_tests::trace;
use wsgate_tests::upstream::{Upstream, script};

/// A client of which nobody but the header tells.
const CLIENT: [u8; 4] = [127, 0, 0, 9];

/// Where HAProxy connects from.
const BALANCER: &str = "127.0.0.1";

/// What a `server` line has for each form of the header, the last with what it may have beside addresses.
const FORMS: [&str; 3] = [
    "send-proxy",
    "send-proxy-v2",
    "send-proxy-v2 proxy-v2-options authority,crc32c,unique-id,ssl",
];

async fn upstream() -> (Upstream, Router) {
    let upstream = Upstream::tcp(script::echo()).await;
    let proxy = WebSocketProxy::to(&format!("http://{}", upstream.addr())).unwrap();
    (upstream, gateway::app(proxy))
}

/// What the upstream is told of this client.
async fn told(upstream: &Upstream, target: &Target, protocol: Protocol) -> String {
    let before = upstream.seen().len();
    let answer = target.visit(protocol, Handshake::of("/websocket")).await;
    answer.unwrap_or_else(|refused| panic!("{protocol:?}: {refused:?}"));
    let seen = upstream.seen();
    let request = seen[before].request();
    request.fields.get("x-forwarded-for").unwrap().to_owned()
}

async fn plain(app: Router) -> Running {
    let server = Server::bind(([127, 0, 0, 1], 0)).proxy_protocol([BALANCER]);
    server.start(app).await.unwrap()
}

#[tokio::test]
async fn the_upstream_is_told_of_the_client_and_not_of_the_balancer() {
    let _trace = trace::init();
    let (upstream, app) = upstream().await;
    let gateway = Gateway::adjusted(app, |server| server.proxy_protocol([BALANCER])).await;
    for form in FORMS {
        let haproxy = Haproxy::before(gateway.addr(), form).await;
        let target = Target::tls(haproxy.addr(), gateway.ca()).coming_from(CLIENT);
        for protocol in Protocol::BOTH {
            let told = told(&upstream, &target, protocol).await;
            assert_eq!(told, "127.0.0.9", "{form}, {protocol:?}");
        }
    }
}

#[tokio::test]
async fn without_tls_it_is_told_the_same() {
    let _trace = trace::init();
    let (upstream, app) = upstream().await;
    let running = plain(app).await;
    for form in FORMS {
        let haproxy = Haproxy::before(running.local_addr(), form).await;
        let target = Target::plain(haproxy.addr()).coming_from(CLIENT);
        let told = told(&upstream, &target, Protocol::Http1).await;
        assert_eq!(told, "127.0.0.9", "{form}");
    }
}

/// Its health checks have a header too, and no client.
#[tokio::test]
async fn a_balancer_that_checks_finds_the_gateway_well() {
    let _trace = trace::init();
    let (upstream, app) = upstream().await;
    let running = plain(app).await;
    // One check that fails would be enough, and connections are passed on while they go on.
    let checks = "send-proxy-v2 check check-send-proxy inter 10ms fall 1";
    let haproxy = Haproxy::before(running.local_addr(), checks).await;
    let target = Target::plain(haproxy.addr()).coming_from(CLIENT);
    for _ in 0..20 {
        assert_eq!(told(&upstream, &target, Protocol::Http1).await, "127.0.0.9");
    }
}

#[tokio::test]
async fn a_client_that_comes_by_itself_cannot_pass_for_another() {
    let _trace = trace::init();
    let (upstream, app) = upstream().await;
    let gateway = Gateway::adjusted(app, |server| server.proxy_protocol([BALANCER])).await;
    // Not from the balancer's address, and so without a header, and not believed with one.
    let target = gateway.target().coming_from(CLIENT);
    assert_eq!(told(&upstream, &target, Protocol::Http1).await, "127.0.0.9");

    let forger = Gateway::adjusted(Router::new(), |server| server.proxy_protocol(["192.0.2.1"]));
    let forger = forger.await;
    let haproxy = Haproxy::before(forger.addr(), "send-proxy-v2").await;
    let refused = Target::tls(haproxy.addr(), forger.ca())
        .try_connect(&["http/1.1"])
        .await;
    assert!(refused.is_err(), "a header of a stranger's is believed");
}

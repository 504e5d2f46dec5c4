//! Upstreams that no connection can be made to.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::{any, get};
use tokio::net::{TcpSocket, TcpStream};
use tracing::Level;
use wsgate::WebSocketProxy;
use wsgate_tests::client::Handshake;
use wsgate_tests::gateway::Gateway;
use wsgate_tests::trace;
use wsgate_tests::upstream::{Upstream, script};

use super::{check, proxy, refused};

async fn fails(proxy: WebSocketProxy, status: u16, failure: &str, cause: &str) {
    let trace = trace::init();
    let sentence = format!("upstream {} {failure}", proxy.upstream().name());
    let gateway = Gateway::proxying(proxy).await;
    for refused in refused(&gateway).await {
        check(&refused, status, &sentence);
    }
    gateway.join().await;
    let logged = trace.find(&sentence);
    assert_eq!(logged.len(), 2, "{:?}", trace.events());
    for event in logged {
        assert_eq!(
            (event.level, event.field("side")),
            (Level::WARN, "upstream")
        );
        let told = event.fields.get("cause").map_or("", |cause| cause);
        assert!(told.contains(cause), "{told}");
    }
}

/// A port of 127.0.0.1 at which nobody listens, nor will while the socket lives.
fn nobody() -> (SocketAddr, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    (socket.local_addr().unwrap(), socket)
}

/// A listener that takes no more connections, so that the kernel drops what asks for one; it lasts
/// as long as what is returned.
async fn black_hole() -> (SocketAddr, impl Sized) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listener = socket.listen(0).unwrap();
    let addr = listener.local_addr().unwrap();
    // A backlog of none has room for one.
    let waiting = TcpStream::connect(addr).await.unwrap();
    (addr, (listener, waiting))
}

#[tokio::test]
async fn nobody_listens() {
    let (addr, _socket) = nobody();
    let cause = "Connection refused";
    fails(proxy(addr), 502, "refused the connection", cause).await;
}

#[tokio::test]
async fn nobody_answers() {
    let (addr, _hole) = black_hole().await;
    let proxy = proxy(addr).connect_timeout(Duration::from_millis(200));
    fails(proxy, 504, "did not take the connection within 200ms", "").await;
}

#[tokio::test]
async fn nobody_knows_the_name() {
    // Longer than a label of DNS may be, so that no resolver is asked.
    let endpoint = format!("http://{}.example:9000", "x".repeat(64));
    let proxy = WebSocketProxy::to(&endpoint).unwrap();
    fails(
        proxy,
        502,
        "could not be reached",
        "failed to lookup address",
    )
    .await;
}

#[tokio::test]
async fn the_clients_connection_outlives_them_all() {
    let _trace = trace::init();
    let (refusing, _socket) = nobody();
    let (dropping, _hole) = black_hole().await;
    let silent = Upstream::tcp(script::silence()).await;
    let challenging = Upstream::tcp(script::respond("401 Unauthorized", &[], "who?")).await;
    let breaking = Upstream::tcp(script::reset_in_handshake()).await;
    let honest = Upstream::tcp(script::echo()).await;
    let short = |addr| {
        let short = Duration::from_millis(100);
        any(proxy(addr).connect_timeout(short).handshake_timeout(short))
    };
    let app = Router::new()
        .route("/", get(|| async { "an ordinary page" }))
        .route("/refusing", any(proxy(refusing)))
        .route("/dropping", short(dropping))
        .route("/silent", short(silent.addr()))
        .route("/challenging", any(proxy(challenging.addr())))
        .route("/breaking", any(proxy(breaking.addr())))
        .route("/honest", any(proxy(honest.addr())));
    let gateway = Gateway::serving(app).await;

    let mut h1 = gateway.target().h1().await;
    let mut h2 = gateway.target().h2().await;
    for (path, status) in [
        ("/refusing", 502),
        ("/dropping", 504),
        ("/silent", 504),
        ("/challenging", 401),
        ("/breaking", 502),
    ] {
        let refused = h1.refused(&Handshake::of(path)).await;
        assert_eq!(refused.response.status, status, "{path}");
        assert_eq!(h1.get("/").await.body, "an ordinary page");
        let refused = h2.refused(Handshake::of(path)).await;
        assert_eq!(refused.response.status, status, "{path}");
        assert_eq!(h2.get("/").await.body, "an ordinary page");
    }
    let opened = h1.open(Handshake::of("/honest")).await.unwrap();
    opened.tunnel.close(1000, "").await;
    h2.tunnel(Handshake::of("/honest"))
        .await
        .close(1000, "")
        .await;
    h2.join().await;
    for upstream in [silent, challenging, breaking, honest] {
        upstream.ended(2).await;
    }
    gateway.join().await;
}

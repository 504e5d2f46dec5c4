//! A conversation through the gateway over both protocols, what is logged of it, and the places where
//! a proxy can be mounted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::routing::{any, get, post};
use tower::ServiceBuilder;
use wsgate::WebSocketProxy;
use wsgate::layer::MapUpgradeLayer;
use wsgate::layer::upgrade::UpgradedIo;
use wsgate_tests::client::{Handshake, Target};
use wsgate_tests::gateway::Gateway;
use wsgate_tests::stage::Http;
use wsgate_tests::upstream::{Upstream, script};
use wsgate_tests::{Frame, trace};

#[tokio::test]
async fn a_conversation_is_logged() {
    let trace = trace::init();
    let upstream = Upstream::tcp(script::echo()).await;
    let endpoint = format!("http://{}", upstream.addr());
    let gateway = Gateway::proxying(WebSocketProxy::to(&endpoint).unwrap()).await;
    for (at, http) in Http::BOTH.into_iter().enumerate() {
        converse(&gateway.target(), http, "/websocket?room=1").await;

        let closed = &trace.until("tunnel closed", at + 1).await[at];
        assert_eq!(closed.spans, ["tunnel"]);
        let protocol = match http {
            Http::One => "HTTP/1.1",
            Http::Two => "HTTP/2",
        };
        for (field, value) in [
            ("route", "/websocket"),
            ("endpoint", endpoint.as_str()),
            ("protocol", protocol),
            ("client_messages", "1"),
            // A header of 2 and a key of 4 bytes each, "hello", a code and "bye".
            ("client_bytes", "22"),
            ("upstream_messages", "1"),
            ("upstream_bytes", "14"),
            ("closed_by", "client"),
            ("cause", "close"),
            ("close_code", "1000"),
            ("close_reason", "bye"),
        ] {
            assert_eq!(closed.field(field), value, "{field}");
        }
        assert!(closed.field("client").starts_with("127.0.0.1:"));
        closed.field("duration_ms").parse::<u64>().unwrap();
    }
    for seen in upstream.join().await {
        assert_eq!(seen.request().target, "/websocket?room=1");
        assert_eq!(seen.close, Some((1000, "bye".to_owned())));
    }
    gateway.join().await;
}

// ===== where it can be mounted =====

#[tokio::test]
async fn in_nested_routers() {
    let nested = |proxy| {
        let inner = Router::new().route("/{room}/websocket", any(proxy));
        Router::new().nest("/outer", Router::new().nest("/inner", inner))
    };
    check(
        nested,
        "/outer/inner/7/websocket?a=b",
        "/outer/inner/7/websocket?a=b",
        "/outer/inner/{room}/websocket",
    )
    .await;
    // A prefix is one of the path that the client asked for.
    check(
        |proxy| nested(proxy.replace_prefix("/outer/inner/", "/rooms/").unwrap()),
        "/outer/inner/7/websocket?a=b",
        "/rooms/7/websocket?a=b",
        "/outer/inner/{room}/websocket",
    )
    .await;
}

#[tokio::test]
async fn as_a_service() {
    check(
        |proxy| Router::new().route_service("/websocket", proxy),
        "/websocket",
        "/websocket",
        "/websocket",
    )
    .await;
}

/// All beneath a path, or all that nothing else serves.
#[tokio::test]
async fn as_a_service_for_many_paths() {
    check(
        |proxy| Router::new().route_service("/live/{*rest}", proxy),
        "/live/a/b?c",
        "/live/a/b?c",
        "/live/{*rest}",
    )
    .await;
    check(
        |proxy| {
            let page = get(async || "an ordinary page");
            Router::new().route("/", page).fallback_service(proxy)
        },
        "/anything/else",
        "/anything/else",
        "/anything/else",
    )
    .await;
}

#[tokio::test]
async fn in_a_router_with_a_state() {
    #[derive(Clone)]
    struct Name(&'static str);
    check(
        |proxy| {
            let name = get(async |State(name): State<Name>| name.0);
            Router::new()
                .route("/name", name)
                .route("/websocket", any(proxy))
                .with_state(Name("chat"))
        },
        "/websocket",
        "/websocket",
        "/websocket",
    )
    .await;
}

#[tokio::test]
async fn beneath_layers() {
    let wrapped = Arc::new(AtomicUsize::new(0));
    let layer = || {
        let wrapped = Arc::clone(&wrapped);
        MapUpgradeLayer::new(move |stream: UpgradedIo| {
            wrapped.fetch_add(1, Ordering::Relaxed);
            stream
        })
    };
    check(
        |proxy| {
            let stack = ServiceBuilder::new()
                .layer(layer())
                .layer(layer())
                .service(proxy);
            Router::new().route_service("/websocket", stack)
        },
        "/websocket",
        "/websocket",
        "/websocket",
    )
    .await;
    let twice_over_each = 4;
    assert_eq!(wrapped.swap(0, Ordering::Relaxed), twice_over_each);

    check(
        |proxy| Router::new().route("/websocket", any(proxy)).layer(layer()),
        "/websocket",
        "/websocket",
        "/websocket",
    )
    .await;
    assert_eq!(wrapped.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn beside_a_websocket_of_ones_own_and_pages() {
    let _trace = trace::init();
    let upstream = Upstream::tcp(script::echo()).await;
    let proxy = WebSocketProxy::to(&format!("http://{}", upstream.addr())).unwrap();
    let own = async |upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(async |mut socket| {
            let _ = socket.send(Message::text("my own")).await;
            while let Some(Ok(_)) = socket.recv().await {}
        })
    };
    let app = Router::new()
        .route("/", get(async || "an ordinary page"))
        .route("/messages", post(async || "posted"))
        .route("/websocket", any(proxy))
        .route("/own", any(own));
    let gateway = Gateway::serving(app).await;

    let target = gateway.target();
    let mut h2 = target.h2().await;
    for http in Http::BOTH {
        converse(&target, http, "/websocket").await;
        let mut own = match http {
            Http::One => target.tunnel(Handshake::of("/own")).await,
            Http::Two => h2.tunnel(Handshake::of("/own")).await,
        };
        assert_eq!(own.frame().await, Frame::text("my own"));
        own.close(1000, "").await;

        // 426 means nothing over HTTP/2, which has no Upgrade.
        let none = match http {
            Http::One => 426,
            Http::Two => 405,
        };
        for (path, status, body) in [
            ("/", 200, "an ordinary page"),
            ("/messages", 405, ""),
            ("/nowhere", 404, ""),
            ("/websocket", none, "this is a WebSocket endpoint"),
        ] {
            let page = match http {
                Http::One => target.get(path).await,
                Http::Two => h2.get(path).await,
            };
            assert_eq!(page.response.status, status, "{path}");
            assert!(page.body.starts_with(body.as_bytes()), "{page:?}");
        }
    }
    h2.join().await;
    assert_eq!(upstream.join().await.len(), 2);
    gateway.join().await;
}

/// Over both protocols: a conversation at `path`, which the upstream sees as `target` and the log as
/// `route`.
async fn check(app: impl FnOnce(WebSocketProxy) -> Router, path: &str, target: &str, route: &str) {
    let trace = trace::init();
    let upstream = Upstream::tcp(script::echo()).await;
    let proxy = WebSocketProxy::to(&format!("http://{}", upstream.addr())).unwrap();
    let gateway = Gateway::serving(app(proxy)).await;
    for http in Http::BOTH {
        converse(&gateway.target(), http, path).await;
    }
    for closed in trace.until("tunnel closed", 2).await {
        assert_eq!(closed.field("route"), route);
    }
    for seen in upstream.join().await {
        assert_eq!(seen.request().target, target);
    }
    gateway.join().await;
}

/// Says hello to an echo, hears it, and says goodbye.
async fn converse(target: &Target, http: Http, path: &str) {
    let mut h2 = match http {
        Http::One => None,
        Http::Two => Some(target.h2().await),
    };
    let mut client = match &mut h2 {
        None => target.tunnel(Handshake::of(path)).await,
        Some(h2) => h2.tunnel(Handshake::of(path)).await,
    };
    client.send(Frame::text("hello")).await;
    assert_eq!(client.frame().await, Frame::text("hello"));
    client.close(1000, "bye").await;
    if let Some(h2) = h2 {
        h2.join().await;
    }
}

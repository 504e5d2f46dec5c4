//! What becomes of the path and the query.

use axum::Router;
use axum::routing::any;
use wsgate::WebSocketProxy;
use wsgate_tests::client::{Handshake, Protocol};
use wsgate_tests::trace;

use super::Story;

/// What reaches the upstream of each target, over both protocols.
async fn check(mount: impl FnOnce(WebSocketProxy) -> Router, targets: &[(&str, &str)]) {
    let _trace = trace::init();
    let story = Story::mounted(mount).await;
    for (asked, expected) in targets {
        for protocol in Protocol::BOTH {
            let handshake = Handshake::of(asked);
            let head = story.forwarded(&story.target(), protocol, handshake).await;
            assert_eq!(head.target, *expected, "{protocol:?} {asked}");
        }
    }
    story.join().await;
}

#[tokio::test]
async fn path_and_query_are_the_clients_byte_for_byte() {
    let targets = [
        "/",
        "/websocket?",
        "/websocket?a=1&a=2&&=;b",
        "/websocket?next=https://localhost/?x=%20+y",
        "/web%73ocket/%2F%2e%2E/%e2%82%AC",
        "//websocket//a//",
        "/websocket/../other/./a",
        "/a;v=1/b:c/@d/~e/!$&'()*+,=",
        "/websocket?[x]={y}|z",
    ];
    let unchanged = targets.map(|target| (target, target));
    check(|proxy| Router::new().fallback(any(proxy)), &unchanged).await;
}

/// The table in the documentation of `replace_prefix`, row by row.
#[tokio::test]
async fn a_prefix_is_replaced_letter_by_letter() {
    for (from, to, asked, expected) in [
        ("/websocket/", "/", "/websocket/a?b=c", "/a?b=c"),
        ("/websocket", "/app", "/websocket/a", "/app/a"),
        ("/websocket", "/", "/websocket", "/"),
        ("/websocket/", "/app", "/websocket/a", "/appa"),
        (
            "/websocket/",
            "/",
            "/websocket/%61%2Fb//?c=%2e",
            "/%61%2Fb//?c=%2e",
        ),
        ("/websocket", "/", "/websocket?token=1", "/?token=1"),
    ] {
        let replace = |proxy: WebSocketProxy| {
            let proxy = proxy.replace_prefix(from, to).unwrap();
            Router::new().fallback(any(proxy))
        };
        check(replace, &[(asked, expected)]).await;
    }
}

#[tokio::test]
async fn a_nested_router_forwards_the_whole_path() {
    let nested = |proxy: WebSocketProxy| {
        let inner = Router::new()
            .route("/websocket", any(proxy.clone()))
            .route_service("/service/{*rest}", proxy);
        Router::new().nest("/outer", Router::new().nest("/inner", inner))
    };
    let targets = ["/outer/inner/websocket?a", "/outer/inner/service/x/y%2Fz"];
    check(nested, &targets.map(|target| (target, target))).await;
}

#[tokio::test]
async fn a_nested_router_replaces_a_prefix_of_the_whole_path() {
    let nested = |proxy: WebSocketProxy| {
        let proxy = proxy.replace_prefix("/outer/", "/").unwrap();
        let inner = Router::new().route("/websocket/{*rest}", any(proxy));
        Router::new().nest("/outer", inner)
    };
    check(nested, &[("/outer/websocket/x?y", "/websocket/x?y")]).await;
}

/// Clients send it to proxies, and servers have to take it (RFC 9112, 3.2.2).
#[tokio::test]
async fn the_absolute_form_becomes_the_origin_form() {
    let _trace = trace::init();
    let story = Story::start(|proxy| proxy).await;
    let target = story.target();
    let authority = target.authority();
    let handshake =
        Handshake::of(&format!("https://{authority}/websocket/a?b")).field("Host", &authority);
    let head = story.forwarded(&target, Protocol::Http1, handshake).await;
    assert_eq!(head.target, "/websocket/a?b");
    assert_eq!(head.fields.all("host"), [authority]);
    story.join().await;
}

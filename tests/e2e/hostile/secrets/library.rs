//! The library, with every layer that logs.

use axum::Router;
use axum::routing::any;
use wsgate::WebSocketProxy;
use wsgate::layer::observe::TracingObserver;
use wsgate::layer::{
    Drain, KeepaliveLayer, LimitLayer, ObserveLayer, OriginLayer, ReadTimeoutLayer,
};
use wsgate_tests::gateway::Gateway;
use wsgate_tests::trace;

use super::{PATIENCE, Upstreams, WORD, err_in_each_way, visit_each};

#[tokio::test]
async fn no_secret_is_in_what_it_logs() {
    let trace = trace::of_everything();
    let upstreams = Upstreams::start().await;
    let mut app = Router::new();
    for (path, url, _) in upstreams.each() {
        let proxy = WebSocketProxy::to(&url).unwrap();
        let proxy = proxy.handshake_timeout(PATIENCE);
        app = app
            .route(&path, any(proxy.clone()))
            .route(&format!("{path}/{{*rest}}"), any(proxy));
    }
    let drain = Drain::new();
    // Lasting spans hold what the others record as well.
    let observer = TracingObserver::new().lasting_spans();
    let app = app
        .layer(LimitLayer::new().tunnels(100))
        .layer(KeepaliveLayer::default())
        .layer(ReadTimeoutLayer::default())
        .layer(OriginLayer::same_origin())
        .layer(drain.layer())
        .layer(ObserveLayer::new(observer));
    let gateway = Gateway::serving(app).await;
    let target = gateway.target();
    visit_each(&target, &upstreams).await;
    err_in_each_way(&target, "/echo").await;
    gateway.join().await;
    upstreams.join().await;

    trace.until("websocket closed", 2).await;
    assert!(trace.find("websocket refused").len() > 20);
    for event in trace.events() {
        let told = format!("{event:?}").to_lowercase();
        assert!(!told.contains(WORD), "{told}");
    }
}

use std::{convert::Infallible, net::SocketAddr};

use axum::extract::ConnectInfo;
use bytes::Bytes;
use http::{
    Request, Response, Version,
    header::{CONTENT_TYPE, HOST, ORIGIN, UPGRADE},
};
use http_body_util::{BodyExt, Full};
use hyper::ext::Protocol;
use hyper_util::service::TowerToHyperService;
use tokio_test::{assert_pending, assert_ready_ok};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    OriginLayer, OriginPolicy,
    client::TrustedProxies,
    origin::{OriginError, OriginPatternError},
};

/// What the layer answers; the handler behind it says 200.
async fn answer(layer: &OriginLayer, req: Request<()>) -> Response<Full<Bytes>> {
    let handler = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Full::from("handler")))
    });
    layer.layer(handler).oneshot(req).await.unwrap()
}

fn handshake(origin: &str) -> Request<()> {
    Request::get("/")
        .header(HOST, "example.com")
        .header(UPGRADE, "websocket")
        .header(ORIGIN, origin)
        .body(())
        .unwrap()
}

#[tokio::test]
async fn a_page_of_another_origin_is_told_that_it_may_not() {
    let layer = OriginLayer::same_origin();
    let res = answer(&layer, handshake("http://evil.example")).await;
    assert_eq!(res.status(), 403);
    assert_eq!(res.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
    let error = res.extensions().get::<OriginError>().unwrap();
    assert_eq!(error.origin(), Some("http://evil.example"));
    assert_eq!(error.host(), "example.com");
    let body = res.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(
        body,
        "the origin http://evil.example may not open a WebSocket at example.com\n"
    );

    let res = answer(&layer, handshake("http://example.com")).await;
    assert_eq!(res.status(), 200);
}

#[tokio::test]
async fn over_http2_as_well() {
    let mut req = handshake("http://evil.example");
    *req.method_mut() = http::Method::CONNECT;
    *req.version_mut() = Version::HTTP_2;
    req.headers_mut().remove(UPGRADE);
    req.extensions_mut()
        .insert(Protocol::from_static("websocket"));
    let res = answer(&OriginLayer::same_origin(), req).await;
    assert_eq!(res.status(), 403);
}

#[tokio::test]
async fn other_requests_pass_whatever_their_origin() {
    let layer = OriginLayer::new(OriginPolicy::same_origin().require_origin());
    for origin in [Some("http://evil.example"), None] {
        let mut req = handshake("http://evil.example");
        req.headers_mut().remove(UPGRADE);
        if origin.is_none() {
            req.headers_mut().remove(ORIGIN);
        }
        assert_eq!(answer(&layer, req).await.status(), 200, "{origin:?}");
    }
}

#[tokio::test]
async fn allows_what_is_listed() -> Result<(), OriginPatternError> {
    let layer = OriginLayer::allow(["https://app.example"])?;
    let res = answer(&layer, handshake("https://app.example")).await;
    assert_eq!(res.status(), 200);
    // Not even the host's own.
    let res = answer(&layer, handshake("http://example.com")).await;
    assert_eq!(res.status(), 403);
    Ok(())
}

#[tokio::test]
async fn believes_the_proxies_it_trusts() {
    let mut req = handshake("http://public.example");
    req.headers_mut()
        .insert("x-forwarded-host", "public.example".parse().unwrap());
    let peer = SocketAddr::from(([10, 0, 0, 1], 4711));
    req.extensions_mut().insert(ConnectInfo(peer));
    let layer = OriginLayer::same_origin();
    assert_eq!(answer(&layer, req.clone()).await.status(), 403);

    let trusting = layer.trusted_proxies(TrustedProxies::new(["10.0.0.1"]).unwrap());
    assert_eq!(answer(&trusting, req).await.status(), 200);
}

#[tokio::test]
async fn an_origin_can_be_required() {
    let mut req = handshake("");
    req.headers_mut().remove(ORIGIN);
    let layer = OriginLayer::same_origin();
    assert_eq!(answer(&layer, req.clone()).await.status(), 200);

    let strict = OriginLayer::new(OriginPolicy::same_origin().require_origin());
    let res = answer(&strict, req).await;
    assert_eq!(res.status(), 403);
    assert_eq!(
        res.into_body().collect().await.unwrap().to_bytes(),
        "without an Origin nobody may open a WebSocket at example.com\n"
    );
}

/// The handler says when it can take a request, and is asked for nothing it has not agreed to.
#[tokio::test]
async fn waits_for_the_handler_to_be_ready() {
    let (mut service, mut handle) =
        tower_test::mock::spawn_layer::<Request<()>, Response<Full<Bytes>>, _>(
            OriginLayer::same_origin(),
        );
    handle.allow(0);
    assert_pending!(service.poll_ready());
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
    let mut res = tokio_test::task::spawn(service.call(handshake("http://evil.example")));
    assert_eq!(assert_ready_ok!(res.poll()).status(), 403);
    assert_pending!(tokio_test::task::spawn(handle.next_request()).poll());
}

/// A bare hyper service has other bodies and needs the future to be `Send`.
#[tokio::test]
async fn fits_hyper_without_axum() {
    fn is_hyper_service<S>(_: &S)
    where
        S: hyper::service::Service<Request<()>, Response = Response<Full<Bytes>>>,
        S::Future: Send,
    {
    }
    let handler = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let mut service = OriginLayer::same_origin().layer(handler);
    assert!(service.ready().await.is_ok());
    let res = service.call(handshake("http://evil.example"));
    assert_eq!(res.await.unwrap().status(), 403);
    is_hyper_service(&TowerToHyperService::new(service));
}

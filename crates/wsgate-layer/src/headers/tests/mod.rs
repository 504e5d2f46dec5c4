mod answer;
mod request;

use std::{convert::Infallible, net::SocketAddr};

use axum::extract::ConnectInfo;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version, uri::Scheme};
use hyper::ext::Protocol;
use tower::{Layer, ServiceExt, service_fn};

use super::*;
use crate::handshake::{AnswerError, accept_key};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fn get(fields: &[(&'static str, &str)]) -> Request<()> {
    let mut req = Request::get("/websocket?room=1")
        .extension(Scheme::HTTPS)
        .extension(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4711))))
        .body(())
        .unwrap();
    for (name, value) in fields {
        req.headers_mut().append(*name, value.parse().unwrap());
    }
    req
}

fn upgrade(more: &[(&'static str, &str)]) -> Request<()> {
    let mut fields = vec![
        ("host", "example.com"),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", KEY),
    ];
    fields.extend(more);
    get(&fields)
}

fn extended_connect() -> Request<()> {
    let mut req = get(&[
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "chat"),
    ]);
    *req.method_mut() = Method::CONNECT;
    *req.version_mut() = Version::HTTP_2;
    *req.uri_mut() = "https://example.com/websocket?room=1".parse().unwrap();
    req.extensions_mut()
        .insert(Protocol::from_static("websocket"));
    req
}

/// What the layer sends on, and what it makes of the answer to it.
async fn forward(
    layer: &UpgradeHeadersLayer,
    req: Request<()>,
    answer: impl FnOnce(&Request<()>) -> Response<String> + Clone,
) -> (Request<()>, Response<String>) {
    let (tx, rx) = std::sync::mpsc::channel();
    let client = service_fn(move |req: Request<()>| {
        let res = (answer.clone())(&req);
        tx.send(req).unwrap();
        async { Ok::<_, Infallible>(res) }
    });
    let res = layer.layer(client).oneshot(req).await.unwrap();
    (rx.recv().unwrap(), res)
}

async fn sent_on(layer: &UpgradeHeadersLayer, req: Request<()>) -> HeaderMap {
    let ok = |_: &Request<()>| Response::new(String::new());
    forward(layer, req, ok).await.0.headers().clone()
}

#[track_caller]
fn fields(headers: &HeaderMap, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        let lines: Vec<_> = headers.get_all(*name).iter().collect();
        assert_eq!(lines, [value], "{name}");
    }
}

#[track_caller]
fn none(headers: &HeaderMap, names: &[&str]) {
    for name in names {
        assert!(!headers.contains_key(*name), "{name}: {:?}", headers[*name]);
    }
}

/// A 101 such as a good upstream sends.
fn switching(req: &Request<()>) -> Response<String> {
    Response::builder()
        .status(101)
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header(
            "sec-websocket-accept",
            accept_key(req.headers()["sec-websocket-key"].as_bytes()),
        )
        .header("keep-alive", "timeout=5")
        .header("x-upstream", "1")
        .body(String::new())
        .unwrap()
}

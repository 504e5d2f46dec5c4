//! From the first byte of a request to the last of the answer, hyper's part included.

use axum::{Router, routing::any};
use bytes::Bytes;
use divan::Bencher;
use h2::{
    RecvStream, SendStream,
    client::{self, SendRequest},
    ext::Protocol,
};
use http::{Method, Request, StatusCode};
use hyper::server::conn::{http1, http2};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use wsgate_bench::bench_values;

use super::support::{proxy, runtime};

/// An upgrade on a connection of its own.
#[divan::bench(sample_count = 50, sample_size = 20)]
fn http1(bencher: Bencher<'_, '_>) {
    let runtime = runtime();
    let app = Router::new().route("/websocket", any(proxy(&runtime, 64)));
    let app = || app.clone();
    bench_values(bencher, app, |app| runtime.block_on(upgrade(app)));
}

/// An extended CONNECT beside others on a connection.
#[divan::bench(sample_count = 50, sample_size = 20)]
fn http2(bencher: Bencher<'_, '_>) {
    let runtime = runtime();
    let app = Router::new().route("/websocket", any(proxy(&runtime, 64)));
    let requests = runtime.block_on(connection(app));
    let requests = || requests.clone();
    bench_values(bencher, requests, |requests| {
        runtime.block_on(connect(requests))
    });
}

async fn upgrade(app: Router) -> DuplexStream {
    let (mut client, gateway) = duplex(PIPE);
    let serving = http1::Builder::new()
        .serve_connection(TokioIo::new(gateway), TowerToHyperService::new(app))
        .with_upgrades();
    // Ends with the connection.
    tokio::spawn(serving);
    let sending = client.write_all(UPGRADE).await;
    sending.expect("the gateway is there");
    let mut answer = Vec::with_capacity(1024);
    while !answer.ends_with(b"\r\n\r\n") {
        let read = client.read_buf(&mut answer).await;
        assert_ne!(read.expect("the gateway is there"), 0);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    client
}

async fn connection(app: Router) -> SendRequest<Bytes> {
    let (client, gateway) = duplex(PIPE);
    let mut serving = http2::Builder::new(TokioExecutor::new());
    serving.enable_connect_protocol();
    let serving = serving.serve_connection(TokioIo::new(gateway), TowerToHyperService::new(app));
    // Both end with the connection.
    tokio::spawn(serving);
    let (requests, mut connection) = client::handshake(client).await.expect("HTTP/2 starts");
    let mut ping = connection.ping_pong().expect("nobody else took it");
    tokio::spawn(connection);
    // Its settings come before its answer to anything.
    let answer = ping.ping(h2::Ping::opaque()).await;
    answer.expect("the gateway is there");
    requests
}

async fn connect(requests: SendRequest<Bytes>) -> (SendStream<Bytes>, RecvStream) {
    let req = Request::builder()
        .method(Method::CONNECT)
        .uri("https://example.com/websocket")
        .extension(Protocol::from_static("websocket"))
        .header("origin", "https://example.com")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-extensions", "permessage-deflate")
        .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64)")
        .body(())
        .expect("a sound request");
    let mut requests = requests.ready().await.expect("the connection is open");
    let (answer, sending) = requests
        .send_request(req, false)
        .expect("the connection is open");
    let answer = answer.await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    (sending, answer.into_body())
}

/// What a browser sends.
const UPGRADE: &[u8] = b"GET /websocket HTTP/1.1\r\n\
    Host: example.com\r\n\
    Connection: Upgrade\r\n\
    Upgrade: websocket\r\n\
    Origin: https://example.com\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\r\n";

/// The most that is in memory between the client and the gateway, in each direction.
const PIPE: usize = 64 * 1024;

//! A client that takes its time is cut at every stage; one that was upgraded is not.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use wsgate_server::{Limits, Running, rustls};

use crate::support::{LOOPBACK, Log, PATIENCE, alpn, connect, get_root, hello, localhost};

/// Of the limit that a test is about, while others are served within it; the others are out of the way.
const SHORT: Duration = Duration::from_millis(300);

fn lenient() -> Limits {
    Limits::new()
        .tls_handshake(PATIENCE * 10)
        .first_request(PATIENCE * 10)
        .header_read(PATIENCE * 10)
        .http2_ping(PATIENCE * 10, PATIENCE * 10)
}

/// Reads until the server closes.
async fn is_cut(mut stream: impl AsyncRead + Unpin) {
    let mut ignored = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut ignored)).await;
    // A reset or a missing close_notify is as good an end.
    let _ = read.expect("the server cuts the connection");
}

/// Opens a connection for each stage in turn, says so much, and waits.
async fn cuts(running: &Running, client: &rustls::ClientConfig, protocol: &str, said: &str) {
    let client = alpn(client.clone(), &[protocol]);
    let mut stream = connect(running.local_addr(), "localhost", &client)
        .await
        .unwrap();
    stream.write_all(said.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    is_cut(stream).await;
}

#[tokio::test]
async fn before_the_tls_handshake() {
    let log = Log::capture();
    let limits = lenient().tls_handshake(SHORT);
    let (running, client) = localhost(hello(), |server| server.limits(limits)).await;

    // Silent, and half a ClientHello.
    for said in [&b""[..], b"\x16\x03\x01"] {
        let mut stream = TcpStream::connect(running.local_addr()).await.unwrap();
        stream.write_all(said).await.unwrap();
        is_cut(stream).await;
    }
    log.line(&["DEBUG", "silent until"]).await;
    log.line(&["WARN", "no TLS handshake in time"]).await;
    get_root(&running, &client).await.unwrap();
}

#[tokio::test]
async fn before_the_first_request() {
    let _log = Log::capture();
    let limits = lenient().first_request(SHORT);
    let (running, client) = localhost(hello(), |server| server.limits(limits)).await;

    for (protocol, said) in [
        ("http/1.1", ""),
        // Could become a GET, or HTTP/2's preface.
        ("http/1.1", "P"),
        ("h2", ""),
        ("h2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("h2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
    ] {
        cuts(&running, &client, protocol, said).await;
    }
    get_root(&running, &client).await.unwrap();
}

#[tokio::test]
async fn within_a_head_and_between_requests() {
    let _log = Log::capture();
    let limits = lenient().header_read(SHORT);
    let (running, client) = localhost(hello(), |server| server.limits(limits)).await;

    for said in [
        "GET / HTTP/1.1\r\nhost: local",
        "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ] {
        cuts(&running, &client, "http/1.1", said).await;
    }
    get_root(&running, &client).await.unwrap();
}

#[tokio::test]
async fn when_an_http2_peer_answers_no_ping() {
    let _log = Log::capture();
    let limits = lenient().http2_ping(SHORT, SHORT);
    let (running, client) = localhost(hello(), |server| server.limits(limits)).await;

    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    cuts(&running, &client, "h2", preface).await;
}

#[tokio::test]
async fn in_plain_http_on_the_tls_port() {
    let _log = Log::capture();
    let limits = lenient().header_read(SHORT);
    let (running, _) = localhost(hello(), |server| server.limits(limits)).await;

    let mut stream = TcpStream::connect(running.local_addr()).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: local")
        .await
        .unwrap();
    is_cut(stream).await;
}

#[tokio::test]
async fn on_the_redirect_listener() {
    let _log = Log::capture();
    let limits = lenient().first_request(SHORT);
    let (running, _) = localhost(hello(), |server| {
        server.limits(limits).redirect_http(LOOPBACK)
    })
    .await;

    is_cut(
        TcpStream::connect(running.redirect_addr().unwrap())
            .await
            .unwrap(),
    )
    .await;
}

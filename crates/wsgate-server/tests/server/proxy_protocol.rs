//! Behind a balancer that passes TCP on and tells whose connection it is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use wsgate_server::{Limits, Running, Server, rustls};

use crate::support::{LOOPBACK, Log, PATIENCE, bind, localhost};

const V1: &[u8] = b"PROXY TCP4 192.0.2.7 192.0.2.1 50000 443\r\n";

/// Version 2 with the client [2001:db8::7]:50000, and a value that nobody knows behind.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x29\
    \x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\
    \x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\
    \xc3\x50\x01\xbb\xea\0\x02hi";

/// What HAProxy's health checks begin with.
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// An app whose `/` tells the peer's address.
fn who() -> Router {
    let who = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() };
    Router::new().route("/", get(who))
}

/// A server that takes headers from 127.0.0.1, where all tests come from.
async fn behind(change: impl FnOnce(Server) -> Server) -> (Running, rustls::ClientConfig) {
    localhost(who(), |server| change(server.proxy_protocol(["127.0.0.1"]))).await
}

async fn plain_behind() -> Running {
    let server = bind(LOOPBACK).proxy_protocol(["127.0.0.0/8"]);
    server.start(who()).await.unwrap()
}

/// `GET /` behind a header that goes out together with the ClientHello.
async fn get_root(header: &[u8], to: SocketAddr, client: &rustls::ClientConfig) -> String {
    let mut stream = BufStream::new(TcpStream::connect(to).await.unwrap());
    stream.write_all(header).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(client.clone()));
    ask(connector.connect(name, stream).await.unwrap()).await
}

/// `GET /` in one piece with what was written before.
async fn ask<T>(mut stream: T) -> String
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let get = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(get).await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = String::new();
    let read = timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
    read.expect("an answer").unwrap();
    answer
}

/// Sends these bytes, and reads until the server closes.
async fn is_cut(to: SocketAddr, said: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(said).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    let _ = read.expect("the server cuts the connection");
    answer
}

fn body(answer: &str) -> &str {
    answer
        .split_once("\r\n\r\n")
        .map_or(answer, |(_, body)| body)
}

#[tokio::test]
async fn a_handler_sees_the_client_and_tls_is_none_the_wiser() {
    let _log = Log::capture();
    let (running, client) = behind(|server| server).await;
    for (header, expected) in [(V1, "192.0.2.7:50000"), (V2, "[2001:db8::7]:50000")] {
        let answer = get_root(header, running.local_addr(), &client).await;
        assert_eq!(body(&answer), expected);
    }
}

#[tokio::test]
async fn without_tls_it_is_the_same() {
    let _log = Log::capture();
    let running = plain_behind().await;
    for (header, expected) in [(V1, "192.0.2.7:50000"), (V2, "[2001:db8::7]:50000")] {
        let mut stream = BufStream::new(TcpStream::connect(running.local_addr()).await.unwrap());
        stream.write_all(header).await.unwrap();
        let answer = ask(stream).await;
        assert_eq!(body(&answer), expected);
    }
}

/// Each byte by itself, the server having taken the one before.
#[tokio::test]
async fn a_header_may_come_byte_by_byte() {
    let _log = Log::capture();
    let running = plain_behind().await;
    for (header, expected) in [(V1, "192.0.2.7:50000"), (V2, "[2001:db8::7]:50000")] {
        let mut stream = TcpStream::connect(running.local_addr()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        for byte in header {
            stream.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let answer = ask(stream).await;
        assert_eq!(body(&answer), expected);
    }
}

#[tokio::test]
async fn a_balancers_own_connection_keeps_its_address() {
    let _log = Log::capture();
    let (running, client) = behind(|server| server).await;
    for header in [LOCAL, b"PROXY UNKNOWN\r\n"] {
        let answer = get_root(header, running.local_addr(), &client).await;
        assert!(body(&answer).starts_with("127.0.0.1:"), "{answer}");
    }
    // And one that only looks whether somebody listens is nothing to speak of.
    drop(TcpStream::connect(running.local_addr()).await.unwrap());
}

#[tokio::test]
async fn who_has_to_send_a_header_and_does_not_is_refused() {
    let log = Log::capture();
    let (running, _) = behind(|server| server).await;
    // As a ClientHello begins.
    assert_eq!(
        is_cut(running.local_addr(), b"\x16\x03\x01\x02\0").await,
        b""
    );
    log.line(&[
        "WARN",
        "does not begin with",
        "switch it on there",
        "127.0.0.1",
    ])
    .await;

    let running = plain_behind().await;
    let answer = is_cut(running.local_addr(), b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(answer, b"");
}

#[tokio::test]
async fn a_header_that_is_wrong_ends_the_connection() {
    let log = Log::capture();
    let running = plain_behind().await;
    let get = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    for (header, why) in [
        (&b"PROXY TCP4 192.0.2.7 nobody 1 2\r\n"[..], "malformed"),
        (&[b'P'; 200][..], "does not begin"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", "too long"),
    ] {
        assert_eq!(
            is_cut(running.local_addr(), &[header, get].concat()).await,
            b""
        );
        log.line(&["WARN", why]).await;
    }
    let long = [b"PROXY UNKNOWN ", &[b'x'; 200][..], b"\r\n", get].concat();
    assert_eq!(is_cut(running.local_addr(), &long).await, b"");
}

#[tokio::test]
async fn a_strangers_header_is_not_believed() {
    let log = Log::capture();
    let (running, client) =
        localhost(who(), |server| server.proxy_protocol(["192.0.2.0/24"])).await;
    for header in [V1, V2] {
        assert_eq!(is_cut(running.local_addr(), header).await, b"");
    }
    log.line(&["WARN", "may not send one", "if this is your balancer"])
        .await;
    // One that comes by itself is served.
    let answer = get_root(b"", running.local_addr(), &client).await;
    assert!(body(&answer).starts_with("127.0.0.1:"), "{answer}");
}

#[tokio::test]
async fn nobody_is_believed_by_default() {
    let _log = Log::capture();
    let running = bind(LOOPBACK).start(who()).await.unwrap();
    let get = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answer = is_cut(running.local_addr(), &[V1, get].concat()).await;
    assert!(
        answer.starts_with(b"HTTP/1.1 400"),
        "{}",
        answer.escape_ascii()
    );
}

#[tokio::test]
async fn a_header_that_is_not_whole_has_the_time_of_a_tls_handshake() {
    let log = Log::capture();
    let limits = Limits::new()
        .tls_handshake(Duration::from_millis(100))
        .first_request(PATIENCE * 10);
    let (running, _) = behind(|server| server.limits(limits.clone())).await;
    for said in [&b""[..], &V1[..20], &V2[..20]] {
        assert_eq!(is_cut(running.local_addr(), said).await, b"");
    }
    log.line(&["WARN", "no PROXY protocol header in time"])
        .await;
    // The same deadline, not another one.
    assert_eq!(is_cut(running.local_addr(), V1).await, b"");
    log.line(&["silent until"]).await;

    let plain = bind(LOOPBACK).limits(limits).proxy_protocol(["127.0.0.1"]);
    let plain = plain.start(who()).await.unwrap();
    assert_eq!(is_cut(plain.local_addr(), &V1[..20]).await, b"");
}

/// Whoever takes most of the time for the header has little left for TLS.
#[tokio::test]
async fn a_header_and_a_tls_handshake_have_one_time_together() {
    let _log = Log::capture();
    let limit = Duration::from_secs(2);
    let limits = Limits::new().tls_handshake(limit);
    let (running, _) = behind(|server| server.limits(limits)).await;
    let begun = Instant::now();
    let mut stream = TcpStream::connect(running.local_addr()).await.unwrap();
    stream.write_all(&V1[..20]).await.unwrap();
    sleep(limit * 3 / 4).await;
    stream.write_all(&V1[20..]).await.unwrap();
    let read = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;
    let _ = read.expect("the server cuts the connection");
    let took = begun.elapsed();
    assert!(took >= limit && took < limit * 5 / 3, "{took:?}");
}

#[tokio::test]
async fn what_a_client_does_wrong_is_told_of_the_client() {
    let log = Log::capture();
    let (running, _) = behind(|server| server).await;
    let hello = [
        V1,
        b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
    ]
    .concat();
    let answer = is_cut(running.local_addr(), &hello).await;
    assert!(
        answer.starts_with(b"HTTP/1.1 308"),
        "{}",
        answer.escape_ascii()
    );
    log.line(&["plain HTTP on the TLS port", "peer=192.0.2.7:50000"])
        .await;
}

#[tokio::test]
async fn the_listener_that_redirects_takes_headers_too() {
    let _log = Log::capture();
    let (running, _) = behind(|server| server.redirect_http(LOOPBACK)).await;
    let get = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answer = is_cut(running.redirect_addr().unwrap(), &[V2, get].concat()).await;
    assert!(
        answer.starts_with(b"HTTP/1.1 308"),
        "{}",
        answer.escape_ascii()
    );
}

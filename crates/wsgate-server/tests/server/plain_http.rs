//! Clients that come in plain HTTP, and those that are told never to.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::routing::get;
use http::uri::Scheme;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wsgate_server::{Hsts, Limits};

use crate::support::{LOOPBACK, Log, bind, get_root, hello, localhost, request};

async fn plain(address: SocketAddr, head: &str) -> String {
    let stream = TcpStream::connect(address).await.unwrap();
    request(stream, head).await.unwrap()
}

#[tokio::test]
async fn on_the_tls_port_it_is_redirected_and_told_why() {
    let log = Log::capture();
    let (running, client) = localhost(hello(), |server| server).await;
    let address = running.local_addr();
    let port = address.port();

    let head = format!("GET /a?b=c HTTP/1.1\nhost: localhost:{port}\n");
    let answer = plain(address, &head).await;

    assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
    let location = format!("location: https://localhost:{port}/a?b=c\r\n");
    assert!(answer.contains(&location), "{answer}");
    assert!(answer.contains("This port speaks TLS"), "{answer}");
    log.line(&["INFO", "plain HTTP on the TLS port"]).await;
    get_root(&running, &client).await.unwrap();
}

#[tokio::test]
async fn what_is_neither_tls_nor_http_gets_no_answer() {
    let log = Log::capture();
    let (running, _) = localhost(hello(), |server| server).await;

    let mut stream = TcpStream::connect(running.local_addr()).await.unwrap();
    stream.write_all(b"\x80\x2e\x01").await.unwrap();
    let mut answer = Vec::new();
    // A reset tells as much as an orderly end.
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty());
    log.line(&["DEBUG", "neither TLS nor HTTP", "0x80"]).await;
}

#[tokio::test]
async fn the_redirect_listener_names_the_https_port() {
    let _log = Log::capture();
    let (running, _) = localhost(hello(), |server| server.redirect_http(LOOPBACK)).await;
    let address = running.redirect_addr().unwrap();
    let port = running.local_addr().port();

    let head = "POST /form HTTP/1.1\nhost: localhost:8080\ncontent-length: 0\n";
    let answer = plain(address, head).await;
    assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
    assert!(
        answer.contains(&format!("location: https://localhost:{port}/form\r\n")),
        "{answer}"
    );

    let head = "GET /ws HTTP/1.1\nhost: localhost\nupgrade: websocket\n";
    let answer = plain(address, head).await;
    assert!(
        answer.contains(&format!("wss://localhost:{port}/ws")),
        "{answer}"
    );
}

#[tokio::test]
async fn who_asks_too_much_is_not_redirected() {
    let _log = Log::capture();
    let limits = Limits::new().request_head(8 * 1024);
    let (running, _) = localhost(hello(), |server| {
        server.limits(limits).redirect_http(LOOPBACK)
    })
    .await;
    for address in [running.local_addr(), running.redirect_addr().unwrap()] {
        for (length, is_redirected) in [(4 * 1024, true), (64 * 1024, false)] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let long = "a".repeat(length);
            let head =
                format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx: {long}\r\n\r\n");
            let mut answer = Vec::new();
            // It may end so soon that there is an error and no answer.
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.read_to_end(&mut answer).await;
            let answer = answer.escape_ascii().to_string();
            let redirected = answer.starts_with("HTTP/1.1 308 ");
            assert_eq!(redirected, is_redirected, "{length}: {answer}");
        }
    }
}

#[tokio::test]
async fn the_redirect_names_the_public_port_where_that_is_another() {
    let _log = Log::capture();
    let (running, _) = localhost(hello(), |server| {
        server.redirect_http(LOOPBACK).public_port(443)
    })
    .await;

    let head = "GET / HTTP/1.1\nhost: localhost:8080\n";
    let answer = plain(running.redirect_addr().unwrap(), head).await;
    assert!(
        answer.contains("location: https://localhost/\r\n"),
        "{answer}"
    );
    assert_eq!(running.url(), "https://localhost");
}

#[tokio::test]
async fn hsts_is_sent_over_https_only() {
    let _log = Log::capture();
    let hsts = Hsts::max_age(Duration::from_secs(60));
    let (running, client) =
        localhost(hello(), |server| server.hsts(hsts).redirect_http(LOOPBACK)).await;
    let field = "strict-transport-security: max-age=60\r\n";

    let answer = get_root(&running, &client).await.unwrap();
    assert!(answer.contains(field), "{answer}");

    for address in [running.local_addr(), running.redirect_addr().unwrap()] {
        let answer = plain(address, "GET / HTTP/1.1\nhost: localhost\n").await;
        assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
        assert!(!answer.contains("strict-transport-security"), "{answer}");
    }
}

#[tokio::test]
async fn without_tls_it_is_what_is_served() {
    let _log = Log::capture();
    let scheme = |request: Request| async move {
        format!("scheme: {}", request.extensions().get::<Scheme>().unwrap())
    };
    let app = Router::new().route("/", get(scheme));
    let running = bind(LOOPBACK).start(app).await.unwrap();

    let answer = plain(running.local_addr(), "GET / HTTP/1.1\nhost: localhost\n").await;
    assert!(answer.ends_with("scheme: http"), "{answer}");
    assert_eq!(running.url(), format!("http://{}", running.local_addr()));
    assert!(running.names().is_empty());
}

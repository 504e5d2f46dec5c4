//! HTTP/1.1 and HTTP/2, upgrades over both, and what handlers learn.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::routing::get;
use axum::{Extension, Router};
use http::StatusCode;
use http::uri::Scheme;
use tokio::time::sleep;
use wsgate_server::{Limits, Running, TlsInfo, rustls};

use crate::support::{
    Identity, Log, PATIENCE, alpn, bind, connect, get_root, hello, localhost, request, trusting,
};
use crate::tunnels::{Http2Tunnel, echo, echoes, http2, tunnel_http1};

#[tokio::test]
async fn alpn_chooses_http2_first_and_can_be_narrowed() {
    let _log = Log::capture();
    let (both, client) = localhost(hello(), |server| server).await;
    let chosen = |running: &Running, client: &rustls::ClientConfig, offered: &'static [&str]| {
        let (address, client) = (running.local_addr(), alpn(client.clone(), offered));
        async move {
            let stream = connect(address, "localhost", &client).await?;
            Ok::<_, std::io::Error>(stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec))
        }
    };
    let http1 = Some(b"http/1.1".to_vec());
    let http2 = Some(b"h2".to_vec());

    assert_eq!(
        chosen(&both, &client, &["http/1.1", "h2"]).await.unwrap(),
        http2
    );
    assert_eq!(chosen(&both, &client, &["http/1.1"]).await.unwrap(), http1);
    assert_eq!(chosen(&both, &client, &[]).await.unwrap(), None);

    let identity = Identity::new(&["localhost"]);
    let tls = identity.tls().without_http2();
    let (narrow, _) = localhost(hello(), |server| server.tls(tls)).await;
    let client = trusting(&[&identity.der]);
    assert_eq!(
        chosen(&narrow, &client, &["h2", "http/1.1"]).await.unwrap(),
        http1
    );
}

#[tokio::test]
async fn no_protocol_in_common_is_logged_with_a_hint() {
    let log = Log::capture();
    let (running, client) = localhost(hello(), |server| server).await;
    let client = alpn(client, &["imap"]);

    connect(running.local_addr(), "localhost", &client)
        .await
        .unwrap_err();

    log.line(&["WARN", "peer=127.0.0.1:", "offers no protocol (ALPN)"])
        .await;
}

#[tokio::test]
async fn a_request_over_http2_is_answered() {
    let _log = Log::capture();
    let (running, client) = localhost(hello(), |server| server).await;
    let (mut sender, _connection) = http2(&running, &client).await;

    let request = http::Request::get("https://localhost/").body(()).unwrap();
    let (response, _) = sender.send_request(request, true).unwrap();
    let mut response = response.await.unwrap();

    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.body_mut().data().await.unwrap().unwrap(), "hello");
}

#[tokio::test]
async fn handlers_find_peer_scheme_and_tls_facts() {
    let _log = Log::capture();
    let facts = |ConnectInfo(peer): ConnectInfo<SocketAddr>,
                 Extension(scheme): Extension<Scheme>,
                 Extension(tls): Extension<Arc<TlsInfo>>| async move {
        let name = tls.server_name.clone().unwrap_or_default();
        let protocol = tls.alpn_protocol.clone().unwrap_or_default();
        let protocol = String::from_utf8(protocol).unwrap();
        format!("{peer} {scheme} {name} {protocol}")
    };
    let app = Router::new().route("/", get(facts));
    let (running, client) = localhost(app, |server| server).await;

    let client = alpn(client, &["http/1.1"]);
    let stream = connect(running.local_addr(), "localhost", &client)
        .await
        .unwrap();
    let own = stream.get_ref().0.local_addr().unwrap();
    let answer = request(stream, "GET / HTTP/1.1\nhost: localhost\n")
        .await
        .unwrap();

    let expected = format!("{own} https localhost http/1.1");
    assert!(answer.ends_with(&expected), "{answer}");
}

#[tokio::test]
async fn on_a_dual_stack_listener_ipv4_peers_are_ipv4() {
    let _log = Log::capture();
    let peer = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() };
    let app = Router::new().route("/", get(peer));
    let any = SocketAddr::from(([0u16; 8], 0));
    let Ok(running) = bind(any).start(app).await else {
        eprintln!("skipped: this machine has no IPv6");
        return;
    };
    let address = SocketAddr::from(([127, 0, 0, 1], running.local_addr().port()));
    let Ok(stream) = tokio::net::TcpStream::connect(address).await else {
        eprintln!("skipped: this machine keeps IPv4 off IPv6 sockets");
        return;
    };
    let answer = request(stream, "GET / HTTP/1.1\nhost: localhost\n")
        .await
        .unwrap();
    assert!(answer.ends_with("\r\n127.0.0.1"), "{answer}");
}

#[tokio::test]
async fn an_upgraded_http1_connection_outlives_the_limits() {
    let _log = Log::capture();
    let limit = Duration::from_millis(100);
    let limits = Limits::new().first_request(limit).header_read(limit);
    let (running, client) = localhost(echo(), |server| server.limits(limits)).await;

    let mut stream = tunnel_http1(&running, &client).await;

    sleep(limit * 3).await;
    echoes(&mut stream).await.unwrap();
}

#[tokio::test]
async fn an_extended_connect_outlives_the_limits() {
    let _log = Log::capture();
    let limit = Duration::from_millis(100);
    let limits = Limits::new()
        .first_request(limit)
        .header_read(limit)
        .http2_ping(limit, PATIENCE);
    let (running, client) = localhost(echo(), |server| server.limits(limits)).await;
    let mut tunnel = Http2Tunnel::open(&running, &client).await;

    sleep(limit * 3).await;
    tunnel.echoes().await.unwrap();
}

#[tokio::test]
async fn a_client_without_alpn_speaks_http1() {
    let _log = Log::capture();
    let (running, client) = localhost(hello(), |server| server).await;
    let answer = get_root(&running, &client).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

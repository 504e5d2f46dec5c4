//! A sticky cookie's way through a proxy: set beside the upstream's own, and heeded when it comes back.

use std::io;

use axum::{Router, routing::any};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, duplex},
    net::TcpListener,
    task::JoinSet,
};
use wsgate_layer::handshake::accept_key;
use wsgate_proxy::{
    WebSocketProxy,
    upstream::{EndpointSettings, StickyCookie, Upstream, UpstreamBuilder},
};

#[tokio::test]
async fn the_cookie_is_set_once_and_brings_the_client_back() {
    let mut upstreams = JoinSet::new();
    let mut endpoints = Vec::new();
    for name in 0..8 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        endpoints.push(EndpointSettings::new(&url).unwrap());
        upstreams.spawn(upstream(listener, name));
    }
    // One try, so that nothing is kept for a second.
    for tries in [1, 3] {
        let builder = Upstream::builder("backend")
            .balance(StickyCookie::new())
            .tries(tries);
        let builder = endpoints
            .iter()
            .cloned()
            .fold(builder, UpstreamBuilder::endpoint);
        let proxy = WebSocketProxy::to_upstream(builder.build().unwrap());
        let app = Router::new().route("/", any(proxy));

        let first = handshake(&app, "").await.unwrap();
        assert!(first.starts_with("HTTP/1.1 101 "), "{first}");
        let set: Vec<_> = fields(&first, "set-cookie");
        let [own, ours] = set[..] else {
            panic!("{first}");
        };
        let name = own.strip_prefix("name=").unwrap();
        assert!(
            ours.starts_with("wsgate=") && ours.contains("; HttpOnly"),
            "{ours}"
        );

        let (pair, _) = ours.split_once(';').unwrap();
        for _ in 0..5 {
            let cookie = format!("Cookie: a=b; {pair}\r\n");
            let again = handshake(&app, &cookie).await.unwrap();
            assert_eq!(fields(&again, "set-cookie"), [format!("name={name}")]);
        }

        // No tunnel, no cookie.
        let refused = handshake(&app, "X-Refuse: yes\r\n").await.unwrap();
        assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
        assert_eq!(fields(&refused, "set-cookie").len(), 1, "{refused}");
    }
}

/// The head of the answer. The connection ends with it.
async fn handshake(app: &Router, fields: &str) -> io::Result<String> {
    let (mut client, gateway) = duplex(64 * 1024);
    let service = TowerToHyperService::new(app.clone());
    let serving = http1::Builder::new()
        .serve_connection(TokioIo::new(gateway), service)
        .with_upgrades();
    let serving = tokio::spawn(serving);
    let request = format!(
        "GET / HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
    );
    client.write_all(request.as_bytes()).await?;
    let head = head(&mut client).await?;
    drop(client);
    serving.await?.map_err(io::Error::other)?;
    Ok(head)
}

/// Accepts handshakes, or refuses them when asked to, with a cookie of its own.
async fn upstream(listener: TcpListener, name: u32) -> io::Result<()> {
    loop {
        let (mut socket, _) = listener.accept().await?;
        let head = head(&mut socket).await?;
        let answer = if fields(&head, "x-refuse").is_empty() {
            let accept = accept_key(fields(&head, "sec-websocket-key")[0].as_bytes());
            let accept = String::from_utf8_lossy(accept.as_bytes()).into_owned();
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n"
            )
        } else {
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n".to_owned()
        };
        let answer = format!("{answer}Set-Cookie: name={name}\r\n\r\n");
        socket.write_all(answer.as_bytes()).await?;
    }
}

async fn head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// The values of the fields of this name.
fn fields<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let pairs = head.lines().filter_map(|line| line.split_once(": "));
    let pairs = pairs.filter(|(field, _)| field.eq_ignore_ascii_case(name));
    pairs.map(|(_, value)| value).collect()
}

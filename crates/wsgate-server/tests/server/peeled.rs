//! The stream inside an upgraded connection.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use http::header::{CONNECTION, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use wsgate_server::{TlsStream, Watched};

use crate::support::{BY_TOKIO_RUSTLS, Log, alpn, connect, localhost};

/// Sends back what comes, with nothing of hyper's in between.
async fn echo<T>(upgraded: Upgraded, socket: fn(&T) -> &TcpStream)
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let parts = downcast::<TokioIo<Watched<T>>>(upgraded).expect("it is of this type");
    let mut stream = parts.io.into_inner().into_inner();
    // Or small messages would wait for acknowledgements.
    assert!(socket(&stream).nodelay().unwrap());
    stream.write_all(&parts.read_buf).await.unwrap();
    let mut buffer = [0; 64];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        stream.write_all(&buffer[..read]).await.unwrap();
    }
    stream.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_upgraded_connection_gives_its_stream_back() {
    let _log = Log::capture();
    let peel = |mut request: Request| async move {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let upgraded = upgrade.await.unwrap();
            if BY_TOKIO_RUSTLS {
                type Theirs = tokio_rustls::server::TlsStream<TcpStream>;
                echo::<Theirs>(upgraded, |stream| stream.get_ref().0).await;
            } else {
                echo::<TlsStream>(upgraded, TlsStream::get_ref).await;
            }
        });
        Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header(CONNECTION, "upgrade")
            .header(UPGRADE, "echo")
            .body(Body::empty())
            .unwrap()
    };
    let app = Router::new().route("/", get(peel));
    let (running, client) = localhost(app, |server| server).await;
    let client = alpn(client, &["http/1.1"]);
    let mut stream = connect(running.local_addr(), "localhost", &client)
        .await
        .unwrap();

    let head = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    stream
        .write_all(format!("{head}early").as_bytes())
        .await
        .unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    stream.write_all(b", late").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut echoed = String::new();
    stream.read_to_string(&mut echoed).await.unwrap();
    assert_eq!(echoed, "early, late");
}

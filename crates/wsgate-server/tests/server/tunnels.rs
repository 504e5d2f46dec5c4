//! Upgraded connections by both protocols, and an app that echoes over them.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::{StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::client::TlsStream;
use wsgate_server::Running;
use wsgate_server::rustls::ClientConfig;

use crate::support::{PATIENCE, alpn, connect};

/// An upgraded stream of an HTTP/2 connection.
pub(crate) struct Http2Tunnel {
    /// A connection without senders ends by itself, whatever its streams do.
    _sender: SendRequest<Bytes>,
    output: SendStream<Bytes>,
    input: RecvStream,
    _connection: EndOnDrop,
}

impl Http2Tunnel {
    pub(crate) async fn open(running: &Running, client: &ClientConfig) -> Self {
        let (mut sender, connection) = http2(running, client).await;
        let mut request = http::Request::connect("https://localhost/echo")
            .body(())
            .unwrap();
        request
            .extensions_mut()
            .insert(h2::ext::Protocol::from_static("websocket"));
        let (response, output) = sender.send_request(request, false).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        Self {
            _sender: sender,
            output,
            input: response.into_body(),
            _connection: connection,
        }
    }

    /// Sends a word, and has it back.
    pub(crate) async fn echoes(&mut self) -> Result<(), h2::Error> {
        self.output.send_data(Bytes::from_static(WORD), false)?;
        assert_eq!(self.input.data().await.expect("an echo")?, WORD);
        Ok(())
    }

    /// Waits until the other side has ended it, in whichever way.
    pub(crate) async fn ended(mut self) {
        let end = async { while let Some(Ok(_)) = self.input.data().await {} };
        timeout(PATIENCE, end).await.expect("an end");
    }
}

/// An upgraded HTTP/1.1 connection.
pub(crate) async fn tunnel_http1(running: &Running, client: &ClientConfig) -> TlsStream<TcpStream> {
    let client = alpn(client.clone(), &["http/1.1"]);
    let mut stream = connect(running.local_addr(), "localhost", &client)
        .await
        .unwrap();
    let head = "GET /echo HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    stream
}

/// Sends a word over an HTTP/1.1 tunnel, and has it back.
pub(crate) async fn echoes(stream: &mut TlsStream<TcpStream>) -> io::Result<()> {
    stream.write_all(WORD).await?;
    let mut echoed = vec![0; WORD.len()];
    stream.read_exact(&mut echoed).await?;
    assert_eq!(echoed, WORD);
    Ok(())
}

/// An HTTP/2 client that has seen the server's settings. Its connection ends with the guard.
pub(crate) async fn http2(
    running: &Running,
    client: &ClientConfig,
) -> (SendRequest<Bytes>, EndOnDrop) {
    let client = alpn(client.clone(), &["h2"]);
    let stream = connect(running.local_addr(), "localhost", &client)
        .await
        .unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    let task = tokio::spawn(async move {
        let _ = connection.await;
    });
    let settled = async {
        while !sender.is_extended_connect_protocol_enabled() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, settled)
        .await
        .expect("the server turns extended CONNECT on");
    (sender, EndOnDrop(task.abort_handle()))
}

pub(crate) struct EndOnDrop(AbortHandle);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An app that sends back what comes over an upgraded connection, by either protocol.
pub(crate) fn echo() -> Router {
    let echo = |mut request: Request| async move {
        let upgrade = hyper::upgrade::on(&mut request);
        let status = match request.extensions().get::<hyper::ext::Protocol>() {
            Some(_) => StatusCode::OK,
            None => StatusCode::SWITCHING_PROTOCOLS,
        };
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgrade.await.unwrap());
            let mut buffer = [0; 64];
            while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                stream.write_all(&buffer[..read]).await.unwrap();
            }
        });
        let mut response = Response::new(axum::body::Body::empty());
        *response.status_mut() = status;
        if status == StatusCode::SWITCHING_PROTOCOLS {
            let headers = response.headers_mut();
            headers.insert(
                header::CONNECTION,
                header::HeaderValue::from_static("upgrade"),
            );
            headers.insert(
                header::UPGRADE,
                header::HeaderValue::from_static("websocket"),
            );
        }
        response
    };
    Router::new().route("/echo", any(echo))
}

const WORD: &[u8] = b"still there";

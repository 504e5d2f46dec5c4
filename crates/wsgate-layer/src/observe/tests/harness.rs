//! A WebSocket with the layer on it, its client and its handler played by the test.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::extract::ConnectInfo;
use http::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, duplex},
    sync::oneshot,
};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

use super::super::*;
use crate::{
    tunnel::{Limit, Tunnel},
    upgrade::{self, OnUpgrade, UpgradeSender, UpgradedIo},
};

/// "Hello" and Close 1000 "bye" as a client sends them, masked with zeros, and as a server does.
pub(super) const CLIENT_HELLO: &[u8] = b"\x81\x85\0\0\0\0Hello";
pub(super) const CLIENT_CLOSE: &[u8] = b"\x88\x85\0\0\0\0\x03\xe8bye";
pub(super) const SERVER_HELLO: &[u8] = b"\x81\x05Hello";
pub(super) const SERVER_CLOSE: &[u8] = b"\x88\x05\x03\xe8bye";

/// An observer that writes down what it is told.
#[derive(Clone, Debug, Default)]
pub(super) struct Diary(Arc<Mutex<Vec<String>>>);

// ===== impl Diary =====

impl Diary {
    /// What was written since the last look.
    pub(super) fn read(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// Whether no layer and no WebSocket has it any longer.
    pub(super) fn is_alone(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    fn write(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl Observer for Diary {
    fn handshake(&self, handshake: &Handshake<'_>) {
        self.write(format!(
            "handshake {} {}",
            handshake.route, handshake.protocol
        ));
    }

    fn refused(&self, _: &Handshake<'_>, refused: &Refused<'_>) {
        let status = refused.status.map(|s| s.as_u16());
        let why = refused.why.map(|why| why.word());
        self.write(format!("refused {status:?} {why:?}"));
    }

    fn opened(&self, _: &Handshake<'_>, opened: &Opened) {
        self.write(format!("opened {}", opened.status.as_u16()));
    }

    fn traffic(&self, _: &Handshake<'_>, traffic: &Traffic) {
        let Traffic {
            from_client,
            to_client,
        } = traffic;
        self.write(format!(
            "traffic {}/{} {}/{}",
            from_client.messages, from_client.wire_bytes, to_client.messages, to_client.wire_bytes
        ));
    }

    fn ping(&self, _: &Handshake<'_>, ping: &Ping) {
        self.write(format!("ping {:?} {:?}", ping.peer, ping.round_trip));
    }

    fn limit(&self, _: &Handshake<'_>, limit: Limit) {
        self.write(format!("limit {limit}"));
    }

    fn closed(&self, _: &Handshake<'_>, closed: &Closed<'_>) {
        let Closed {
            by,
            ended,
            duration,
            ..
        } = closed;
        let code = closed.code().0;
        self.write(format!("closed by {by}: {ended} {code} after {duration:?}"));
    }
}

// ===== requests =====

pub(super) fn request() -> Request<()> {
    Request::get("/rooms/7?token=secret")
        .header("host", "example.com:8443")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .extension(ConnectInfo(SocketAddr::from(([192, 0, 2, 7], 4711))))
        .body(())
        .unwrap()
}

/// Puts an upgrade into the request, to be completed by the test.
pub(super) fn upgradeable<T>(req: &mut Request<()>) -> UpgradeSender<T>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, on_upgrade) = upgrade::pair();
    req.extensions_mut().insert(on_upgrade);
    sender
}

// ===== services =====

/// The layer on a service that gives this answer.
pub(super) async fn answer(layer: &ObserveLayer, req: Request<()>, res: Response<()>) {
    let res = Arc::new(Mutex::new(Some(res)));
    let service = service_fn(move |_: Request<()>| {
        let res = res.lock().unwrap().take();
        async move { Ok::<_, Infallible>(res.expect("one request")) }
    });
    let _ = layer.layer(service).oneshot(req).await;
}

/// An open WebSocket: what the layer and the handler share of it, the client's end, the handler's.
pub(super) async fn open(layer: &ObserveLayer) -> (Tunnel, DuplexStream, UpgradedIo) {
    let (client, near) = duplex(1024);
    let (tunnel, handler) = open_on(layer, request(), near).await;
    (tunnel, client, handler)
}

/// An open WebSocket on a stream of the test's.
pub(super) async fn open_on<T>(
    layer: &ObserveLayer,
    mut req: Request<()>,
    stream: T,
) -> (Tunnel, UpgradedIo)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let sender = upgradeable(&mut req);
    let tunnel = Tunnel::of(req.extensions_mut());
    let (give, given) = oneshot::channel();
    let give = Arc::new(Mutex::new(Some(give)));
    let service = service_fn(move |mut req: Request<()>| {
        let on_upgrade = req.extensions_mut().remove::<OnUpgrade>().unwrap();
        give.lock()
            .unwrap()
            .take()
            .unwrap()
            .send(on_upgrade)
            .unwrap();
        let mut res = Response::new(());
        if req.method() != http::Method::CONNECT {
            *res.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        }
        async move { Ok::<_, Infallible>(res) }
    });
    layer.layer(service).oneshot(req).await.unwrap();
    sender.send(stream).unwrap();
    let upgraded = given.await.unwrap().await.unwrap();
    (tunnel, TokioIo::new(upgraded))
}

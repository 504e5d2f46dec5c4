mod admission;
mod policy;
mod queue;
mod stream;

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::extract::ConnectInfo;
use http::{
    Request, Response, StatusCode,
    header::{RETRY_AFTER, UPGRADE},
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use tokio::io::{DuplexStream, duplex};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;
use wsgate_frame::Role;

use crate::{
    LimitLayer,
    tunnel::{Limit, Tunnel, Watch},
    upgrade::{self, UpgradeSender},
};

/// A handshake from this address, and the connection that it came by.
fn handshake(client: &str) -> (Request<()>, UpgradeSender<DuplexStream>) {
    let (connection, on_upgrade) = upgrade::pair();
    let addr: SocketAddr = client.parse().unwrap();
    let req = Request::get("/")
        .header(UPGRADE, "websocket")
        .extension(on_upgrade)
        .extension(ConnectInfo(addr))
        .body(());
    (req.unwrap(), connection)
}

/// A handler that accepts, and leaves its `OnUpgrade` to the test.
async fn accept(mut req: Request<()>) -> Result<Response<String>, Infallible> {
    let on_upgrade = req.extensions_mut().remove::<OnUpgrade>();
    let mut res = Response::new(String::new());
    *res.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    if let Some(on_upgrade) = on_upgrade {
        res.extensions_mut().insert(on_upgrade);
    }
    Ok(res)
}

/// An open tunnel: the handler's end and the client's.
#[derive(Debug)]
struct Opened {
    handler: Upgraded,
    _client: DuplexStream,
}

/// What a client gets at this address: a tunnel, or an answer.
async fn open(layer: &LimitLayer, client: &str) -> Result<Opened, Response<String>> {
    let (req, connection) = handshake(client);
    let res = layer.layer(service_fn(accept)).oneshot(req);
    opened(res.await.unwrap(), connection).await
}

async fn opened(
    mut res: Response<String>,
    connection: UpgradeSender<DuplexStream>,
) -> Result<Opened, Response<String>> {
    if res.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(res);
    }
    let (near, far) = duplex(1024);
    connection.send(near).unwrap();
    let on_upgrade = res.extensions_mut().remove::<OnUpgrade>().unwrap();
    Ok(Opened {
        handler: on_upgrade.await.unwrap(),
        _client: far,
    })
}

#[track_caller]
fn is_refused(res: Result<Opened, Response<String>>, limit: Limit, status: u16, after: &str) {
    let res = res.expect_err("a tunnel was opened");
    assert_eq!(res.status(), status);
    assert_eq!(res.headers()[RETRY_AFTER], after);
    assert_eq!(res.extensions().get(), Some(&limit));
}

/// What observers were told.
#[derive(Default)]
struct Told(Mutex<Vec<Limit>>);

impl Told {
    fn by(tunnel: &Tunnel) -> Arc<Self> {
        let told = Arc::<Self>::default();
        tunnel.watch(told.clone());
        told
    }

    fn take(&self) -> Vec<Limit> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Watch for Told {
    fn ping(&self, _: &Tunnel, _: Role, _: Duration) {}

    fn limit(&self, _: &Tunnel, limit: Limit) {
        self.0.lock().unwrap().push(limit);
    }
}

//! A handler that does not read its WebSocket is told of in the log: no layer can act on it.
//!
//! It is told once for the whole process, so this test has one for itself.

use std::{
    convert::Infallible,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    time::sleep,
};
use tower::{Layer, ServiceExt, service_fn};
use wsgate_layer::{
    timeout::ReadTimeoutLayer,
    upgrade::{self, OnUpgrade},
};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

#[tokio::test(start_paused = true)]
async fn a_handler_that_only_writes_is_told_of_once() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());

    for _ in 0..2 {
        let (near, mut far) = duplex(1024);
        let (sender, on_upgrade) = upgrade::pair();
        sender.send(near).unwrap();
        let req = Request::builder()
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .extension(on_upgrade)
            .body(())
            .unwrap();
        let service = ReadTimeoutLayer::new(Duration::from_secs(10)).layer(service_fn(ticker));
        let res = service.oneshot(req).await.unwrap();
        assert_eq!(res.status(), StatusCode::SWITCHING_PROTOCOLS);

        let mut ticks = Vec::new();
        far.read_to_end(&mut ticks).await.unwrap();
        assert_eq!(ticks.len(), 2 * TICKS);
    }

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(
        log.matches("does not read its WebSocket").count(),
        1,
        "{log}"
    );
    assert!(log.contains("WARN"), "{log}");
}

/// For longer than the layer's time and the minute after it.
const TICKS: usize = 100;

/// Sends an empty message every second, and never looks whether somebody answers.
async fn ticker(mut req: Request<()>) -> Result<Response<String>, Infallible> {
    let on_upgrade = req.extensions_mut().remove::<OnUpgrade>();
    let on_upgrade = on_upgrade.expect("the layer has put one in");
    tokio::spawn(async move {
        let mut socket = TokioIo::new(on_upgrade.await.expect("the handshake is done"));
        for _ in 0..TICKS {
            let sent = socket.write_all(b"\x81\x00").await;
            sent.expect("the client takes all");
            sleep(Duration::from_secs(1)).await;
        }
    });
    let mut res = Response::new(String::new());
    *res.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    Ok(res)
}

impl io::Write for Log {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut log = self.0.lock().map_err(|_| io::ErrorKind::Other)?;
        log.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

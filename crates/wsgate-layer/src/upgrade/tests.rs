use std::task::{Context, Waker};

use futures_util::FutureExt;
use http::{Method, Request, Response, StatusCode, Version};
use hyper::ext::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_test::{assert_pending, assert_ready, task};

use super::*;

/// The two polls that everything rests on: hyper must hand over the `OnUpgrade` in the first, and
/// resolve it in the second. There is no runtime here that could poll a third time.
#[test]
fn hyper_mints_in_one_poll_and_fulfils_in_one_more() {
    let (sender, on_upgrade) = pair::<DuplexStream>();
    let mut on_upgrade = task::spawn(on_upgrade);
    assert_pending!(on_upgrade.poll());

    sender.send(duplex(1).0).unwrap();
    assert!(on_upgrade.is_woken());
    assert_ready!(on_upgrade.poll()).unwrap();
}

/// hyper reads in no more than one piece of our request, whatever the size of its buffer, and it
/// must not have taken bytes of the stream into that buffer.
#[tokio::test]
async fn bytes_pass_both_ways_from_the_first_one() {
    let (near, mut far) = duplex(64);
    far.write_all(b"early").await.unwrap();
    let (sender, on_upgrade) = pair();
    sender.send(near).unwrap();

    let upgraded = on_upgrade.await.unwrap();
    let parts = upgraded.downcast::<Bridge<DuplexStream>>().unwrap();
    assert!(parts.read_buf.is_empty());
    let mut io = TokioIo::new(parts.io);
    let mut early = [0; 5];
    io.read_exact(&mut early).await.unwrap();
    assert_eq!(&early, b"early");
    io.write_all(b"late").await.unwrap();
    let mut late = [0; 4];
    far.read_exact(&mut late).await.unwrap();
    assert_eq!(&late, b"late");
    io.shutdown().await.unwrap();
    assert_eq!(far.read(&mut late).await.unwrap(), 0);
}

#[tokio::test]
async fn a_sender_dropped_is_a_cancelled_upgrade() {
    let (sender, on_upgrade) = pair::<DuplexStream>();
    drop(sender);
    assert!(on_upgrade.await.unwrap_err().is_canceled());
}

#[test]
fn sending_to_nobody_drops_the_stream() {
    let (near, mut far) = duplex(1);
    let (sender, on_upgrade) = pair();
    drop(on_upgrade);
    sender.send(near).unwrap();
    let mut buf = [0; 1];
    assert_eq!(far.read(&mut buf).now_or_never().unwrap().unwrap(), 0);
}

/// A layer's stream inside another's: each peels off to the one below.
#[tokio::test]
async fn a_bridge_peels_to_what_was_sent() {
    let (near, _far) = duplex(1);
    let (sender, on_upgrade) = pair();
    sender.send(near).unwrap();
    let below = TokioIo::new(on_upgrade.await.unwrap());
    let (sender, on_upgrade) = pair();
    sender.send(below).unwrap();

    let upper = on_upgrade.await.unwrap();
    let below = upper
        .downcast::<Bridge<UpgradedIo>>()
        .unwrap()
        .io
        .into_inner()
        .unwrap();
    let parts = below
        .into_inner()
        .downcast::<Bridge<DuplexStream>>()
        .unwrap();
    assert!(parts.io.into_inner().is_some());
}

#[tokio::test]
async fn vectored_writes_reach_the_stream() {
    // A duplex takes vectored writes, so the bridge must say and pass them.
    let (near, mut far) = duplex(64);
    assert!(tokio::io::AsyncWrite::is_write_vectored(&near));
    let (sender, on_upgrade) = pair();
    sender.send(near).unwrap();
    let mut io = TokioIo::new(on_upgrade.await.unwrap());
    io.write_all(b"1").await.unwrap();
    assert!(tokio::io::AsyncWrite::is_write_vectored(&io));
    let bufs = [std::io::IoSlice::new(b"23"), std::io::IoSlice::new(b"45")];
    assert_eq!(io.write_vectored(&bufs).await.unwrap(), 4);
    let mut all = [0; 5];
    far.read_exact(&mut all).await.unwrap();
    assert_eq!(&all, b"12345");
}

fn handshake(kind: Kind) -> Request<()> {
    let (method, version) = match kind {
        Kind::Upgrade => (Method::GET, Version::HTTP_11),
        Kind::ExtendedConnect => (Method::CONNECT, Version::HTTP_2),
    };
    Request::builder()
        .method(method)
        .version(version)
        .uri("https://example.com/")
        .header("upgrade", "websocket")
        .extension(Protocol::from_static("websocket"))
        .body(())
        .unwrap()
}

use crate::handshake::Kind;

#[tokio::test]
async fn intercept_touches_handshakes_only() {
    let (_sender, theirs) = pair::<DuplexStream>();
    let mut plain = Request::get("/")
        .extension(theirs.clone())
        .body(())
        .unwrap();
    assert!(intercept::<DuplexStream, _>(&mut plain).is_none());
    assert!(plain.extensions().get::<OnUpgrade>().is_some());

    // hyper sets OnUpgrade for any Upgrade field.
    let mut h2c = Request::get("/")
        .header("upgrade", "h2c")
        .extension(theirs)
        .body(())
        .unwrap();
    assert!(intercept::<DuplexStream, _>(&mut h2c).is_none());

    // There is nothing to stand in.
    assert!(intercept::<DuplexStream, _>(&mut handshake(Kind::Upgrade)).is_none());
}

#[tokio::test]
async fn the_status_alone_opens_the_gate() {
    #[track_caller]
    fn opens(kind: Kind, status: StatusCode) -> impl Future<Output = bool> {
        let (outer, theirs) = pair::<DuplexStream>();
        let mut req = handshake(kind);
        req.extensions_mut().insert(theirs);
        let intercepted = intercept::<UpgradedIo, _>(&mut req).unwrap();
        let minted = req.extensions_mut().remove::<OnUpgrade>().unwrap();
        let mut res = Response::new(());
        *res.status_mut() = status;
        intercepted.complete(&res, |io| io);
        // As hyper's HTTP/1.1 does, whatever the answer was.
        outer.send(duplex(1).0).unwrap();
        async move { minted.await.is_ok() }
    }
    assert!(opens(Kind::Upgrade, StatusCode::SWITCHING_PROTOCOLS).await);
    assert!(!opens(Kind::Upgrade, StatusCode::OK).await);
    assert!(!opens(Kind::Upgrade, StatusCode::FORBIDDEN).await);
    assert!(opens(Kind::ExtendedConnect, StatusCode::OK).await);
    assert!(!opens(Kind::ExtendedConnect, StatusCode::SWITCHING_PROTOCOLS).await);
    assert!(!opens(Kind::ExtendedConnect, StatusCode::FORBIDDEN).await);
}

#[tokio::test]
async fn a_client_that_leaves_fails_the_inner_upgrade() {
    let (outer, theirs) = pair::<DuplexStream>();
    let mut req = handshake(Kind::Upgrade);
    req.extensions_mut().insert(theirs);
    let intercepted = intercept::<UpgradedIo, _>(&mut req).unwrap();
    let minted = req.extensions_mut().remove::<OnUpgrade>().unwrap();
    let mut res = Response::new(());
    *res.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    intercepted.complete(&res, |io| io);
    drop(outer);
    assert!(minted.await.unwrap_err().is_canceled());
}

#[test]
fn a_pair_needs_no_runtime() {
    let (sender, on_upgrade) = pair::<DuplexStream>();
    sender.send(duplex(1).0).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(std::pin::pin!(on_upgrade).poll(&mut cx).is_ready());
}

// ===== what cannot be acted on =====

/// The warnings of this thread.
#[derive(Clone, Default)]
struct Warnings(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Warnings {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        std::io::Write::write(&mut *self.0.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Warnings {
    fn listen() -> (Self, tracing::subscriber::DefaultGuard) {
        let warnings = Self::default();
        let writer = warnings.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_writer(move || writer.clone());
        let guard = tracing::subscriber::set_default(subscriber.finish());
        (warnings, guard)
    }

    fn count(&self, words: &str) -> usize {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.matches(words).count()
    }
}

/// What `http1_only` of axum-server comes down to: hyper's connection, served without upgrades.
#[tokio::test]
async fn a_connection_that_does_not_upgrade_is_told_of_once() {
    let (warnings, _guard) = Warnings::listen();
    for _ in 0..2 {
        let (mut client, server) = duplex(1024);
        let service = hyper::service::service_fn(async |mut req: Request<_>| {
            let intercepted = intercept::<UpgradedIo, _>(&mut req).unwrap();
            let mut res = Response::new(String::new());
            *res.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            intercepted.complete(&res, |io| io);
            Ok::<_, std::convert::Infallible>(res)
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(server), service);
        let head =
            b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
        client.write_all(head).await.unwrap();
        connection.await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(warnings.count("that its connection does not upgrade"), 1);
}

#[test]
fn a_handshake_of_http1_over_http2_is_told_of_once() {
    let (warnings, _guard) = Warnings::listen();
    for version in [Version::HTTP_2, Version::HTTP_2, Version::HTTP_11] {
        let mut req = Request::get("/")
            .version(version)
            .header("sec-websocket-version", "13")
            .body(())
            .unwrap();
        assert!(intercept::<DuplexStream, _>(&mut req).is_none());
    }
    assert_eq!(warnings.count("not as an extended CONNECT"), 1);
}

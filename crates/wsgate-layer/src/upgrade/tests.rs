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

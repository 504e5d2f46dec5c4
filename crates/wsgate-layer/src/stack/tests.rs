//! Which layers share a stream, seen from what passes between them.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{
    self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::{
    KeepaliveLayer, MapUpgradeLayer, ReadTimeoutLayer,
    upgrade::{UpgradedIo, pair},
};

/// Counts what is read through it.
struct Counting {
    io: UpgradedIo,
    seen: Arc<AtomicUsize>,
}

impl AsyncRead for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        let read = buf.filled().len() - before;
        self.seen.fetch_add(read, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Counting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// A handler that accepts, and leaves its stream here.
type Taken = Arc<Mutex<Option<OnUpgrade>>>;

fn handler(
    taken: &Taken,
) -> impl Service<Request<()>, Response = Response<()>, Error = Infallible> + Clone + use<> {
    let taken = Arc::clone(taken);
    service_fn(move |mut req: Request<()>| {
        *taken.lock().unwrap() = req.extensions_mut().remove::<OnUpgrade>();
        let mut res = Response::new(());
        *res.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        async { Ok(res) }
    })
}

/// Opens a WebSocket through a service: the client's end, and the handler's.
async fn open<S>(service: S, taken: &Taken) -> (DuplexStream, UpgradedIo)
where
    S: Service<Request<()>, Response = Response<()>, Error = Infallible>,
{
    let (near, client) = duplex(1024);
    let (sender, on_upgrade) = pair();
    let req = Request::get("/")
        .header("upgrade", "websocket")
        .extension(on_upgrade)
        .body(())
        .unwrap();
    let res = service.oneshot(req).await.unwrap();
    assert_eq!(res.status(), StatusCode::SWITCHING_PROTOCOLS);
    sender.send(near).unwrap();
    let minted = taken.lock().unwrap().take().unwrap();
    (client, TokioIo::new(minted.await.unwrap()))
}

/// Answers a ping, and says "hi".
async fn answer(client: &mut DuplexStream) {
    let mut ping = [0; 10];
    client.read_exact(&mut ping).await.unwrap();
    assert_eq!(ping[..2], [0x89, 8]);
    let pong = [&[0x8a, 0x88, 0, 0, 0, 0][..], &ping[2..]].concat();
    client.write_all(&pong).await.unwrap();
    client.write_all(HI).await.unwrap();
}

/// "hi" as a client says it.
const HI: &[u8] = b"\x81\x82\0\0\0\0hi";

const PONG: usize = 14;

fn keepalive() -> KeepaliveLayer {
    KeepaliveLayer::every(Duration::from_secs(10)).jitter(0.0)
}

fn read_timeout() -> ReadTimeoutLayer {
    ReadTimeoutLayer::new(Duration::from_secs(60))
}

#[tokio::test(start_paused = true)]
async fn a_stream_in_between_sees_what_a_layer_inside_of_it_takes_out() {
    let (taken, seen) = (Taken::default(), Arc::<AtomicUsize>::default());
    let count = Arc::clone(&seen);
    let between = MapUpgradeLayer::new(move |io: UpgradedIo| Counting { io, seen: count });
    let inner = between.layer(keepalive().layer(handler(&taken)));
    let (mut client, mut io) = open(read_timeout().layer(inner), &taken).await;

    let client = tokio::spawn(async move {
        answer(&mut client).await;
        client
    });
    let mut hi = [0; HI.len()];
    io.read_exact(&mut hi).await.unwrap();
    assert_eq!(&hi, HI);
    assert_eq!(seen.load(Ordering::Relaxed), PONG + HI.len());
    drop(client.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_stream_in_between_does_not_see_what_a_layer_outside_of_it_takes_out() {
    let (taken, seen) = (Taken::default(), Arc::<AtomicUsize>::default());
    let count = Arc::clone(&seen);
    let between = MapUpgradeLayer::new(move |io: UpgradedIo| Counting { io, seen: count });
    let inner = between.layer(read_timeout().layer(handler(&taken)));
    let (mut client, mut io) = open(keepalive().layer(inner), &taken).await;

    let client = tokio::spawn(async move {
        answer(&mut client).await;
        client
    });
    let mut hi = [0; HI.len()];
    io.read_exact(&mut hi).await.unwrap();
    assert_eq!(seen.load(Ordering::Relaxed), HI.len());
    drop(client.await.unwrap());
}

/// The parts of a stack are in the order of its layers, whoever came first.
#[tokio::test(start_paused = true)]
async fn inside_of_a_keepalive_a_quiet_client_is_closed_and_outside_it_stays() {
    for outside in [true, false] {
        let taken = Taken::default();
        let (mut client, io) = match outside {
            true => {
                open(
                    read_timeout().layer(keepalive().layer(handler(&taken))),
                    &taken,
                )
                .await
            }
            false => {
                open(
                    keepalive().layer(read_timeout().layer(handler(&taken))),
                    &taken,
                )
                .await
            }
        };
        let handler = tokio::spawn(async move {
            let mut all = Vec::new();
            let mut io = io;
            let _ = io.read_to_end(&mut all).await;
        });
        let mut pings = 0;
        let closed = loop {
            let mut frame = [0; 10];
            client.read_exact(&mut frame[..2]).await.unwrap();
            if frame[0] == 0x88 {
                break true;
            }
            client.read_exact(&mut frame[2..]).await.unwrap();
            pings += 1;
            if pings == 20 {
                break false;
            }
            let pong = [&[0x8a, 0x88, 0, 0, 0, 0][..], &frame[2..]].concat();
            client.write_all(&pong).await.unwrap();
        };
        assert_eq!(closed, !outside);
        drop(client);
        handler.await.unwrap();
    }
}

use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use hyper::upgrade::Upgraded;
use hyper_util::{
    rt::TokioIo,
    server::conn::auto::upgrade::{Parts, downcast},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
#[cfg(feature = "tls")]
use wsgate_tls::{TlsStream, Watched};

use super::{Bridge, UpgradedIo};
use crate::stack::LayeredIo;

/// The stream of an upgraded connection, without hyper around it where we know what is inside.
///
/// Each [`Upgraded`] is a stream in a box, behind another that gives what hyper had read too much. A
/// relay that moves small messages notices. What can be taken out is a TCP connection, one of
/// [`wsgate_tls`](https://docs.rs/wsgate-tls) with the feature `tls`, either of them from below the
/// server's watch, and a stream that layers of this crate stand in; anything else stays as it is, a stream of an HTTP/2 connection always.
///
/// # Example
///
/// ```
/// use wsgate_layer::upgrade::{ConnectionIo, OnUpgrade};
///
/// # async fn example(on_upgrade: OnUpgrade) -> Result<(), Box<dyn std::error::Error>> {
/// let stream = ConnectionIo::from(on_upgrade.await?);
/// # Ok(())
/// # }
/// ```
pub struct ConnectionIo {
    inner: Inner,
}

enum Inner {
    Tcp(Early, TcpStream),
    #[cfg(feature = "tls")]
    Tls(Early, Box<TlsStream>),
    Layered(Box<LayeredIo>),
    Upgraded(UpgradedIo),
}

/// What hyper had read of the stream already. There until it is read, and hardly ever at all.
type Early = Option<Box<Bytes>>;

// ===== impl ConnectionIo =====

impl From<Upgraded> for ConnectionIo {
    fn from(upgraded: Upgraded) -> Self {
        Self {
            inner: Inner::of(upgraded),
        }
    }
}

impl fmt::Debug for ConnectionIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inside = match &self.inner {
            Inner::Tcp(..) => "TCP",
            #[cfg(feature = "tls")]
            Inner::Tls(..) => "TLS",
            Inner::Layered(_) => "layered",
            Inner::Upgraded(_) => "upgraded",
        };
        f.debug_tuple("ConnectionIo").field(&inside).finish()
    }
}

// ===== impl Inner =====

impl Inner {
    fn of(upgraded: Upgraded) -> Self {
        let upgraded = match upgraded.downcast::<Bridge<LayeredIo>>() {
            Ok(parts) => {
                let io = parts.io.into_inner();
                let io = io.expect("an `Upgraded` is given out after its stream was sent");
                return Self::Layered(Box::new(io));
            }
            Err(upgraded) => upgraded,
        };
        let upgraded = match downcast::<TokioIo<TcpStream>>(upgraded) {
            Ok(Parts { io, read_buf, .. }) => return Self::Tcp(early(read_buf), io.into_inner()),
            Err(upgraded) => upgraded,
        };
        #[cfg(feature = "tls")]
        let upgraded = match downcast::<TokioIo<Watched<TcpStream>>>(upgraded) {
            Ok(Parts { io, read_buf, .. }) => {
                return Self::Tcp(early(read_buf), io.into_inner().into_inner());
            }
            Err(upgraded) => upgraded,
        };
        #[cfg(feature = "tls")]
        let upgraded = match downcast::<TokioIo<Watched<TlsStream>>>(upgraded) {
            Ok(Parts { io, read_buf, .. }) => {
                return Self::Tls(early(read_buf), Box::new(io.into_inner().into_inner()));
            }
            Err(upgraded) => upgraded,
        };
        #[cfg(feature = "tls")]
        let upgraded = match downcast::<TokioIo<TlsStream>>(upgraded) {
            Ok(Parts { io, read_buf, .. }) => {
                return Self::Tls(early(read_buf), Box::new(io.into_inner()));
            }
            Err(upgraded) => upgraded,
        };
        Self::Upgraded(TokioIo::new(upgraded))
    }

    fn early(&mut self) -> Option<&mut Early> {
        match self {
            Self::Tcp(early, _) => Some(early),
            #[cfg(feature = "tls")]
            Self::Tls(early, _) => Some(early),
            // They give it by themselves.
            Self::Layered(_) | Self::Upgraded(_) => None,
        }
    }
}

fn early(read: Bytes) -> Early {
    (!read.is_empty()).then(|| Box::new(read))
}

macro_rules! delegate {
    ($inner:expr, $stream:ident => $call:expr) => {
        match $inner {
            Inner::Tcp(_, $stream) => $call,
            #[cfg(feature = "tls")]
            Inner::Tls(_, $stream) => $call,
            Inner::Layered($stream) => $call,
            Inner::Upgraded($stream) => $call,
        }
    };
}

impl AsyncRead for ConnectionIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(early) = self.inner.early()
            && let Some(bytes) = early
        {
            let count = bytes.len().min(buf.remaining());
            buf.put_slice(&bytes[..count]);
            bytes.advance(count);
            if bytes.is_empty() {
                *early = None;
            }
            return Poll::Ready(Ok(()));
        }
        delegate!(&mut self.inner, io => Pin::new(io).poll_read(cx, buf))
    }
}

impl AsyncWrite for ConnectionIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        delegate!(&mut self.inner, io => Pin::new(io).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        delegate!(&mut self.inner, io => Pin::new(io).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        delegate!(&self.inner, io => io.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(&mut self.inner, io => Pin::new(io).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(&mut self.inner, io => Pin::new(io).poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::ready};

    use http::{Request, Response, StatusCode};
    use hyper::{body::Incoming, upgrade::OnUpgrade};
    use hyper_util::{rt::TokioExecutor, server::conn::auto, service::TowerToHyperService};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        sync::mpsc,
    };
    use tower::{Layer, service_fn, util::option_layer};

    use super::*;
    use crate::ReadTimeoutLayer;

    /// What came behind the head of the handshake.
    const EARLY: &[u8] = b"\x81\x85\0\0\0\0early";

    /// A client, and what a server has of it, which is hyper-util's as axum-server's and axum's own.
    async fn upgraded(layer: Option<ReadTimeoutLayer>) -> (TcpStream, ConnectionIo) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        let (io, _) = listener.accept().await.unwrap();
        let head = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
        let sent = [head.as_bytes(), EARLY].concat();
        client.write_all(&sent).await.unwrap();

        let (give, mut given) = mpsc::channel(1);
        let handler = service_fn(move |mut req: Request<Incoming>| {
            let on_upgrade = req.extensions_mut().remove::<OnUpgrade>().unwrap();
            give.try_send(on_upgrade).unwrap();
            let mut res = Response::new(String::new());
            *res.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            ready(Ok::<_, Infallible>(res))
        });
        let service = TowerToHyperService::new(option_layer(layer).layer(handler));
        let server = auto::Builder::new(TokioExecutor::new());
        let served = server.serve_connection_with_upgrades(TokioIo::new(io), service);
        served.await.unwrap();
        let upgraded = given.recv().await.unwrap().await.unwrap();
        (client, upgraded.into())
    }

    /// Everything passes, what was read with the handshake first.
    async fn check(mut client: TcpStream, mut stream: ConnectionIo) {
        let mut early = [0; EARLY.len()];
        stream.read_exact(&mut early[..3]).await.unwrap();
        stream.read_exact(&mut early[3..]).await.unwrap();
        assert_eq!(early, EARLY);
        client.write_all(b"\x81\x80\0\0\0\0").await.unwrap();
        let mut late = [0; 6];
        stream.read_exact(&mut late).await.unwrap();
        assert_eq!(&late, b"\x81\x80\0\0\0\0");

        stream.write_all(b"\x81\x02hi").await.unwrap();
        stream.flush().await.unwrap();
        drop(stream);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert!(answer.ends_with(b"\r\n\r\n\x81\x02hi"));
    }

    #[tokio::test]
    async fn a_tcp_connection_is_taken_out() {
        let (client, stream) = upgraded(None).await;
        assert!(
            matches!(&stream.inner, Inner::Tcp(Some(_), _)),
            "{stream:?}"
        );
        check(client, stream).await;
    }

    #[tokio::test]
    async fn a_stream_with_layers_is_taken_out_and_the_connection_under_them() {
        let (client, stream) = upgraded(Some(ReadTimeoutLayer::default())).await;
        let Inner::Layered(layered) = &stream.inner else {
            panic!("{stream:?}");
        };
        let under = layered.get_ref().unwrap();
        assert!(matches!(&under.inner, Inner::Tcp(Some(_), _)), "{under:?}");
        check(client, stream).await;
    }

    #[tokio::test]
    async fn anything_else_stays_as_it_is() {
        let (near, mut far) = tokio::io::duplex(64);
        let (sender, on_upgrade) = crate::upgrade::pair();
        sender.send(near).unwrap();
        let mut stream = ConnectionIo::from(on_upgrade.await.unwrap());
        assert!(matches!(stream.inner, Inner::Upgraded(_)), "{stream:?}");
        stream.write_all(b"hi").await.unwrap();
        let mut hi = [0; 2];
        far.read_exact(&mut hi).await.unwrap();
        assert_eq!(&hi, b"hi");
    }
}

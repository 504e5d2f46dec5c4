use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::{
    rt::TokioIo,
    server::conn::auto::upgrade::{Parts, downcast},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream as BufferedTlsStream;
use wsgate_tls::TlsStream;

/// The client's connection, without hyper around it where we know what is inside.
#[derive(Debug)]
pub(super) enum ClientStream {
    Tcp(TcpStream),
    /// wsgate-server's.
    Tls(Box<TlsStream>),
    /// axum-server's own.
    BufferedTls(Box<BufferedTlsStream<TcpStream>>),
    /// A stream of an HTTP/2 connection, one that layers stand in, or one of a server that we do not
    /// know.
    Upgraded(Box<TokioIo<Upgraded>>),
}

// ===== impl ClientStream =====

impl ClientStream {
    /// Takes an upgraded connection apart. The bytes are what hyper had read of it already.
    pub(super) fn of(upgraded: Upgraded) -> (Self, Bytes) {
        let upgraded = match downcast::<TokioIo<TcpStream>>(upgraded) {
            Ok(parts) => return inner(parts, Self::Tcp),
            Err(upgraded) => upgraded,
        };
        let upgraded = match downcast::<TokioIo<TlsStream>>(upgraded) {
            Ok(parts) => return inner(parts, |io| Self::Tls(Box::new(io))),
            Err(upgraded) => upgraded,
        };
        let upgraded = match downcast::<TokioIo<BufferedTlsStream<TcpStream>>>(upgraded) {
            Ok(parts) => return inner(parts, |io| Self::BufferedTls(Box::new(io))),
            Err(upgraded) => upgraded,
        };
        // hyper gives what it has read by itself.
        let io = Box::new(TokioIo::new(upgraded));
        (Self::Upgraded(io), Bytes::new())
    }
}

fn inner<T>(
    parts: Parts<TokioIo<T>>,
    stream: impl FnOnce(T) -> ClientStream,
) -> (ClientStream, Bytes) {
    (stream(parts.io.into_inner()), parts.read_buf)
}

macro_rules! delegate {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Tcp($stream) => $call,
            Self::Tls($stream) => $call,
            Self::BufferedTls($stream) => $call,
            Self::Upgraded($stream) => $call,
        }
    };
}

impl AsyncRead for ClientStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        delegate!(self, s => Pin::new(s).poll_read(cx, buf))
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, s => Pin::new(s).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, s => Pin::new(s).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(s) => s.is_write_vectored(),
            Self::Tls(s) => s.is_write_vectored(),
            Self::BufferedTls(s) => s.is_write_vectored(),
            Self::Upgraded(s) => s.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, s => Pin::new(s).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, s => Pin::new(s).poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{Request, Response, StatusCode};
    use hyper::{body::Incoming, service::service_fn};
    use hyper_util::{rt::TokioExecutor, server::conn::auto};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        sync::mpsc,
    };

    use super::*;

    /// As axum-server and `axum::serve` do, the connection is served by hyper-util.
    #[tokio::test]
    async fn a_tcp_connection_is_taken_out_with_what_was_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        let (io, _) = listener.accept().await.unwrap();
        let head = b"GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
        client
            .write_all(&[&head[..], b"early"].concat())
            .await
            .unwrap();

        let (give, mut given) = mpsc::channel(1);
        let service = service_fn(move |req: Request<Incoming>| {
            give.try_send(hyper::upgrade::on(req)).unwrap();
            let mut res = Response::new(String::new());
            *res.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            async { Ok::<_, Infallible>(res) }
        });
        let server = auto::Builder::new(TokioExecutor::new());
        let served = server.serve_connection_with_upgrades(TokioIo::new(io), service);
        served.await.unwrap();

        let upgraded = given.recv().await.unwrap().await.unwrap();
        let (mut stream, early) = ClientStream::of(upgraded);
        assert!(matches!(stream, ClientStream::Tcp(_)), "{stream:?}");
        assert_eq!(early, "early");
        stream.write_all(b"late").await.unwrap();
        drop(stream);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("\r\n\r\nlate"), "{answer}");
    }
}

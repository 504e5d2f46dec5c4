//! TLS over any stream, with no buffer of its own while nothing moves.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, CommonState, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::scratch::{BATCH, Scratch};
use crate::session::Session;

/// One end of a TLS connection: the server's by [`accept`](Self::accept), the client's by
/// [`connect`](Self::connect). The [crate](crate) says how and why.
///
/// # Reading
///
/// A read returns what one read of the socket came to, up to 48 KiB. It ends (with no bytes) when
/// the peer has sent its close_notify. A socket that ends without one is an error of the kind
/// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof): somebody may have cut the connection short.
/// [`InvalidData`](io::ErrorKind::InvalidData) carries a [`rustls::Error`]: an alert of the
/// peer, or what was wrong with a record, which the peer was told by an alert. The plaintext in
/// front of it is read first. A read into an empty buffer does nothing.
///
/// # Writing
///
/// A write takes up to 48 KiB, as soon as the records of the one before have gone: at most that
/// much waits for a slow peer. Like any buffered writer it wants to be flushed. A vectored write
/// becomes as few records as it can. Reading and writing are independent of each other, and each
/// remembers the waker of its last poll.
///
/// [`poll_shutdown`](AsyncWrite::poll_shutdown) sends a close_notify and shuts the socket down for
/// writing; reading goes on.
///
/// # What is inside an upgraded connection
///
/// A handler that wants this type back from hyper's `Upgraded`, over HTTP/1.1, gets it by
/// `hyper_util::server::conn::auto::upgrade::downcast::<TokioIo<TlsStream<TcpStream>>>`, along with
/// the bytes that hyper had read; behind `wsgate_server::Server` it is a
/// [`Watched<TlsStream>`](crate::Watched).
#[derive(Debug)]
pub struct TlsStream<IO = TcpStream> {
    io: IO,
    pub(crate) session: Session,
}

// ===== impl TlsStream =====

impl<IO> TlsStream<IO> {
    /// What the handshake came to: version, protocol (ALPN), the peer's certificates.
    pub fn facts(&self) -> &CommonState {
        self.session.facts()
    }

    /// What TLS is spoken over. Reading from it or writing to it breaks the connection.
    pub fn get_ref(&self) -> &IO {
        &self.io
    }
}

impl<IO> TlsStream<IO>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    /// Meets a client: reads its hello, and returns once the handshake is over.
    ///
    /// There is no limit on how long that may take: put a timeout around it.
    ///
    /// # Errors
    ///
    /// [`InvalidData`](io::ErrorKind::InvalidData) with a [`rustls::Error`] when client and server do
    /// not agree, [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) when the client leaves, and the
    /// errors of the stream. [`Other`](io::ErrorKind::Other) when the configuration cannot be used; one
    /// that offers to take early data cannot.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stream.
    pub async fn accept(io: IO, config: Arc<ServerConfig>) -> io::Result<Self> {
        let session = Session::server(config).map_err(io::Error::other)?;
        Self::shake_hands(io, session).await
    }

    /// Meets a server: says hello, and returns once the handshake is over.
    ///
    /// `name` is what the server's certificate has to be good for.
    ///
    /// # Errors
    ///
    /// Those of [`accept`](Self::accept).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stream.
    pub async fn connect(
        io: IO,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<Self> {
        let session = Session::client(config, name).map_err(io::Error::other)?;
        Self::shake_hands(io, session).await
    }

    async fn shake_hands(io: IO, session: Session) -> io::Result<Self> {
        let mut stream = Self { io, session };
        poll_fn(|cx| stream.poll_handshake(cx)).await?;
        Ok(stream)
    }

    /// Ready when both sides trust the connection, and what we have to say about it is sent: our
    /// last records, tickets.
    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(Pin::new(&mut *self).poll_flush(cx))?;
            if !self.facts().is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            // A request that comes with the end of the handshake is kept for its reader.
            ready!(self.poll_receive(cx, &mut ReadBuf::new(&mut [])))?;
            match self.session.wants_input() {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    let error = io::Error::new(error.kind(), "tls handshake eof");
                    return Poll::Ready(Err(error));
                }
                Err(error) => {
                    // The last chance to tell the peer why, and no more than that.
                    let _ = self.poll_drain(cx);
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    /// Reads from the socket once. What comes of it stands in the session, or in `room`.
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut scratch = Scratch::borrow();
        let scratch = scratch.incoming();
        if let Some((start, end)) = self.session.window(room.remaining()) {
            let mut window = ReadBuf::new(&mut scratch[start..end]);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut window))?;
            match window.filled().len() {
                0 => self.session.cut(),
                count => self.session.receive(&mut scratch[..start + count], room),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what was kept.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.session.outgoing().is_empty() {
            let kept = self.session.outgoing().as_slice();
            let count = ready!(Pin::new(&mut self.io).poll_write(cx, kept))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.session.outgoing().take(count);
        }
        Poll::Ready(Ok(()))
    }

    /// Writes records, and keeps what the socket does not take.
    fn send(&mut self, cx: &mut Context<'_>, mut records: &[u8]) -> io::Result<()> {
        let result = loop {
            if records.is_empty() {
                break Ok(());
            }
            match Pin::new(&mut self.io).poll_write(cx, records) {
                // Taking nothing is for the next drain to report.
                Poll::Ready(Ok(0)) | Poll::Pending => break Ok(()),
                Poll::Ready(Ok(count)) => records = &records[count..],
                Poll::Ready(Err(error)) => break Err(error),
            }
        };
        // After an error too: records have numbers, and none may be left out.
        self.session.outgoing().append(records);
        result
    }
}

impl<IO> AsyncRead for TlsStream<IO>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = room.filled().len();
        if room.remaining() == 0 || this.session.deliver(room) {
            return Poll::Ready(Ok(()));
        }
        // A read of the socket may come to no plaintext: part of a record, a ticket, a KeyUpdate.
        for _ in 0..ROUNDS {
            if !this.session.wants_input()? {
                return Poll::Ready(Ok(()));
            }
            let alone = this.session.outgoing().is_empty();
            ready!(this.poll_receive(cx, room))?;
            // An alert: the peer is told at once, if that can be. Not when other records wait: then
            // somebody waits for the socket, whose place this would take.
            if alone {
                let _ = this.poll_drain(cx);
            }
            if room.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<IO> AsyncWrite for TlsStream<IO>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        plain: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(plain)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let mut filled = slices.iter().filter(|slice| !slice.is_empty());
        let Some(first) = filled.next() else {
            return Poll::Ready(Ok(0));
        };
        ready!(this.poll_drain(cx))?;

        let mut scratch = Scratch::borrow();
        let (gathered, sealed) = scratch.outgoing();
        let plain = match filled.next() {
            None => &first[..first.len().min(BATCH)],
            Some(_) => gather(slices, gathered),
        };
        let (taken, len) = this.session.seal(plain, sealed)?;
        this.send(cx, &sealed[..len])?;
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.session.close()?;
        ready!(this.poll_drain(cx))?;
        match ready!(Pin::new(&mut this.io).poll_shutdown(cx)) {
            // The peer was faster.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            result => Poll::Ready(result),
        }
    }
}

/// Copies slices one behind the other, as far as there is room.
fn gather<'a>(slices: &[IoSlice<'_>], room: &'a mut [u8]) -> &'a [u8] {
    let mut len = 0;
    for slice in slices {
        let count = slice.len().min(room.len() - len);
        room[len..len + count].copy_from_slice(&slice[..count]);
        len += count;
    }
    &room[..len]
}

/// How often one poll reads from a socket that always has something, and never any plaintext. Then
/// it is the turn of others: who sends tickets without end must not have the thread to itself.
const ROUNDS: usize = 16;

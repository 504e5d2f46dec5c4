use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::pair::Slot;

/// The type inside the `Upgraded` that a minted `OnUpgrade` gives.
///
/// `upgraded.downcast::<Bridge<T>>()` and [`into_inner`](Self::into_inner) peel a layer off again.
pub struct Bridge<T> {
    stage: Stage<T>,
}

enum Stage<T> {
    /// Plays the client of the throw-away connection: a canned request out, a 101 swallowed.
    Handshake {
        /// How much of [`REQUEST`] hyper has read.
        read: usize,
        /// Whether the whole head of the 101 was written.
        answered: bool,
        slot: Slot<T>,
    },
    /// Passes everything on to the stream that was sent.
    Live(TokioIo<T>),
}

/// The shortest request for which hyper makes an `OnUpgrade`.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nupgrade:x\r\n\r\n";

// ===== impl Bridge =====

impl<T> Bridge<T> {
    pub(super) fn new(slot: Slot<T>) -> Self {
        Self {
            stage: Stage::Handshake {
                read: 0,
                answered: false,
                slot,
            },
        }
    }

    /// The stream that was sent, or `None` while there is none yet. An `Upgraded` is given out
    /// only after it was sent, so peeling one never meets `None`.
    #[must_use]
    pub fn into_inner(mut self) -> Option<T> {
        self.live();
        match self.stage {
            Stage::Live(io) => Some(io.into_inner()),
            Stage::Handshake { .. } => None,
        }
    }

    /// The stream, moved out of the slot on the first use after the upgrade.
    #[inline]
    fn live(&mut self) -> Option<&mut TokioIo<T>> {
        if let Stage::Handshake { .. } = self.stage {
            self.go_live();
        }
        match &mut self.stage {
            Stage::Live(io) => Some(io),
            Stage::Handshake { .. } => None,
        }
    }

    fn go_live(&mut self) {
        if let Stage::Handshake {
            answered: true,
            slot,
            ..
        } = &self.stage
            && let Some(io) = slot.with(|s| s.io.take())
        {
            self.stage = Stage::Live(TokioIo::new(io));
        }
    }
}

impl<T> fmt::Debug for Bridge<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let live = matches!(self.stage, Stage::Live(_));
        f.debug_struct("Bridge").field("live", &live).finish()
    }
}

impl<T: AsyncRead + Unpin> Read for Bridge<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if let Stage::Handshake { read, .. } = &mut self.stage
            && *read < REQUEST.len()
        {
            let n = buf.remaining().min(REQUEST.len() - *read);
            buf.put_slice(&REQUEST[*read..*read + n]);
            *read += n;
            return Poll::Ready(Ok(()));
        }
        match self.live() {
            Some(io) => Pin::new(io).poll_read(cx, buf),
            // Only the throw-away connection, which is polled by hand, reads before the upgrade.
            None => Poll::Pending,
        }
    }
}

impl<T: AsyncWrite + Unpin> Write for Bridge<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Stage::Handshake { answered, .. } = &mut self.stage
            && !*answered
        {
            *answered = buf.ends_with(b"\r\n\r\n");
            return Poll::Ready(Ok(buf.len()));
        }
        match self.live() {
            Some(io) => Pin::new(io).poll_write(cx, buf),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stage {
            Stage::Live(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            Stage::Handshake { .. } => {
                let first = bufs.iter().find(|b| !b.is_empty());
                self.poll_write(cx, first.map_or(&[], |b| b))
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        matches!(&self.stage, Stage::Live(io) if Write::is_write_vectored(io))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stage {
            Stage::Live(io) => Pin::new(io).poll_flush(cx),
            // Nothing was written to the stream yet.
            Stage::Handshake { .. } => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.live() {
            Some(io) => Pin::new(io).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

//! The stream of an observed WebSocket.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wsgate_frame::Role;

use super::{
    Ended,
    policy::ObservePolicy,
    record::{Record, Unsettled},
};
use crate::{
    guard::{Guarded, forward_io},
    handshake::Kind,
    map_upgrade::Upgrade,
};

/// Follows the frames of both directions, and changes nothing.
pub(super) struct ObserveIo<S>(Guarded<Noted<S>, ObservePolicy>);

/// Notes how the client's connection ends, which the frames do not tell.
pub(super) struct Noted<S> {
    inner: S,
    record: Arc<Record>,
}

// ===== impl ObserveIo =====

impl<S> ObserveIo<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    /// Tells that it is open, and in its own time all that follows.
    pub(super) fn new(inner: S, unsettled: Unsettled, status: StatusCode, kind: Kind) -> Self {
        let (record, tunnel) = unsettled.opened(status);
        let upgrade = Upgrade::new(tunnel.clone(), kind);
        let policy = ObservePolicy::new(Arc::clone(&record), tunnel);
        let noted = Noted { inner, record };
        Self(Guarded::new(noted, Role::Client, policy, &upgrade))
    }
}

forward_io!(ObserveIo);

// ===== impl Noted =====

impl<S> Noted<S> {
    fn note<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &polled {
            self.record.set_ended(Ended::Lost(error.kind()));
        }
        polled
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buf.remaining();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        if room > 0 && buf.remaining() == room && matches!(polled, Poll::Ready(Ok(()))) {
            self.record.set_ended(Ended::Eof);
        }
        self.note(polled)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.note(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.note(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.note(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The handler is the first to end its side.
        self.record.set_ended(Ended::Dropped);
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

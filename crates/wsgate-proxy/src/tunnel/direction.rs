//! One direction of a tunnel: from a source to a sink.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wsgate_frame::{ControlFrame, Event, Role, Rsv, Tracker, Violation};

/// How much a direction moves before it lets others on its thread go on: this many times the
/// scratch buffer.
const ROUNDS: usize = 16;

#[derive(Debug)]
pub(super) struct Direction {
    /// Follows what the sink has taken, so that it tells where the sink stands.
    tracker: Tracker,
    /// Read but not yet written. Holds memory only while there is something in it.
    pending: Bytes,
    /// The most that is given to the sink at once.
    max_write: usize,
    /// Whether something was written since the last whole flush.
    dirty: bool,
    phase: Phase,
    violation: Option<Violation>,
}

#[derive(Debug)]
enum Phase {
    /// The source may have more.
    Flowing,
    /// The source has ended: what is pending is written, then the sink is shut down.
    Finishing {
        end: End,
    },
    Ended {
        end: End,
    },
}

/// How a direction came to its end.
#[derive(Debug)]
pub(super) enum End {
    /// The source said that no more will come.
    Eof,
    /// The source broke.
    SourceLost(io::Error),
    /// The sink broke.
    SinkLost(io::Error),
}

// ===== impl Direction =====

impl Direction {
    /// A direction whose source is this side of the WebSocket.
    pub(super) const fn from(source: Role) -> Self {
        Self {
            // Transparent: what an extension means is between the two ends.
            tracker: Tracker::new(source).allow_rsv(Rsv::ALL),
            pending: Bytes::new(),
            max_write: usize::MAX,
            dirty: false,
            phase: Phase::Flowing,
            violation: None,
        }
    }

    pub(super) fn set_early_data(&mut self, early: Bytes) {
        self.pending = early;
    }

    pub(super) const fn set_max_write(&mut self, max: usize) {
        self.max_write = max;
    }

    pub(super) const fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// The first rule of RFC 6455 that the source broke.
    pub(super) const fn violation(&self) -> Option<Violation> {
        self.violation
    }

    /// How the source ended or the sink was lost, as soon as that is known.
    pub(super) const fn end(&self) -> Option<&End> {
        match &self.phase {
            Phase::Flowing => None,
            Phase::Finishing { end } | Phase::Ended { end } => Some(end),
        }
    }

    /// Whether the source is being read from: it has not ended, and the sink takes what it gives.
    pub(super) fn reads(&self) -> bool {
        matches!(self.phase, Phase::Flowing) && self.pending.is_empty()
    }

    /// Moves what can be moved. Ready when the direction has ended.
    ///
    /// `farewell` gives the frame, if any, to send after everything else when the source has ended
    /// without a Close. It goes out only at a frame boundary.
    pub(super) fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        sink: &mut W,
        scratch: &mut [u8],
        farewell: impl Fn() -> Option<ControlFrame>,
    ) -> Poll<()>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            let moved = match &self.phase {
                Phase::Flowing => self.poll_flow(cx, source, sink, scratch),
                Phase::Finishing { .. } => self.poll_finish(cx, sink).map_err(End::SinkLost),
                Phase::Ended { .. } => return Poll::Ready(()),
            };
            // Flowing -> Finishing: the source ended. Flowing, Finishing -> Ended: the sink broke.
            // Finishing -> Ended: all is written and shut down.
            self.phase = match (
                ready!(moved),
                std::mem::replace(&mut self.phase, Phase::Flowing),
            ) {
                (Err(end @ End::SinkLost(_)), _) => {
                    self.pending = Bytes::new();
                    Phase::Ended { end }
                }
                (Ok(()), Phase::Finishing { end }) => Phase::Ended { end },
                (Ok(()), _) => self.finishing(End::Eof, &farewell),
                (Err(end), _) => self.finishing(end, &farewell),
            };
        }
    }

    fn finishing(&mut self, end: End, farewell: impl Fn() -> Option<ControlFrame>) -> Phase {
        // The source is read only when nothing is pending, so here the sink has taken all that was
        // read, and the tracker stands where the sink does.
        if self.tracker.can_inject()
            && let Some(frame) = farewell()
        {
            self.pending = Bytes::copy_from_slice(&frame);
        }
        Phase::Finishing { end }
    }

    /// Ready when the source has ended, in whatever way, or the sink is lost.
    fn poll_flow<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        sink: &mut W,
        scratch: &mut [u8],
    ) -> Poll<Result<(), End>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        for _ in 0..ROUNDS {
            ready!(self.poll_pending(cx, sink)).map_err(End::SinkLost)?;
            let mut buf = ReadBuf::new(scratch);
            match Pin::new(&mut *source).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if buf.filled().is_empty() => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => {
                    self.write(cx, sink, buf.filled()).map_err(End::SinkLost)?;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(End::SourceLost(error))),
                Poll::Pending => {
                    // The source runs dry: what it gave must not wait in a buffer of the sink's.
                    ready!(self.poll_flush(cx, sink)).map_err(End::SinkLost)?;
                    return Poll::Pending;
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Gives the sink what was just read, and keeps what it does not take.
    fn write<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
        mut read: &[u8],
    ) -> io::Result<()> {
        while !read.is_empty() {
            let Poll::Ready(n) = self.poll_write(cx, sink, read) else {
                self.pending = Bytes::copy_from_slice(read);
                break;
            };
            let (taken, rest) = read.split_at(n?);
            self.track(taken);
            read = rest;
        }
        Ok(())
    }

    fn poll_pending<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
    ) -> Poll<io::Result<()>> {
        while !self.pending.is_empty() {
            let pending = self.pending.clone();
            let n = ready!(self.poll_write(cx, sink, &pending))?;
            // What is pending when the source has ended is the farewell, which is not the source's.
            if matches!(self.phase, Phase::Flowing) {
                self.track(&pending[..n]);
            }
            self.pending.advance(n);
        }
        // A slice of nothing may still keep its allocation.
        self.pending = Bytes::new();
        Poll::Ready(Ok(()))
    }

    fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let bytes = &bytes[..bytes.len().min(self.max_write)];
        match ready!(Pin::new(sink).poll_write(cx, bytes))? {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            n => {
                self.dirty = true;
                Poll::Ready(Ok(n))
            }
        }
    }

    fn poll_flush<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
    ) -> Poll<io::Result<()>> {
        if self.dirty {
            ready!(Pin::new(sink).poll_flush(cx))?;
            self.dirty = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_finish<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_pending(cx, sink))?;
        ready!(self.poll_flush(cx, sink))?;
        Pin::new(sink).poll_shutdown(cx)
    }

    fn track(&mut self, taken: &[u8]) {
        let violation = &mut self.violation;
        self.tracker.feed(taken, |event| {
            if let Event::Violation {
                violation: found,
                start,
            } = event
                && violation.is_none()
            {
                *violation = Some(found);
                tracing::debug!(violation = %found, at = start, "passed on all the same");
            }
        });
    }
}

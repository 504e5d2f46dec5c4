//! One direction of a tunnel: from a source to a sink.
//!
//! ```text
//!               source ended                written, shut down
//!   Flowing ──────────────────▶ Finishing ──────────────────────▶ Ended
//!      │                            └─── sink broke ────────────▶   ▲
//!      │ recalled                                                    │
//!      └──────────▶ Recalled ──────────────▶ Told ───────────────────┘
//!                     the rest of a frame      our Close is written; what the source says is thrown
//!                     passes, and no more      away; over when its side has answered and the source
//!                                              has ended
//! ```

mod recall;

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wsgate_frame::{ControlFrame, Event, Role, Rsv, Tracker, Violation};

pub(super) use self::recall::Recalled;

/// How much a direction moves before it lets others on its thread go on: this many times the
/// scratch buffer.
const ROUNDS: usize = 16;

#[derive(Debug)]
pub(super) struct Direction {
    /// Follows what the sink has taken, so that it tells where the sink stands.
    tracker: Tracker,
    /// Read but not yet written, and never empty. Boxed, as it is not there most of the time.
    pending: Option<Box<Bytes>>,
    /// The most that is given to the sink at once.
    max_write: u32,
    violation: Option<Violation>,
    /// Whether the place of the frames has just been lost, and nobody was told.
    lost: bool,
    /// Whether something was written since the last whole flush.
    dirty: bool,
    phase: Phase,
    /// There unless it is flowing.
    end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The source may have more.
    Flowing,
    /// The source has ended: what is pending is written, then the sink is shut down.
    Finishing,
    /// It was told from outside to end, and stands in a frame, of which the rest still passes.
    Recalled,
    /// Nothing of the source's will pass. What is pending is our Close.
    Told,
    Ended,
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
            pending: None,
            max_write: u32::MAX,
            violation: None,
            lost: false,
            dirty: false,
            phase: Phase::Flowing,
            end: None,
        }
    }

    pub(super) fn set_early_data(&mut self, early: Bytes) {
        self.keep(early);
    }

    pub(super) const fn set_max_write(&mut self, max: u32) {
        self.max_write = max;
    }

    /// Whether the sink is given little at once, as it is one stream of a connection over HTTP/2.
    pub(super) const fn is_capped(&self) -> bool {
        self.max_write < u32::MAX
    }

    pub(super) const fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// The first rule of RFC 6455 that the source broke.
    pub(super) const fn violation(&self) -> Option<Violation> {
        self.violation
    }

    /// Whether the place of the frames has been lost since the last time.
    pub(super) const fn take_lost(&mut self) -> bool {
        std::mem::replace(&mut self.lost, false)
    }

    /// How the source ended or the sink was lost, as soon as that is known.
    pub(super) const fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Whether the source is being read from: it has not ended, and the sink takes what it gives.
    pub(super) const fn reads(&self) -> bool {
        match self.phase {
            Phase::Flowing | Phase::Recalled | Phase::Told => self.pending.is_none(),
            Phase::Finishing | Phase::Ended => false,
        }
    }

    /// After how many bytes the sink takes nothing more, if it has to take something for this
    /// direction to go on. To be asked after a poll.
    pub(super) const fn stuck_at(&self) -> Option<u64> {
        let is_stuck = match self.phase {
            // What is not flushed after a poll could not be.
            Phase::Flowing => self.pending.is_some() || self.dirty,
            Phase::Finishing => true,
            // They have a time of their own.
            Phase::Recalled | Phase::Told | Phase::Ended => false,
        };
        match is_stuck {
            true => Some(self.tracker.offset()),
            false => None,
        }
    }

    /// Moves what can be moved. Ready when the direction has ended.
    ///
    /// `farewell` gives the frame, if any, to send after everything else when the source has ended
    /// without a Close. It goes out only at a frame boundary. One that was [recalled](Self::recall)
    /// is polled [otherwise](Self::poll_recalled).
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
            // Flowing -> Finishing: the source ended. Flowing, Finishing -> Ended: the sink broke.
            // Finishing -> Ended: all is written and shut down.
            match self.phase {
                Phase::Flowing => {
                    let end = ready!(self.poll_flow(cx, source, sink, scratch));
                    self.source_ended(end, &farewell);
                }
                Phase::Finishing => match ready!(self.poll_finish(cx, sink)) {
                    Ok(()) => self.phase = Phase::Ended,
                    Err(error) => self.sink_lost(error),
                },
                Phase::Recalled | Phase::Told | Phase::Ended => return Poll::Ready(()),
            }
        }
    }

    fn source_ended(&mut self, end: End, farewell: impl Fn() -> Option<ControlFrame>) {
        if let End::SinkLost(error) = end {
            return self.sink_lost(error);
        }
        // The source is read only when nothing is pending, so here the sink has taken all that was
        // read, and the tracker stands where the sink does.
        if self.tracker.can_inject()
            && let Some(frame) = farewell()
        {
            self.keep(Bytes::copy_from_slice(&frame));
        }
        self.phase = Phase::Finishing;
        self.end = Some(end);
    }

    fn sink_lost(&mut self, error: io::Error) {
        self.pending = None;
        self.phase = Phase::Ended;
        self.end = Some(End::SinkLost(error));
    }

    /// Ready when the source has ended, in whatever way, or the sink is lost.
    fn poll_flow<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        sink: &mut W,
        scratch: &mut [u8],
    ) -> Poll<End>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        for _ in 0..ROUNDS {
            if let Err(error) = ready!(self.poll_pending(cx, sink)) {
                return Poll::Ready(End::SinkLost(error));
            }
            // No more than the sink is given at once: what it does not take has to be kept.
            let room = scratch.len().min(self.max_write as usize);
            let mut buf = ReadBuf::new(&mut scratch[..room]);
            let written = match Pin::new(&mut *source).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if buf.filled().is_empty() => return Poll::Ready(End::Eof),
                Poll::Ready(Ok(())) => self.write(cx, sink, buf.filled()),
                Poll::Ready(Err(error)) => return Poll::Ready(End::SourceLost(error)),
                // The source runs dry: what it gave must not wait in a buffer of the sink's.
                Poll::Pending => match ready!(self.poll_flush(cx, sink)) {
                    Ok(()) => return Poll::Pending,
                    Err(error) => Err(error),
                },
            };
            if let Err(error) = written {
                return Poll::Ready(End::SinkLost(error));
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
                self.keep(Bytes::copy_from_slice(read));
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
        let Some(mut pending) = self.pending.take() else {
            return Poll::Ready(Ok(()));
        };
        while let Poll::Ready(n) = self.poll_write(cx, sink, &pending) {
            let n = n?;
            // What is pending in the other phases is a Close of ours, which is not the source's.
            if matches!(self.phase, Phase::Flowing | Phase::Recalled) {
                self.track(&pending[..n]);
            }
            pending.advance(n);
            if pending.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        self.pending = Some(pending);
        Poll::Pending
    }

    fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let bytes = &bytes[..bytes.len().min(self.max_write as usize)];
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

    fn keep(&mut self, pending: Bytes) {
        self.pending = (!pending.is_empty()).then(|| Box::new(pending));
    }

    fn track(&mut self, taken: &[u8]) {
        let (violation, lost) = (&mut self.violation, &mut self.lost);
        self.tracker.feed(taken, |event| {
            if let Event::Violation {
                violation: found, ..
            } = event
            {
                // It passes all the same, and the first one is told at the end.
                violation.get_or_insert(found);
                *lost |= found == Violation::LengthOverflow;
            }
        });
    }
}

//! A direction that is told from outside to end.
//!
//! Writing and reading go their own ways, so that nobody is blocked who has yet to hear of the end: as
//! soon as the last byte that is to pass has been read, the source is read from although the sink
//! takes nothing.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wsgate_frame::{ControlFrame, Event, Tracker};

use super::{Direction, Phase, ROUNDS};

/// What a direction knows beside, from when it was recalled.
#[derive(Debug)]
pub(in crate::tunnel) struct Recalled {
    /// Ours, for the sink.
    close: ControlFrame,
    /// Follows what is read, whether or not it passes. The direction's own tells where the sink stands.
    source: Tracker,
    /// Whether all that is to pass has been read.
    is_read: bool,
    /// Whether the source has ended or broken.
    source_over: bool,
    /// Whether the sink is shut down or broken.
    sink_over: bool,
    /// Whether the sink's side has sent its Close, or will not send one.
    sink_answered: bool,
}

// ===== impl Recalled =====

impl Recalled {
    /// Whether the source has sent its Close, or will not send one.
    pub(in crate::tunnel) const fn has_answered(&self) -> bool {
        self.source.is_closed() || self.source_over
    }

    /// Tells whether the sink's side has answered. Whether that is news.
    pub(in crate::tunnel) const fn sink_answered(&mut self, answered: bool) -> bool {
        let is_news = answered && !self.sink_answered;
        self.sink_answered |= answered;
        is_news
    }

    /// How much of what was read is still to pass: the rest of a frame.
    fn rest(&mut self, read: &[u8]) -> usize {
        let start = self.source.offset();
        let mut end = self.is_read.then_some(start);
        self.source.feed(read, |event| {
            if let Event::FrameEnd { end: boundary, .. } = event {
                end.get_or_insert(boundary);
            }
        });
        self.is_read = end.is_some();
        // It is at most as far as `read` goes.
        end.map_or(read.len(), |end| (end - start) as usize)
    }
}

// ===== impl Direction =====

impl Direction {
    /// Flowing -> Recalled. `None` if it is ending already, and so has no need of it.
    pub(in crate::tunnel) fn recall(&mut self, close: ControlFrame) -> Option<Recalled> {
        if self.phase != Phase::Flowing {
            return None;
        }
        self.phase = Phase::Recalled;
        let mut recalled = Recalled {
            close,
            source: self.tracker.clone(),
            is_read: self.tracker.at_boundary(),
            source_over: false,
            sink_over: false,
            sink_answered: false,
        };
        if let Some(mut pending) = self.pending.take() {
            pending.truncate(recalled.rest(&pending));
            self.pending = Some(pending).filter(|p| !p.is_empty());
        }
        Some(recalled)
    }

    /// Goes on with the end. Ready when there is nothing more to do.
    ///
    /// To be called again when the sink's side [has answered](Recalled::sink_answered).
    pub(in crate::tunnel) fn poll_recalled<R, W>(
        &mut self,
        recalled: &mut Recalled,
        cx: &mut Context<'_>,
        source: &mut R,
        sink: &mut W,
        scratch: &mut [u8],
    ) -> Poll<()>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        for _ in 0..ROUNDS {
            if !recalled.sink_over
                && let Poll::Ready(told) = self.poll_tell(recalled, cx, sink)
            {
                recalled.sink_over = true;
                if told.is_err() {
                    // It takes nothing more: what would have passed is thrown away as well.
                    self.pending = None;
                    recalled.is_read = true;
                }
            }
            if recalled.source_over {
                if recalled.sink_over {
                    self.phase = Phase::Ended;
                    return Poll::Ready(());
                }
                return Poll::Pending;
            }
            if !recalled.is_read && self.pending.is_some() {
                return Poll::Pending;
            }
            let mut buf = ReadBuf::new(scratch);
            match ready!(Pin::new(&mut *source).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {
                    let rest = recalled.rest(buf.filled());
                    if rest > 0 {
                        self.keep(Bytes::copy_from_slice(&buf.filled()[..rest]));
                    }
                }
                // However it ended: it was told to.
                Ok(()) | Err(_) => {
                    recalled.source_over = true;
                    // The rest of a frame will not come.
                    recalled.is_read = true;
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Recalled -> Told -> over, on the side of the sink. Ready when it is shut down or broken.
    fn poll_tell<W: AsyncWrite + Unpin>(
        &mut self,
        recalled: &Recalled,
        cx: &mut Context<'_>,
        sink: &mut W,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_pending(cx, sink))?;
        if self.phase == Phase::Recalled {
            if !recalled.is_read {
                ready!(self.poll_flush(cx, sink))?;
                return Poll::Pending;
            }
            self.phase = Phase::Told;
            // Else the last frame was a Close, or the source has ended within one.
            if self.tracker.can_inject() {
                self.keep(Bytes::copy_from_slice(&recalled.close));
                ready!(self.poll_pending(cx, sink))?;
            }
        }
        ready!(self.poll_flush(cx, sink))?;
        // Whoever stands within a frame has not been told, and will not answer.
        if recalled.sink_answered || !self.tracker.at_boundary() {
            return Pin::new(sink).poll_shutdown(cx);
        }
        Poll::Pending
    }
}

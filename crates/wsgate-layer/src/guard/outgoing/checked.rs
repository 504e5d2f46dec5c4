//! What the handler writes, where each frame is looked at before the peer has a part of it.
//!
//! ```text
//!   the handler's bytes:   held │ buf
//!                          ─────┼────────────────────┬───────────────────
//!                               │ whole headers and  │ the beginning of one,
//!                               │ their payloads: go │ or of a Close: is held
//! ```
//!
//! Nothing is held where the handler writes whole headers, as nearly all do.

use std::{
    io, iter,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::AsyncWrite;
use wsgate_frame::{Event, MAX_CONTROL_PAYLOAD, OpCode};

use super::{Outgoing, PIECE};
use crate::{
    guard::{Ending, Policy},
    tunnel::Tunnel,
};

/// What became of a write.
#[derive(Debug)]
pub(in crate::guard) enum Wrote {
    /// So many bytes were taken.
    Taken(usize),
    /// The policy refused the frame that the bytes begin with, and from now on all is thrown away.
    Refused(Ending),
}

/// How much of what was held and written may go out.
#[derive(Debug)]
enum Verdict {
    /// So many bytes. What comes after them is the beginning of a frame.
    Passes(usize),
    /// None: the first frame is refused.
    Refused(Ending),
}

// ===== impl Outgoing =====

impl Outgoing {
    /// The handler's write, of which nothing passes that the policy [refuses](Policy::refuses).
    pub(in crate::guard) fn poll_write_checked<W, P>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut W,
        buf: &[u8],
        policy: &mut P,
        tunnel: &Tunnel,
    ) -> Poll<io::Result<Wrote>>
    where
        W: AsyncWrite + Unpin,
        P: Policy,
    {
        if buf.is_empty() {
            return Poll::Ready(Ok(Wrote::Taken(0)));
        }
        loop {
            ready!(self.poll_held(cx, io, policy, tunnel))?;
            if self.good == 0 {
                let passes = match self.judge(buf, policy) {
                    Verdict::Passes(passes) => passes,
                    Verdict::Refused(ending) => {
                        self.held.clear();
                        self.refused = true;
                        return Poll::Ready(Ok(Wrote::Refused(ending)));
                    }
                };
                if passes == 0 {
                    self.held.hold(buf);
                    return Poll::Ready(Ok(Wrote::Taken(buf.len())));
                }
                // What is held is good only together with what follows.
                let passes = passes - self.held.len();
                self.good = u16::try_from(passes).unwrap_or(u16::MAX);
                self.held.release();
                continue;
            }
            let tell = |event: Event<'_>| policy.on_outgoing(&event, tunnel);
            let good = buf.len().min(self.good.into());
            let n = ready!(self.poll_write(cx, io, &buf[..good], tell))?;
            self.warn_if_lost(tunnel);
            self.good -= n as u16;
            return Poll::Ready(Ok(Wrote::Taken(n)));
        }
    }

    /// Gives the peer what was held and is good.
    pub(in crate::guard) fn poll_held<W, P>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut W,
        policy: &mut P,
        tunnel: &Tunnel,
    ) -> Poll<io::Result<()>>
    where
        W: AsyncWrite + Unpin,
        P: Policy,
    {
        while let Some(rest) = self.held.released() {
            let n = ready!(Pin::new(&mut *io).poll_write(cx, rest))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.tracker
                .feed(&rest[..n], |event| policy.on_outgoing(&event, tunnel));
            self.held.advance(n);
            self.warn_if_lost(tunnel);
        }
        Poll::Ready(Ok(()))
    }

    /// Looks at what follows what the peer has taken: what is held, and then as much of `buf` as has a
    /// frame's end in it.
    fn judge<P: Policy>(&self, buf: &[u8], policy: &mut P) -> Verdict {
        let mut probe = self.tracker.clone();
        let (base, role) = (probe.offset(), probe.role());
        let held = self.held.bytes();
        let mut refused = None;
        // Where the frame begins that is under way in the end, unless the peer has a part of it, and
        // whether that frame may pass as it comes.
        let mut under_way = probe.at_boundary().then_some(base);
        let mut is_good = false;
        let mut seen = 0;
        for piece in iter::once(held).chain(buf.chunks(PIECE)) {
            seen += piece.len();
            probe.feed(piece, |event| {
                if refused.is_some() {
                    return;
                }
                if let Event::FrameBegin { start, .. } | Event::Violation { start, .. } = event
                    && let Some(ending) = policy.refuses(&event, role)
                {
                    refused = Some((start, ending));
                    return;
                }
                match event {
                    Event::FrameBegin { header, .. } => {
                        // A longer one is nothing that could be held.
                        let is_close = header.opcode == OpCode::Close
                            && header.len <= MAX_CONTROL_PAYLOAD as u64;
                        is_good = !is_close;
                    }
                    Event::FrameEnd { end, .. } => {
                        under_way = Some(end);
                        is_good = false;
                    }
                    _ => {}
                }
            });
            if refused.is_some() || under_way.is_some_and(|start| start > base) {
                break;
            }
        }
        // Where the handler has changed its mind after a write that had to wait, the peer may have a part
        // of the header.
        let since = |start: u64| start.saturating_sub(base) as usize;
        match refused {
            Some((start, _)) if since(start) > 0 => Verdict::Passes(since(start)),
            Some((_, ending)) => Verdict::Refused(ending),
            None => match under_way {
                Some(start) if !is_good && !probe.at_boundary() && !probe.is_lost() => {
                    Verdict::Passes(since(start))
                }
                _ => Verdict::Passes(seen),
            },
        }
    }
}

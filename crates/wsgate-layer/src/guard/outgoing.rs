//! What goes to the peer: the handler's bytes, and frames of ours between them.

mod checked;

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use tokio::io::AsyncWrite;
use wsgate_frame::{CloseCode, ControlFrame, Event, Role, Rsv, Tracker};

use super::held::Held;
use crate::{handshake::Kind, tunnel::Tunnel};

pub(super) use self::checked::Wrote;

#[derive(Debug)]
pub(super) struct Outgoing {
    /// Follows the handler's bytes that the peer has taken. Frames of ours do not move it: they stand
    /// at boundaries only.
    tracker: Tracker,
    /// Frames of ours that have yet to go out. There are none most of the time, and then nothing here.
    ours: Option<Box<Ours>>,
    /// What the handler has written and the peer must not have before more of it is there. The tracker
    /// has not seen it.
    held: Held,
    /// How many of the handler's next bytes may pass, as far as that is known: what was looked at before a
    /// write that had to wait, or took less, is not looked at again.
    good: u16,
    /// Who waits for the handler's last write, flush or shutdown. Boxed, as hardly ever anybody does.
    waiting: Option<Box<Waker>>,
    /// Whose part we play towards the peer.
    role: Role,
    kind: Kind,
    /// Whether a frame of ours was written after the last whole flush.
    unflushed: bool,
    /// Whether our Close is on its way: nothing may follow it.
    closed: bool,
    /// Whether a frame of the handler's was refused: nothing more of the handler's may pass.
    refused: bool,
    /// Whether the handler has shut the write half down.
    shut: bool,
}

/// At least one of these is there.
#[derive(Debug, Default)]
struct Ours {
    /// The frame of which the peer has yet to take the rest.
    begun: Option<Begun>,
    /// What waits for a boundary. Pings go in the order in which they came.
    pings: VecDeque<[u8; 8]>,
    close: Option<(CloseCode, &'static str)>,
}

/// A frame of ours that is being written.
#[derive(Debug)]
struct Begun {
    frame: ControlFrame,
    written: usize,
    what: Sent,
}

/// Which frame of ours has gone out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Ping([u8; 8]),
    Close,
}

/// What an HTTP/2 stream takes at most in one write, in bytes: hyper takes one of any size whole,
/// whether or not the client reads, so only small ones are held back by the client's window.
const H2_MAX_WRITE: usize = 16 * 1024;

/// How much is looked at before it is seen whether that is enough, in bytes: as much as TLS puts into a
/// record, and HTTP/2 is given at once.
const PIECE: usize = 16 * 1024;

// ===== impl Outgoing =====

impl Outgoing {
    pub(super) const fn new(peer: Role, kind: Kind) -> Self {
        let role = match peer {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        };
        Self {
            // Transparent: what an extension means is between the two ends.
            tracker: Tracker::new(role).allow_rsv(Rsv::ALL),
            ours: None,
            held: Held::new(),
            good: 0,
            waiting: None,
            role,
            kind,
            unflushed: false,
            closed: false,
            refused: false,
            shut: false,
        }
    }

    pub(super) const fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// Whether the handler waits for the write half, so that nobody else may touch it.
    pub(super) const fn is_blocked(&self) -> bool {
        self.waiting.is_some()
    }

    /// Whether the peer has to take something before anything else can be sent: what the handler
    /// waits with, or a frame of ours.
    pub(super) fn is_stuck(&self) -> bool {
        let ours = self.ours.as_ref();
        self.waiting.is_some() || ours.is_some_and(|ours| ours.begun.is_some())
    }

    /// Whether a Close has gone out, ours or the handler's.
    pub(super) const fn is_closed(&self) -> bool {
        self.closed || self.tracker.is_closed()
    }

    /// Whether nothing of ours waits in a buffer below.
    pub(super) const fn is_flushed(&self) -> bool {
        !self.unflushed
    }

    /// Whether what the handler writes is thrown away: our Close has gone out before it, or is to go
    /// out in place of a frame that was refused.
    pub(super) const fn discards(&self) -> bool {
        self.closed || self.refused
    }

    /// Whether there is nothing of ours to send or to flush.
    pub(super) const fn is_tended(&self) -> bool {
        self.ours.is_none() && !self.unflushed
    }

    /// Whether there is a frame of ours that has yet to go out.
    pub(super) const fn has_own(&self) -> bool {
        self.ours.is_some()
    }

    /// To be called after a write of the handler's: a tracker that nobody asks about violations does not look
    /// for any.
    pub(super) fn warn_if_lost(&self, tunnel: &Tunnel) {
        if self.tracker.is_lost() {
            tunnel.warn_of_lost_frames(self.role);
        }
    }

    /// Sends a ping at the next boundary.
    pub(super) fn ping(&mut self, payload: [u8; 8]) {
        if !self.tracker.is_lost() {
            self.ours.get_or_insert_default().pings.push_back(payload);
        }
    }

    /// Sends a Close at the next boundary, and nothing after it.
    pub(super) fn close(&mut self, code: CloseCode, reason: &'static str) {
        if self.tracker.is_lost() {
            return;
        }
        let ours = self.ours.get_or_insert_default();
        ours.pings.clear();
        ours.close = Some((code, reason));
    }

    /// From the reading side: sends what is due, if the write half is free. Gives what has gone out.
    ///
    /// Pending means only that this task will be woken to go on.
    pub(super) fn poll_tend<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut W,
    ) -> Poll<io::Result<Option<Sent>>> {
        if self.is_blocked() {
            return Poll::Pending;
        }
        let sent = ready!(self.poll_own(cx, io))?;
        if sent.is_none() && self.unflushed {
            ready!(Pin::new(io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(sent))
    }

    /// One frame of ours, to its end. Ready with `None` when there is none to send here and now.
    pub(super) fn poll_own<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut W,
    ) -> Poll<io::Result<Option<Sent>>> {
        let Some(ours) = &mut self.ours else {
            return Poll::Ready(Ok(None));
        };
        if ours.begun.is_none() && self.tracker.can_inject() && !self.closed && !self.shut {
            ours.begin(self.role);
        }
        let Some(begun) = &mut ours.begun else {
            return Poll::Ready(Ok(None));
        };
        while begun.written < begun.frame.len() {
            match ready!(Pin::new(&mut *io).poll_write(cx, &begun.frame[begun.written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => begun.written += n,
            }
        }
        let what = begun.what;
        ours.begun = None;
        if ours.pings.is_empty() && ours.close.is_none() {
            self.ours = None;
        }
        self.unflushed = true;
        self.closed |= what == Sent::Close;
        Poll::Ready(Ok(Some(what)))
    }

    /// The handler's write, without what of ours is due: [`poll_own`](Self::poll_own) goes before.
    pub(super) fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut W,
        buf: &[u8],
        on_event: impl FnMut(Event<'_>),
    ) -> Poll<io::Result<usize>> {
        let mut buf = match self.kind {
            Kind::Upgrade => buf,
            Kind::ExtendedConnect => &buf[..buf.len().min(H2_MAX_WRITE)],
        };
        if self.is_due() {
            buf = &buf[..self.up_to_boundary(buf)];
        }
        let n = ready!(Pin::new(io).poll_write(cx, buf))?;
        self.tracker.feed(&buf[..n], on_event);
        Poll::Ready(Ok(n))
    }

    /// Whether a vectored write needs no cutting.
    pub(super) fn takes_vectored(&self) -> bool {
        self.kind == Kind::Upgrade && !self.is_due()
    }

    /// The handler's write where it [needs no cutting](Self::takes_vectored).
    pub(super) fn poll_write_vectored<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut W,
        bufs: &[IoSlice<'_>],
        mut on_event: impl FnMut(Event<'_>),
    ) -> Poll<io::Result<usize>> {
        let n = ready!(Pin::new(io).poll_write_vectored(cx, bufs))?;
        let mut rest = n;
        for buf in bufs {
            let taken = rest.min(buf.len());
            self.tracker.feed(&buf[..taken], &mut on_event);
            rest -= taken;
        }
        Poll::Ready(Ok(n))
    }

    pub(super) fn poll_flush<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut W,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(io).poll_flush(cx))?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_shutdown<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut W,
    ) -> Poll<io::Result<()>> {
        self.shut = true;
        Pin::new(io).poll_shutdown(cx)
    }

    /// The handler has to wait.
    pub(super) fn block(&mut self, cx: &Context<'_>) {
        match &mut self.waiting {
            Some(waker) => (**waker).clone_from(cx.waker()),
            none => *none = Some(Box::new(cx.waker().clone())),
        }
    }

    /// The handler need not wait any longer. Whether it had to.
    #[inline]
    pub(super) fn unblock(&mut self) -> bool {
        self.is_blocked() && self.waiting.take().is_some()
    }

    /// There is nothing left to wait for: the stream was dropped, which need not wake anybody.
    pub(super) fn wake(&mut self) {
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    /// Whether a frame of ours waits, or stands half-written.
    fn is_due(&self) -> bool {
        let ours = self.ours.as_ref();
        let may_pass = !self.is_closed() && !self.tracker.is_lost();
        ours.is_some_and(|ours| ours.begun.is_some() || may_pass)
    }

    /// How much of `buf` passes up to and with the end of the frame that is under way.
    fn up_to_boundary(&self, buf: &[u8]) -> usize {
        let mut probe = self.tracker.clone();
        let start = probe.offset();
        let mut boundary = None;
        // A handler may offer the same bytes again and again while the peer takes none of them.
        for piece in buf.chunks(PIECE) {
            probe.feed(piece, |event| {
                if let Event::FrameEnd { end, .. } = event {
                    boundary.get_or_insert(end - start);
                }
            });
            if boundary.is_some() {
                break;
            }
        }
        let boundary = boundary.and_then(|b| usize::try_from(b).ok());
        boundary.unwrap_or(buf.len())
    }
}

// ===== impl Ours =====

impl Ours {
    /// Begins the first frame that waits.
    fn begin(&mut self, role: Role) {
        // Nobody may be able to foresee the key of a frame to a server (RFC 6455 5.3).
        let key = role.masks().then(rand::random);
        let (frame, what) = match (self.pings.pop_front(), self.close) {
            (Some(payload), _) => (ControlFrame::ping(&payload, key), Sent::Ping(payload)),
            (None, Some((code, reason))) => {
                self.close = None;
                (ControlFrame::close(code, reason, key), Sent::Close)
            }
            (None, None) => return,
        };
        self.begun = Some(Begun {
            frame: frame.expect("our payloads are short, and our close codes may be sent"),
            written: 0,
            what,
        });
    }
}

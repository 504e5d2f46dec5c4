//! What comes from the peer: passed on as it is, but for the pongs to our pings.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, ReadBuf};
use wsgate_frame::{Event, MAX_CONTROL_PAYLOAD, OpCode, Role, Rsv, Tracker};

use super::{
    Ending, Policy, Wants,
    held::{Held, MAX_HELD},
};
use crate::{moment::Moment, tunnel::Tunnel};

#[derive(Debug)]
pub(super) struct Incoming {
    /// Follows all that was read, also what the handler does not get.
    tracker: Tracker,
    held: Held,
    /// Whether the header of the frame that is under way is whole.
    begun: bool,
    /// Whether that frame may be the pong to a ping of ours.
    candidate: bool,
    /// Whether that frame is a Close.
    closing: bool,
    /// Whether that Close is to be seen whole before the handler has a part of it.
    guarded: bool,
    /// Once a frame was refused, the handler gets nothing more. Then it matters no longer what passes
    /// but whether a Close of ours can be told, as it could when the frame came.
    deaf: Option<CanTell>,
}

type CanTell = bool;

/// What makes it necessary to look at each frame.
const MEDDLING: Wants = Wants::FRAMES.and(Wants::HEADERS);

/// How many reads in a row are thrown away before others have their turn.
const DISCARD_ROUNDS: usize = 16;

/// What a read came to.
#[derive(Debug)]
pub(super) enum Came {
    /// The handler's buffer has something more in it, since then.
    Bytes(Moment),
    /// The peer has ended.
    Eof,
    /// The policy refused a frame. The handler's buffer has what came before it, if anything.
    Refused(Ending),
}

/// What the events of a chunk came to.
struct Scan {
    /// Our pongs, as ranges of offsets.
    cuts: Vec<(u64, u64)>,
    /// Where the refused frame begins.
    refused: Option<(u64, Ending)>,
    /// Where the frame begins that is under way in the end, unless the handler has a part of it.
    under_way: Option<u64>,
}

// ===== impl Incoming =====

impl Incoming {
    pub(super) const fn new(peer: Role) -> Self {
        Self {
            tracker: Tracker::new(peer).allow_rsv(Rsv::ALL),
            held: Held::new(),
            begun: false,
            candidate: false,
            closing: false,
            guarded: false,
            deaf: None,
        }
    }

    pub(super) const fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// Whether the handler can be given a frame of ours: what it has, with what is
    /// [ready](Self::give_ready) for it, is whole frames with no Close among them.
    pub(super) const fn can_tell(&self) -> bool {
        match self.deaf {
            Some(can_tell) => can_tell,
            None => {
                (self.tracker.at_boundary() || self.held.is_holding()) && !self.tracker.is_closed()
            }
        }
    }

    /// The handler is to hear nothing more of the peer, if it can be told why.
    pub(super) fn deafen(&mut self) {
        if self.deaf.is_none() && self.can_tell() {
            if self.held.is_holding() {
                self.held.clear();
            }
            self.deaf = Some(true);
        }
    }

    /// Gives the handler bytes that were read before. Whether there were any.
    pub(super) fn give_ready(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        self.held.give(buf)
    }

    /// Reads for the handler, whose buffer has room.
    pub(super) fn poll_read<R, P>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut R,
        buf: &mut ReadBuf<'_>,
        policy: &mut P,
        tunnel: &Tunnel,
    ) -> Poll<io::Result<Came>>
    where
        R: AsyncRead + Unpin,
        P: Policy,
    {
        loop {
            if self.deaf.is_some() {
                return self.poll_discard(cx, io, buf);
            }
            if self.held.give(buf) {
                return Poll::Ready(Ok(Came::Bytes(Moment::now())));
            }
            if self.held.is_holding() {
                if let Some(came) = ready!(self.poll_held(cx, io, policy, tunnel))? {
                    return Poll::Ready(Ok(came));
                }
                continue;
            }

            let start = buf.filled().len();
            ready!(Pin::new(&mut *io).poll_read(cx, buf))?;
            if buf.filled().len() == start {
                return Poll::Ready(Ok(Came::Eof));
            }
            let now = Moment::now();
            let (kept, refused) = self.pass(&mut buf.filled_mut()[start..], policy, now, tunnel);
            buf.set_filled(start + kept);
            if let Some(ending) = refused {
                return Poll::Ready(Ok(Came::Refused(ending)));
            }
            // All of it was ours, or is held: there may be more.
            if kept > 0 {
                return Poll::Ready(Ok(Came::Bytes(now)));
            }
        }
    }

    /// Takes a chunk that the handler's buffer holds. Gives how much of it the handler may have: the
    /// first so many bytes.
    fn pass<P: Policy>(
        &mut self,
        chunk: &mut [u8],
        policy: &mut P,
        now: Moment,
        tunnel: &Tunnel,
    ) -> (usize, Option<Ending>) {
        policy.on_read(now);
        let mut kept = chunk.len();
        if !policy.wants().include_any(MEDDLING) && !policy.expects_pong() {
            policy.on_passed(now);
            self.watch(chunk, policy, now, tunnel);
            return (kept, None);
        }

        let base = self.tracker.offset();
        let scan = self.scan(chunk, base, policy, now, tunnel);
        if let Some((start, ending)) = scan.refused {
            // A header is held until it is whole, so the refused frame begins in this chunk.
            let start = start.saturating_sub(base) as usize;
            kept = without(&mut chunk[..start], base, &scan.cuts);
            return (kept, Some(ending));
        }
        if let Some(start) = scan.under_way {
            let start = (start - base) as usize;
            if self.must_hold(&chunk[start..], policy) {
                kept = start;
                self.held.hold(&chunk[kept..]);
            }
        }
        let kept = without(&mut chunk[..kept], base, &scan.cuts);
        if kept > 0 {
            policy.on_passed(now);
        }
        (kept, None)
    }

    /// Reads what the held frame lacks, but no more. `None` if that is not the last word on it.
    fn poll_held<R, P>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut R,
        policy: &mut P,
        tunnel: &Tunnel,
    ) -> Poll<io::Result<Option<Came>>>
    where
        R: AsyncRead + Unpin,
        P: Policy,
    {
        let mut bytes = [0; MAX_HELD];
        let mut more = ReadBuf::new(&mut bytes[..self.held.lacks()]);
        ready!(Pin::new(io).poll_read(cx, &mut more))?;
        let more = more.filled();
        if more.is_empty() {
            // The handler is to see the end where it is: in the middle of a frame.
            self.held.release();
            return Poll::Ready(Ok(None));
        }
        let base = self.tracker.offset() - self.held.len() as u64;
        let now = Moment::now();
        policy.on_read(now);
        let scan = self.scan(more, base, policy, now, tunnel);
        self.held.hold(more);
        if let Some((_, ending)) = scan.refused {
            self.held.clear();
            return Poll::Ready(Ok(Some(Came::Refused(ending))));
        }
        if !scan.cuts.is_empty() {
            self.held.clear();
        } else if scan.under_way.is_none() || !self.must_hold(self.held.bytes(), policy) {
            self.held.release();
            policy.on_passed(now);
        }
        Poll::Ready(Ok(None))
    }

    /// Follows a chunk of which all passes, and of which nobody wants to know more than the control
    /// frames.
    fn watch<P: Policy>(&mut self, chunk: &[u8], policy: &mut P, now: Moment, tunnel: &Tunnel) {
        self.begun = false;
        self.candidate = false;
        self.tracker.feed(chunk, |event| {
            if let Event::Control { .. } = event {
                policy.on_incoming(&event, now, tunnel);
            }
        });
        self.warn_if_lost(tunnel);
    }

    /// After the feed and not within: a tracker that nobody asks about violations does not look for any.
    fn warn_if_lost(&self, tunnel: &Tunnel) {
        if self.tracker.is_lost() {
            tunnel.warn_of_lost_frames(self.tracker.role());
        }
    }

    /// Follows a chunk and tells the policy what is in it. What the handler does not have yet begins
    /// at `base`; a pong that began before is not ours.
    fn scan<P: Policy>(
        &mut self,
        chunk: &[u8],
        base: u64,
        policy: &mut P,
        now: Moment,
        tunnel: &Tunnel,
    ) -> Scan {
        let expects_pong = policy.expects_pong();
        let refuses = policy.wants().include(Wants::REFUSE);
        let strict = policy.wants().include(Wants::STRICT);
        let peer = self.tracker.role();
        let mut closed = self.tracker.is_closed();
        let mut scan = Scan {
            cuts: Vec::new(),
            refused: None,
            under_way: (self.tracker.at_boundary() || self.held.is_holding()).then_some(base),
        };
        let mut ours = None;
        self.tracker.feed(chunk, |event| {
            if scan.refused.is_some() {
                return;
            }
            if refuses
                && let Event::FrameBegin { start, .. } | Event::Violation { start, .. } = event
                && let Some(ending) = policy.refuses(&event, peer)
            {
                scan.refused = Some((start, ending));
                return;
            }
            match &event {
                Event::FrameBegin {
                    header,
                    start,
                    payload,
                } => {
                    // A pong may yet be taken out. No policy refuses one.
                    if header.opcode != OpCode::Pong {
                        policy.on_passed(now);
                    }
                    if let Some(ending) = policy.on_frame(header) {
                        scan.refused = Some((*start, ending));
                        return;
                    }
                    self.begun = true;
                    self.closing = header.opcode == OpCode::Close;
                    // A length that takes more bytes than it needs is as good a length, but then there is
                    // no room in `Held`.
                    let is_minimal = payload - start == header.size() as u64;
                    self.candidate = expects_pong
                        && header.opcode == OpCode::Pong
                        && header.len == 8
                        && is_minimal;
                    self.guarded = strict
                        && self.closing
                        && header.len <= MAX_CONTROL_PAYLOAD as u64
                        && is_minimal;
                }
                Event::Control {
                    opcode: OpCode::Pong,
                    payload,
                    start,
                } if self.candidate && *start >= base => {
                    let payload = payload.first_chunk();
                    ours = payload
                        .filter(|p| policy.absorbs_pong(**p, now, tunnel))
                        .map(|_| *start);
                }
                Event::FrameEnd { end, .. } => {
                    scan.under_way = Some(*end);
                    self.begun = false;
                    // Not before: a Close that is refused is one that the handler did not get.
                    closed |= self.closing;
                    if let Some(start) = ours.take() {
                        scan.cuts.push((start, *end));
                    }
                }
                _ => {}
            }
            policy.on_incoming(&event, now, tunnel);
        });
        self.warn_if_lost(tunnel);
        if self.tracker.at_boundary() || self.tracker.is_lost() {
            scan.under_way = None;
        }
        if scan.refused.is_some() {
            // What the handler gets ends at the boundary before the refused frame.
            self.deaf = Some(!closed);
        }
        scan
    }

    /// Whether the frame that is under way must be kept from the handler for now. `bytes` are what
    /// there is of it.
    fn must_hold<P: Policy>(&self, bytes: &[u8], policy: &P) -> bool {
        if self.begun {
            return self.candidate || self.guarded;
        }
        let first = bytes.first();
        let maybe_pong = first.is_some_and(|b| OpCode::from_bits(*b) == OpCode::Pong);
        policy.wants().include(Wants::REFUSE) || (policy.expects_pong() && maybe_pong)
    }

    /// Reads on without passing anything, until the peer's end.
    fn poll_discard<R: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut R,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Came>> {
        let start = buf.filled().len();
        for _ in 0..DISCARD_ROUNDS {
            ready!(Pin::new(&mut *io).poll_read(cx, buf))?;
            let read = &buf.filled()[start..];
            if read.is_empty() {
                return Poll::Ready(Ok(Came::Eof));
            }
            self.tracker.feed(read, |_| {});
            buf.set_filled(start);
        }
        // Others on this thread go on, and our clock as well.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Takes the cuts out of a chunk that begins at `base`. Gives how much is left.
fn without(chunk: &mut [u8], base: u64, cuts: &[(u64, u64)]) -> usize {
    let mut kept = chunk.len();
    for (start, end) in cuts.iter().rev() {
        let (start, end) = ((start - base) as usize, (end - base) as usize);
        chunk.copy_within(end..kept, start);
        kept -= end - start;
    }
    kept
}

use std::{
    io,
    task::{Context, Poll},
};

use wsgate_frame::{CloseCode, Event, Header, Role, Tracker};

use crate::{
    moment::Moment,
    tunnel::{Cause, Tunnel},
};

/// What one layer does in a WebSocket's stream: decisions only. It does no I/O, has no timer, and is
/// told the time, and what tunnel it is in. [`Guarded`](super::Guarded) does what it says.
///
/// Whatever a policy is told may change its [`deadline`](Self::deadline).
pub(crate) trait Policy: Unpin {
    /// What it is to be asked or told of what not all of them have to do with. Must not change.
    fn wants(&self) -> Wants;

    /// Whether the deadline counts while nobody reads from the peer: because a limit pauses it, or
    /// the handler cannot go on. A policy that waits for something to be read leaves it `false`.
    fn counts_unread(&self) -> bool {
        false
    }

    /// Bytes came from the peer. Called once for each read, before the events in it.
    fn on_read(&mut self, now: Moment) {
        let _ = now;
    }

    /// Not all of what was read is a pong of ours. Whoever has taken those out of the stream matters for
    /// no one but the [`Policies`](super::Policies), so nobody else need care.
    fn on_passed(&mut self, now: Moment) {
        let _ = now;
    }

    /// A frame's header came from the peer. With an [`Ending`], neither the frame nor anything after
    /// it reaches the handler. For those who want to see the [headers](Wants::HEADERS), and may
    /// [refuse](Wants::REFUSE) frames if they said so.
    fn on_frame(&mut self, header: &Header) -> Option<Ending> {
        let _ = header;
        None
    }

    /// A frame's header came from this side, or the rule is known that the frame breaks: one of
    /// [`Event::FrameBegin`] and [`Event::Violation`]. With an [`Ending`], neither the frame nor
    /// anything after it passes. For those who may [refuse](Wants::REFUSE) frames of the peer; those of
    /// the handler are for those who are [strict](Wants::STRICT), and may be shown more than once.
    fn refuses(&mut self, event: &Event<'_>, from: Role) -> Option<Ending> {
        let _ = (event, from);
        None
    }

    /// Something came from the peer. All its events come here, those of a frame that
    /// [`on_frame`](Self::on_frame) has let in too, for those who want to know of all
    /// [frames](Wants::FRAMES); for the others, control frames at least.
    fn on_incoming(&mut self, event: &Event<'_>, now: Moment, tunnel: &Tunnel) {
        let _ = (event, now, tunnel);
    }

    /// Something went to the peer from the handler's side, told as what comes
    /// [from the peer](Self::on_incoming). Frames of our own do not come here. Asking for the time is
    /// left to those who need it.
    fn on_outgoing(&mut self, event: &Event<'_>, tunnel: &Tunnel) {
        let _ = (event, tunnel);
    }

    /// A write for which the handler had to wait went on: the peer has read something.
    fn on_unblocked(&mut self, now: Moment) {
        let _ = now;
    }

    /// A ping with this payload is on its way. Whether it is one of this policy's.
    fn on_ping_sent(&mut self, payload: [u8; 8], now: Moment) -> bool {
        let _ = (payload, now);
        false
    }

    /// Whether a pong that the peer might send now could be the answer to a ping of ours. For those who
    /// [ping](Wants::PONGS).
    fn expects_pong(&self) -> bool {
        false
    }

    /// The peer sent a pong with a payload of eight bytes while one
    /// [was expected](Self::expects_pong). Whether it is ours, and the handler is not to see it.
    fn absorbs_pong(&mut self, payload: [u8; 8], now: Moment, tunnel: &Tunnel) -> bool {
        let _ = (payload, now, tunnel);
        false
    }

    /// Until when nothing is to be read from the peer. While it is in the future the peer waits. For
    /// those who [pause](Wants::PAUSES) it.
    fn pauses_until(&self) -> Option<Moment> {
        None
    }

    /// When to call [`on_deadline`](Self::on_deadline); `None` for never. It may move into the future
    /// as often as it likes, at no cost: the timer is set anew when the old one has run out. It may come
    /// nearer with a deadline, a ping that was sent, a Close or a signal; with what was read
    /// where it is said to [begin](Wants::BEGINS) with that, and with all traffic where it is said to be
    /// [in haste](Wants::HASTE).
    fn deadline(&self) -> Option<Moment> {
        None
    }

    /// Whether there is a deadline since the last read where there was none before. Asked once after each
    /// read, of those for whom it [begins](Wants::BEGINS) with one.
    fn has_begun(&mut self) -> bool {
        false
    }

    /// The deadline while the peer is read from, or while it is not.
    fn deadline_while(&self, reads: bool) -> Option<Moment> {
        self.deadline().filter(|_| reads || self.counts_unread())
    }

    /// The deadline has passed. Called again as long as there is one that has.
    fn on_deadline(&mut self, now: Moment, place: Place<'_>) -> Option<Action> {
        let _ = (now, place);
        None
    }

    /// Waits for something other than time, on behalf of the handler's task. Ready once: what came of
    /// it may have changed the [`deadline`](Self::deadline). Called on every read that finds nothing,
    /// so it has to be cheap. For those who have a [signal](Wants::SIGNAL) to wait for.
    fn poll_signal(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = cx;
        Poll::Pending
    }

    /// The peer's direction has ended, or the connection is broken. May be called more than once; the
    /// first word is the one that counts.
    fn on_end(&mut self, error: Option<&io::Error>) {
        let _ = error;
    }

    /// The handler shuts its direction down.
    fn on_shutdown(&mut self) {}

    /// The handler has let go of the stream, or the task with it. Called once.
    fn on_drop(&mut self, place: Place<'_>) {
        let _ = place;
    }
}

/// What a policy has to do with. Asking several for what none of them has takes longer than all else
/// that is done for a small message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wants(u16);

/// Where a stream stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// What came from the peer.
    pub(crate) incoming: &'a Tracker,
    /// What went to the peer from the handler's side.
    pub(crate) outgoing: &'a Tracker,
    /// Whether the peer has to take something before anything else can be sent: what the handler
    /// waits with, or a frame of ours.
    pub(crate) blocked: bool,
    /// Whether the peer is being read from.
    pub(crate) reads: bool,
    pub(crate) tunnel: &'a Tunnel,
}

/// What is to be done at a deadline.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Send a ping with this payload at the next boundary. [`Policy::on_ping_sent`] tells when it has
    /// gone out. One at a time: a policy asks for no second one before that.
    Ping([u8; 8]),
    /// End the WebSocket.
    End(Ending),
}

/// How a WebSocket is ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) cause: Cause,
    /// What both sides are told, if it is not too late.
    pub(crate) code: CloseCode,
    pub(crate) reason: &'static str,
    pub(crate) peer: PeerEnds,
}

/// What becomes of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerEnds {
    /// It gets a Close at the next boundary, and has so long to answer. The handler goes on reading
    /// until then.
    Politely { until: Moment },
    /// It is dead: cut at once.
    AtOnce,
}

// ===== impl Wants =====

impl Wants {
    /// Reads, writes, control frames and the time: what all are told.
    pub(crate) const NOTHING: Self = Self(0);
    /// To know of frames and messages.
    pub(crate) const FRAMES: Self = Self(1 << 0);
    /// To be asked about each frame of the peer.
    pub(crate) const HEADERS: Self = Self(1 << 1);
    /// To refuse some of them, so that the handler must not see a part of a header before it is decided.
    pub(crate) const REFUSE: Self = Self(1 << 2).and(Self::HEADERS);
    /// The pongs to its pings.
    pub(crate) const PONGS: Self = Self(1 << 3);
    /// To have the peer wait.
    pub(crate) const PAUSES: Self = Self(1 << 4);
    /// To be woken by something other than time.
    pub(crate) const SIGNAL: Self = Self(1 << 5);
    /// To act earlier than it would have, for something that was read or written. With all others,
    /// traffic moves the deadline into the future, if at all.
    pub(crate) const HASTE: Self = Self(1 << 6);
    /// To refuse frames of the handler as well, and to see a Close whole before anybody has a part of it.
    pub(crate) const STRICT: Self = Self(1 << 7).and(Self::REFUSE);
    /// To have a deadline from some reads on, where there was none.
    pub(crate) const BEGINS: Self = Self(1 << 8);

    /// Both.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This where `is_wanted`, else nothing.
    pub(crate) const fn only_if(self, is_wanted: bool) -> Self {
        match is_wanted {
            true => self,
            false => Self::NOTHING,
        }
    }

    /// All of these.
    pub(crate) const fn include(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// One of these at least.
    pub(crate) const fn include_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

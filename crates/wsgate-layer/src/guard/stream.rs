use std::{
    fmt,
    sync::Once,
    task::{Context, Waker},
};

use tracing::field;
use wsgate_frame::{ControlFrame, Role};

use super::{
    Action, Ending, PeerEnds, Place, Policy, Wants,
    clock::Clock,
    incoming::Incoming,
    outgoing::Outgoing,
    phase::{Closing, Phase, Telling},
};
use crate::{
    map_upgrade::Upgrade,
    moment::Moment,
    tunnel::{End, Tunnel},
};

/// A stream in which a policy acts. See the [module](super) for how.
pub(crate) struct Guarded<S, P: Policy> {
    /// `None` once the peer was cut.
    pub(super) io: Option<S>,
    pub(super) policy: P,
    pub(super) incoming: Incoming,
    pub(super) outgoing: Outgoing,
    pub(super) phase: Phase,
    /// Whether the peer has ended its direction, so that there is nothing more to read: a handler
    /// that does not read then is no reason to wait.
    pub(super) ended: bool,
    clock: Clock,
    /// Whether the handler has asked for something to read since it wrote last.
    pub(super) has_read: bool,
    /// Whether a deadline may have come nearer than the clock knows.
    pub(super) hastened: bool,
    /// The task that waits to read, and for the clock.
    reader: Option<Waker>,
    /// Who is at the other end of `io`.
    pub(super) peer: Role,
    pub(super) tunnel: Tunnel,
}

// ===== impl Guarded =====

impl<S, P: Policy> Guarded<S, P> {
    /// Lets a policy act in a stream at whose other end is `peer`.
    pub(crate) fn new(io: S, peer: Role, policy: P, upgrade: &Upgrade) -> Self {
        Self {
            io: Some(io),
            policy,
            incoming: Incoming::new(peer),
            outgoing: Outgoing::new(peer, upgrade.kind),
            phase: Phase::Open,
            ended: false,
            clock: Clock::new(),
            has_read: false,
            hastened: false,
            reader: None,
            peer,
            tunnel: upgrade.tunnel.clone(),
        }
    }

    /// The stream below; `None` once the peer was cut.
    #[cfg(test)]
    pub(crate) const fn get_ref(&self) -> Option<&S> {
        self.io.as_ref()
    }

    /// For the `Debug` of a public type that has nothing else in it.
    pub(crate) fn fmt_as(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("phase", &self.phase)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }

    // ----- how it ends -----

    /// Open -> Closing | Telling | Over, on account of this side. In any other phase it has been ended
    /// already.
    pub(super) fn end(&mut self, ending: Ending, side: Role) {
        if !self.phase.is_open() {
            return;
        }
        let Ending {
            cause,
            code,
            reason,
            peer,
        } = ending;
        self.tunnel.set_end(End {
            cause,
            code,
            peer: side,
        });
        self.log(&ending, side);
        match peer {
            PeerEnds::AtOnce => {
                self.cut();
                self.tell(&ending);
            }
            PeerEnds::Politely { until } => {
                self.outgoing.close(code, reason);
                self.phase = Phase::Closing(Box::new(Closing { ending, until }));
            }
        }
    }

    fn cut(&mut self) {
        self.io = None;
        self.outgoing.wake();
    }

    /// Who has promised to tell how the WebSocket ended says more than we could.
    fn log(&self, ending: &Ending, side: Role) {
        let Ending { cause, code, .. } = ending;
        let peer = match side {
            Role::Client => "client",
            Role::Server if side == self.peer => "upstream",
            Role::Server => "handler",
        };
        let violation = cause.violation().map(field::display);
        if self.tunnel.is_told() {
            tracing::debug!(%cause, violation, close_code = code.0, peer, "a layer ends the WebSocket");
        } else {
            tracing::info!(%cause, violation, close_code = code.0, peer, "a layer ends the WebSocket");
        }
    }

    /// Closing -> Telling | Over. The peer has had its time, or is gone.
    fn tell(&mut self, ending: &Ending) {
        self.tunnel.set_over();
        self.phase = Phase::Over;
        if self.incoming.can_tell() {
            let key = self.peer.masks().then(rand::random);
            let frame = ControlFrame::close(ending.code, ending.reason, key)
                .expect("our close codes may be sent and our reasons are short");
            self.phase = Phase::Telling(Box::new(Telling::new(frame)));
        }
    }

    /// Tells the handler what we told the peer. Does nothing unless that is still going on.
    pub(super) fn finish(&mut self) {
        if let Phase::Closing(closing) = &self.phase {
            let ending = closing.ending.clone();
            self.tell(&ending);
        }
    }

    /// Whether both sides have sent a Close, so that the stream can end.
    pub(super) const fn is_closed(&self) -> bool {
        self.incoming.tracker().is_closed()
            && self.outgoing.is_closed()
            && self.outgoing.is_flushed()
    }

    // ----- time -----

    /// When something is to be done although nothing passes.
    fn due(&self, reads: bool) -> Option<Moment> {
        match &self.phase {
            Phase::Open => self.policy.deadline_while(reads),
            Phase::Closing(closing) => Some(closing.until),
            _ => None,
        }
    }

    fn on_due(&mut self, now: Moment, reads: bool) {
        match &self.phase {
            Phase::Open => {
                let place = place(&self.incoming, &self.outgoing, &self.tunnel, reads);
                match self.policy.on_deadline(now, place) {
                    Some(Action::Ping(payload)) => self.outgoing.ping(payload),
                    Some(Action::End(ending)) => self.end(ending, self.peer),
                    None => {}
                }
            }
            Phase::Closing(_) => {
                // The peer has not answered.
                self.finish();
                self.cut();
            }
            Phase::Telling(_) | Phase::Over => {}
        }
    }

    /// Does what is due, and has the task woken when more will be. `reads` says whether the peer
    /// could have been read from just now.
    pub(super) fn poll_clock(&mut self, cx: &mut Context<'_>, reads: bool) {
        match &mut self.reader {
            Some(reader) if reader.will_wake(cx.waker()) => {}
            reader => {
                self.clock.follow(cx);
                *reader = Some(cx.waker().clone());
            }
        }
        if !reads && !self.policy.counts_unread() {
            self.reader = None;
        }
        loop {
            let signalled = self.phase.is_open() && self.policy.poll_signal(cx).is_ready();
            if reads && !signalled && !self.may_be_hastened() && self.clock.is_set() {
                return;
            }
            let due = self.due(reads);
            let pause = self.policy.pauses_until().filter(|_| self.pauses());
            let next = earlier(due, pause);
            let rung = next.filter(|next| self.clock.poll(cx, *next).is_ready());
            let Some(next) = rung else {
                match signalled {
                    true => continue,
                    false => break,
                }
            };
            let now = Moment::now();
            if due.is_some_and(|due| due <= now) {
                self.on_due(now, reads);
            } else if next <= now {
                // A pause is over: the caller reads again.
                break;
            }
        }
        self.clock.hear();
        // Where nobody reads, not all deadlines count.
        self.hastened = !reads;
    }

    /// The same where the task goes on anyway: a stream that always has something to read never
    /// comes to wait for the timer.
    pub(super) fn check_clock(&mut self, cx: &mut Context<'_>, now: Moment) {
        if self.phase.is_open() && self.policy.poll_signal(cx).is_ready() {
            self.hastened = true;
        }
        if self.clock.is_set_beyond(now) && !self.may_be_hastened() {
            return;
        }
        if self.due(true).is_some_and(|due| due <= now) {
            self.on_due(now, true);
            self.hastened = true;
        }
        self.clock.hear();
    }

    /// Whether there may be something to do before the clock rings.
    #[inline]
    fn may_be_hastened(&self) -> bool {
        self.hastened || !self.phase.is_open() || self.policy.wants().include(Wants::HASTE)
    }

    /// The handler wrote: wakes the task that waits to read if that, or a frame of ours that went out
    /// before it, brought about what that task cannot know.
    #[inline]
    pub(super) fn tell_reader(&mut self) {
        if self.reader.is_some() && self.may_be_hastened() {
            self.tell_reader_of_news();
        }
    }

    /// The same where it is sure to be news.
    pub(super) fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    fn tell_reader_of_news(&mut self) {
        let Some(reader) = &self.reader else {
            return;
        };
        let news = match &self.phase {
            Phase::Open => self
                .due(true)
                .is_some_and(|due| !self.clock.is_set_for(due)),
            Phase::Closing(_) => self.is_closed(),
            Phase::Telling(_) | Phase::Over => false,
        };
        if news {
            reader.wake_by_ref();
            self.reader = None;
        }
    }

    /// Whether nothing is to be read now.
    pub(super) fn pauses(&self) -> bool {
        let until = self.policy.pauses_until();
        self.phase.is_open() && until.is_some_and(|until| until > Moment::now())
    }

    /// Whether the handler does not read although it could: then the timer has rung long ago, or was
    /// never made.
    pub(super) fn is_unread(&self) -> bool {
        !self.ended && self.clock.is_unheard(|| self.policy.deadline())
    }

    /// A handler that does not read takes all chances from us.
    #[inline]
    pub(super) fn warn_if_unread(&mut self) {
        // The timer's memory need not be looked at for one that answers what it reads.
        if !std::mem::take(&mut self.has_read) {
            self.warn_if_timer_rang();
        }
    }

    fn warn_if_timer_rang(&self) {
        static WARNED: Once = Once::new();
        if self.is_unread() {
            WARNED.call_once(|| {
                tracing::warn!(
                    "a handler does not read its WebSocket, so that no layer can act on it: go on \
                     reading, also where only sending matters, and to the end"
                );
            });
        }
    }
}

impl<S, P: Policy> Drop for Guarded<S, P> {
    fn drop(&mut self) {
        let place = place(&self.incoming, &self.outgoing, &self.tunnel, false);
        self.policy.on_drop(place);
    }
}

impl<S, P: Policy> fmt::Debug for Guarded<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as("Guarded", f)
    }
}

fn place<'a>(
    incoming: &'a Incoming,
    outgoing: &'a Outgoing,
    tunnel: &'a Tunnel,
    reads: bool,
) -> Place<'a> {
    Place {
        reads,
        tunnel,
        incoming: incoming.tracker(),
        outgoing: outgoing.tracker(),
        blocked: outgoing.is_stuck(),
    }
}

/// The role at the other end.
pub(super) const fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

fn earlier(a: Option<Moment>, b: Option<Moment>) -> Option<Moment> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

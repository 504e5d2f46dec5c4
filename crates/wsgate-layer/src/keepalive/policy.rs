//! When to ping, and when to take a peer for dead.

use std::{sync::Arc, time::Duration};

use wsgate_frame::Role;

use super::{
    Settings,
    pings::{Answered, Pings},
};
use crate::{
    guard::{Action, Ending, PeerEnds, Place, Policy, Wants},
    moment::Moment,
    tunnel::{Cause, Tunnel},
};

#[derive(Debug)]
pub(crate) struct KeepalivePolicy {
    settings: Arc<Settings>,
    /// Quiet: since when the interval runs. Sent: when that was.
    since: Moment,
    /// Due: when to see whether the peer is dead. Sent, Excused: when it is dead.
    until: Moment,
    pings: Pings,
    /// What shortens the present interval.
    random: u16,
    state: State,
    peer: Role,
}

/// ```text
///            interval            boundary
///   Quiet ─────────────▶ Due ───────────────▶ Sent
///     ▲                  │ ▲                  │ │ │
///     │                  │ └── its interval ──┘ │ │
///     └──────────────────│──── its pong ────────┘ │  (Excused: Sent, once more)
///                        └─────────┬──────────────┘
///                                  ▼
///              the end, or Left where the peer has sent a Close
/// ```
///
/// The times that belong to it stand beside it, which takes less room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No ping waits for its pong.
    Quiet,
    /// A ping is to be sent.
    Due {
        /// Whether by the time to look the peer will have had the whole time for a sign of life,
        /// without the ping.
        counts: bool,
    },
    /// A ping was sent.
    Sent,
    /// The same, but when its time was over [nobody was awake](Moment::was_missed), so it has begun anew.
    Excused,
    /// The peer has sent a Close. It would still have to answer pings until it gets one (RFC 6455
    /// 5.5.2), but many implementations do not.
    Left,
}

// ===== impl KeepalivePolicy =====

impl KeepalivePolicy {
    pub(super) fn new(settings: Arc<Settings>, peer: Role, now: Moment) -> Self {
        Self {
            settings,
            since: now,
            until: now,
            pings: Pings::new(),
            random: rand::random(),
            state: State::Quiet,
            peer,
        }
    }

    /// The present interval.
    fn interval(&self) -> Duration {
        self.settings.interval.draw(self.random)
    }

    /// Since when the interval runs when a ping was sent: the pong timeout was set by the last sign of
    /// life.
    fn since_sent(&self) -> Moment {
        match self.settings.postponed {
            true => self.since.max(self.until - self.settings.pong_timeout),
            false => self.since,
        }
    }

    fn on_life(&mut self, now: Moment) {
        match &mut self.state {
            State::Due { counts } => *counts = false,
            State::Sent | State::Excused => {}
            State::Quiet | State::Left => return,
        }
        self.until = now + self.settings.pong_timeout;
    }

    /// Quiet, Sent -> Due.
    fn ping(&mut self, until: Moment, place: Place<'_>) -> Option<Action> {
        self.until = until;
        self.state = State::Due {
            // At a boundary it goes out at once, unless the peer takes nothing.
            counts: owes(place) || place.outgoing.at_boundary(),
        };
        let may_be_sent = !place.outgoing.is_closed() && !place.outgoing.is_lost();
        may_be_sent.then(|| Action::Ping(self.pings.next_payload()))
    }
}

impl Policy for KeepalivePolicy {
    fn wants(&self) -> Wants {
        Wants::PONGS
    }

    fn on_read(&mut self, now: Moment) {
        if self.state == State::Quiet && self.settings.postponed {
            self.since = now;
        }
        self.on_life(now);
    }

    // Does not postpone the ping: a client that only ever takes would be asked for nothing, and a read
    // timeout in front of us would never see it answer.
    fn on_unblocked(&mut self, now: Moment) {
        self.on_life(now);
    }

    fn on_ping_sent(&mut self, payload: [u8; 8], now: Moment) -> bool {
        if payload != self.pings.next_payload() {
            return false;
        }
        // The time of a ping that was not answered yet goes on.
        let was_open = self.pings.are_open();
        self.pings.sent();
        self.random = rand::random();
        if self.state == State::Left {
            return true;
        }
        // Due -> Sent
        if !(was_open && matches!(self.state, State::Due { .. })) {
            self.until = now + self.settings.pong_timeout;
        }
        self.since = now;
        self.state = State::Sent;
        true
    }

    fn expects_pong(&self) -> bool {
        self.pings.are_open()
    }

    fn absorbs_pong(&mut self, payload: [u8; 8], now: Moment, tunnel: &Tunnel) -> bool {
        let Some(answered) = self.pings.answer(payload) else {
            return false;
        };
        // Sent, Excused -> Quiet
        let is_sent = matches!(self.state, State::Sent | State::Excused);
        if answered == Answered::Newest && is_sent {
            tunnel.ping(self.peer, now - self.since);
            self.since = self.since_sent();
            self.state = State::Quiet;
        }
        true
    }

    fn deadline(&self) -> Option<Moment> {
        match self.state {
            State::Quiet => Some(self.since + self.interval()),
            State::Due { .. } => Some(self.until),
            State::Sent | State::Excused => {
                Some(self.until.min(self.since_sent() + self.interval()))
            }
            State::Left => None,
        }
    }

    fn on_deadline(&mut self, now: Moment, place: Place<'_>) -> Option<Action> {
        if place.incoming.is_closed() {
            self.state = State::Left;
        }
        let again = now + self.settings.pong_timeout;
        match self.state {
            State::Quiet => self.ping(again, place),
            State::Sent | State::Excused if now < self.until => self.ping(self.until, place),
            // Sent -> Excused
            State::Sent if self.until.was_missed(now) => {
                self.until = again;
                self.state = State::Excused;
                None
            }
            State::Due { .. } if self.until.was_missed(now) => {
                self.until = again;
                None
            }
            State::Due { counts } if !(self.pings.are_open() || counts && owes(place)) => {
                self.until = again;
                self.state = State::Due {
                    counts: owes(place),
                };
                None
            }
            State::Due { .. } | State::Sent | State::Excused => Some(Action::End(Ending {
                cause: Cause::PongTimeout,
                code: self.settings.close_code,
                reason: "pong timeout",
                peer: PeerEnds::AtOnce,
            })),
            State::Left => None,
        }
    }
}

/// Whether the peer owes a sign of life although it has no ping: it is to take what the handler waits
/// with, or to answer the handler's Close. Where the handler has lost its frames no ping can ever go out,
/// and silence alone has to tell.
const fn owes(place: Place<'_>) -> bool {
    place.blocked || place.outgoing.is_closed() || place.outgoing.is_lost()
}

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
pub(super) struct KeepalivePolicy {
    settings: Arc<Settings>,
    tunnel: Tunnel,
    state: State,
    pings: Pings,
    /// What shortens the present interval.
    random: u16,
    peer: Role,
}

/// ```text
///            interval            boundary
///   Quiet ─────────────▶ Due ───────────────▶ Sent
///     ▲                  │ ▲                  │ │ │
///     │                  │ └── its interval ──┘ │ │
///     └──────────────────│──── its pong ────────┘ │
///                        └─────────┬──────────────┘
///                                  ▼
///              the end, or Left where the peer has sent a Close
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No ping waits for its pong. The interval runs since then.
    Quiet { since: Moment },
    /// A ping is to be sent.
    Due {
        /// When to see whether the peer is dead.
        until: Moment,
        /// Whether by then it will have had the whole time for a sign of life, without the ping.
        counts: bool,
    },
    /// A ping was sent.
    Sent {
        at: Moment,
        /// When the peer is dead.
        until: Moment,
    },
    /// The peer has sent a Close. It would still have to answer pings until it gets one (RFC 6455
    /// 5.5.2), but many implementations do not.
    Left,
}

// ===== impl KeepalivePolicy =====

impl KeepalivePolicy {
    pub(super) fn new(settings: Arc<Settings>, peer: Role, tunnel: Tunnel, now: Moment) -> Self {
        Self {
            settings,
            tunnel,
            state: State::Quiet { since: now },
            pings: Pings::new(),
            random: rand::random(),
            peer,
        }
    }

    /// The present interval.
    fn interval(&self) -> Duration {
        self.settings.interval.draw(self.random)
    }

    /// Since when the interval runs when the last ping was sent `at`, and the pong timeout ends at
    /// `until`: it was set by the last sign of life.
    fn since(&self, at: Moment, until: Moment) -> Moment {
        match self.settings.postponed {
            true => at.max(until - self.settings.pong_timeout),
            false => at,
        }
    }

    fn on_life(&mut self, now: Moment) {
        match &mut self.state {
            State::Due { until, counts } => {
                *until = now + self.settings.pong_timeout;
                *counts = false;
            }
            State::Sent { until, .. } => *until = now + self.settings.pong_timeout,
            State::Quiet { .. } | State::Left => {}
        }
    }

    /// Quiet, Sent -> Due.
    fn ping(&mut self, until: Moment, place: Place<'_>) -> Option<Action> {
        self.state = State::Due {
            until,
            // At a boundary it goes out at once, unless the peer takes nothing.
            counts: owes(place) || place.outgoing.at_boundary(),
        };
        let may_be_sent = !place.outgoing.is_closed();
        may_be_sent.then(|| Action::Ping(self.pings.next_payload()))
    }
}

impl Policy for KeepalivePolicy {
    fn wants(&self) -> Wants {
        Wants::PONGS
    }

    fn on_read(&mut self, now: Moment) {
        if let State::Quiet { since } = &mut self.state
            && self.settings.postponed
        {
            *since = now;
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
        self.state = match self.state {
            State::Left => State::Left,
            // Due -> Sent
            State::Due { until, .. } if was_open => State::Sent { at: now, until },
            _ => State::Sent {
                at: now,
                until: now + self.settings.pong_timeout,
            },
        };
        true
    }

    fn expects_pong(&self) -> bool {
        self.pings.are_open()
    }

    fn absorbs_pong(&mut self, payload: [u8; 8], now: Moment) -> bool {
        let Some(answered) = self.pings.answer(payload) else {
            return false;
        };
        // Sent -> Quiet
        if let (Answered::Newest, State::Sent { at, until }) = (answered, self.state) {
            self.tunnel.ping(self.peer, now - at);
            self.state = State::Quiet {
                since: self.since(at, until),
            };
        }
        true
    }

    fn deadline(&self) -> Option<Moment> {
        match self.state {
            State::Quiet { since } => Some(since + self.interval()),
            State::Due { until, .. } => Some(until),
            State::Sent { at, until } => Some(until.min(self.since(at, until) + self.interval())),
            State::Left => None,
        }
    }

    fn on_deadline(&mut self, now: Moment, place: Place<'_>) -> Option<Action> {
        if place.incoming.is_closed() {
            self.state = State::Left;
        }
        let again = now + self.settings.pong_timeout;
        match self.state {
            State::Quiet { .. } => self.ping(again, place),
            State::Sent { until, .. } if now < until => self.ping(until, place),
            State::Due { counts, .. } if !(self.pings.are_open() || counts && owes(place)) => {
                self.state = State::Due {
                    until: again,
                    counts: owes(place),
                };
                None
            }
            State::Due { .. } | State::Sent { .. } => Some(Action::End(Ending {
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
/// with, or to answer the handler's Close.
const fn owes(place: Place<'_>) -> bool {
    place.blocked || place.outgoing.is_closed()
}

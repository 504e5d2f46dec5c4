use std::time::Duration;

use tower_layer::Layer;
use wsgate_frame::{CloseCode, Event, Role, Tracker};

use super::end;
use crate::{
    guard::{Action, Guarded, Place, Policy, Wants, forward_io},
    map_upgrade::Upgrade,
    moment::Moment,
    settings::{positive, sendable},
    stack::{Accepted, InStream, Sits},
    tunnel::{Cause, Tunnel},
};

/// A layer that ends WebSockets in which no message moves, in either direction.
///
/// Text and binary frames count, pings and pongs do not: neither those of a keepalive nor those of
/// the two ends. A long message counts as long as its bytes move. See the [module](super) for its
/// companions.
///
/// # Precision
///
/// No WebSocket ends early. One may end late, by up to a sixteenth of the timeout: a clock is asked
/// sixteen times in it while messages move, rather than with each of them.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use wsgate_layer::IdleTimeoutLayer;
///
/// let layer = IdleTimeoutLayer::new(Duration::from_secs(30 * 60));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleTimeoutLayer {
    timeout: Duration,
    close_code: CloseCode,
}

/// The service of [`IdleTimeoutLayer`].
pub type IdleTimeout<S> = InStream<S, IdleTimeoutLayer>;

/// A stream that ends when no message moves in it for too long.
pub struct IdleTimeoutIo<S>(Guarded<S, IdlePolicy>);

#[derive(Debug)]
pub(crate) struct IdlePolicy {
    settings: IdleTimeoutLayer,
    state: State,
    /// When a message moved last, or a little later.
    last: Moment,
    /// How much had moved at the last look.
    moved: u64,
    /// Whether the time has begun anew since then, as nobody was awake when it was over.
    excused: bool,
}

/// ```text
///            a message begins
///   Quiet ──────────────────────▶ Moving ─┐
///     ▲                           │  ▲    │ each step: has
///     └───────────────────────────┘  └────┘ something moved?
///       no, and no message is under way
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No message is under way. Nothing is to be done until the end, so that an idle WebSocket costs
    /// nothing.
    Quiet,
    /// Looked at from time to time: nobody is told when the middle of a message moves.
    Moving { look: Moment },
}

/// How often is looked in one timeout while something moves.
const LOOKS: u32 = 16;

/// Timers know no shorter times.
const SHORTEST_STEP: Duration = Duration::from_millis(1);

// ===== impl IdleTimeoutLayer =====

impl IdleTimeoutLayer {
    /// Ends WebSockets in which no message moved for this time.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn new(timeout: Duration) -> Self {
        Self {
            timeout: positive(timeout),
            close_code: CloseCode::GOING_AWAY,
        }
    }

    /// The code of the Close that both sides get. Default: 1001. The reason is "idle timeout".
    ///
    /// # Panics
    ///
    /// If the code [may not be sent](CloseCode::is_sendable).
    #[must_use]
    #[track_caller]
    pub fn close_code(mut self, code: CloseCode) -> Self {
        self.close_code = sendable(code);
        self
    }

    fn policy(&self) -> IdlePolicy {
        IdlePolicy::new(*self, Moment::now())
    }
}

impl<S> Layer<S> for IdleTimeoutLayer {
    type Service = IdleTimeout<S>;

    fn layer(&self, inner: S) -> Self::Service {
        InStream::new(inner, *self)
    }
}

impl Sits for IdleTimeoutLayer {
    fn sit(self, seat: Accepted<'_>) {
        seat.fill(move |_| self.policy());
    }
}

// ===== impl IdleTimeoutIo =====

impl<S> IdleTimeoutIo<S> {
    /// Ends a stream at whose other end is `peer` as the layer does.
    pub fn new(stream: S, peer: Role, layer: &IdleTimeoutLayer, upgrade: &Upgrade) -> Self {
        Self(Guarded::new(stream, peer, layer.policy(), upgrade))
    }
}

forward_io!(IdleTimeoutIo);

// ===== impl IdlePolicy =====

impl IdlePolicy {
    pub(super) const fn new(settings: IdleTimeoutLayer, now: Moment) -> Self {
        Self {
            settings,
            state: State::Quiet,
            last: now,
            moved: 0,
            excused: false,
        }
    }

    fn on_event(&mut self, event: &Event<'_>, now: impl FnOnce() -> Moment) {
        if self.state == State::Quiet
            && let Event::FrameBegin { header, .. } = event
            && !header.opcode.is_control()
        {
            self.last = now();
            self.state = self.moving(self.last);
        }
    }

    fn moving(&self, now: Moment) -> State {
        let step = (self.settings.timeout / LOOKS).max(SHORTEST_STEP);
        State::Moving { look: now + step }
    }

    fn ends(&self) -> Moment {
        self.last + self.settings.timeout
    }
}

impl Policy for IdlePolicy {
    fn wants(&self) -> Wants {
        Wants::FRAMES.and(Wants::HASTE)
    }

    fn on_incoming(&mut self, event: &Event<'_>, now: Moment, _: &Tunnel) {
        self.on_event(event, || now);
    }

    fn on_outgoing(&mut self, event: &Event<'_>, _: &Tunnel) {
        self.on_event(event, Moment::now);
    }

    fn deadline(&self) -> Option<Moment> {
        Some(match self.state {
            State::Quiet => self.ends(),
            State::Moving { look } => look.min(self.ends()),
        })
    }

    fn on_deadline(&mut self, now: Moment, place: Place<'_>) -> Option<Action> {
        let moved = moved(place);
        let has_moved = moved != self.moved;
        if has_moved {
            self.moved = moved;
            self.last = now;
            self.excused = false;
        }
        if self.ends().was_missed(now) && !self.excused {
            self.last = now;
            self.excused = true;
        }
        if self.ends() <= now {
            let code = self.settings.close_code;
            return Some(end(Cause::IdleTimeout, code, "idle timeout", now));
        }
        let under_way = place.incoming.in_message() || place.outgoing.in_message();
        self.state = match has_moved || under_way {
            true => self.moving(now),
            false => State::Quiet,
        };
        None
    }
}

/// How much of messages has moved, in a measure that grows with each of their bytes and frames. Where
/// nobody can tell what is a message any more, all bytes count.
fn moved(place: Place<'_>) -> u64 {
    let moved = |tracker: &Tracker| {
        let counts = tracker.counts();
        match tracker.is_lost() {
            true => counts.wire_bytes,
            false => counts.payload_bytes + counts.data_frames,
        }
    };
    moved(place.incoming) + moved(place.outgoing)
}

use std::time::Duration;

use tower_layer::Layer;
use wsgate_frame::{CloseCode, Role, Tracker};

use super::end;
use crate::{
    guard::{Action, Guarded, Place, Policy, Wants, forward_io},
    map_upgrade::Upgrade,
    moment::Moment,
    settings::{positive, sendable},
    stack::{Accepted, InStream, Sits},
    tunnel::Cause,
};

/// A layer that ends WebSockets whose client begins a message and does not come to its end.
///
/// Who holds a message together, as most handlers and upstreams do, keeps what there is of it for as long
/// as the rest takes; and within a frame nobody can put another one in its direction, not a pong and not a
/// Close. A [read timeout](super::ReadTimeoutLayer) does not help against a client that dribbles: each
/// byte is a sign of life.
///
/// The layer counts [messages](Self::new), or [frames](Self::of_frames) only. A program that leaves a
/// message open while it has nothing to say, as for a log that it streams in fragments, is ended by the
/// first; hardly any has a reason to leave a frame open.
///
/// # How much time there is
///
/// While something is under way the time adds up, and [so many bytes](Self::min_rate) make up for a
/// second of it. So what is large may take long as long as it comes, a byte now and then is of no use, and
/// who has sent a lot at once has earned nothing with it for later. While the handler does not read, no
/// time passes.
///
/// # Precision
///
/// No WebSocket ends early. One may end late, by up to half of the timeout: it is looked four times in
/// one timeout whether the same message is still there, and only while something comes. So an idle
/// WebSocket costs nothing, and a message that comes at once next to nothing.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use wsgate_layer::MessageTimeoutLayer;
///
/// let frames = MessageTimeoutLayer::of_frames(Duration::from_secs(60));
/// let messages = MessageTimeoutLayer::new(Duration::from_secs(60)).min_rate(1024);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageTimeoutLayer {
    timeout: Duration,
    unit: Unit,
    min_rate: u32,
    close_code: CloseCode,
}

/// The service of [`MessageTimeoutLayer`].
pub type MessageTimeout<S> = InStream<S, MessageTimeoutLayer>;

/// A stream that ends when its peer does not finish what it begins.
pub struct MessageTimeoutIo<S>(Guarded<S, MessageTimeoutPolicy>);

#[derive(Debug)]
pub(crate) struct MessageTimeoutPolicy {
    settings: MessageTimeoutLayer,
    /// When to look. `None` from when nothing was under way until something comes.
    look: Option<Moment>,
    /// Whether there is a time to look since the last read.
    has_begun: bool,
    seen: Option<Seen>,
}

/// What has to come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Frame,
    Message,
}

/// What was under way at the last look.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Which it is.
    number: u64,
    /// How much had come in all.
    bytes: u64,
    at: Moment,
    /// The time that has added up.
    waited: Duration,
}

/// How often is looked in one timeout.
const LOOKS: u32 = 4;

/// Timers know no shorter times.
const SHORTEST_STEP: Duration = Duration::from_millis(1);

/// How late a look may be on a busy machine.
const SLACK: Duration = Duration::from_secs(1);

// ===== impl MessageTimeoutLayer =====

impl MessageTimeoutLayer {
    /// A good time for [frames](Self::of_frames), and the one of the program `wsgate`: 60 s, nginx's
    /// `client_body_timeout`, which is for the bodies of requests what this is for messages.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

    /// How fast the rest has to come [by default](Self::min_rate), in bytes a second: 240, as with
    /// Kestrel's `MinRequestBodyDataRate`. The slowest of mobile networks have several times that.
    pub const DEFAULT_MIN_RATE: u32 = 240;

    /// Gives clients this time for a message, from its first byte to its last. The header of its first
    /// frame, and the last frame of one that is fragmented, have the time once more.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn new(timeout: Duration) -> Self {
        Self {
            timeout: positive(timeout),
            unit: Unit::Message,
            min_rate: Self::DEFAULT_MIN_RATE,
            close_code: CloseCode::POLICY_VIOLATION,
        }
    }

    /// Gives clients this time for a frame, control frames too. Between two fragments of a message they
    /// have all the time in the world.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn of_frames(timeout: Duration) -> Self {
        Self {
            unit: Unit::Frame,
            ..Self::new(timeout)
        }
    }

    /// How many bytes make up for a second. Default: [240](Self::DEFAULT_MIN_RATE).
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn min_rate(mut self, bytes_per_second: u32) -> Self {
        assert!(bytes_per_second > 0, "at no rate nothing is ever late");
        self.min_rate = bytes_per_second;
        self
    }

    /// The code of the Close that the client gets. Default: 1008. The reason is "message timeout" or
    /// "frame timeout". The handler reads the end of the stream: it may be in the middle of a frame.
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

    pub(super) const fn policy(&self) -> MessageTimeoutPolicy {
        MessageTimeoutPolicy {
            settings: *self,
            look: None,
            has_begun: false,
            seen: None,
        }
    }

    fn step(&self) -> Duration {
        (self.timeout / LOOKS).max(SHORTEST_STEP)
    }
}

impl<S> Layer<S> for MessageTimeoutLayer {
    type Service = MessageTimeout<S>;

    fn layer(&self, inner: S) -> Self::Service {
        InStream::new(inner, *self)
    }
}

impl Sits for MessageTimeoutLayer {
    fn sit(self, seat: Accepted<'_>) {
        seat.fill(move |_| self.policy());
    }
}

// ===== impl MessageTimeoutIo =====

impl<S> MessageTimeoutIo<S> {
    /// Ends a stream at whose other end is `peer` as the layer does.
    pub fn new(stream: S, peer: Role, layer: &MessageTimeoutLayer, upgrade: &Upgrade) -> Self {
        Self(Guarded::new(stream, peer, layer.policy(), upgrade))
    }
}

forward_io!(MessageTimeoutIo);

// ===== impl MessageTimeoutPolicy =====

impl Policy for MessageTimeoutPolicy {
    fn wants(&self) -> Wants {
        Wants::BEGINS
    }

    fn on_read(&mut self, now: Moment) {
        if self.look.is_none() {
            self.look = Some(now + self.settings.step());
            self.has_begun = true;
        }
    }

    fn has_begun(&mut self) -> bool {
        std::mem::take(&mut self.has_begun)
    }

    fn deadline(&self) -> Option<Moment> {
        self.look
    }

    fn on_deadline(&mut self, now: Moment, place: Place<'_>) -> Option<Action> {
        let late = self.look.map_or(Duration::ZERO, |look| now - look);
        let Some((number, bytes)) = self.settings.unit.under_way(place.incoming) else {
            self.look = None;
            self.seen = None;
            return None;
        };
        self.look = Some(now + self.settings.step());
        let waited = match self.seen.filter(|seen| seen.number == number) {
            // A look that comes late comes after a time in which nobody read.
            Some(seen) if late > SLACK => seen.waited,
            Some(seen) => {
                let came = bytes.saturating_sub(seen.bytes);
                let paid = Duration::from_secs(came) / self.settings.min_rate;
                (seen.waited + (now - seen.at)).saturating_sub(paid)
            }
            None => Duration::ZERO,
        };
        self.seen = Some(Seen {
            number,
            bytes,
            at: now,
            waited,
        });
        if waited < self.settings.timeout {
            return None;
        }
        let (cause, reason) = match self.settings.unit {
            Unit::Frame => (Cause::FrameTimeout, "frame timeout"),
            Unit::Message => (Cause::MessageTimeout, "message timeout"),
        };
        Some(end(cause, self.settings.close_code, reason, now))
    }
}

// ===== impl Unit =====

impl Unit {
    /// A number for the one that is under way, if one is, and how many bytes there are in all.
    fn under_way(self, peer: &Tracker) -> Option<(u64, u64)> {
        let counts = peer.counts();
        match self {
            Self::Message if peer.in_message() => Some((counts.messages, counts.payload_bytes)),
            // What a header belongs to is known when it is whole.
            Self::Frame | Self::Message if !peer.at_boundary() => {
                let frames = counts.data_frames + counts.control_frames;
                Some((!frames, counts.wire_bytes))
            }
            Self::Frame | Self::Message => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tunnel::Tunnel;

    #[test]
    fn an_idle_one_sets_no_timer() {
        let start = Moment::now();
        let mut policy = MessageTimeoutLayer::new(Duration::from_secs(60)).policy();
        assert_eq!(policy.deadline(), None);
        policy.on_read(start);
        let look = policy.deadline().unwrap();
        assert_eq!((look - start).as_secs(), 15);

        let tracker = Tracker::new(Role::Client);
        let place = Place {
            incoming: &tracker,
            outgoing: &tracker,
            blocked: false,
            reads: true,
            tunnel: &Tunnel::default(),
        };
        assert!(policy.on_deadline(look, place).is_none());
        assert_eq!(policy.deadline(), None);
    }
}

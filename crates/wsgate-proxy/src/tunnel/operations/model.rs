//! What may have come of the operations.

use std::time::Duration;

use wsgate_frame::{Event, Role, Rsv, Tracker};

use super::{script::Side, wire::Wire};
use crate::WebSocketProxy;

/// What was done.
#[derive(Default)]
pub(super) struct Expected {
    client: Said,
    upstream: Said,
    /// How much of what the upstream said came before the relay began.
    pub(super) early: usize,
    pub(super) is_recalled: bool,
    /// How much time has passed in all.
    pub(super) waited: Duration,
}

/// What one side has said, and how it is.
#[derive(Default)]
struct Said {
    bytes: Vec<u8>,
    has_ended: bool,
    is_broken: bool,
    is_deaf: bool,
}

// ===== impl Expected =====

impl Expected {
    pub(super) fn say(&mut self, side: Side, bytes: &[u8]) {
        self.side_mut(side).bytes.extend_from_slice(bytes);
    }

    pub(super) fn end(&mut self, side: Side) {
        self.side_mut(side).has_ended = true;
    }

    pub(super) fn breaks(&mut self, side: Side) {
        self.side_mut(side).is_broken = true;
    }

    pub(super) fn deafens(&mut self, side: Side) {
        self.side_mut(side).is_deaf = true;
    }

    pub(super) const fn has_ended(&self, side: Side) -> bool {
        match side {
            Side::Client => self.client.has_ended,
            Side::Upstream => self.upstream.has_ended,
        }
    }

    /// What holds at any time: nothing is changed, and nothing added but one Close at a boundary.
    #[track_caller]
    pub(super) fn hold(&self, client: &Wire, upstream: &Wire) {
        let up = Ours::of(Role::Client, &self.client.bytes, &upstream.got());
        let down = Ours::of(Role::Server, &self.upstream.bytes, &client.got());
        let told = match up {
            Ours::Nothing => true,
            Ours::Begun => self.is_recalled || self.may_give_up(),
            Ours::Lost => self.may_give_up(),
            Ours::Recalled => self.is_recalled,
        };
        assert!(told, "the upstream was told {up:?}");
        let lost = self.upstream.has_ended || self.upstream.is_broken || self.may_give_up();
        match down {
            Ours::Nothing | Ours::Begun => {}
            Ours::Lost => assert!(lost, "the upstream is there"),
            Ours::Recalled => assert!(self.is_recalled, "nobody asked for it"),
        }
    }

    /// What holds while it goes on: what is kept is bounded.
    #[track_caller]
    pub(super) fn hold_bounded(&self, client: &Wire, upstream: &Wire) {
        // What was recalled is thrown away, and what a lost side does not take.
        if self.is_recalled || self.has_lost_any() || self.may_end_early() {
            return;
        }
        let up = client.read() - upstream.len().min(client.read());
        assert!(up <= MOST_KEPT, "{up} bytes of the client's are kept");
        let down = (self.early + upstream.read()).saturating_sub(client.len());
        let most = MOST_KEPT.max(self.early);
        assert!(down <= most, "{down} bytes of the upstream's are kept");
    }

    /// What holds when both sides take everything and the relay has done what it could.
    #[track_caller]
    pub(super) fn hold_at_rest(&self, client: &Wire, upstream: &Wire, goes_on: bool) {
        if self.is_recalled || self.has_lost_any() || self.may_end_early() {
            return;
        }
        let up = follow(Role::Client, &self.client.bytes);
        let down = follow(Role::Server, &self.upstream.bytes);
        if !goes_on {
            // It may be over since both have closed, or since the client was told that it is alone.
            let closed = up.is_closed() && (down.is_closed() || self.upstream.has_ended);
            let ended = self.client.has_ended && self.upstream.has_ended;
            assert!(ended || closed, "it has ended without need");
            return;
        }
        assert!(
            upstream.got() == self.client.bytes,
            "the upstream lacks the rest"
        );
        let got = client.got();
        assert!(
            got.starts_with(&self.upstream.bytes),
            "the client lacks the rest"
        );
        // What has been said must not wait in a buffer below.
        assert!(client.is_flushed() && upstream.is_flushed());
        assert_eq!(upstream.is_shut(), self.client.has_ended);
        assert_eq!(client.is_shut(), self.upstream.has_ended);
        if self.upstream.has_ended && !self.client.has_ended && !up.is_closed() {
            let told = &got[self.upstream.bytes.len()..];
            let expected = if down.can_inject() { LOST } else { b"" };
            assert_eq!(
                told, expected,
                "what a client is told whose upstream has ended"
            );
        }
    }

    /// Whether it may have had enough of a side that takes nothing.
    fn may_give_up(&self) -> bool {
        self.waited >= WebSocketProxy::DEFAULT_SEND_TIMEOUT
    }

    /// The same, or of one that answers no Close.
    fn may_end_early(&self) -> bool {
        let closed = |role, said: &Said| follow(role, &said.bytes).is_closed();
        let is_closing = closed(Role::Client, &self.client) || closed(Role::Server, &self.upstream);
        self.may_give_up() || (is_closing && self.waited >= WebSocketProxy::DEFAULT_CLOSE_TIMEOUT)
    }

    const fn has_lost_any(&self) -> bool {
        self.client.is_broken
            || self.client.is_deaf
            || self.upstream.is_broken
            || self.upstream.is_deaf
    }

    const fn side_mut(&mut self, side: Side) -> &mut Said {
        match side {
            Side::Client => &mut self.client,
            Side::Upstream => &mut self.upstream,
        }
    }
}

/// Which Close of ours stands at the end of what has come.
#[derive(Debug)]
enum Ours {
    Nothing,
    /// The beginning of one.
    Begun,
    Lost,
    Recalled,
}

// ===== impl Ours =====

impl Ours {
    /// # Panics
    ///
    /// When anything else has come than what was said, and perhaps a Close.
    #[track_caller]
    fn of(role: Role, said: &[u8], got: &[u8]) -> Self {
        if said.starts_with(got) {
            return Self::Nothing;
        }
        let mut tracker = Tracker::new(role).allow_rsv(Rsv::ALL);
        let mut boundaries = vec![0];
        tracker.feed(said, |event| {
            if let Event::FrameEnd { end, .. } = event {
                boundaries.push(end as usize);
            }
        });
        for at in boundaries {
            if at >= got.len() || got[..at] != said[..at] {
                continue;
            }
            if let Some(ours) = Self::frame(role, &got[at..]) {
                let here = follow(role, &said[..at]);
                assert!(here.can_inject(), "a Close of ours at {at}, after another");
                return ours;
            }
        }
        let same = said.iter().zip(got).take_while(|(a, b)| a == b).count();
        panic!(
            "{role:?}: at {same} of {} came {:02x?}",
            said.len(),
            &got[same..got.len().min(same + 30)]
        );
    }

    /// What we send in this direction.
    fn frame(role: Role, bytes: &[u8]) -> Option<Self> {
        let unmasked = match (role, bytes) {
            (Role::Client, [first, second, m0, m1, m2, m3, payload @ ..]) => {
                let key = [m0, m1, m2, m3];
                let payload = payload.iter().enumerate();
                let payload = payload.map(|(at, byte)| byte ^ key[at % 4]);
                [*first, second & 0x7f].into_iter().chain(payload).collect()
            }
            (Role::Client, [first, second, ..]) => vec![*first, second & 0x7f],
            _ => bytes.to_vec(),
        };
        let (recalled, lost) = match role {
            Role::Client => (AWAY, GONE),
            Role::Server => (RESTART, LOST),
        };
        match &*unmasked {
            whole if whole == recalled => Some(Self::Recalled),
            whole if whole == lost => Some(Self::Lost),
            begun if recalled.starts_with(begun) || lost.starts_with(begun) => Some(Self::Begun),
            _ => None,
        }
    }
}

fn follow(role: Role, bytes: &[u8]) -> Tracker {
    let mut tracker = Tracker::new(role).allow_rsv(Rsv::ALL);
    tracker.feed(bytes, |_| {});
    tracker
}

/// What an upstream is told whose client takes nothing any more.
const GONE: &[u8] = b"\x88\x0d\x03\xe9client lost";
/// The farewell to a client whose upstream has ended, or takes nothing any more.
const LOST: &[u8] = b"\x88\x0f\x03\xf6upstream lost";
/// What a client is told whose tunnel is recalled, and an upstream, without its mask.
const RESTART: &[u8] = b"\x88\x11\x03\xf4service restart";
const AWAY: &[u8] = b"\x88\x11\x03\xe9tunnel recalled";

/// One buffer of the relay's.
const MOST_KEPT: usize = 48 * 1024;

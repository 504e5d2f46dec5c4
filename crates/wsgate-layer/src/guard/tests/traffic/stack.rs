//! The layers of a case, one inside the other.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use wsgate_frame::{CloseCode, Header};

use super::case::{Case, Layer, Leaves};
use crate::{
    guard::{
        Action, Ending, Guarded, LINGER, PeerEnds, Place, Policies, Policy, Wants,
        tests::{Peer, boxed::Boxed, scripted},
    },
    handshake::Kind,
    map_upgrade::Upgrade,
    moment::Moment,
    tunnel::{Cause, Tunnel},
};

/// A stream with any number of layers.
pub(super) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A layer in action. With `UNREAD`, its time goes on while nobody reads.
struct Acting<const UNREAD: bool> {
    layer: Layer,
    began: Moment,
    /// Which layer it is, so that no two send the same ping.
    place: u8,
    pings: u8,
    /// The one that is due.
    due: Option<[u8; 8]>,
    /// Those that have gone out, and until when they are to be answered.
    open: Vec<([u8; 8], Option<Moment>)>,
    next: Option<Moment>,
}

/// In the pings of layers, and in nothing else.
const MARK: [u8; 2] = [0xb1, 0x1b];

/// The same in their Closes.
const REASON: &str = "a layer says so";

/// Whether this is the payload of a ping that a layer sent.
pub(super) fn is_ping(payload: &[u8]) -> bool {
    payload.len() == 8 && payload.starts_with(&MARK)
}

/// Whether this is the payload of a Close that a layer sent.
pub(super) fn is_close(payload: &[u8]) -> bool {
    payload.get(2..) == Some(REASON.as_bytes())
}

pub(super) fn build(case: &Case) -> (Box<dyn Io>, Peer, Tunnel) {
    let (io, wire) = scripted();
    let tunnel = Tunnel::default();
    let kind = match case.h2 {
        true => Kind::ExtendedConnect,
        false => Kind::Upgrade,
    };
    let upgrade = Upgrade::new(tunnel.clone(), kind);
    let mut layers = case.layers.clone();
    if let Leaves::Dies { .. } = case.leaves {
        // Somebody has to notice.
        layers.push(Layer::Ends {
            at: 10_000,
            at_once: false,
            unread: true,
        });
    }
    let policies = (0..).zip(layers).map(|(place, layer)| policy(layer, place));
    if case.shared {
        let policies = Policies::new(policies.collect());
        let stream = Guarded::new(io, case.peer, policies, &upgrade);
        return (Box::new(stream), wire, tunnel);
    }
    let mut stream: Box<dyn Io> = Box::new(io);
    for policy in policies {
        let policy = Policies::new([policy].into());
        stream = Box::new(Guarded::new(stream, case.peer, policy, &upgrade));
    }
    (stream, wire, tunnel)
}

fn policy(layer: Layer, place: u8) -> Boxed {
    match layer {
        Layer::Ends { unread: true, .. } => Box::new(Acting::<true>::new(layer, place)),
        _ => Box::new(Acting::<false>::new(layer, place)),
    }
}

// ===== impl Acting =====

impl<const UNREAD: bool> Acting<UNREAD> {
    fn new(layer: Layer, place: u8) -> Self {
        let began = Moment::now();
        let next = match layer {
            Layer::Pings { every: ms, .. } | Layer::Ends { at: ms, .. } => Some(began + millis(ms)),
            Layer::RefusesAbove { .. } | Layer::Pauses { .. } => None,
        };
        Self {
            layer,
            began,
            place,
            pings: 0,
            due: None,
            open: Vec::new(),
            next,
        }
    }

    fn ping(&mut self, now: Moment) -> Option<Action> {
        let Layer::Pings { every, times, .. } = self.layer else {
            return None;
        };
        if self.due.is_some() {
            // It is not known yet whether that one will still go out.
            self.next = Some(now + millis(every));
            return None;
        }
        let payload = [MARK[0], MARK[1], self.place, self.pings, 0, 1, 2, 3];
        self.pings += 1;
        self.next = (self.pings < times).then(|| now + millis(every));
        self.due = Some(payload);
        Some(Action::Ping(payload))
    }
}

impl<const UNREAD: bool> Policy for Acting<UNREAD> {
    fn wants(&self) -> Wants {
        match self.layer {
            Layer::Pings { .. } => Wants::PONGS,
            Layer::Ends { .. } => Wants::NOTHING,
            Layer::RefusesAbove { .. } => Wants::REFUSE,
            Layer::Pauses { .. } => Wants::PAUSES,
        }
    }

    fn counts_unread(&self) -> bool {
        UNREAD
    }

    fn on_frame(&mut self, header: &Header) -> Option<Ending> {
        match self.layer {
            Layer::RefusesAbove { bytes, at_once } if header.len > u64::from(bytes) => {
                Some(ending(at_once))
            }
            _ => None,
        }
    }

    fn on_ping_sent(&mut self, payload: [u8; 8], now: Moment) -> bool {
        let Layer::Pings { patience, .. } = self.layer else {
            return false;
        };
        let is_ours = self.due == Some(payload);
        if is_ours {
            self.due = None;
            let until = patience.map(|ms| now + millis(ms));
            self.open.push((payload, until));
        }
        is_ours
    }

    fn expects_pong(&self) -> bool {
        !self.open.is_empty()
    }

    fn absorbs_pong(&mut self, payload: [u8; 8], _: Moment, _: &Tunnel) -> bool {
        let before = self.open.len();
        self.open.retain(|(open, _)| *open != payload);
        self.open.len() < before
    }

    fn pauses_until(&self) -> Option<Moment> {
        let Layer::Pauses { at, long } = self.layer else {
            return None;
        };
        let at = self.began + millis(at);
        (at <= Moment::now()).then(|| at + millis(long))
    }

    fn deadline(&self) -> Option<Moment> {
        let patience = self.open.iter().filter_map(|(_, until)| *until).min();
        self.next.into_iter().chain(patience).min()
    }

    fn on_deadline(&mut self, now: Moment, _: Place<'_>) -> Option<Action> {
        let dead = |until: &Option<Moment>| until.is_some_and(|until| until <= now);
        if self.open.iter().any(|(_, until)| dead(until)) {
            self.open.clear();
            return Some(Action::End(ending(true)));
        }
        match self.layer {
            Layer::Ends { at_once, .. } => {
                self.next = None;
                Some(Action::End(ending(at_once)))
            }
            _ => self.ping(now),
        }
    }
}

fn ending(at_once: bool) -> Ending {
    Ending {
        cause: Cause::Lifetime,
        code: CloseCode::GOING_AWAY,
        reason: REASON,
        peer: match at_once {
            true => PeerEnds::AtOnce,
            false => PeerEnds::Politely {
                until: Moment::now() + LINGER,
            },
        },
    }
}

const fn millis(ms: u16) -> Duration {
    Duration::from_millis(ms as u64)
}

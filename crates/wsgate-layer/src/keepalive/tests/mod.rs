//! The keepalive, and what other layers' tests need of it.

mod life;
mod policy;
mod writer;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::{Instant, timeout, timeout_at},
};
use wsgate_frame::{CloseCode, ControlFrame, Event, OpCode, Role, Tracker};

use super::{KeepaliveIo, KeepaliveLayer};
use crate::{
    guard::tests::{Peer, Scripted, scripted, upgrade},
    tunnel::{Limit, Tunnel, Watch},
};

const BOTH: [Role; 2] = [Role::Client, Role::Server];

/// Every 10 s, and 4 s for the pong.
fn steady() -> KeepaliveLayer {
    KeepaliveLayer::every(secs(10))
        .pong_timeout(secs(4))
        .jitter(0.0)
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A keepalive between a handler, the test, and a peer.
struct Rig {
    io: KeepaliveIo<Scripted>,
    peer: Peer,
    role: Role,
    tunnel: Tunnel,
    round_trips: Arc<RoundTrips>,
}

#[derive(Default)]
struct RoundTrips(Mutex<Vec<(Role, Duration)>>);

// ===== impl Rig =====

impl Rig {
    /// With a peer that has this role.
    fn new(role: Role, layer: &KeepaliveLayer) -> Self {
        let (stream, peer) = scripted();
        let upgrade = upgrade();
        Self {
            io: KeepaliveIo::new(stream, role, layer, &upgrade),
            peer,
            role,
            round_trips: RoundTrips::of(&upgrade.tunnel),
            tunnel: upgrade.tunnel,
        }
    }

    /// What the handler reads within this time.
    async fn hears(&mut self, time: Duration) -> Vec<u8> {
        hears(&mut self.io, time).await
    }

    /// The one ping that the peer got, and nothing else.
    #[track_caller]
    fn ping(&self) -> [u8; 8] {
        let got = self.peer.got();
        let pings = pings(&got, self.role);
        assert_eq!((got.len(), pings.len()), (ping_size(self.role), 1));
        pings[0]
    }

    fn pong(&self, payload: &[u8]) -> Vec<u8> {
        pong(self.role, payload)
    }

    /// A text message of the peer.
    fn text(&self, text: &str) -> Vec<u8> {
        frame(self.role, 0x81, text)
    }
}

// ===== impl RoundTrips =====

impl RoundTrips {
    fn of(tunnel: &Tunnel) -> Arc<Self> {
        let round_trips = Arc::<Self>::default();
        tunnel.watch(round_trips.clone());
        round_trips
    }

    fn take(&self) -> Vec<(Role, Duration)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Watch for RoundTrips {
    fn ping(&self, _: &Tunnel, peer: Role, round_trip: Duration) {
        self.0.lock().unwrap().push((peer, round_trip));
    }

    fn limit(&self, _: &Tunnel, limit: Limit) {
        panic!("a keepalive has no limit, not even {limit}");
    }
}

/// What a handler reads within this time, or to the end.
pub(crate) async fn hears(io: &mut (impl AsyncRead + Unpin), time: Duration) -> Vec<u8> {
    let end = Instant::now() + time;
    let mut heard = Vec::new();
    while let Ok(read) = timeout_at(end, io.read_buf(&mut heard)).await {
        if read.unwrap() == 0 {
            break;
        }
    }
    heard
}

/// What a handler reads to the end, which comes within this time.
pub(crate) async fn hears_end(io: &mut (impl AsyncRead + Unpin), time: Duration) -> Vec<u8> {
    let mut heard = Vec::new();
    let read = timeout(time, io.read_to_end(&mut heard)).await;
    read.expect("no end came").unwrap();
    heard
}

/// A frame of up to 125 bytes, masked with zeros where it has to be.
pub(crate) fn frame(from: Role, first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let len = u8::try_from(payload.len()).unwrap();
    let mut frame = match from {
        Role::Client => vec![first, 0x80 | len, 0, 0, 0, 0],
        Role::Server => vec![first, len],
    };
    frame.extend(payload);
    frame
}

/// A frame of the handler to this peer.
pub(crate) fn frame_to(peer: Role, first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(other(peer), first, payload)
}

/// A pong with a mask that changes its payload, where it has to have one.
pub(crate) fn pong(from: Role, payload: &[u8]) -> Vec<u8> {
    let key = from.masks().then_some([1, 2, 3, 4]);
    ControlFrame::pong(payload, key).unwrap().to_vec()
}

/// The code and the reason of the one Close that `role` sent.
#[track_caller]
pub(crate) fn close_from(role: Role, bytes: &[u8]) -> (CloseCode, String) {
    let mut tracker = Tracker::new(role);
    tracker.feed(bytes, |event| {
        assert!(!matches!(event, Event::Violation { .. }), "{event:?}");
    });
    assert_eq!(tracker.counts().control_frames, 1, "{bytes:x?}");
    let close = tracker.close().expect("a Close");
    (close.code().unwrap(), close.reason().unwrap().to_owned())
}

/// The payloads of our pings in what a peer got, masked as it must be.
#[track_caller]
pub(crate) fn pings(got: &[u8], peer: Role) -> Vec<[u8; 8]> {
    let mut pings = Vec::new();
    Tracker::new(other(peer)).feed(got, |event| match event {
        Event::Control {
            opcode: OpCode::Ping,
            payload,
            ..
        } => pings.push(payload.try_into().expect("eight bytes")),
        Event::Violation { .. } => panic!("{event:?}"),
        _ => {}
    });
    pings
}

const fn ping_size(peer: Role) -> usize {
    match peer {
        Role::Client => 2 + 8,
        Role::Server => 2 + 4 + 8,
    }
}

pub(crate) const fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

//! Timeouts by themselves; `order` has them beside a keepalive.

mod close;
mod idle;
mod lifetime;
mod message;
mod order;
mod read;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wsgate_frame::{CloseCode, Role};

use super::*;
use crate::{
    guard::{
        Guarded, Policies,
        tests::{Peer, Scripted, boxed::Boxed, scripted, upgrade},
    },
    keepalive::tests::{close_from, frame, frame_to, hears, hears_end, other, secs},
    tunnel::Tunnel,
};

const BOTH: [Role; 2] = [Role::Client, Role::Server];

/// A client's stream that this policy shares with one whose timer is set for an hour later.
fn beside_an_hour(policy: Boxed) -> (Guarded<Scripted, Policies<Boxed>>, Peer, Tunnel) {
    let hour = ReadTimeoutLayer::new(secs(3600));
    let policies = Policies::new([Box::new(hour.policy()), policy].into());
    let (stream, peer) = scripted();
    let upgrade = upgrade();
    let io = Guarded::new(stream, Role::Client, policies, &upgrade);
    (io, peer, upgrade.tunnel)
}

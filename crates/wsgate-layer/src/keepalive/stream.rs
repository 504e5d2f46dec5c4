use wsgate_frame::Role;

use super::{KeepaliveLayer, policy::KeepalivePolicy};
use crate::{
    guard::{Guarded, forward_io},
    map_upgrade::Upgrade,
};

/// A stream that pings its peer, and ends when that is dead.
pub struct KeepaliveIo<S>(Guarded<S, KeepalivePolicy>);

// ===== impl KeepaliveIo =====

impl<S> KeepaliveIo<S> {
    /// Keeps a stream alive at whose other end is `peer`: as the layer does for a
    /// [client](Role::Client), or with masked pings for an upstream, a [server](Role::Server).
    pub fn new(stream: S, peer: Role, layer: &KeepaliveLayer, upgrade: &Upgrade) -> Self {
        let policy = layer.policy(peer);
        Self(Guarded::new(stream, peer, policy, upgrade))
    }
}

forward_io!(KeepaliveIo);

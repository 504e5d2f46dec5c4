use wsgate_frame::Role;

use super::policy::LimitPolicy;
use crate::{
    guard::{Guarded, forward_io},
    map_upgrade::Upgrade,
};

/// The stream of a WebSocket whose client is held to the limits, and the place that it takes: free
/// again when this is dropped.
pub(super) struct LimitIo<S>(Guarded<S, LimitPolicy>);

// ===== impl LimitIo =====

impl<S> LimitIo<S> {
    pub(super) fn new(io: S, policy: LimitPolicy, upgrade: &Upgrade) -> Self {
        Self(Guarded::new(io, Role::Client, policy, upgrade))
    }
}

forward_io!(LimitIo);

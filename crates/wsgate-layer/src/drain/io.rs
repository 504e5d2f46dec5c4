use wsgate_frame::Role;

use super::{policy::DrainPolicy, shared::Live};
use crate::{
    guard::{Guarded, forward_io},
    map_upgrade::Upgrade,
};

/// The stream of a WebSocket that a drain counts, until this is dropped.
pub struct DrainIo<S>(Guarded<S, DrainPolicy>);

// ===== impl DrainIo =====

impl<S> DrainIo<S> {
    pub(super) fn new(io: S, live: Live, upgrade: &Upgrade) -> Self {
        let policy = DrainPolicy::new(live);
        Self(Guarded::new(io, Role::Client, policy, upgrade))
    }
}

forward_io!(DrainIo);

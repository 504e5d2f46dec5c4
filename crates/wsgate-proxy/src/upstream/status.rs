use super::{
    Member,
    health::{EndpointHealth, Moment},
};
use crate::Endpoint;

/// An endpoint of a group as it is now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndpointStatus {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Its live tunnels, handshakes under way included.
    pub tunnels: u32,
    /// Its weight as it was set.
    pub weight: u32,
    /// The most tunnels it is given; `u32::MAX` for no limit.
    pub max_tunnels: u32,
    /// Whether it is used only when no other can be.
    pub is_backup: bool,
    /// Whether it gets no more tunnels.
    pub is_drained: bool,
    /// How it is, as far as handshakes and checks have told.
    pub health: EndpointHealth,
}

// ===== impl EndpointStatus =====

impl EndpointStatus {
    pub(super) fn of(member: &Member, now: Moment) -> Self {
        Self {
            endpoint: member.endpoint.clone(),
            tunnels: member.tunnels(),
            weight: member.weight(),
            max_tunnels: member.max_tunnels(),
            is_backup: member.is_backup(),
            is_drained: member.is_drained(),
            health: member.health.status(now),
        }
    }
}

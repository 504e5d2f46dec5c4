//! The policies of all layers, as one type.

use std::{
    io,
    task::{Context, Poll},
};

use wsgate_frame::{Event, Header, Role};

use crate::{
    drain::DrainPolicy,
    guard::{Action, Ending, Place, Policy, Wants},
    keepalive::KeepalivePolicy,
    limit::LimitPolicy,
    moment::Moment,
    observe::ObservePolicy,
    strict::StrictPolicy,
    timeout::{
        CloseTimeoutPolicy, IdlePolicy, LifetimePolicy, MessageTimeoutPolicy, ReadTimeoutPolicy,
    },
    tunnel::Tunnel,
};

/// What one of our layers does in a stream. Those of a stack lie side by side in one piece of memory,
/// and are called without a detour.
///
/// The keepalive's is the largest that is not boxed; what would be larger, and is not in every stack,
/// is.
#[derive(Debug)]
pub(crate) enum LayerPolicy {
    CloseTimeout(CloseTimeoutPolicy),
    Drain(DrainPolicy),
    IdleTimeout(Box<IdlePolicy>),
    Keepalive(KeepalivePolicy),
    Lifetime(LifetimePolicy),
    Limit(Box<LimitPolicy>),
    MessageTimeout(Box<MessageTimeoutPolicy>),
    Observe(ObservePolicy),
    ReadTimeout(ReadTimeoutPolicy),
    Strict(StrictPolicy),
}

// ===== impl LayerPolicy =====

macro_rules! each {
    ($self:ident, $policy:ident => $call:expr) => {
        match $self {
            Self::CloseTimeout($policy) => $call,
            Self::Drain($policy) => $call,
            Self::IdleTimeout($policy) => $call,
            Self::Keepalive($policy) => $call,
            Self::Lifetime($policy) => $call,
            Self::Limit($policy) => $call,
            Self::MessageTimeout($policy) => $call,
            Self::Observe($policy) => $call,
            Self::ReadTimeout($policy) => $call,
            Self::Strict($policy) => $call,
        }
    };
}

impl Policy for LayerPolicy {
    fn wants(&self) -> Wants {
        each!(self, policy => policy.wants())
    }

    fn counts_unread(&self) -> bool {
        each!(self, policy => policy.counts_unread())
    }

    #[inline]
    fn on_read(&mut self, now: Moment) {
        each!(self, policy => policy.on_read(now));
    }

    fn on_passed(&mut self, now: Moment) {
        each!(self, policy => policy.on_passed(now));
    }

    fn on_frame(&mut self, header: &Header) -> Option<Ending> {
        each!(self, policy => policy.on_frame(header))
    }

    fn refuses(&mut self, event: &Event<'_>, from: Role) -> Option<Ending> {
        each!(self, policy => policy.refuses(event, from))
    }

    fn on_incoming(&mut self, event: &Event<'_>, now: Moment, tunnel: &Tunnel) {
        each!(self, policy => policy.on_incoming(event, now, tunnel));
    }

    fn on_outgoing(&mut self, event: &Event<'_>, tunnel: &Tunnel) {
        each!(self, policy => policy.on_outgoing(event, tunnel));
    }

    fn on_unblocked(&mut self, now: Moment) {
        each!(self, policy => policy.on_unblocked(now));
    }

    fn on_ping_sent(&mut self, payload: [u8; 8], now: Moment) -> bool {
        each!(self, policy => policy.on_ping_sent(payload, now))
    }

    #[inline]
    fn expects_pong(&self) -> bool {
        each!(self, policy => policy.expects_pong())
    }

    fn absorbs_pong(&mut self, payload: [u8; 8], now: Moment, tunnel: &Tunnel) -> bool {
        each!(self, policy => policy.absorbs_pong(payload, now, tunnel))
    }

    fn pauses_until(&self) -> Option<Moment> {
        each!(self, policy => policy.pauses_until())
    }

    fn deadline(&self) -> Option<Moment> {
        each!(self, policy => policy.deadline())
    }

    fn deadline_while(&self, reads: bool) -> Option<Moment> {
        each!(self, policy => policy.deadline_while(reads))
    }

    fn has_begun(&mut self) -> bool {
        each!(self, policy => policy.has_begun())
    }

    fn on_deadline(&mut self, now: Moment, place: Place<'_>) -> Option<Action> {
        each!(self, policy => policy.on_deadline(now, place))
    }

    fn poll_signal(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        each!(self, policy => policy.poll_signal(cx))
    }

    fn on_end(&mut self, error: Option<&io::Error>) {
        each!(self, policy => policy.on_end(error));
    }

    fn on_shutdown(&mut self) {
        each!(self, policy => policy.on_shutdown());
    }

    fn on_drop(&mut self, place: Place<'_>) {
        each!(self, policy => policy.on_drop(place));
    }
}

impl From<CloseTimeoutPolicy> for LayerPolicy {
    fn from(policy: CloseTimeoutPolicy) -> Self {
        Self::CloseTimeout(policy)
    }
}

impl From<DrainPolicy> for LayerPolicy {
    fn from(policy: DrainPolicy) -> Self {
        Self::Drain(policy)
    }
}

impl From<IdlePolicy> for LayerPolicy {
    fn from(policy: IdlePolicy) -> Self {
        Self::IdleTimeout(Box::new(policy))
    }
}

impl From<KeepalivePolicy> for LayerPolicy {
    fn from(policy: KeepalivePolicy) -> Self {
        Self::Keepalive(policy)
    }
}

impl From<LifetimePolicy> for LayerPolicy {
    fn from(policy: LifetimePolicy) -> Self {
        Self::Lifetime(policy)
    }
}

impl From<LimitPolicy> for LayerPolicy {
    fn from(policy: LimitPolicy) -> Self {
        Self::Limit(Box::new(policy))
    }
}

impl From<MessageTimeoutPolicy> for LayerPolicy {
    fn from(policy: MessageTimeoutPolicy) -> Self {
        Self::MessageTimeout(Box::new(policy))
    }
}

impl From<ObservePolicy> for LayerPolicy {
    fn from(policy: ObservePolicy) -> Self {
        Self::Observe(policy)
    }
}

impl From<ReadTimeoutPolicy> for LayerPolicy {
    fn from(policy: ReadTimeoutPolicy) -> Self {
        Self::ReadTimeout(policy)
    }
}

impl From<StrictPolicy> for LayerPolicy {
    fn from(policy: StrictPolicy) -> Self {
        Self::Strict(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each layer of each WebSocket takes as much as the largest of them.
    #[test]
    fn a_layer_takes_no_more_than_40_bytes() {
        assert_eq!(size_of::<LayerPolicy>(), size_of::<KeepalivePolicy>());
        assert!(size_of::<LayerPolicy>() <= 40);
    }
}

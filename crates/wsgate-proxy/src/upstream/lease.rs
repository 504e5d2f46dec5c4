use std::{sync::Arc, task::Context};

use super::{
    Member, Recall,
    recall::{Roll, Ticket},
};
use crate::Endpoint;

/// One tunnel's hold on an endpoint, from before the handshake until it is dropped.
///
/// The proxy takes one for each handshake; [`Upstream::lease`](super::Upstream::lease) gives one to
/// others.
#[derive(Debug)]
#[must_use = "the endpoint is held for as long as this lives"]
pub struct Lease {
    member: Arc<Member>,
    /// By which the tunnel can be recalled, where anybody could.
    ticket: Option<Arc<Ticket>>,
}

// ===== impl Lease =====

impl Lease {
    /// Takes one more tunnel onto this endpoint; `None` if it has as many as it may.
    pub(super) fn take(member: &Arc<Member>) -> Option<Self> {
        member.take().then(|| Self {
            member: Arc::clone(member),
            ticket: member.roll().map(Roll::enter),
        })
    }

    /// The endpoint that is held.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.member.endpoint
    }

    pub(crate) fn member(&self) -> &Arc<Member> {
        &self.member
    }

    /// Why the tunnel is to end, once it is. To be asked by one task only, which is woken then.
    #[inline]
    pub(crate) fn poll_recall(&self, cx: &Context<'_>) -> Option<Recall> {
        self.ticket.as_ref()?.poll(cx)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.member.give_back();
        if let (Some(ticket), Some(roll)) = (&self.ticket, self.member.roll()) {
            roll.leave(ticket);
        }
    }
}

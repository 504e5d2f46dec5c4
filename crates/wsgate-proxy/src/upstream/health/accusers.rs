//! Whose handshakes have taken endpoints out: no client takes out a group.

use std::{
    net::IpAddr,
    sync::{Arc, Weak},
};

use wsgate_layer::client::subscriber;

use super::{Bar, Moment};
use crate::upstream::Member;

/// Who has sent a handshake, as far as it matters for blame.
///
/// What an endpoint answers, and whether it answers at all, may be the client's doing: a path that makes the
/// application crash fails on each endpoint it is tried on, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::upstream) struct Accuser(IpAddr);

/// Of the endpoints that are out by what one client's handshakes were answered, who it was.
#[derive(Debug, Default)]
pub(super) struct Accusers {
    /// As many as there are endpoints out, at most.
    standing: Vec<(Accuser, Weak<Member>)>,
}

// ===== impl Accuser =====

impl Accuser {
    /// All addresses of one subscriber are one accuser.
    pub(in crate::upstream) fn at(addr: IpAddr) -> Self {
        Self(subscriber(addr))
    }
}

// ===== impl Accusers =====

impl Accusers {
    /// Whether another endpoint is out by this one's word already. One whose time is over counts no more: the
    /// next handshake may be its probe.
    pub(super) fn has_accused(
        &mut self,
        accuser: Accuser,
        member: &Arc<Member>,
        now: Moment,
    ) -> bool {
        let bar = Bar::at(now);
        let is_out = |m: &Weak<Member>| m.upgrade().is_some_and(|m| !m.health.meets(bar));
        self.standing.retain(|(_, accused)| is_out(accused));
        let mut others = self
            .standing
            .iter()
            .filter(|(_, accused)| !is(accused, member));
        others.any(|(by, _)| *by == accuser)
    }

    pub(super) fn note(&mut self, accuser: Accuser, member: &Arc<Member>) {
        self.standing.retain(|(_, accused)| !is(accused, member));
        self.standing.push((accuser, Arc::downgrade(member)));
    }
}

fn is(accused: &Weak<Member>, member: &Arc<Member>) -> bool {
    std::ptr::eq(accused.as_ptr(), Arc::as_ptr(member))
}

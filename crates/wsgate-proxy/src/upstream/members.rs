use std::sync::Arc;

use super::{Member, tier::Tier};
use crate::Endpoint;

/// The endpoints at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    pub(super) primary: Tier,
    pub(super) backup: Tier,
}

// ===== impl Members =====

impl Members {
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.primary.iter().chain(&self.backup)
    }

    pub(super) fn find(&self, endpoint: &Endpoint) -> Option<&Arc<Member>> {
        self.all().find(|member| member.endpoint == *endpoint)
    }

    pub(super) fn insert(&mut self, member: impl Into<Arc<Member>>) {
        let member = member.into();
        match member.is_backup() {
            true => self.backup.push(member),
            false => self.primary.push(member),
        }
    }
}

use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use super::Upstream;

/// How many of a group's sources have not been asked yet.
#[derive(Debug)]
pub(in super::super) struct Sources {
    unasked: watch::Sender<usize>,
}

// ===== impl Sources =====

impl Sources {
    pub(in super::super) fn new(count: usize) -> Self {
        Self {
            unasked: watch::Sender::new(count),
        }
    }

    /// One of them has found something, or has failed for the first time.
    pub(super) fn asked(&self) {
        self.unasked
            .send_modify(|left| *left = left.saturating_sub(1));
    }

    fn all_asked(&self) -> bool {
        *self.unasked.borrow() == 0
    }
}

// ===== impl Upstream =====

impl Upstream {
    /// Waits until each [source](super) of the group has found its first endpoints, or has failed to.
    /// Where there is none, that is at once.
    ///
    /// Handshakes need not wait for it: one that finds no endpoint at all does so itself.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it changes nothing.
    pub async fn discovered(&self) {
        self.start();
        let mut unasked = self.group.sources.unasked.subscribe();
        // The sender is the group's own, which is held here.
        let _ = unasked.wait_for(|&left| left == 0).await;
    }

    /// Waits for the first endpoints, if there are none and a source has yet to be asked.
    pub(crate) async fn first_endpoints(&self, deadline: Instant) {
        if !self.group.sources.all_asked() && self.group.members.load().all().next().is_none() {
            // Too late means none: that is said where one is chosen.
            let _ = timeout_at(deadline, self.discovered()).await;
        }
    }
}

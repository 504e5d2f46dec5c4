use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::{
    Notify,
    futures::{Notified, OwnedNotified},
};

use super::plan::Plan;
use crate::moment::Moment;

/// What all layers, WebSockets and futures of one drain have in common.
#[derive(Debug, Default)]
pub(super) struct Shared {
    counts: Mutex<Counts>,
    /// Set while `counts` is locked: a handshake is either refused or waited for.
    plan: OnceLock<Plan>,
    begun: Arc<Notify>,
    empty: Notify,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Handshakes under way and open WebSockets.
    pub(super) live: usize,
    /// Those that have ended since the drain began, in time.
    pub(super) closed: usize,
    /// Those that ended when the time was over.
    pub(super) cut: usize,
}

/// One that is counted, until it is dropped.
#[derive(Debug)]
pub(super) struct Live {
    shared: Arc<Shared>,
    /// Whether a WebSocket came of the handshake. One that was refused has not been drained.
    open: bool,
}

// ===== impl Shared =====

impl Shared {
    /// Counts a handshake, unless the drain has begun.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Live> {
        let mut counts = self.lock();
        if self.plan().is_some() {
            return None;
        }
        counts.live += 1;
        Some(Live {
            shared: Arc::clone(self),
            open: false,
        })
    }

    /// Begins, with a plan for so many. A drain that had begun already keeps its plan.
    pub(super) fn begin(&self, plan: impl FnOnce(usize) -> Plan) -> &Plan {
        let counts = self.lock();
        let plan = self.plan.get_or_init(|| plan(counts.live));
        drop(counts);
        self.begun.notify_waiters();
        plan
    }

    /// The plan, if the drain has begun.
    pub(super) fn plan(&self) -> Option<&Plan> {
        self.plan.get()
    }

    pub(super) fn counts(&self) -> Counts {
        *self.lock()
    }

    /// Ready when the drain begins. Ask for the [`plan`](Self::plan) after this was called: what
    /// began before does not count.
    pub(super) fn begun(&self) -> OwnedNotified {
        Arc::clone(&self.begun).notified_owned()
    }

    /// Ready when the last one has ended. Ask for the [`counts`](Self::counts) after this was called.
    pub(super) fn empty(&self) -> Notified<'_> {
        self.empty.notified()
    }

    fn leave(&self, open: bool) {
        let mut counts = self.lock();
        counts.live -= 1;
        let Some(plan) = self.plan() else { return };
        if open {
            match Moment::now() < plan.until {
                true => counts.closed += 1,
                false => counts.cut += 1,
            }
        }
        if counts.live == 0 {
            self.empty.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Nothing that is done under the lock panics half-way.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ===== impl Live =====

impl Live {
    /// A WebSocket has come of it.
    pub(super) fn open(mut self) -> Self {
        self.open = true;
        self
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.shared.leave(self.open);
    }
}

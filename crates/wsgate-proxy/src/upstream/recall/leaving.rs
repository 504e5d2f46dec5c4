//! Closing the tunnels of endpoints that were removed: a chore of the group's.

use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, task::JoinSet};

use super::{CloseTunnels, Recall};
use crate::upstream::{
    Member,
    chores::{Chore, WeakUpstream},
};

/// Members that were removed and wait for the chore. Each comes once, and soon goes.
#[derive(Debug, Default)]
pub(in crate::upstream) struct Leaving {
    members: Mutex<Vec<Arc<Member>>>,
    come: Notify,
}

/// Owns a task for each endpoint whose tunnels are being closed.
#[derive(Debug)]
pub(in crate::upstream) struct CloseRemoved {
    within: Duration,
    leaving: Arc<Leaving>,
}

// ===== impl Leaving =====

impl Leaving {
    pub(in crate::upstream) fn push(&self, member: &Arc<Member>) {
        self.lock().push(Arc::clone(member));
        self.come.notify_one();
    }

    fn take(&self) -> Vec<Arc<Member>> {
        mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Member>>> {
        // Nothing that is done under the lock panics half-way.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ===== impl CloseRemoved =====

impl CloseRemoved {
    pub(in crate::upstream) fn new(within: Duration) -> Self {
        Self {
            within,
            leaving: Arc::default(),
        }
    }

    pub(in crate::upstream) fn leaving(&self) -> Arc<Leaving> {
        Arc::clone(&self.leaving)
    }
}

impl Chore for CloseRemoved {
    fn run(&self, _: WeakUpstream) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (within, leaving) = (self.within, self.leaving());
        Box::pin(async move {
            let mut closing = JoinSet::new();
            loop {
                leaving.come.notified().await;
                while closing.try_join_next().is_some() {}
                for member in leaving.take() {
                    closing.spawn(CloseTunnels::new(member, Recall::Removed, within));
                }
            }
        })
    }
}

//! What a group does by itself: each on a task that the group owns.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock, Weak},
};

use tokio::{runtime::Handle, task::AbortHandle};

use super::{Upstream, UpstreamError, group::Group};

/// Something that goes on for as long as the group is there.
pub(super) trait Chore: fmt::Debug + Send + Sync + 'static {
    /// Holds the group only while it does something.
    fn run(&self, group: WeakUpstream) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// Whether it adds endpoints.
    fn finds_endpoints(&self) -> bool {
        false
    }

    /// Called once, where the group is made, before it runs. May block.
    fn prepare(&self, upstream: &Upstream) -> Result<(), UpstreamError> {
        let _ = upstream;
        Ok(())
    }
}

/// A group that may be gone.
#[derive(Clone, Debug)]
pub(super) struct WeakUpstream {
    group: Weak<Group>,
}

#[derive(Debug)]
pub(super) struct Chores {
    chores: Vec<Box<dyn Chore>>,
    tasks: OnceLock<Vec<AbortHandle>>,
}

// ===== impl WeakUpstream =====

impl WeakUpstream {
    #[cfg(all(test, feature = "dns"))]
    pub(super) fn of(upstream: &Upstream) -> Self {
        Self {
            group: Arc::downgrade(&upstream.group),
        }
    }

    pub(super) fn upgrade(&self) -> Option<Upstream> {
        self.group.upgrade().map(Upstream::from)
    }
}

// ===== impl Chores =====

impl Chores {
    pub(super) const fn new(chores: Vec<Box<dyn Chore>>) -> Self {
        Self {
            chores,
            tasks: OnceLock::new(),
        }
    }

    /// Lets each look at the group that it will work for.
    pub(super) fn prepare(&self, upstream: &Upstream) -> Result<(), UpstreamError> {
        self.chores.iter().try_for_each(|c| c.prepare(upstream))
    }

    /// Begins them, if that has not happened and there is a runtime.
    pub(super) fn start(&self, group: &Arc<Group>) {
        if self.chores.is_empty() || self.tasks.get().is_some() {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        self.tasks.get_or_init(|| {
            let weak = WeakUpstream {
                group: Arc::downgrade(group),
            };
            let chores = self.chores.iter();
            chores
                .map(|chore| runtime.spawn(chore.run(weak.clone())).abort_handle())
                .collect()
        });
    }
}

impl Drop for Chores {
    fn drop(&mut self) {
        for task in self.tasks.get().into_iter().flatten() {
            task.abort();
        }
    }
}

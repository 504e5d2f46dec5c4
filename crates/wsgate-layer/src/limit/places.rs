use std::{
    collections::HashMap,
    fmt,
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// The places for tunnels of each client. It knows no more clients than have a place.
#[derive(Debug)]
pub(super) struct ClientPlaces {
    at_most: usize,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// One of them. Dropped, it is free again.
#[derive(Debug)]
pub(super) struct ClientPlace {
    of: Arc<ClientPlaces>,
    client: IpAddr,
}

/// The places for tunnels in all.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    queue: Option<Queue>,
}

/// One of them. Dropped, it is free again, or belongs to the first in the queue.
pub(super) type Place = OwnedSemaphorePermit;

/// Where to stand while there is no free place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueueSettings {
    pub(super) length: usize,
    pub(super) at_most: Duration,
}

#[derive(Debug)]
struct Queue {
    settings: QueueSettings,
    /// How many stand in it.
    waiting: Arc<AtomicUsize>,
}

/// Stands in the queue, in the order of the first polls. Dropped, it leaves.
///
/// Gives `None` when the time is up.
pub(super) struct Waiting(Pin<Box<dyn Future<Output = Option<Place>> + Send>>);

/// What came of asking for a place.
#[derive(Debug)]
pub(super) enum Asked {
    Given(Place),
    Queued(Waiting),
    /// There is none, and no place in the queue either.
    Full,
}

/// Counts one who waits.
struct Counted(Arc<AtomicUsize>);

// ===== impl ClientPlaces =====

impl ClientPlaces {
    pub(super) fn new(at_most: usize) -> Self {
        Self {
            at_most,
            taken: Mutex::default(),
        }
    }

    /// A place for this client, or `None` where it has all that it may have.
    pub(super) fn take(self: &Arc<Self>, client: IpAddr) -> Option<ClientPlace> {
        if self.at_most == 0 {
            return None;
        }
        self.with(|taken| {
            let taken = taken.entry(client).or_insert(0);
            (*taken < self.at_most).then(|| *taken += 1)
        })?;
        Some(ClientPlace {
            of: Arc::clone(self),
            client,
        })
    }

    fn with<R>(&self, f: impl FnOnce(&mut HashMap<IpAddr, usize>) -> R) -> R {
        // Nothing in here panics half-way through a change.
        f(&mut self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// ===== impl ClientPlace =====

impl Drop for ClientPlace {
    fn drop(&mut self) {
        self.of.with(|taken| {
            if let Some(places) = taken.get_mut(&self.client) {
                *places -= 1;
                if *places == 0 {
                    taken.remove(&self.client);
                }
            }
        });
    }
}

// ===== impl Places =====

impl Places {
    pub(super) fn new(at_most: usize, queue: Option<QueueSettings>) -> Self {
        let queue = queue.map(|settings| Queue {
            settings,
            waiting: Arc::default(),
        });
        Self {
            free: Arc::new(Semaphore::new(at_most.min(Semaphore::MAX_PERMITS))),
            queue,
        }
    }

    /// Asks for a place. Nobody overtakes those in the queue: a place that gets free is the first
    /// one's before anybody can ask for it.
    pub(super) fn ask(&self) -> Asked {
        if let Ok(place) = Arc::clone(&self.free).try_acquire_owned() {
            return Asked::Given(place);
        }
        let queued = self.queue.as_ref().and_then(|queue| queue.wait(&self.free));
        queued.map_or(Asked::Full, Asked::Queued)
    }
}

// ===== impl Queue =====

impl Queue {
    fn wait(&self, free: &Arc<Semaphore>) -> Option<Waiting> {
        let counted = Counted::new(&self.waiting, self.settings.length)?;
        let place = timeout(self.settings.at_most, Arc::clone(free).acquire_owned());
        Some(Waiting(Box::pin(async move {
            let _counted = counted;
            place.await.ok()?.ok()
        })))
    }
}

// ===== impl Waiting =====

impl Future for Waiting {
    type Output = Option<Place>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}

// ===== impl Counted =====

impl Counted {
    /// One more, unless there are so many already.
    fn new(count: &Arc<AtomicUsize>, at_most: usize) -> Option<Self> {
        let one_more = |n| (n < at_most).then_some(n + 1);
        let counted = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        counted.is_ok().then(|| Self(Arc::clone(count)))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_place_is_not_known() {
        let places = Arc::new(ClientPlaces::new(2));
        let known = || places.with(|taken| taken.len());
        let [a, b] = ["192.0.2.1", "192.0.2.2"].map(|a| a.parse::<IpAddr>().unwrap());
        let held = [a, a, b].map(|client| places.take(client).unwrap());
        assert_eq!(known(), 2);
        assert!(places.take(a).is_none());
        drop(held);
        assert_eq!(known(), 0);

        let none = Arc::new(ClientPlaces::new(0));
        assert!(none.take(a).is_none());
        assert_eq!(none.with(|taken| taken.len()), 0);
    }
}

//! The tunnels of one endpoint, so that some of them can be told to end.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    task::Context,
};

use futures_util::task::AtomicWaker;
use rand::Rng;
use tokio::sync::Notify;

use super::Recall;

/// The tickets of an endpoint's tunnels.
#[derive(Debug, Default)]
pub(in crate::upstream) struct Roll {
    tickets: Mutex<Tickets>,
    /// Told when one that was recalled has ended.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Tickets {
    /// In no order, and without gaps: so that one can be taken at random.
    open: Vec<Arc<Ticket>>,
    /// For those that come although no more should: their handshakes saw the group as it was.
    doom: Option<Recall>,
}

/// One tunnel, from before its handshake until its lease is dropped.
///
/// ```text
///   FRESH ──the relay listens──▶ HEARD ──┐
///     └──────────────────────────────────┴─▶ recalled, why ──▶ ENDED
/// ```
///
/// A tunnel that ends by itself goes to ENDED from anywhere.
#[derive(Debug)]
pub(in crate::upstream) struct Ticket {
    state: AtomicU8,
    /// The relay's task, registered on the way to HEARD. Traffic costs no more than a look at `state`.
    relay: AtomicWaker,
    /// Where it stands in `Tickets::open`. Changed while that is locked.
    place: AtomicUsize,
}

const FRESH: u8 = 0;
const HEARD: u8 = 1;
const ENDED: u8 = 2;
/// And above: recalled.
const RECALLED: u8 = 3;

/// How often a tunnel is looked for that was not recalled yet.
const LOOKS: usize = 8;

/// Room that is kept for the tunnels to come, however few there are.
const MIN_ROOM: usize = 64;

// ===== impl Roll =====

impl Roll {
    pub(in crate::upstream) fn enter(&self) -> Arc<Ticket> {
        let mut tickets = self.lock();
        let ticket = Arc::new(Ticket {
            state: tickets.doom.map_or(FRESH, to_state).into(),
            relay: AtomicWaker::new(),
            place: tickets.open.len().into(),
        });
        tickets.open.push(Arc::clone(&ticket));
        ticket
    }

    pub(in crate::upstream) fn leave(&self, ticket: &Ticket) {
        let mut tickets = self.lock();
        let open = &mut tickets.open;
        let place = ticket.place.load(Ordering::Relaxed);
        open.swap_remove(place);
        if let Some(moved) = open.get(place) {
            moved.place.store(place, Ordering::Relaxed);
        }
        // The room for those that came at once in a rush is not kept for days.
        if open.len() < open.capacity() / 4 && open.capacity() > MIN_ROOM {
            let room = open.len() * 2;
            open.shrink_to(room);
        }
        drop(tickets);
        if ticket.end() {
            self.ended.notify_waiters();
        }
    }

    /// All that there are now.
    pub(super) fn all(&self) -> Vec<Arc<Ticket>> {
        self.lock().open.clone()
    }

    /// Recalls all that come from now on.
    pub(super) fn doom(&self, why: Recall) {
        self.lock().doom = Some(why);
    }

    /// Recalls one of them, each as likely as the other. Whether there was one.
    ///
    /// Not the oldest: those live longest, by their users' choice, and would be taken round after round
    /// wherever they come back to. Not the newest either: they have just come, perhaps from having been
    /// closed. By chance nobody is hit more often than all others.
    pub(super) fn recall_any(&self, why: Recall) -> bool {
        let tickets = self.lock();
        let open = &tickets.open;
        !open.is_empty()
            && (0..LOOKS).any(|_| {
                let place = rand::rng().random_range(0..open.len());
                open[place].recall(why)
            })
    }

    /// Waits until these have ended, which should all have been recalled.
    pub(super) async fn ended(&self, mut tickets: Vec<Arc<Ticket>>) {
        loop {
            // Before the look, so that no end is missed between it and the wait.
            let ended = self.ended.notified();
            while tickets.pop_if(|t| t.is_ended()).is_some() {}
            if tickets.is_empty() {
                return;
            }
            ended.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tickets> {
        // Nothing that is done under the lock panics half-way.
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ===== impl Ticket =====

impl Ticket {
    /// Why the tunnel is to end, once it is. The first call has `cx` woken then, and only that: one task
    /// asks.
    #[inline]
    pub(in crate::upstream) fn poll(&self, cx: &Context<'_>) -> Option<Recall> {
        match self.state.load(Ordering::Acquire) {
            HEARD => None,
            state => self.listen(state, cx),
        }
    }

    #[cold]
    fn listen(&self, mut state: u8, cx: &Context<'_>) -> Option<Recall> {
        if state == FRESH {
            self.relay.register(cx.waker());
            // If that was too late to be woken, it is not too late to see it here.
            let (ok, failed) = (Ordering::AcqRel, Ordering::Acquire);
            let heard = self.state.compare_exchange(FRESH, HEARD, ok, failed);
            state = heard.err()?;
        }
        from_state(state)
    }

    /// Has the tunnel end. Whether that is news.
    pub(super) fn recall(&self, why: Recall) -> bool {
        let open = |state| (state < ENDED).then(|| to_state(why));
        let (ok, failed) = (Ordering::AcqRel, Ordering::Acquire);
        let is_news = self.state.fetch_update(ok, failed, open).is_ok();
        if is_news {
            self.relay.wake();
        }
        is_news
    }

    /// The tunnel has ended. Whether it had been recalled.
    fn end(&self) -> bool {
        self.state.swap(ENDED, Ordering::AcqRel) >= RECALLED
    }

    fn is_ended(&self) -> bool {
        self.state.load(Ordering::Acquire) == ENDED
    }
}

const fn to_state(why: Recall) -> u8 {
    RECALLED + why as u8
}

const fn from_state(state: u8) -> Option<Recall> {
    const ALL: [Recall; 4] = [
        Recall::Asked,
        Recall::Drained,
        Recall::Removed,
        Recall::Rebalance,
    ];
    match state.checked_sub(RECALLED) {
        Some(why) => Some(ALL[why as usize]),
        None => None,
    }
}

//! The one timer of a stream.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use crate::moment::Moment;
use tokio::{
    task::coop,
    time::{Sleep, sleep_until},
};

/// Wakes the task at an instant, or before it: a deadline that moves into the future leaves the timer
/// alone until it rings, so that traffic costs nothing here. Without a deadline there is no timer.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// There only while there is a deadline to wait for, or nobody has come since it rang.
    timer: Option<Pin<Box<Sleep>>>,
    /// For when the timer is set. Without one: that it rang, the handler was there, and there was
    /// nothing to set it for.
    rings: Option<Moment>,
}

/// For how long the timer may have rung unheard before that is strange. Handlers do wait for other
/// things between two reads.
const UNHEARD: Duration = Duration::from_secs(60);

// ===== impl Clock =====

impl Clock {
    pub(super) const fn new() -> Self {
        Self {
            timer: None,
            rings: None,
        }
    }

    /// It is another task from now on that is woken, if there is a timer.
    pub(super) fn follow(&mut self, cx: &mut Context<'_>) {
        if let Some(timer) = &mut self.timer {
            // Whether it has rung is seen with the next poll.
            let _ = poll(timer, cx);
        }
    }

    /// Pending: the task will be woken at `next`, or before. Ready: that has passed. A task that is not
    /// the one of the last time has to [say so](Self::follow).
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, next: Moment) -> Poll<()> {
        if self.is_set_for(next) {
            return Poll::Pending;
        }
        let timer = match &mut self.timer {
            Some(timer) => {
                timer.as_mut().reset(next.into());
                timer
            }
            none => none.insert(Box::pin(sleep_until(next.into()))),
        };
        self.rings = Some(next);
        poll(timer, cx)
    }

    /// Takes note that the handler is there, should the timer have rung.
    pub(super) fn hear(&mut self) {
        self.timer.take_if(|timer| timer.is_elapsed());
    }

    /// Whether the timer has yet to ring.
    pub(super) fn is_set(&self) -> bool {
        self.timer.as_ref().is_some_and(|timer| !timer.is_elapsed())
    }

    /// Whether the timer will ring at `next`, or before.
    pub(super) fn is_set_for(&self, next: Moment) -> bool {
        self.is_set() && self.rings.is_some_and(|rings| rings <= next)
    }

    /// Whether the timer is set for later than `now`.
    pub(super) fn is_set_beyond(&self, now: Moment) -> bool {
        self.timer.is_some() && self.rings.is_some_and(|rings| rings > now)
    }

    /// Whether the timer rang long ago and nobody has come. `first` gives the deadline for which none
    /// was made yet.
    pub(super) fn is_unheard(&self, first: impl FnOnce() -> Option<Moment>) -> bool {
        let rung = match (&self.timer, self.rings) {
            (Some(timer), rings) => rings.filter(|_| timer.is_elapsed()),
            (None, Some(_)) => None,
            (None, None) => first(),
        };
        rung.is_some_and(|rung| rung + UNHEARD < Moment::now())
    }
}

/// A timer is polled once for each time that it is set, so a task that has done enough for now must
/// not put that off.
fn poll(timer: &mut Pin<Box<Sleep>>, cx: &mut Context<'_>) -> Poll<()> {
    Pin::new(&mut coop::unconstrained(timer.as_mut())).poll(cx)
}

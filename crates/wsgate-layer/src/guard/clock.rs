//! The one timer of a stream.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use crate::moment::Moment;
use tokio::time::{Sleep, sleep_until};

/// Wakes the task at an instant, or before it: a deadline that moves into the future leaves the timer
/// alone until it rings, so that traffic costs nothing here. Without a deadline there is no timer.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// There only while there is a deadline to wait for, or nobody has come since it rang.
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether it rang, and the handler was there, but there was nothing to set it for.
    heard: bool,
}

/// For how long the timer may have rung unheard before that is strange. Handlers do wait for other
/// things between two reads.
const UNHEARD: Duration = Duration::from_secs(60);

// ===== impl Clock =====

impl Clock {
    pub(super) const fn new() -> Self {
        Self {
            timer: None,
            heard: false,
        }
    }

    /// It is another task from now on that is woken, if there is a timer.
    pub(super) fn follow(&mut self, cx: &mut Context<'_>) {
        if let Some(timer) = &mut self.timer {
            // Whether it has rung is seen with the next poll.
            let _ = timer.as_mut().poll(cx);
        }
    }

    /// Pending: the task will be woken at `next`, or before. Ready: it has rung, perhaps for an
    /// instant that was given earlier. A task that is not the one of the last time has to
    /// [say so](Self::follow).
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, next: Moment) -> Poll<()> {
        if self.is_set_for(next) {
            return Poll::Pending;
        }
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(next.into())));
        if Moment::from(timer.deadline()) > next || timer.is_elapsed() {
            timer.as_mut().reset(next.into());
        }
        timer.as_mut().poll(cx)
    }

    /// Takes note that the handler is there, should the timer have rung.
    pub(super) fn hear(&mut self) {
        self.heard |= self.timer.take_if(|timer| timer.is_elapsed()).is_some();
    }

    /// Whether the timer will ring at `next`, or before.
    pub(super) fn is_set_for(&self, next: Moment) -> bool {
        let timer = self.timer.as_ref();
        timer.is_some_and(|timer| !timer.is_elapsed() && Moment::from(timer.deadline()) <= next)
    }

    /// Whether the timer rang long ago and nobody has come. `first` gives the deadline for which none
    /// was made yet.
    pub(super) fn is_unheard(&self, first: impl FnOnce() -> Option<Moment>) -> bool {
        let rung = match &self.timer {
            Some(timer) => timer.is_elapsed().then(|| timer.deadline().into()),
            None if self.heard => None,
            None => first(),
        };
        rung.is_some_and(|rung| rung + UNHEARD < Moment::now())
    }
}

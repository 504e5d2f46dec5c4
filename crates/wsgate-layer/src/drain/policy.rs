use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use pin_project_lite::pin_project;
use tokio::sync::futures::OwnedNotified;

use super::shared::Live;
use crate::{
    guard::{Action, Place, Policy, Wants},
    moment::Moment,
};

/// Ends its WebSocket at a moment of its own, once the drain has begun.
#[derive(Debug)]
pub(crate) struct DrainPolicy {
    live: Live,
    /// Set as soon as it is known that the drain has begun.
    moment: Option<Moment>,
    /// From the first wait until then.
    waits: Option<Pin<Box<Waits>>>,
}

pin_project! {
    /// What wakes the task when the drain begins.
    #[derive(Debug)]
    struct Waits {
        #[pin]
        begun: OwnedNotified,
        // The one that `begun` has. It would find out by itself that it has it already, but under a
        // lock that all WebSockets share.
        waker: Waker,
    }
}

// ===== impl DrainPolicy =====

impl DrainPolicy {
    /// For a WebSocket that opens now.
    pub(super) fn new(live: Live) -> Self {
        let late = live.shared().plan().is_some();
        Self {
            live: live.open(),
            // The drain has waited for its handshake, and others wait for the drain.
            moment: late.then(Moment::now),
            waits: None,
        }
    }

    /// Makes sure that this task is woken when the drain begins. Whether it has.
    fn wait(&mut self, cx: &mut Context<'_>) -> bool {
        let waits = match &mut self.waits {
            Some(waits) if waits.waker.will_wake(cx.waker()) => return false,
            Some(waits) => {
                waits.as_mut().project().waker.clone_from(cx.waker());
                waits
            }
            None => self.waits.insert(Box::pin(Waits {
                begun: self.live.shared().begun(),
                waker: cx.waker().clone(),
            })),
        };
        // It may have begun just before we would have been told.
        waits.as_mut().project().begun.poll(cx).is_ready() || self.live.shared().plan().is_some()
    }
}

impl Policy for DrainPolicy {
    fn wants(&self) -> Wants {
        Wants::SIGNAL
    }

    // A drain does not wait for a handler that is busy.
    fn counts_unread(&self) -> bool {
        true
    }

    fn deadline(&self) -> Option<Moment> {
        self.moment
    }

    fn poll_signal(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.moment.is_some() {
            return Poll::Pending;
        }
        if self.live.shared().plan().is_none() && !self.wait(cx) {
            return Poll::Pending;
        }
        self.waits = None;
        self.moment = self.live.shared().plan().map(|plan| plan.any_moment());
        Poll::Ready(())
    }

    fn on_deadline(&mut self, _: Moment, _: Place<'_>) -> Option<Action> {
        let plan = self.live.shared().plan()?;
        Some(Action::End(plan.ending()))
    }
}

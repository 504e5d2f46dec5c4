use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep};
use wsgate_frame::Role;

/// Watches two directions of which one does not go on.
///
/// It looks at them now and then, and not at each write: a bulk transfer is stuck thousands of times a
/// second, and never for long.
#[derive(Debug, Default)]
pub(super) struct Stall {
    /// `None` before the first poll.
    next: Option<Pin<Box<Sleep>>>,
    /// Where each of them was stuck when it was looked at, and since when, to the upstream first.
    seen: [Option<(u64, Instant)>; 2],
}

/// How often it is looked within the time that a side has, which is how precise the end of it is.
const LOOKS: u32 = 4;

// ===== impl Stall =====

impl Stall {
    /// `stuck` says after how many bytes each direction is stuck, if it is. Ready when that is nothing
    /// to watch any more, or with the side that has taken nothing for `patience`.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        stuck: [Option<u64>; 2],
        patience: Duration,
    ) -> Poll<Option<Role>> {
        let step = patience / LOOKS;
        let next = match &mut self.next {
            Some(next) => next,
            none => {
                look(&mut self.seen, stuck);
                none.insert(Box::pin(sleep(step)))
            }
        };
        while next.as_mut().poll(cx).is_ready() {
            look(&mut self.seen, stuck);
            if self.seen == [None; 2] {
                return Poll::Ready(None);
            }
            let lost = |seen: &Option<(u64, Instant)>| {
                seen.is_some_and(|(_, since)| since.elapsed() >= patience)
            };
            match self.seen.iter().position(lost) {
                // To the upstream: it is the server.
                Some(0) => return Poll::Ready(Some(Role::Server)),
                Some(_) => return Poll::Ready(Some(Role::Client)),
                None => next.as_mut().reset(Instant::now() + step),
            }
        }
        Poll::Pending
    }
}

fn look(seen: &mut [Option<(u64, Instant)>; 2], stuck: [Option<u64>; 2]) {
    for (seen, stuck) in seen.iter_mut().zip(stuck) {
        let has_moved = seen.map(|(at, _)| at) != stuck;
        if has_moved {
            *seen = stuck.map(|at| (at, Instant::now()));
        }
    }
}

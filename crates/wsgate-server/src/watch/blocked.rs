//! How long a client has kept what it is sent waiting.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Adds up the time for which nothing could be written. What the client takes pays it back, at
/// [`RATE`]: so one that takes a byte now and then runs out of time as well, and one that is only slow does
/// not.
#[derive(Debug)]
pub(super) struct Blocked {
    limit: Duration,
    /// What has added up.
    waited: Duration,
    /// Since when it is being waited.
    since: Option<Instant>,
    /// There only while a wait lasts that has to be cut short.
    timer: Option<Pin<Box<Sleep>>>,
}

/// Bytes a second, as with Kestrel's `MinResponseDataRate`: slower than any network that people use.
const RATE: u32 = 240;

// ===== impl Blocked =====

impl Blocked {
    pub(super) const fn new(limit: Duration) -> Self {
        Self {
            limit,
            waited: Duration::ZERO,
            since: None,
            timer: None,
        }
    }

    pub(super) const fn is_waiting(&self) -> bool {
        self.since.is_some()
    }

    /// The client has taken so many bytes: no more than it was offered, or all that there was.
    pub(super) fn on_taken(&mut self, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
            self.timer = None;
        }
        if !self.waited.is_zero() {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            let paid = Duration::from_secs(1) * bytes / RATE;
            self.waited = self.waited.saturating_sub(paid);
        }
    }

    /// Nothing can be written. Ready when that has been so for too long.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let left = self.limit.saturating_sub(self.waited);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(since + left)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;
    use tokio_test::task;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Has a client take so many bytes each second, and tells when it has run out of time.
    async fn runs_out(bytes: usize) -> Option<u64> {
        let mut blocked = Blocked::new(60 * SECOND);
        let begun = Instant::now();
        for _ in 0..1000 {
            let poll = |blocked: &mut Blocked| {
                task::spawn(std::future::poll_fn(|cx| blocked.poll(cx))).poll()
            };
            if poll(&mut blocked).is_ready() {
                return Some(begun.elapsed().as_secs());
            }
            advance(SECOND).await;
            if poll(&mut blocked).is_ready() {
                return Some(begun.elapsed().as_secs());
            }
            blocked.on_taken(bytes);
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_now_and_then_does_not_help() {
        assert_eq!(runs_out(0).await, Some(60));
        assert_eq!(runs_out(1).await, Some(61));
        assert_eq!(runs_out(120).await, Some(119));
        assert_eq!(runs_out(240).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_over_leaves_no_timer() {
        let mut blocked = Blocked::new(60 * SECOND);
        let mut wait = task::spawn(std::future::poll_fn(|cx| blocked.poll(cx)));
        assert!(wait.poll().is_pending());
        drop(wait);
        assert!(blocked.is_waiting());
        blocked.on_taken(1);
        assert!(!blocked.is_waiting() && blocked.timer.is_none());
    }
}

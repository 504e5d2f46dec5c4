//! A token bucket.

use std::time::Duration;

use tokio::time::Instant;

/// Allows a burst, and then one more each time an interval has passed.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    burst: u32,
    interval: Duration,
    left: u32,
    /// When `left` was last added to; what has passed since then is less than an interval, or not yet
    /// counted. `None` until the first call.
    refilled: Option<Instant>,
}

// ===== impl Pace =====

impl Pace {
    pub(crate) fn new(burst: u32, interval: Duration) -> Self {
        Self {
            burst,
            interval,
            left: burst,
            refilled: None,
        }
    }

    /// Takes one, if there is one.
    pub(crate) fn allow(&mut self, now: Instant) -> bool {
        let refilled = *self.refilled.get_or_insert(now);
        let earned = (now - refilled).as_nanos() / self.interval.as_nanos().max(1);
        if earned >= u128::from(self.burst - self.left) {
            self.left = self.burst;
            self.refilled = Some(now);
        } else {
            // Fewer than a burst, so that it fits.
            let earned = earned as u32;
            self.left += earned;
            self.refilled = Some(refilled + self.interval * earned);
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn allows_a_burst_and_then_one_an_interval() {
        let second = Duration::from_secs(1);
        let start = Instant::now();
        let mut pace = Pace::new(3, second);
        let mut allowed = |at: Duration| pace.allow(start + at);

        assert!((0..3).all(|_| allowed(Duration::ZERO)));
        assert!(!allowed(Duration::ZERO));
        assert!(!allowed(second * 9 / 10));
        assert!(allowed(second), "the attempts before cost nothing");
        assert!(!allowed(second));
        assert!(allowed(second * 5 / 2));
        assert!(allowed(second * 3), "the half second over was kept");
        assert!(!allowed(second * 3));
        assert_eq!((0..9).filter(|_| allowed(second * 60)).count(), 3);
    }
}

use std::time::Duration;

use super::Rate;
use crate::moment::Moment;

/// A bucket that fills up evenly and is paid from afterwards: what has come has come, and if it was
/// more than there was, the debt has to be waited for. (GCRA, whose one number is the time.)
///
/// ```text
///            full_at - tolerance    now               full_at
///   ──────────────┼──────────────────┼───────────────────┼──────▶
///                 ▲ empty here       └─ less than whole ─┘
/// ```
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    rate: Rate,
    /// How long it takes to fill it.
    tolerance: Duration,
    /// When it will be full, if nothing more is taken out. `None` before anything was.
    full_at: Option<Moment>,
}

// ===== impl Bucket =====

impl Bucket {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            rate,
            tolerance: rate.time_for(rate.burst_units()),
            full_at: None,
        }
    }

    /// Whether nothing is missing.
    pub(super) fn is_full(&self, now: Moment) -> bool {
        self.full_at.is_none_or(|full_at| full_at <= now)
    }

    /// Takes something out. If there was not as much in it: when the debt will be paid.
    pub(super) fn take(&mut self, units: u64, now: Moment) -> Option<Moment> {
        let full_at = self.full_at.filter(|full_at| *full_at > now);
        let full_at = full_at.unwrap_or(now);
        // Beyond what a moment can tell, later is no later.
        let full_at = full_at + self.rate.time_for(units);
        self.full_at = Some(full_at);
        let paid_at = full_at - self.tolerance;
        (paid_at > now).then_some(paid_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten a second, three at once.
    fn bucket() -> Bucket {
        Bucket::new(Rate::per_second(10).burst(3))
    }

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_burst_is_free_and_the_next_is_a_debt() {
        let (mut bucket, start) = (bucket(), Moment::now());
        assert!(bucket.is_full(start));
        for _ in 0..3 {
            assert_eq!(bucket.take(1, start), None);
        }
        assert!(!bucket.is_full(start));
        assert_eq!(bucket.take(1, start), Some(start + millis(100)));
        assert_eq!(bucket.take(1, start), Some(start + millis(200)));
    }

    #[test]
    fn time_pays() {
        let (mut bucket, start) = (bucket(), Moment::now());
        assert_eq!(bucket.take(13, start), Some(start + millis(1000)));
        let paid = start + millis(1000);
        assert_eq!(bucket.take(0, paid), None);
        assert_eq!(bucket.take(1, paid), Some(paid + millis(100)));
        assert!(!bucket.is_full(start + millis(1399)));
        assert!(bucket.is_full(start + millis(1400)));
    }

    #[test]
    fn a_rest_earns_no_more_than_the_burst() {
        let (mut bucket, start) = (bucket(), Moment::now());
        assert_eq!(bucket.take(3, start), None);
        let later = start + Duration::from_secs(3600);
        assert_eq!(bucket.take(3, later), None);
        assert_eq!(bucket.take(1, later), Some(later + millis(100)));
    }

    #[test]
    fn over_a_long_time_the_rate_is_exact() {
        let (mut bucket, start) = (bucket(), Moment::now());
        let mut now = start;
        for _ in 0..1003 {
            if let Some(paid) = bucket.take(1, now) {
                now = paid;
            }
        }
        assert_eq!(now - start, Duration::from_secs(100));
    }

    #[test]
    fn no_number_breaks_it() {
        let start = Moment::now();
        let mut slow = Bucket::new(Rate::new(1, Duration::MAX));
        for _ in 0..100 {
            slow.take(u64::MAX, start);
        }
        assert!(!slow.is_full(start));
        let mut fast = Bucket::new(Rate::per_second(u64::MAX).burst(1));
        assert_eq!(fast.take(1, start), None);
    }
}

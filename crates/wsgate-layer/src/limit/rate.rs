use std::{num::NonZeroU64, time::Duration};

/// So many in a time, and how many of them at once.
///
/// It is a bucket that holds [`burst`](Self::burst) and fills up evenly: ten per second is one each
/// 100 ms, not ten at the full second.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use wsgate_layer::limit::Rate;
///
/// let messages = Rate::per_second(20).burst(100);
/// let handshakes = Rate::new(30, Duration::from_secs(60)).burst(5);
/// # let _ = (messages, handshakes);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    units: NonZeroU64,
    per: Duration,
    burst: NonZeroU64,
}

// ===== impl Rate =====

impl Rate {
    /// So many `units` in this time, evenly spread, and as many at once.
    ///
    /// # Panics
    ///
    /// If either is zero: what must never happen is not limited but left out.
    #[must_use]
    pub fn new(units: u64, per: Duration) -> Self {
        assert!(
            !per.is_zero(),
            "a rate is so many in a time that is not zero"
        );
        let units = NonZeroU64::new(units).expect("a rate is of one or more");
        Self {
            units,
            per,
            burst: units,
        }
    }

    /// So many in a second, and as many at once.
    ///
    /// # Panics
    ///
    /// If `units` is zero.
    #[must_use]
    pub fn per_second(units: u64) -> Self {
        Self::new(units, Duration::from_secs(1))
    }

    /// As many at once, after a time of rest. Default: as many as the rate names, so that
    /// `per_second(20)` allows 20 at once, then one each 50 ms.
    ///
    /// # Panics
    ///
    /// If `units` is zero.
    #[must_use]
    pub fn burst(mut self, units: u64) -> Self {
        self.burst = NonZeroU64::new(units).expect("a burst is of one or more");
        self
    }

    /// How long it takes to earn so many units.
    pub(super) fn time_for(&self, units: u64) -> Duration {
        // 64 bits for the units, 94 for the time: together they may be more than there are, but then
        // it is never.
        let nanos = self.per.as_nanos().saturating_mul(units.into()) / u128::from(self.units.get());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    pub(super) const fn burst_units(&self) -> u64 {
        self.burst.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_takes_its_part_of_the_time() {
        let rate = Rate::new(30, Duration::from_secs(60)).burst(5);
        assert_eq!(rate.time_for(1), Duration::from_secs(2));
        assert_eq!(rate.time_for(7), Duration::from_secs(14));
        assert_eq!(rate.burst_units(), 5);
        assert_eq!(Rate::per_second(20).burst_units(), 20);
    }

    #[test]
    fn no_number_is_too_large() {
        let slow = Rate::new(1, Duration::MAX);
        assert_eq!(slow.time_for(u64::MAX), Duration::from_nanos(u64::MAX));
        let fast = Rate::per_second(u64::MAX);
        assert_eq!(fast.time_for(u64::MAX), Duration::from_secs(1));
    }

    #[test]
    #[should_panic(expected = "one or more")]
    fn a_rate_of_nothing_is_refused() {
        let _ = Rate::per_second(0);
    }
}

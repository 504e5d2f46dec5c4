//! Points in time, as the policies of an idle WebSocket keep them.

use std::{
    num::NonZeroU64,
    ops::{Add, Sub},
    sync::LazyLock,
    time::Duration,
};

use tokio::time::Instant;

/// A point in time, in half the space of an [`Instant`]: a policy is little else, and there are some
/// in each WebSocket. What is later or earlier than can be told, 292 years from here, is the last or
/// the first that can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Moment {
    /// Nanoseconds, of which the [`ORIGIN`] is in the middle. There is no zeroth: that makes room for
    /// `None`.
    nanos: NonZeroU64,
}

/// The nanosecond of the origin.
const MIDDLE: u64 = 1 << 63;

/// By how much a timer may ring too late on a busy machine.
const LATE: Duration = Duration::from_millis(100);

static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

// ===== impl Moment =====

impl Moment {
    pub(crate) fn now() -> Self {
        Instant::now().into()
    }

    /// How much time has passed since then.
    pub(crate) fn elapsed(self) -> Duration {
        Self::now() - self
    }

    /// Whether this was a deadline that nobody was awake for: the process was stopped, or its machine,
    /// or a handler did something else.
    ///
    /// What peers sent meanwhile need not have been seen by `now`. A process that is woken by SIGCONT
    /// hears of its timers first: `epoll_wait` fails with EINTR, without a word of the sockets that have
    /// become readable. So who judges a silence has to give the peer another chance.
    pub(crate) fn was_missed(self, now: Self) -> bool {
        now - self > LATE
    }

    /// So many nanoseconds after the origin.
    const fn new(nanos: i64) -> Self {
        Self {
            nanos: match NonZeroU64::new(MIDDLE.wrapping_add_signed(nanos)) {
                Some(nanos) => nanos,
                None => NonZeroU64::MIN,
            },
        }
    }

    /// How many nanoseconds after the origin it is.
    const fn nanos(self) -> i64 {
        self.nanos.get().wrapping_sub(MIDDLE) as i64
    }
}

impl From<Instant> for Moment {
    fn from(instant: Instant) -> Self {
        let origin = *ORIGIN;
        // Where the clock of a test stands still, now may be before the origin.
        Self::new(match instant.checked_duration_since(origin) {
            Some(since) => nanos(since),
            None => -nanos(origin - instant),
        })
    }
}

impl From<Moment> for Instant {
    fn from(moment: Moment) -> Self {
        let apart = Duration::from_nanos(moment.nanos().unsigned_abs());
        match moment.nanos() >= 0 {
            true => *ORIGIN + apart,
            false => *ORIGIN - apart,
        }
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self::new(self.nanos().saturating_add(nanos(time)))
    }
}

impl Sub<Duration> for Moment {
    type Output = Self;

    fn sub(self, time: Duration) -> Self {
        Self::new(self.nanos().saturating_sub(nanos(time)))
    }
}

impl Sub for Moment {
    type Output = Duration;

    /// Zero if `earlier` is later.
    fn sub(self, earlier: Self) -> Duration {
        let nanos = self.nanos().saturating_sub(earlier.nanos());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }
}

fn nanos(time: Duration) -> i64 {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let nanos = seconds.saturating_mul(1_000_000_000);
    nanos.saturating_add(time.subsec_nanos().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_half_the_space_of_an_instant_and_so_does_none() {
        assert_eq!(size_of::<Option<Moment>>() * 2, size_of::<Instant>());
    }

    #[test]
    fn an_instant_is_its_moment() {
        let (now, time) = (Instant::now(), Duration::from_nanos(1_000_000_000_001));
        for instant in [now - time, now, now + time, *ORIGIN] {
            assert_eq!(Instant::from(Moment::from(instant)), instant);
        }
    }

    #[test]
    fn moments_are_ordered_and_apart_as_their_instants() {
        let (start, hour) = (*ORIGIN, Duration::from_secs(3600));
        for earlier in [start - 2 * hour, start + hour] {
            let later = Moment::from(earlier + hour);
            let earlier = Moment::from(earlier);
            assert!(earlier < later);
            assert_eq!(later - earlier, hour);
            assert_eq!(earlier - later, Duration::ZERO);
            assert_eq!((earlier + hour, later - hour), (later, earlier));
        }
    }

    #[test]
    fn a_deadline_is_missed_when_nobody_comes_for_a_while() {
        let deadline = Moment::from(*ORIGIN);
        for (late, missed) in [(0, false), (100, false), (101, true), (60_000, true)] {
            let now = deadline + Duration::from_millis(late);
            assert_eq!(deadline.was_missed(now), missed, "{late}");
        }
        assert!(!deadline.was_missed(deadline - LATE * 2));
    }

    #[test]
    fn what_cannot_be_told_is_the_last_moment_or_the_first() {
        // The first of all may be a little before the origin.
        let now = Moment::from(*ORIGIN);
        let (last, first) = (now + Duration::MAX, now - Duration::MAX);
        assert_eq!(last, last + Duration::MAX);
        assert!(first < now && now < last);
        assert!(last - first >= now - first);
    }
}

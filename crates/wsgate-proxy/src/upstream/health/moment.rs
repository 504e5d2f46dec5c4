use std::{sync::LazyLock, time::Duration};

use tokio::time::Instant;

/// A point in time that fits into an atomic, so that who chooses an endpoint waits for no lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::upstream) struct Moment {
    /// Nanoseconds, of which the [`ORIGIN`] is in the middle: where the clock of a test stands still, now
    /// may be before the origin.
    nanos: u64,
}

/// The nanosecond of the origin. What can be told reaches 292 years from it.
const MIDDLE: u64 = 1 << 63;

static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

// ===== impl Moment =====

impl Moment {
    /// Before all others.
    pub(in crate::upstream) const EVER: Self = Self { nanos: 0 };

    /// After all others.
    pub(in crate::upstream) const NEVER: Self = Self { nanos: u64::MAX };

    pub(in crate::upstream) fn now() -> Self {
        Instant::now().into()
    }

    /// How long after the other this is; nothing if it is before.
    pub(super) const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos.saturating_sub(earlier.nanos))
    }

    pub(super) fn plus(self, duration: Duration) -> Self {
        Self {
            // Never is not a time that comes.
            nanos: self.nanos.saturating_add(nanos(duration)).min(u64::MAX - 1),
        }
    }

    pub(super) const fn to_bits(self) -> u64 {
        self.nanos
    }

    pub(super) const fn from_bits(nanos: u64) -> Self {
        Self { nanos }
    }
}

impl From<Instant> for Moment {
    fn from(instant: Instant) -> Self {
        let origin = *ORIGIN;
        Self {
            nanos: match instant.checked_duration_since(origin) {
                Some(after) => MIDDLE.saturating_add(nanos(after)),
                None => MIDDLE.saturating_sub(nanos(origin.duration_since(instant))),
            },
        }
    }
}

pub(super) fn nanos(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}

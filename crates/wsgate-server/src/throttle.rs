//! Lets a message through a bounded number of times, however often its cause comes.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Admits [some](Self::PER_WINDOW) messages in each [`WINDOW`] and counts the rest.
///
/// Strangers decide how often a handshake fails. They must not decide how much we log.
#[derive(Debug)]
pub(crate) struct Throttle {
    per_window: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `None` until the first message.
    window: Option<Instant>,
    admitted: u32,
    suppressed: u64,
}

// ===== impl Throttle =====

impl Throttle {
    /// Enough to see that one's own attempt failed, and why, while scanners knock too.
    const PER_WINDOW: u32 = 10;

    /// Admits one message in each [`WINDOW`], of something that is always the same.
    pub(crate) fn one() -> Self {
        Self::of(1)
    }

    fn of(per_window: u32) -> Self {
        Self {
            per_window,
            state: Mutex::default(),
        }
    }

    /// `Some(n)`: log it, and say that `n` were left out since the last one. `None`: do not.
    pub(crate) fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.window.is_none_or(|start| now >= start + WINDOW) {
            state.window = Some(now);
            state.admitted = 0;
        }
        if state.admitted == self.per_window {
            state.suppressed += 1;
            return None;
        }
        state.admitted += 1;
        Some(std::mem::take(&mut state.suppressed))
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self::of(Self::PER_WINDOW)
    }
}

const WINDOW: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admits_a_few_in_each_window_and_counts_the_rest() {
        let throttle = Throttle::default();
        let start = Instant::now();

        for _ in 0..Throttle::PER_WINDOW {
            assert_eq!(throttle.admit(start), Some(0));
        }
        for _ in 0..5 {
            assert_eq!(throttle.admit(start + WINDOW / 2), None);
        }
        assert_eq!(throttle.admit(start + WINDOW), Some(5));
        assert_eq!(throttle.admit(start + WINDOW), Some(0));
    }

    #[test]
    fn admits_one_where_all_are_the_same() {
        let throttle = Throttle::one();
        let start = Instant::now();
        assert_eq!(throttle.admit(start), Some(0));
        assert_eq!(throttle.admit(start), None);
        assert_eq!(throttle.admit(start + WINDOW), Some(1));
    }
}

//! Settings of layers, checked once: where they are given.

use std::time::Duration;

use wsgate_frame::CloseCode;

/// A time that is shortened at random, so that what began together does not go on in step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Jittered {
    longest: Duration,
    /// By how much it is shortened at most.
    jitter: Duration,
}

/// Longer than any process lives, and short enough to be added to any instant.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

// ===== impl Jittered =====

impl Jittered {
    /// Shortened by up to a tenth: enough to spread a million sockets over seconds, too little to
    /// matter for what the time is for.
    #[track_caller]
    pub(crate) fn new(longest: Duration) -> Self {
        let longest = positive(longest);
        Self {
            longest,
            jitter: longest / 10,
        }
    }

    /// Shortened by up to this share of it.
    #[track_caller]
    pub(crate) fn jitter(self, share: f64) -> Self {
        assert!(
            (0.0..=1.0).contains(&share),
            "the jitter is a share of the time, from 0.0 to 1.0"
        );
        Self {
            jitter: self.longest.mul_f64(share),
            ..self
        }
    }

    pub(crate) const fn longest(&self) -> Duration {
        self.longest
    }

    /// The time, for a random number. Never zero.
    pub(crate) fn draw(&self, random: u16) -> Duration {
        // Asked for with each deadline: this is one multiplication, where a `Duration` takes many.
        let shortened = (self.jitter.as_nanos() * u128::from(random)) >> u16::BITS;
        self.longest - Duration::from_nanos(shortened as u64)
    }
}

/// A time after which something may happen again and again. `Duration::MAX` and the like stand for
/// "never".
#[track_caller]
pub(crate) fn positive(time: Duration) -> Duration {
    assert!(!time.is_zero(), "the time must not be zero");
    time.min(FAR)
}

/// A code that may stand in a Close frame.
#[track_caller]
pub(crate) fn sendable(code: CloseCode) -> CloseCode {
    assert!(code.is_sendable(), "{code} must not be sent in a Close");
    code
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::moment::Moment;

    #[track_caller]
    fn check(jittered: Jittered, shortest: Duration, longest: Duration) {
        assert_eq!(jittered.draw(0), longest);
        let drawn = jittered.draw(u16::MAX);
        assert!(drawn > shortest, "{drawn:?} is too short");
        let almost = shortest + longest / 1000;
        assert!(drawn < almost, "{drawn:?} is not spread");
    }

    #[test]
    fn a_time_is_shortened_by_its_share() {
        let ten = Duration::from_secs(10);
        check(Jittered::new(ten), Duration::from_secs(9), ten);
        check(Jittered::new(ten).jitter(0.5), Duration::from_secs(5), ten);
        check(Jittered::new(ten).jitter(1.0), Duration::ZERO, ten);
        let steady = Jittered::new(ten).jitter(0.0);
        assert_eq!(steady.draw(u16::MAX), ten);
    }

    #[test]
    fn a_time_is_never_shortened_to_nothing() {
        let shortest = Jittered::new(Duration::from_nanos(1)).jitter(1.0);
        assert!(!shortest.draw(u16::MAX).is_zero());
    }

    #[test]
    fn the_longest_time_can_be_added_to_now() {
        let never = Jittered::new(Duration::MAX);
        let now = Moment::now();
        assert_eq!(now + never.draw(0) - now, FAR);
        assert!(never.draw(u16::MAX) > FAR / 2);
    }

    #[test]
    #[should_panic(expected = "from 0.0 to 1.0")]
    fn no_number_is_no_share() {
        let _ = Jittered::new(FAR).jitter(f64::NAN);
    }

    #[test]
    #[should_panic(expected = "must not be zero")]
    fn no_time_is_refused() {
        let _ = positive(Duration::ZERO);
    }

    #[test]
    #[should_panic(expected = "1006 abnormal closure must not be sent")]
    fn a_code_that_is_not_for_the_wire_is_refused() {
        let _ = sendable(CloseCode::ABNORMAL_CLOSURE);
    }
}

use std::time::Duration;

use wsgate_frame::CloseCode;

use crate::{
    guard::{Ending, PeerEnds},
    moment::Moment,
    tunnel::Cause,
};

/// How a drain is to go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) code: CloseCode,
    pub(super) spread: Duration,
}

/// How a drain goes, from its beginning on.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    code: CloseCode,
    start: Moment,
    /// In which all Closes go out, counted from the start.
    pub(super) window: Duration,
    /// When what is left is cut.
    pub(super) until: Moment,
}

/// The window for each WebSocket, where there are few: a hundred come back in a second.
const WINDOW_EACH: Duration = Duration::from_millis(10);

/// More than anyone means, and no more than the clock can add.
pub(super) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

// ===== impl Settings =====

impl Default for Settings {
    fn default() -> Self {
        Self {
            code: CloseCode::GOING_AWAY,
            spread: super::Drain::DEFAULT_SPREAD,
        }
    }
}

// ===== impl Plan =====

impl Plan {
    /// For so many WebSockets, from now on.
    pub(super) fn new(settings: Settings, start: Moment, deadline: Duration, live: usize) -> Self {
        let deadline = deadline.min(LONGEST);
        let few = WINDOW_EACH.saturating_mul(u32::try_from(live).unwrap_or(u32::MAX));
        Self {
            code: settings.code,
            start,
            window: settings.spread.min(few).min(deadline / 2),
            until: start + deadline,
        }
    }

    /// When to close a WebSocket: any moment of the window is as likely as another.
    pub(super) fn any_moment(&self) -> Moment {
        self.start + self.window.mul_f64(rand::random())
    }

    pub(super) fn ending(&self) -> Ending {
        Ending {
            cause: Cause::Drain,
            code: self.code,
            reason: match self.code {
                CloseCode::SERVICE_RESTART => "service restart",
                _ => "server shutting down",
            },
            peer: PeerEnds::Politely { until: self.until },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_shrinks_with_the_tunnels_and_with_the_deadline() {
        #[track_caller]
        fn check(spread: u64, live: usize, deadline: Duration, millis: u64) {
            let settings = Settings {
                spread: Duration::from_secs(spread),
                ..Settings::default()
            };
            let plan = Plan::new(settings, Moment::now(), deadline, live);
            assert_eq!(plan.window, Duration::from_millis(millis));
        }
        let seconds = Duration::from_secs;
        check(5, 100_000, seconds(30), 5_000);
        check(5, 500, seconds(30), 5_000);
        check(5, 499, seconds(30), 4_990);
        check(5, 1, seconds(30), 10);
        check(5, 0, seconds(30), 0);
        check(5, 100_000, seconds(4), 2_000);
        check(0, 100_000, seconds(30), 0);
        check(5, usize::MAX, Duration::MAX, 5_000);
        check(5, 100_000, Duration::ZERO, 0);
    }

    #[test]
    fn the_reason_fits_the_code() {
        #[track_caller]
        fn check(code: CloseCode, reason: &str) {
            let settings = Settings {
                code,
                ..Settings::default()
            };
            let start = Moment::now();
            let ending = Plan::new(settings, start, Duration::from_secs(1), 1).ending();
            assert_eq!((ending.code, ending.reason), (code, reason));
        }
        check(Settings::default().code, "server shutting down");
        check(CloseCode::SERVICE_RESTART, "service restart");
        check(CloseCode(4000), "server shutting down");
    }
}

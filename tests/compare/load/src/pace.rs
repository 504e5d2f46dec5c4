//! When messages are due.

use std::time::Duration;

use tokio::time::Instant;

/// What makes a socket send, and what the latency of its messages counts from.
#[derive(Clone, Debug)]
pub(crate) enum Pace {
    /// As many in flight as there may be; a message is due when there is room for it.
    Closed {
        /// Messages that are sent and not back.
        in_flight: u64,
        /// As many are sent in the socket's life, over all its runs.
        last: u64,
    },
    /// By the clock, however late the others come back.
    Open(Schedule),
    /// By the clock; nothing comes back.
    Publish(Schedule),
    /// Sends nothing; what comes was published by this schedule.
    Listen(Schedule),
}

/// Messages at even distances: those of one socket, among those of others whose turns lie in between.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// When the first message of this socket is due.
    first: Instant,
    /// From one message of this socket to its next.
    every: Duration,
}

// ===== impl Pace =====

impl Pace {
    /// When message `number` was due, where the clock decides that.
    pub(crate) fn due(&self, number: u64) -> Option<Instant> {
        match self {
            Self::Closed { .. } => None,
            Self::Open(schedule) | Self::Publish(schedule) | Self::Listen(schedule) => {
                Some(schedule.due(number))
            }
        }
    }

    /// How many messages the socket sends in its life.
    pub(crate) const fn last(&self) -> u64 {
        match self {
            Self::Closed { last, .. } => *last,
            _ => u64::MAX,
        }
    }

    /// Whether each message that is sent comes back.
    pub(crate) const fn is_echoed(&self) -> bool {
        matches!(self, Self::Closed { .. } | Self::Open(_))
    }
}

// ===== impl Schedule =====

impl Schedule {
    /// The turns of socket `index` of `sockets`, which send `rate` messages a second together.
    pub(crate) fn new(start: Instant, rate: f64, index: usize, sockets: usize) -> Self {
        let turn = |turns: usize| Duration::from_secs_f64(turns as f64 / rate);
        Self {
            first: start + turn(index),
            every: turn(sockets).max(Duration::from_nanos(1)),
        }
    }

    /// When message `number`, counted from 0, is due.
    pub(crate) fn due(&self, number: u64) -> Instant {
        let nanos = (self.every.as_nanos() as u64).saturating_mul(number);
        self.first + Duration::from_nanos(nanos)
    }

    /// How many messages are due until `now`.
    pub(crate) fn due_by(&self, now: Instant) -> u64 {
        match now.checked_duration_since(self.first) {
            Some(since) => (since.as_nanos() / self.every.as_nanos()) as u64 + 1,
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_take_turns() {
        let start = Instant::now();
        // A hundred a second over four sockets: one every 10 ms, each socket every 40 ms.
        let schedules: Vec<_> = (0..4).map(|i| Schedule::new(start, 100.0, i, 4)).collect();
        for (turn, millis) in (0..12).map(|turn| (turn, 10 * turn as u64)) {
            let due = schedules[turn % 4].due(turn as u64 / 4);
            assert_eq!(due, start + Duration::from_millis(millis), "{turn}");
        }
    }

    #[test]
    fn a_message_is_due_from_its_very_instant_on() {
        let start = Instant::now();
        let schedule = Schedule::new(start, 100.0, 1, 4);
        assert_eq!(schedule.due_by(start), 0);
        for number in 0..5 {
            let due = schedule.due(number);
            assert_eq!(schedule.due_by(due - Duration::from_nanos(1)), number);
            assert_eq!(schedule.due_by(due), number + 1);
        }
    }
}

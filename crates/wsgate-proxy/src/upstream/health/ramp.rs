use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::moment::{Moment, nanos};

/// How much of its weight an endpoint has while it starts slowly. Read for each candidate of each
/// handshake: two atomics.
#[derive(Debug, Default)]
pub(super) struct Ramp {
    from: AtomicU64,
    /// In nanoseconds; 0 before the first. A reader that sees the one of before and the other of after
    /// is a little off for once.
    length: AtomicU64,
}

// ===== impl Ramp =====

impl Ramp {
    pub(super) fn begin(&self, now: Moment, length: Duration) {
        self.from.store(now.to_bits(), Ordering::Relaxed);
        self.length.store(nanos(length), Ordering::Relaxed);
    }

    /// From [`LEAST`] to 1.0.
    pub(super) fn share(&self, now: Moment) -> f64 {
        let length = self.length.load(Ordering::Relaxed);
        if length == 0 {
            return 1.0;
        }
        let from = Moment::from_bits(self.from.load(Ordering::Relaxed));
        let gone = nanos(now.since(from)) as f64 / length as f64;
        LEAST + (1.0 - LEAST) * gone.min(1.0)
    }
}

/// Where it begins: enough to show whether the endpoint bears it, and to be noticed among a few
/// handshakes.
const LEAST: f64 = 0.1;

//! What a thread counts while it works, and the coordinator reads meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::Instant;

use crate::Fault;

/// The counts of one thread. Only that thread writes, so nothing here is ever contended.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Whether the measured window is open: only then are latencies kept.
    open: AtomicBool,
    messages: AtomicU64,
    resumed: AtomicU64,
    errors: AtomicU64,
    first_error: Mutex<Option<String>>,
    /// Nanoseconds.
    latency: Mutex<Histogram<u64>>,
}

/// Records what one read brings.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    tally: &'a Tally,
    /// Taken with the first message.
    now: Option<Instant>,
    latency: Option<MutexGuard<'a, Histogram<u64>>>,
    messages: u64,
}

// ===== impl Tally =====

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            open: AtomicBool::new(false),
            messages: AtomicU64::new(0),
            resumed: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            first_error: Mutex::new(None),
            latency: Mutex::new(new_histogram()),
        }
    }

    /// Opens or closes the window in which latencies are kept.
    pub(crate) fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::Relaxed);
    }

    /// All messages so far, the window's and others.
    pub(crate) fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// All resumed handshakes so far.
    pub(crate) fn resumed(&self) -> u64 {
        self.resumed.load(Ordering::Relaxed)
    }

    /// Counts a WebSocket that was opened, which took `latency`, and closed.
    pub(crate) fn handshake(&self, latency: Duration, resumed: bool) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.resumed.fetch_add(resumed.into(), Ordering::Relaxed);
        if self.open.load(Ordering::Relaxed) {
            let mut kept = self.latency.lock().expect("no holder panics");
            kept.saturating_record(latency.as_nanos() as u64);
        }
    }

    /// Counts `lost` messages that will not come back, or a socket that failed with none in flight.
    pub(crate) fn fail(&self, fault: &Fault, lost: u64) {
        self.errors.fetch_add(lost.max(1), Ordering::Relaxed);
        let mut first = self.first_error.lock().expect("no holder panics");
        first.get_or_insert_with(|| fault.to_string());
    }

    pub(crate) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    pub(crate) fn first_error(&self) -> Option<String> {
        self.first_error.lock().expect("no holder panics").clone()
    }

    /// Adds what was kept to `sum`.
    pub(crate) fn add_latency_to(&self, sum: &mut Histogram<u64>) {
        let latency = self.latency.lock().expect("no holder panics");
        sum.add(&*latency).expect("the histograms are alike");
    }

    /// What records the messages of one read.
    pub(crate) const fn record(&self) -> Record<'_> {
        Record {
            tally: self,
            now: None,
            latency: None,
            messages: 0,
        }
    }
}

// ===== impl Record =====

impl Record<'_> {
    /// A message came that was due at `due`.
    pub(crate) fn message(&mut self, due: Instant) {
        self.messages += 1;
        if self.now.is_none() {
            self.now = Some(Instant::now());
            let open = self.tally.open.load(Ordering::Relaxed);
            self.latency = open.then(|| self.tally.latency.lock().expect("no holder panics"));
        }
        if let (Some(now), Some(latency)) = (self.now, &mut self.latency) {
            latency.saturating_record(now.saturating_duration_since(due).as_nanos() as u64);
        }
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        if self.messages > 0 {
            let messages = &self.tally.messages;
            messages.fetch_add(self.messages, Ordering::Relaxed);
        }
    }
}

/// Nanoseconds up to a minute, to three digits.
pub(crate) fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are in order")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_kept_while_the_window_is_open() {
        let tally = Tally::new();
        let due = Instant::now() - Duration::from_millis(5);
        tally.record().message(due);
        tally.set_open(true);
        tally.record().message(due);
        tally.set_open(false);
        tally.record().message(due);

        assert_eq!(tally.messages(), 3);
        let mut latency = new_histogram();
        tally.add_latency_to(&mut latency);
        assert_eq!(latency.len(), 1);
        assert!(latency.min() >= 4_990_000, "{}", latency.min());
    }

    #[test]
    fn a_failed_socket_counts_what_it_lost() {
        let tally = Tally::new();
        tally.fail(&Fault::new("first"), 3);
        tally.fail(&Fault::new("second"), 0);
        assert_eq!(tally.errors(), 4);
        assert_eq!(tally.first_error().as_deref(), Some("first"));
    }
}

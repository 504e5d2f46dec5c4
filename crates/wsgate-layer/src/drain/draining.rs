use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::timeout_at;

use super::{
    plan::{LONGEST, Plan, Settings},
    shared::{Counts, Shared},
};
use crate::moment::Moment;

/// A drain under way, from [`Drain::within`](super::Drain::within). Ready when no WebSocket is left,
/// or its deadline has passed.
#[must_use = "a drain does not begin before it is polled"]
pub struct Draining {
    // Boxed, as there is one in the life of a server.
    inner: Pin<Box<dyn Future<Output = Drained> + Send>>,
}

/// What came of a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// WebSockets that ended in time: told and answered, or by themselves.
    pub closed: usize,
    /// Those whose client had not answered when the time was over.
    pub cut: usize,
    /// Those that are still there, because their handlers have not let go of them: such as do not
    /// read. Handshakes that were not answered in time count here too.
    pub left: usize,
    /// How long it took.
    pub took: Duration,
}

/// How far a drain has come. `Display` is "closed 812 of 1,000".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// WebSockets that were open when the drain began, and those whose handshake was under way.
    /// Before it begins: all that are [`live`](Self::live).
    pub total: usize,
    /// Those that have ended in time since.
    pub closed: usize,
    /// Those that are left.
    pub live: usize,
}

/// A number as people write it: `1,234,567`.
struct Grouped(usize);

/// How often it is told how far a drain has come.
const TICK: Duration = Duration::from_secs(1);

/// For handlers to notice that they were cut.
const SLACK: Duration = Duration::from_millis(250);

// ===== impl Draining =====

impl Draining {
    pub(super) fn new(shared: Arc<Shared>, settings: Settings, deadline: Duration) -> Self {
        Self {
            inner: Box::pin(drain(shared, settings, deadline)),
        }
    }
}

impl Future for Draining {
    type Output = Drained;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Drained> {
        self.inner.as_mut().poll(cx)
    }
}

impl fmt::Debug for Draining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draining").finish_non_exhaustive()
    }
}

/// The WebSockets end themselves; this begins, waits, and tells.
async fn drain(shared: Arc<Shared>, settings: Settings, deadline: Duration) -> Drained {
    let start = Moment::now();
    let plan = shared.begin(|live| Plan::new(settings, start, deadline, live));
    let live = shared.counts().live;
    if live > 0 {
        tracing::info!(live, spread = ?plan.window, ?deadline, "draining");
    }
    let give_up = start + deadline.min(LONGEST) + SLACK;
    let mut tick = start + TICK;
    loop {
        let empty = shared.empty();
        let counts = shared.counts();
        let now = Moment::now();
        if counts.live == 0 || now >= give_up {
            let drained = Drained::new(counts, now - start);
            drained.log();
            return drained;
        }
        if now >= tick {
            tracing::info!("{}", Progress::from(counts));
            tick = now + TICK;
        }
        // Either way: look again.
        let _ = timeout_at(tick.min(give_up).into(), empty).await;
    }
}

// ===== impl Drained =====

impl Drained {
    const fn new(counts: Counts, took: Duration) -> Self {
        Self {
            closed: counts.closed,
            cut: counts.cut,
            left: counts.live,
            took,
        }
    }

    fn log(&self) {
        let Self {
            closed,
            cut,
            left,
            took,
        } = *self;
        let progress = Progress {
            total: closed + cut + left,
            closed,
            live: left,
        };
        match (cut + left, progress.total) {
            (_, 0) => tracing::debug!("drained: no WebSocket was open"),
            (0, _) => tracing::info!(?took, "drained: {progress}"),
            _ => tracing::warn!(?took, cut, left, "drained: {progress}"),
        }
    }
}

// ===== impl Progress =====

impl From<Counts> for Progress {
    fn from(Counts { live, closed, cut }: Counts) -> Self {
        Self {
            total: live + closed + cut,
            closed,
            live,
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "closed {} of {}",
            Grouped(self.closed),
            Grouped(self.total)
        )
    }
}

// ===== impl Grouped =====

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.char_indices() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_reads_as_people_write_numbers() {
        #[track_caller]
        fn check(closed: usize, total: usize, expected: &str) {
            let progress = Progress {
                total,
                closed,
                live: total - closed,
            };
            assert_eq!(progress.to_string(), expected);
        }
        check(0, 7, "closed 0 of 7");
        check(812, 1_000, "closed 812 of 1,000");
        check(99_999, 100_000, "closed 99,999 of 100,000");
        check(1_234_567, 12_345_678, "closed 1,234,567 of 12,345,678");
    }
}

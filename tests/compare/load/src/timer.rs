//! A timer that is as good as the kernel's: tokio's own rounds to milliseconds, which at thousands of
//! messages a second would make bursts of what should be even.

use std::io;
use std::os::fd::OwnedFd;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

/// Waits for one instant at a time.
#[derive(Debug)]
pub(crate) struct Timer {
    fd: AsyncFd<OwnedFd>,
}

// ===== impl Timer =====

impl Timer {
    /// # Errors
    ///
    /// When there are no descriptors left.
    #[allow(
        deprecated,
        reason = "an OwnedFd keeps its descriptor, of which tokio's unsafe constructor wants a promise"
    )]
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self {
            fd: AsyncFd::new(fd)?,
        })
    }

    /// Waits until `due`; at least lets others have their turn when that is over.
    ///
    /// # Errors
    ///
    /// When the kernel does not take the time.
    pub(crate) async fn until(&self, due: Instant) -> io::Result<()> {
        let wait = due.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            tokio::task::consume_budget().await;
            return Ok(());
        }
        let once = Itimerspec {
            it_interval: Timespec::default(),
            it_value: wait.try_into().map_err(io::Error::other)?,
        };
        timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &once)?;
        let mut fired = self.fd.readable().await?;
        fired.clear_ready();
        Ok(())
    }
}

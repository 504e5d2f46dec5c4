use std::time::Duration;

use crate::WebSocketProxy;

/// How long the two sides of a tunnel may take for what, in little space: each tunnel has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    close_ms: u32,
    send_ms: u32,
}

// ===== impl Patience =====

impl Patience {
    /// Times beyond 49 days are as good as 49 days.
    pub(crate) fn new(close: Duration, send: Duration) -> Self {
        let ms = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        Self {
            close_ms: ms(close),
            send_ms: ms(send),
        }
    }

    /// From the first Close to the answer.
    pub(super) const fn close(self) -> Duration {
        Duration::from_millis(self.close_ms as u64)
    }

    /// To take anything at all of what waits.
    pub(super) const fn send(self) -> Duration {
        Duration::from_millis(self.send_ms as u64)
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self::new(
            WebSocketProxy::DEFAULT_CLOSE_TIMEOUT,
            WebSocketProxy::DEFAULT_SEND_TIMEOUT,
        )
    }
}

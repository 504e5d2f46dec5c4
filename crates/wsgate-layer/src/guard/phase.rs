//! How far a WebSocket has come; drawn in the [module](super).

use tokio::io::ReadBuf;
use wsgate_frame::ControlFrame;

use super::Ending;
use crate::moment::Moment;

#[derive(Debug)]
pub(super) enum Phase {
    Open,
    Closing(Box<Closing>),
    Telling(Box<Telling>),
    Over,
}

/// The peer has its time to answer our Close.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) ending: Ending,
    pub(super) until: Moment,
}

/// The handler is reading our Close.
#[derive(Debug)]
pub(super) struct Telling {
    frame: ControlFrame,
    told: usize,
}

// ===== impl Phase =====

impl Phase {
    pub(super) const fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    pub(super) const fn is_closing(&self) -> bool {
        matches!(self, Self::Closing(_))
    }

    /// Whether the peer may still be read from.
    pub(super) const fn reads(&self) -> bool {
        self.is_open() || self.is_closing()
    }
}

// ===== impl Telling =====

impl Telling {
    pub(super) const fn new(frame: ControlFrame) -> Self {
        Self { frame, told: 0 }
    }

    /// Gives as much as there is room for. Whether that was the last of it.
    pub(super) fn give(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let rest = &self.frame[self.told..];
        let n = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..n]);
        self.told += n;
        self.told == self.frame.len()
    }
}

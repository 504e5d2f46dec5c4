//! Ending tunnels of an endpoint, so that their clients come back to another.
//!
//! ```text
//!   close_tunnels ─┐
//!   close_removed ─┤── Ticket::recall ──▶ the relay is woken: Close 1012 at the next frame boundary,
//!   rebalance ─────┘       ▲               5 s to answer, then the Lease is dropped
//!                        Roll             the tickets of one member's tunnels
//! ```

mod close;
mod leaving;
mod rebalance;
mod roll;

#[cfg(test)]
mod tests;

use std::fmt;

pub use self::{
    close::{CloseTunnels, Removed},
    rebalance::Rebalance,
};

pub(super) use self::{
    leaving::{CloseRemoved, Leaving},
    roll::{Roll, Ticket},
};

/// Why a tunnel is ended. `Display` is the word for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recall {
    /// Somebody asked for it, of an endpoint that goes on.
    Asked,
    Drained,
    Removed,
    Rebalance,
}

// ===== impl Recall =====

impl fmt::Display for Recall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "tunnel recalled",
            Self::Drained => "endpoint drained",
            Self::Removed => "endpoint removed",
            Self::Rebalance => "rebalance",
        })
    }
}

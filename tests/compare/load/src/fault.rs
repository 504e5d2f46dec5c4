//! What can go wrong on one socket.

use std::fmt;
use std::io;

/// Why a WebSocket, and what was in flight on it, failed. The run goes on without it.
#[derive(Clone, Debug)]
pub(crate) struct Fault(String);

// ===== impl Fault =====

impl Fault {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

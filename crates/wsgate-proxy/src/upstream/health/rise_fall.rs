//! What checks have told of one endpoint.

use std::sync::Arc;

use super::HealthCheck;

/// Counts passes and failures in a row.
#[derive(Debug)]
pub(super) enum RiseFall {
    /// Not checked yet, and taken to be well. The first check decides.
    Unknown,
    Passing {
        failures: u32,
    },
    Failing {
        passes: u32,
        /// Of the last failure.
        why: Arc<str>,
    },
}

// ===== impl RiseFall =====

impl RiseFall {
    pub(super) fn failing(&self) -> Option<&str> {
        match self {
            Self::Failing { why, .. } => Some(why),
            Self::Unknown | Self::Passing { .. } => None,
        }
    }

    /// Takes a check that passed. Whether the endpoint has come back by it.
    pub(super) fn passed(&mut self, check: &HealthCheck) -> bool {
        if let Self::Failing { passes, .. } = self {
            *passes += 1;
            if *passes < check.rise {
                return false;
            }
            *self = Self::Passing { failures: 0 };
            return true;
        }
        *self = Self::Passing { failures: 0 };
        false
    }

    /// Takes a check that failed. Whether the endpoint is down by it.
    pub(super) fn failed(&mut self, why: &str, check: &HealthCheck) -> bool {
        let failures = match self {
            Self::Unknown => check.fall,
            Self::Passing { failures } => *failures + 1,
            Self::Failing { .. } => 0,
        };
        let was_failing = self.failing().is_some();
        *self = match was_failing || failures >= check.fall {
            true => Self::Failing {
                passes: 0,
                why: why.into(),
            },
            false => Self::Passing { failures },
        };
        !was_failing && self.failing().is_some()
    }
}

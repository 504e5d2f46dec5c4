//! Which endpoints of a group are well.
//!
//! Two sources say so. **Handshakes** do, without any traffic of our own: an endpoint that fails one is
//! [ejected](Ejection) for a while. **Checks** do, also while there are no handshakes: an endpoint that
//! fails some in a row is out until it passes some in a row ([`HealthCheck`]). Either alone is enough
//! to be passed over. Live tunnels are touched by neither.
//!
//! # What handshakes tell
//!
//! ```text
//!                 1 failure (or `failures` in a row),
//!                 unless it is the last one standing
//!      ┌────────┐ ────────────────────────────────────▶ ┌─────────┐
//!      │  well  │                                       │ ejected │ ◀──────────────┐
//!      └────────┘                                       └─────────┘                │
//!           ▲                                 1 s is over │     ▲                  │
//!           │                     the next handshake is   │     │ its client left: │ failure:
//!           │                     the probe, all others   ▼     │ the next one is  │ for 2 s, 4 s,
//!           │                     pass the endpoint over ┌─────────┐               │ … 60 s
//!           └─────────────── success ─────────────────── │ probing │ ──────────────┘
//!                                                        └─────────┘
//! ```
//!
//! A **failure** is a connection that is refused, cannot be made or takes too long, a TLS handshake
//! that fails, an answer that breaks off, does not come in time or does not fit the handshake, and any
//! 5xx answer. Any other answer is a **success**: who answers 401 is well. A handshake whose client
//! leaves tells nothing, nor does a later try of a handshake which the group's deadline cut short.
//!
//! This is on by default, as in nginx, and with [its numbers](Ejection) where it has some: without it,
//! an endpoint that drops packets would cost every handshake that is given to it the whole connection
//! timeout, and by having the fewest tunnels it would be given all of them. A handshake makes at most
//! one probe; its further tries go to endpoints that are well.
//!
//! **The last one standing is never ejected**: the others must leave one, a backup perhaps, that is
//! neither drained nor out; one whose time is over counts. And where nobody is well, handshakes go to
//! whoever is not drained or full, primaries first: a try is better than a certain 503. In an outage of
//! all endpoints the first one that answers is back with its first answer, whatever is left of its time.
//!
//! **One client's word ejects one endpoint at a time.** What an endpoint answers, and whether it does, may be the
//! client's doing: a path that makes the application crash would take out the whole group, one endpoint after the
//! other. So where an endpoint has failed *after* it was connected to, and this client has another one out
//! already, nothing is told of it, unless the same handshake does better elsewhere: then it was the endpoint.
//! Connections that fail are nobody's doing, and count always. A client is an IPv4 address or an IPv6 /64,
//! behind [trusted proxies](crate::WebSocketProxy::trusted_proxies) the one they tell of; where the server tells no
//! address, all failures count.
//!
//! # What checks tell
//!
//! An endpoint is taken to be well until its first check, as in nginx and HAProxy: a gateway that
//! starts takes handshakes at once. That first check decides by itself; after it,
//! [`fall`](HealthCheck::fall) failures in a row take an endpoint out and [`rise`](HealthCheck::rise) passes
//! in a row take it back, an ejection ended.
//!
//! ```text
//!                   ┌─────────┐
//!      passes  ┌─── │ unknown │ ───┐  fails
//!              ▼    └─────────┘    ▼
//!         ┌────────┐ 3 failures ┌─────┐
//!         │   in   │ ─────────▶ │ out │
//!         └────────┘ ◀───────── └─────┘
//!                     2 passes
//! ```
//!
//! No client has to probe an endpoint that fails its checks. Where an endpoint may vanish without a
//! refusal, its machine or the network between gone, they are worth having for that alone: a probe of
//! it costs its client the whole connection timeout.
//!
//! # Slow start
//!
//! An endpoint that comes back, or is added to a group that serves already, has the fewest tunnels, and
//! so [`LeastTunnels`](super::LeastTunnels) would give it every new one at once.
//! [`slow_start`](super::UpstreamBuilder::slow_start) lets its weight grow from a tenth to the whole
//! over a time, so that its tunnels grow from a tenth of the others' as its caches fill. The group's own
//! start is not slowed. Off by default: most applications are ready when they accept.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use wsgate_proxy::upstream::{
//!     EndpointSettings, Upstream,
//!     health::{Ejection, EndpointHealth, HealthCheck},
//! };
//!
//! let backend = Upstream::builder("backend")
//!     .endpoint(EndpointSettings::new("http://10.0.0.1:9000")?)
//!     .endpoint(EndpointSettings::new("http://10.0.0.2:9000")?)
//!     .eject(Ejection::default().failures(2))
//!     .health_check(HealthCheck::websocket("/websocket")?.every(Duration::from_secs(10)))
//!     .slow_start(Duration::from_secs(30))
//!     .build()?;
//!
//! assert!(backend.endpoints().iter().all(|e| e.health == EndpointHealth::Healthy));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod accusers;
mod attempt;
mod check;
mod circuit;
mod ejection;
mod moment;
mod ramp;
mod rise_fall;
mod state;

#[cfg(test)]
mod tests;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

pub use self::{
    check::{HealthCheck, HealthCheckError},
    ejection::Ejection,
};

use self::accusers::Accusers;
pub(super) use self::{
    accusers::Accuser,
    attempt::{Attempt, Verdict},
    check::Checker,
    moment::Moment,
    state::{Bar, Health},
};

/// How an endpoint is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EndpointHealth {
    /// It gets its share of the tunnels.
    Healthy,
    /// It is well, and has part of its weight for now.
    StartingSlowly {
        /// Which part: 0.1 to 1.0.
        share: f64,
    },
    /// Handshakes have failed.
    Ejected {
        /// Until one is let through as a probe; nothing while that is awaited or under way.
        remaining: Duration,
        /// What the last one failed of.
        why: String,
    },
    /// It is out until it passes again.
    FailingChecks {
        /// What the last check failed of.
        why: String,
    },
}

/// What a group was told about health.
#[derive(Clone, Debug)]
pub(super) struct HealthSettings {
    pub(super) ejection: Option<Ejection>,
    pub(super) check: Option<HealthCheck>,
    /// Zero for none.
    pub(super) slow_start: Duration,
}

/// What the endpoints of a group share.
#[derive(Debug, Default)]
pub(super) struct GroupHealth {
    /// Held while it is found out whether the group can do without an endpoint, and that one ejected.
    ejecting: Mutex<Accusers>,
    has_served: AtomicBool,
}

// ===== impl HealthSettings =====

impl HealthSettings {
    /// Nobody is ever out.
    pub(super) const OFF: Self = Self {
        ejection: None,
        check: None,
        slow_start: Duration::ZERO,
    };
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self {
            ejection: Some(Ejection::default()),
            ..Self::OFF
        }
    }
}

// ===== impl GroupHealth =====

impl GroupHealth {
    /// An endpoint was given a handshake.
    pub(super) fn note_service(&self) {
        // A line of cache that all threads may keep: it is written once.
        if !self.has_served.load(Ordering::Relaxed) {
            self.has_served.store(true, Ordering::Relaxed);
        }
    }

    /// Lets an endpoint that is about to be added start slowly, unless the group itself is starting.
    pub(super) fn welcome(&self, added: &Health, settings: &HealthSettings) {
        if self.has_served.load(Ordering::Relaxed) {
            added.start_slowly(Moment::now(), settings.slow_start);
        }
    }
}

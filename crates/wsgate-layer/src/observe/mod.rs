//! Tell what becomes of every WebSocket: logs, traces, metrics, or an [`Observer`] of one's own.
//!
//! An access log of HTTP has one line for a WebSocket: `101`, written when it opens, or hours later
//! with nothing in it about why it ended. [`ObserveLayer`] tells the rest, of any handler: who
//! opened it or was refused and why, how long a round trip takes, which limits were met, how much
//! went each way, and who ended it with which Close, or without one.
//!
//! ```text
//!   handshake ──┬─▶ opened ──▶ traffic, ping, limit .. ──▶ closed
//!               └─▶ refused
//! ```
//!
//! # Which observer
//!
//! - [`TracingObserver`] for logs and, when [told so](TracingObserver::lasting_spans), for distributed
//!   traces: one event when a WebSocket ends, OpenTelemetry's attribute names. `WebSocketProxy` logs one closing event for each of its
//!   tunnels already, with more about its upstream in it; in an app that only proxies that may be
//!   enough, and with both each end is logged twice, from either point of view.
//! - `MetricsObserver` (with the feature `metrics`) for dashboards and alarms: counters, gauges and
//!   histograms through the `metrics` facade, for Prometheus and others.
//! - An [`Observer`] of one's own for whatever else, such as a list of who is connected.
//!
//! One layer takes several; see [`and`](ObserveLayer::and).
//!
//! # Where to put it
//!
//! Outermost, in the last `.layer()` line: there it sees the handshakes that other layers refuse, and
//! what they add to the stream. It must be on the routes (`Router::layer`, not round the whole
//! `Router`) for the [`route`](Handshake::route) to be known. Round trips and limits reach it from
//! [layers](crate::tunnel) on either side.
//!
//! Requests that are no [WebSocket handshake](crate::handshake::Kind) pass untouched and are not
//! told, even where the handler answers them with 426.
//!
//! # What others call it
//!
//! | | log | metrics |
//! |---|---|---|
//! | nginx | `log_format` with `$request_time`, `$bytes_sent` | `stub_status` |
//! | HAProxy | `option httplog`, with the termination state `--`, `CD`, `SD` .. | `stats`, the Prometheus exporter |
//! | Envoy | access log with `%RESPONSE_FLAGS%`, `%DURATION%` | `downstream_cx_upgrades_active` and its kin |
//!
//! The best of them tell which connection ended first. None reads a Close frame.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use axum::{Router, extract::WebSocketUpgrade, routing::any};
//! use wsgate_layer::{
//!     ObserveLayer,
//!     observe::{Closed, Handshake, Observer, Ping, TracingObserver},
//! };
//!
//! /// Speaks up for those who are far away or were cut off.
//! struct Complaints;
//!
//! impl Observer for Complaints {
//!     fn ping(&self, handshake: &Handshake<'_>, ping: &Ping) {
//!         if ping.round_trip > Duration::from_secs(1) {
//!             tracing::warn!(client = ?handshake.client, "far away");
//!         }
//!     }
//!
//!     fn closed(&self, handshake: &Handshake<'_>, closed: &Closed<'_>) {
//!         if closed.is_abrupt() {
//!             tracing::warn!(client = ?handshake.client, by = %closed.by, "cut off");
//!         }
//!     }
//! }
//!
//! let app: Router = Router::new()
//!     .route("/live", any(|ws: WebSocketUpgrade| async { ws.on_upgrade(|_socket| async {}) }))
//!     .layer(ObserveLayer::new(TracingObserver::new()).and(Complaints));
//! ```

mod common;
mod future;
#[cfg(feature = "metrics")]
mod metrics_observer;
mod observer;
mod parent;
mod peer;
mod policy;
mod record;
mod service;
mod told;
mod tracing_observer;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use tower_layer::Layer;

use self::common::Recent;
#[cfg(feature = "metrics")]
pub use self::metrics_observer::MetricsObserver;
pub(crate) use self::policy::ObservePolicy;
pub use self::{
    future::ResponseFuture,
    observer::Observer,
    parent::SpanParent,
    service::Observe,
    told::{Closed, ClosedBy, Ended, Handshake, Opened, Ping, Refused, Traffic, Why},
    tracing_observer::TracingObserver,
};
use crate::client::TrustedProxies;

/// A layer that tells [observers](Observer) what becomes of every WebSocket. Cheap to clone.
///
/// See the [module](self) for an example.
#[derive(Clone, Debug)]
pub struct ObserveLayer {
    settings: Settings,
}

#[derive(Clone)]
struct Settings {
    observers: Observers,
    trusted: TrustedProxies,
    recent: Arc<Recent>,
}

type Observers = Arc<Vec<Arc<dyn Observer>>>;

// ===== impl ObserveLayer =====

impl ObserveLayer {
    /// Tells this observer.
    pub fn new(observer: impl Observer) -> Self {
        Self {
            settings: Settings {
                observers: Arc::new(vec![Arc::new(observer)]),
                trusted: TrustedProxies::none(),
                recent: Arc::default(),
            },
        }
    }

    /// Logs and traces: a layer with a [`TracingObserver`].
    #[must_use]
    pub fn tracing() -> Self {
        Self::new(TracingObserver::new())
    }

    /// Counts and measures: a layer with a [`MetricsObserver`].
    ///
    /// Made after the recorder is installed, it gives that the descriptions and units too.
    #[cfg(feature = "metrics")]
    #[must_use]
    pub fn metrics() -> Self {
        Self::new(MetricsObserver::new())
    }

    /// Tells this one as well, after the others. Cheaper than a second layer: the frames are followed
    /// once.
    #[must_use]
    pub fn and(mut self, observer: impl Observer) -> Self {
        let more: Arc<dyn Observer> = Arc::new(observer);
        Arc::make_mut(&mut self.settings.observers).push(more);
        self
    }

    /// Believes the `X-Forwarded-For` of these when it tells who the [client](Handshake::client) is.
    /// Default: nobody's.
    #[must_use]
    pub fn trusted_proxies(mut self, trusted: TrustedProxies) -> Self {
        self.settings.trusted = trusted;
        self
    }
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, inner: S) -> Observe<S> {
        Observe::new(inner, self.settings.clone())
    }
}

// ===== impl Settings =====

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("observers", &self.observers.len())
            .field("trusted", &self.trusted)
            .finish()
    }
}

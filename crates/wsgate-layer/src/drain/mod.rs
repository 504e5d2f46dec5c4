//! The orderly end of all WebSockets, when a server stops.
//!
//! A server that stops finishes its requests. It knows nothing of its WebSockets: over HTTP/1.1 it
//! does not see them any more, over HTTP/2 it waits for them without end, or cuts them. A [`Drain`]
//! counts those that pass its [layer](Drain::layer), and [`within`](Drain::within) ends them:
//!
//! 1. A new handshake is answered with 503 and `Retry-After`; any other request passes. One that is
//!    under way already is waited for, and its WebSocket closed as soon as it opens.
//! 2. Each open WebSocket gets a Close at the next frame boundary of what goes to the client, at a
//!    moment of its own: clients that are all told at once come back all at once, to whatever is
//!    left of the service. What the handler writes after that is thrown away.
//! 3. The handler goes on reading until the client has answered with its Close, and then reads the
//!    end. A client that has not answered when the time is over is cut.
//!
//! ```text
//!   within(30 s) polled                                                      deadline
//!        │◀──── spread, 5 s at most ────▶│                                        │
//!        ├── Close ── Close ── Close ────┤   answers come in, handlers finish     ├─ the rest is cut
//!   503 for new handshakes from here on
//! ```
//!
//! Choose it for every service that is ever deployed anew. Clients then know why they were cut, and
//! browsers report 1001 instead of 1006. The defaults are Close 1001 "server shutting down", over
//! 5 s; [`restart`](Drain::restart) says 1012 "service restart", for clients that make a difference.
//!
//! nginx has `worker_shutdown_timeout` and HAProxy `hard-stop-after`, after which WebSockets are cut;
//! Envoy drains listeners for `--drain-time-s` and then does the same. None of them sends a Close.
//!
//! # Where to put it
//!
//! Outside of all that is worth a 503 less, and inside of an `ObserveLayer`, which is to see those
//! too. Beside keepalive and timeouts either side will do. One drain may serve any number of routers:
//! each gets a layer of it.
//!
//! # What it costs
//!
//! Beside the stream that every layer puts into it, a WebSocket that waits for a drain has 56 bytes in
//! that and 64 on the heap. A read that finds nothing costs a load and a comparison more.
//!
//! # Example
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use axum::{Router, extract::WebSocketUpgrade, routing::any};
//! use wsgate_layer::Drain;
//!
//! # async fn terminated() {}
//! # async fn run() -> std::io::Result<()> {
//! let drain = Drain::new();
//! let app: Router = Router::new()
//!     .route("/live", any(|ws: WebSocketUpgrade| async { ws.on_upgrade(|_socket| async {}) }))
//!     .layer(drain.layer());
//!
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! let draining = drain.within(Duration::from_secs(30));
//! let stop = async {
//!     terminated().await;
//!     // To its end, before the server stops: over HTTP/2 that waits for WebSockets.
//!     draining.await;
//! };
//! axum::serve(listener, app).with_graceful_shutdown(stop).await
//! # }
//! ```
//!
//! wsgate's own server does it in the right order by itself:
//! `Server::drain(drain.within(Duration::from_secs(30)))`.

mod draining;
mod future;
mod layer;
mod plan;
mod policy;
mod service;
mod shared;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

use wsgate_frame::CloseCode;

pub(crate) use self::policy::DrainPolicy;
pub use self::{
    draining::{Drained, Draining, Progress},
    future::ResponseFuture,
    layer::DrainLayer,
    service::Drainable,
};
use self::{plan::Settings, shared::Shared};

/// The WebSockets of a service, and their orderly end. Cheap to clone; clones are one drain.
///
/// See the [module](self) for what it does, and an example.
#[derive(Clone, Default)]
pub struct Drain {
    shared: Arc<Shared>,
    settings: Settings,
}

// ===== impl Drain =====

impl Drain {
    /// Over how long the Closes are [spread](Self::spread) by default, at most: 5 s.
    pub const DEFAULT_SPREAD: Duration = Duration::from_secs(5);

    /// A time to [end all WebSockets within](Self::within) that suits most: 30 s, after which
    /// Kubernetes kills a process.
    pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

    /// A drain that tells clients 1001, over 5 s at most.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What clients are told. Default: [`CloseCode::GOING_AWAY`], 1001, with the reason
    /// "server shutting down".
    ///
    /// It holds for what this value [begins](Self::within), whatever its clones say.
    ///
    /// # Panics
    ///
    /// If the code [must not be sent](CloseCode::is_sendable).
    #[must_use]
    pub fn close_code(mut self, code: CloseCode) -> Self {
        assert!(code.is_sendable(), "{code} must not be sent (RFC 6455 7.4)");
        self.settings.code = code;
        self
    }

    /// Tells clients 1012 "service restart": that the service will be back. Some client libraries
    /// come back after this code only. Browsers leave it to the page.
    #[must_use]
    pub fn restart(self) -> Self {
        self.close_code(CloseCode::SERVICE_RESTART)
    }

    /// Over how long the Closes are spread at most. Default: 5 s, in which 10,000 clients come back
    /// as 2,000 a second; a tenth of what a client takes for an outage worth a message.
    ///
    /// It is less where there are few: 10 ms for each WebSocket, so that a lone one is told at
    /// once. And it is half the time of the whole drain at most, so that the last one told has the
    /// other half to answer.
    #[must_use]
    pub const fn spread(mut self, at_most: Duration) -> Self {
        self.settings.spread = at_most;
        self
    }

    /// A layer whose WebSockets this drain ends.
    #[must_use]
    pub fn layer(&self) -> DrainLayer {
        DrainLayer::new(Arc::clone(&self.shared))
    }

    /// Ends all WebSockets within this time. Nothing happens before the future is polled, so it can
    /// be made beforehand and handed to what stops the server.
    ///
    /// A drain has one beginning and no way back. Begun a second time, it goes on as it was, and the
    /// second future waits for the same end, as long as its own deadline says.
    ///
    /// # Cancel safety
    ///
    /// Once it has been polled, dropping it ends the waiting and the log, not the drain.
    pub fn within(&self, deadline: Duration) -> Draining {
        Draining::new(Arc::clone(&self.shared), self.settings, deadline)
    }

    /// Whether the drain has begun, and handshakes are refused.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.shared.plan().is_some()
    }

    /// How many WebSockets are open, and handshakes under way.
    #[must_use]
    pub fn live(&self) -> usize {
        self.progress().live
    }

    /// How far the drain has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.shared.counts().into()
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain")
            .field("settings", &self.settings)
            .field("draining", &self.is_draining())
            .field("live", &self.live())
            .finish()
    }
}

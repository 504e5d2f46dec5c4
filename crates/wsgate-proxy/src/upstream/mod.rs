//! A named group of endpoints that serve the same thing, and which of them a new tunnel goes to.
//!
//! What nginx writes as `upstream backend { server a; server b; }`, for connections that live for
//! days: what is balanced is **live tunnels**, not requests. A tunnel holds a *lease* on its endpoint
//! from the handshake to its end, so an endpoint that has come back, or was added, takes its share by
//! having the fewest.
//!
//! ```text
//!   handshake ─▶ Upstream ─▶ who can take one?        drained, full, ejected, unhealthy are out
//!                              primaries, else backups, else whoever is not drained
//!                          ─▶ Balance: choose one     LeastTunnels by default
//!                          ─▶ connect, shake hands    refused, timed out, 502, 503, 504: the next one,
//!                                                     within a number of tries and one deadline
//!                          ─▶ Lease                   until the tunnel ends
//! ```
//!
//! Endpoints are named one by one, or [found](discovery): in a file that is watched, by DNS, or by
//! whatever tells of them in a stream.
//!
//! Who is well is told by handshakes and by checks: see [`health`].
//!
//! Tunnels stay where they are, whatever changes. Where they had better not, they can be ended so that
//! their clients come back to another endpoint: [`Upstream::close_tunnels`] for one that is drained,
//! [`Removed::close_tunnels`] and [`UpstreamBuilder::close_removed`] for one that is gone, and
//! [`Rebalance`] after a scale-out, when the old endpoints have all the tunnels and new ones none. Each
//! such tunnel gets a Close 1012 ("service restart") at the next frame boundary, spread over a time, so
//! that not all come back at once. Their users notice: a WebSocket that is closed has to be opened again
//! by the application's code. So nothing of it happens unless it is asked for.
//!
//! # Which policy
//!
//! | policy | a new tunnel goes to | choose it when |
//! |---|---|---|
//! | [`LeastTunnels`] | the endpoint with the fewest for its weight | nothing speaks for another: the default |
//! | [`TwoChoices`] | the emptier of two that chance names | there are thousands of endpoints, or of gateways |
//! | [`RoundRobin`] | the next in turn | tunnels are short and cost the same |
//! | [`Random`] | any | something is compared with chance |
//! | [`Hash`](struct@Hash) | the one that the key names, unless that has far more than its share | those who share a room are to meet |
//! | [`StickyCookie`] | where the browser was before | an endpoint remembers its clients |
//!
//! [`BalanceKind`] reads them from text. Whoever needs another implements [`Balance`].
//!
//! # Example
//!
//! ```
//! use axum::{Router, routing::any};
//! use wsgate_proxy::{
//!     WebSocketProxy,
//!     upstream::{EndpointSettings, Upstream},
//! };
//!
//! let backend = Upstream::builder("backend")
//!     .endpoint(EndpointSettings::new("http://10.0.0.1:9000")?)
//!     .endpoint(EndpointSettings::new("http://10.0.0.2:9000")?.weight(2))
//!     .endpoint(EndpointSettings::new("http://10.0.0.9:9000")?.backup())
//!     .build()?;
//!
//! let app: Router = Router::new().route("/websocket", any(WebSocketProxy::to_upstream(backend.clone())));
//!
//! // Later, while tunnels are open: those on the others do not notice.
//! backend.add(EndpointSettings::new("http://10.0.0.3:9000")?)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod balance;
mod builder;
mod candidates;
mod chores;
pub mod discovery;
mod group;
pub mod health;
mod http2;
mod lease;
mod member;
mod members;
mod recall;
mod settings;
mod status;
mod tier;
mod tries;

#[cfg(test)]
mod tests;

pub use self::{
    balance::{
        Balance, BalanceKind, BalanceKindError, Handshake, Hash, HashKey, LeastTunnels, Random,
        RoundRobin, SameSite, StickyCookie, StickyCookieError, TwoChoices,
    },
    builder::{UpstreamBuilder, UpstreamError},
    candidates::{Candidate, Candidates},
    group::Upstream,
    http2::Http2,
    lease::Lease,
    recall::{CloseTunnels, Rebalance, Removed},
    settings::EndpointSettings,
    status::EndpointStatus,
};

#[cfg(any(test, fuzzing))]
pub(crate) use self::discovery::parse_endpoints;
pub(crate) use self::{
    http2::{Http2Stream, MAX_WRITE, RefusalBody, Route},
    member::Member,
    recall::Recall,
    tries::Tries,
};

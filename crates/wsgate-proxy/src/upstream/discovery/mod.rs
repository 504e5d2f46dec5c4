//! Endpoints that come and go by themselves: what finds them, and what becomes of a group then.
//!
//! | source | what it is | how soon |
//! |---|---|---|
//! | [`UpstreamBuilder::file`] | a text file that is watched, an endpoint a line | 1 s |
//! | `UpstreamBuilder::dns` | A and AAAA records, or SRV; with the feature `dns` | their TTL |
//! | [`UpstreamBuilder::discover`] | any [`tower::discover::Discover`]: Kubernetes, Consul, your own | at once |
//!
//! A group may have several, and endpoints of its own beside them.
//!
//! # What all of them share
//!
//! - **No live tunnel notices.** An endpoint that stays keeps its tunnels, also where its weight has
//!   changed; one that is gone gets no new ones, and those that it has live on. If it comes back
//!   meanwhile they count again.
//! - **A source changes only what it has found itself.** An endpoint that was [added by
//!   hand](Upstream::add), or that another source found first, stays as it is. A weight that was set
//!   by hand stays until the source has another one to tell; an endpoint that was [taken
//!   out](Upstream::remove) by hand is back with the source's next answer, so
//!   [drain](Upstream::drain) it instead.
//! - **The last good set stays.** A name that stops resolving, a file that is empty, broken or gone,
//!   a stream that fails: none of them takes an endpoint away. The log says so once, with the reason,
//!   and once more when it works again.
//! - **The first answer is worth waiting for.** A handshake that comes before any endpoint is known
//!   waits for it, within the group's [deadline](UpstreamBuilder::deadline).
//!   [`Upstream::discovered`] waits for it as well, for a program that would rather not listen before.
//!
//! # Kubernetes
//!
//! A headless Service (`clusterIP: None`) is a name with one address for each ready pod, so the
//! common case is `Dns::addresses("http://backend.default.svc.cluster.local:9000")`; a named port
//! makes it `Dns::services("_ws._tcp.backend.default.svc.cluster.local")`. The cluster's DNS gives
//! its records 5 s to 30 s to live, and that is how long a new pod waits for its first tunnel.
//!
//! To hear of it at once, watch the EndpointSlices: `kube::runtime::watcher` gives a stream, and
//! [`discover`](UpstreamBuilder::discover) takes one. `docs/discovery.md` shows how, and why that is
//! not built in.

#[cfg(feature = "dns")]
mod dns;
mod file;
mod found;
mod sources;
mod stream;

#[cfg(test)]
mod tests;

use std::error::Error;

#[cfg(feature = "dns")]
pub use self::dns::{Dns, DnsError, ResolverError};
#[cfg(any(test, fuzzing))]
pub(crate) use self::file::parse_endpoints;
pub use self::file::{EndpointFile, EndpointFileError, EndpointLineError};

pub(super) use self::sources::Sources;

use self::found::Found;
use super::{
    EndpointSettings, Member, Upstream, UpstreamBuilder, UpstreamError,
    chores::{Chore, WeakUpstream},
};

/// An error and what lies below it, in one line for the log.
fn chain(error: &dyn Error) -> String {
    let words = std::iter::successors(Some(error), |&e| e.source());
    let words: Vec<_> = words.map(ToString::to_string).collect();
    words.join(": ")
}

//! Endpoints by DNS.

mod ask;
mod follow;
mod name;
#[cfg(test)]
mod tests;

use std::{fmt, net::SocketAddr, time::Duration};

use self::{ask::Resolver, follow::Lookups, name::Query};
use super::UpstreamBuilder;
use crate::UpstreamTls;

pub use self::{ask::ResolverError, name::DnsError};

/// Endpoints that are looked up by name, again and again.
///
/// - [`Dns::addresses`]: each A and AAAA record is an endpoint. Written as `dns:http://backend:9000`.
/// - [`Dns::services`]: SRV records (RFC 2782) with a port, a weight and a priority each. Those of the
///   lowest priority that is found are the primaries, all others backups. A weight of 0 counts as 1.
///   Written as `srv:_ws._tcp.backend.internal`, or `srv:https://…` for endpoints with TLS.
///
/// An ordinary endpoint with a name is looked up as well: by the operating system, for each
/// tunnel, and to it all addresses of the name are one. Here tunnels are counted and balanced by address,
/// and one address that fails is no other's fault.
///
/// An endpoint keeps its name. It is what the `Host` says where that is
/// [asked for](crate::WebSocketProxy::endpoint_host), and what a certificate has to be for; with SRV, that
/// is the name of the target. Whoever can forge the DNS can choose that name too, so
/// [fix it](UpstreamTls::server_name) where that matters.
///
/// The records are asked for again when their time to live is over, up to a tenth later by chance. A name that
/// cannot be looked up is asked for after 1 s, 2 s and so on up to 30 s, and meanwhile all stays as it is:
/// when the name is gone, when it has no addresses, when the server fails or is silent. Where
/// only one of A and AAAA fails, or one target of many, that one stays as it was.
///
/// The name servers, and the domains to search for a name without dots, are the operating system's; the
/// file `/etc/hosts` is not asked.
///
/// # Example
///
/// ```no_run
/// use wsgate_proxy::upstream::{Upstream, discovery::Dns};
///
/// let backend = Upstream::builder("backend")
///     .dns(Dns::addresses("http://backend.internal:9000")?)
///     .build()?;
///
/// let other = Upstream::builder("other")
///     .dns(Dns::services("_ws._tcp.other.internal")?)
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "it is for `UpstreamBuilder::dns`"]
pub struct Dns {
    query: Query,
    name_servers: Vec<SocketAddr>,
    tls: Option<UpstreamTls>,
    max_tunnels: u32,
    min_ttl: Duration,
    max_ttl: Duration,
}

// ===== impl Dns =====

impl Dns {
    /// The shortest time between two lookups by default: 1 s, which is also what a TTL of 0 comes to.
    pub const DEFAULT_MIN_TTL: Duration = Duration::from_secs(1);

    /// The longest time between two lookups by default: 5 min. Longer TTLs are meant for caches of
    /// what hardly changes, and an operator who changes it will not wait for an hour.
    pub const DEFAULT_MAX_TTL: Duration = Duration::from_secs(300);

    /// Each address of this name: `http://name:port`, or any other form of an endpoint with a name.
    ///
    /// # Errors
    ///
    /// [`DnsError`] if it is no endpoint, or has no name that could be looked up.
    pub fn addresses(endpoint: &str) -> Result<Self, DnsError> {
        Query::addresses(endpoint).map(Self::new)
    }

    /// The services of this name, as `_ws._tcp.backend.internal`. In front of it may stand `https://` or
    /// `wss://` for endpoints with TLS; without, and with `http://` or `ws://`, they have none.
    ///
    /// # Errors
    ///
    /// [`DnsError`] if that is no name.
    pub fn services(name: &str) -> Result<Self, DnsError> {
        Query::services(name).map(Self::new)
    }

    const fn new(query: Query) -> Self {
        Self {
            query,
            name_servers: Vec::new(),
            tls: None,
            max_tunnels: u32::MAX,
            min_ttl: Self::DEFAULT_MIN_TTL,
            max_ttl: Self::DEFAULT_MAX_TTL,
        }
    }

    /// Asks this name server, by UDP and, for long answers, TCP; of several, whichever answers.
    /// Names are taken as they are written then, without search domains. Default: the operating
    /// system's.
    pub fn name_server(mut self, address: impl Into<SocketAddr>) -> Self {
        self.name_servers.push(address.into());
        self
    }

    /// How the endpoints' certificates are checked. Default: with the operating system's roots.
    /// Means nothing where there is no TLS.
    pub fn tls(mut self, tls: UpstreamTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The most live tunnels that each endpoint is given. Default: no limit.
    pub const fn max_tunnels(mut self, max: u32) -> Self {
        self.max_tunnels = max;
        self
    }

    /// The shortest time between two lookups. Default: [1 s](Self::DEFAULT_MIN_TTL). At least 1 ms.
    pub fn min_ttl(mut self, ttl: Duration) -> Self {
        self.min_ttl = ttl.max(Duration::from_millis(1));
        self
    }

    /// The longest time between two lookups. Default: [5 min](Self::DEFAULT_MAX_TTL). Where it is
    /// shorter than the shortest, that counts.
    pub const fn max_ttl(mut self, ttl: Duration) -> Self {
        self.max_ttl = ttl;
        self
    }

    /// Whether the endpoints have TLS.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.query.is_tls()
    }
}

impl fmt::Display for Dns {
    /// As it is written: `dns:http://backend:9000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.query.fmt(f)
    }
}

impl fmt::Debug for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dns")
            .field("query", &format_args!("{}", self.query))
            .field("name_servers", &self.name_servers)
            .finish_non_exhaustive()
    }
}

impl std::str::FromStr for Dns {
    type Err = DnsError;

    /// Understands `dns:http://backend:9000` and `srv:_ws._tcp.backend.internal`.
    fn from_str(s: &str) -> Result<Self, DnsError> {
        match s.split_once(':') {
            Some(("dns", endpoint)) => Self::addresses(endpoint),
            Some(("srv", name)) => Self::services(name),
            _ => Err(DnsError::Syntax(s.to_owned())),
        }
    }
}

// ===== impl UpstreamBuilder =====

impl UpstreamBuilder {
    /// Takes endpoints from the DNS, and follows its changes.
    pub fn dns(self, dns: Dns) -> Self {
        self.chore(Lookups::new(dns))
    }
}

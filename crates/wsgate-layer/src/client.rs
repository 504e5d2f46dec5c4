//! Who sent a request: the address of its connection, and the client behind trusted proxies.
//!
//! The address of the connection comes from axum's [`ConnectInfo`], which wsgate's server and
//! `into_make_service_with_connect_info::<SocketAddr>()` put into each request. What a client
//! writes into `X-Forwarded-For` is believed only where the connection comes from one of the
//! [`TrustedProxies`]; by default there are none.
//!
//! # Example
//!
//! ```
//! use std::net::IpAddr;
//!
//! use http::HeaderMap;
//! use wsgate_layer::client::TrustedProxies;
//!
//! let trusted = TrustedProxies::new(["10.0.0.0/8", "::1"])?;
//! let mut headers = HeaderMap::new();
//! headers.insert("x-forwarded-for", "1.1.1.1, 192.0.2.7, 10.0.0.2".parse()?);
//!
//! // The last address that no trusted proxy vouches for. All before it is hearsay.
//! let client: IpAddr = trusted.client("10.0.0.1".parse()?, &headers);
//! assert_eq!(client, "192.0.2.7".parse::<IpAddr>()?);
//!
//! let stranger = "203.0.113.5".parse()?;
//! assert_eq!(trusted.client(stranger, &headers), stranger);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use axum::extract::ConnectInfo;
use http::{Extensions, HeaderMap, HeaderName, Request, uri::Scheme};
use ipnet::IpNet;

/// The address at the other end of the request's connection, if the server told it.
#[must_use]
pub fn peer_addr(extensions: &Extensions) -> Option<SocketAddr> {
    extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|ConnectInfo(addr)| *addr)
}

/// What one client is told by: its IPv4 address, or the first 64 bits of its IPv6 address, since a single
/// subscriber has all addresses with the same ones at hand (RFC 6177 2).
///
/// ```
/// use std::net::IpAddr;
///
/// use wsgate_layer::client::subscriber;
///
/// let (home, away): (IpAddr, IpAddr) = ("2001:db8:0:1::a".parse()?, "2001:db8:0:1::b".parse()?);
/// assert_eq!(subscriber(home), subscriber(away));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[must_use]
pub fn subscriber(addr: IpAddr) -> IpAddr {
    match addr.to_canonical() {
        IpAddr::V6(addr) => Ipv6Addr::from_bits(addr.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

/// The scheme by which the request came: what the server put into its extensions as [`Scheme`],
/// else the scheme of its URI (which over HTTP/2 is the client's word), else `http`.
#[must_use]
pub fn scheme<B>(req: &Request<B>) -> Scheme {
    let told = req.extensions().get::<Scheme>();
    told.or(req.uri().scheme()).cloned().unwrap_or(Scheme::HTTP)
}

/// The addresses whose `X-Forwarded-*` and `Forwarded` fields are believed. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Arc<[IpNet]>,
}

/// An entry that is neither an address nor a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{entry}` is neither an IP address nor a network such as 10.0.0.0/8")]
pub struct TrustedProxyError {
    entry: String,
}

// The fields in which proxies tell what they saw.
pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(crate) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

// ===== impl TrustedProxies =====

impl TrustedProxies {
    /// Trusts these addresses and networks, written as `192.0.2.1`, `10.0.0.0/8`, `2001:db8::/32`.
    ///
    /// # Errors
    ///
    /// [`TrustedProxyError`] with the first entry that is neither.
    pub fn new<I>(entries: I) -> Result<Self, TrustedProxyError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let networks = entries.into_iter().map(|e| parse_network(e.as_ref()));
        Ok(Self {
            networks: networks.collect::<Result<_, _>>()?,
        })
    }

    /// Trusts nobody: the default.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether this address is trusted. An IPv4 address mapped into IPv6, as a socket that serves
    /// both gives it, counts as the IPv4 address.
    #[must_use]
    pub fn contains(&self, addr: IpAddr) -> bool {
        let addr = addr.to_canonical();
        self.networks.iter().any(|n| n.contains(&addr))
    }

    /// The client of a request: `peer`, or if that is trusted, the last address in
    /// `X-Forwarded-For` that is not.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.contains(client) {
            return client;
        }
        // Whatever is no address ends the chain. To pass it over would be to believe what stands before.
        let lines = headers.get_all(X_FORWARDED_FOR).into_iter().rev();
        let hops = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        let hops = hops.map(<[u8]>::trim_ascii).filter(|hop| !hop.is_empty());
        for hop in hops {
            let Some(addr) = str::from_utf8(hop).ok().and_then(parse_node) else {
                break;
            };
            client = addr;
            if !self.contains(client) {
                break;
            }
        }
        client
    }
}

fn parse_network(entry: &str) -> Result<IpNet, TrustedProxyError> {
    let entry = entry.trim();
    let addr = entry.parse::<IpAddr>().map(IpNet::from);
    addr.or_else(|_| entry.parse())
        .map_err(|_| TrustedProxyError {
            entry: entry.to_owned(),
        })
}

/// An address as proxies write it: bare, in brackets, with or without a port.
fn parse_node(node: &str) -> Option<IpAddr> {
    let inside = node.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
    let addr = inside.unwrap_or(node).parse::<IpAddr>().ok();
    addr.or_else(|| node.parse::<SocketAddr>().ok().map(|a| a.ip()))
        .map(|a| a.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn client(trusted: &[&str], peer: &str, x_forwarded_for: &[&str], expected: &str) {
        let mut headers = HeaderMap::new();
        for line in x_forwarded_for {
            let line = HeaderValue::from_bytes(line.as_bytes()).unwrap();
            headers.append(X_FORWARDED_FOR, line);
        }
        let trusted = TrustedProxies::new(trusted).unwrap();
        let client = trusted.client(peer.parse().unwrap(), &headers);
        assert_eq!(client.to_string(), expected);
    }

    #[test]
    fn the_client_is_the_last_address_nobody_vouches_for() {
        client(&[], "192.0.2.1", &["1.1.1.1"], "192.0.2.1");
        client(&["10.0.0.0/8"], "10.0.0.1", &[], "10.0.0.1");
        client(&["10.0.0.0/8"], "10.0.0.1", &["1.1.1.1"], "1.1.1.1");
        client(
            &["10.0.0.0/8"],
            "10.0.0.1",
            &["6.6.6.6", "1.1.1.1, 10.9.9.9"],
            "1.1.1.1",
        );
        client(
            &["10.0.0.0/8"],
            "10.0.0.1",
            &["10.0.0.3, 10.0.0.2"],
            "10.0.0.3",
        );
        client(
            &["10.0.0.0/8"],
            "10.0.0.1",
            &["1.1.1.1, unknown"],
            "10.0.0.1",
        );
        client(
            &["10.0.0.0/8"],
            "10.0.0.1",
            &["6.6.6.6", "\u{e9}, 1.1.1.1"],
            "1.1.1.1",
        );
        client(
            &["10.0.0.0/8"],
            "10.0.0.1",
            &["6.6.6.6, \u{e9}"],
            "10.0.0.1",
        );
        client(&["::1"], "::1", &["[[2001:db8::7]"], "::1");
        client(&["::1"], "::1", &["[2001:db8::7]:4711"], "2001:db8::7");
        client(&["::1"], "::1", &["[2001:db8::7]"], "2001:db8::7");
        client(&["::1"], "::1", &["192.0.2.7:4711"], "192.0.2.7");
    }

    #[test]
    fn an_address_mapped_into_ipv6_is_the_ipv4_address() {
        client(&["10.0.0.0/8"], "::ffff:10.0.0.1", &["1.1.1.1"], "1.1.1.1");
        client(&[], "::ffff:192.0.2.1", &[], "192.0.2.1");
    }

    #[test]
    fn a_bad_entry_is_named() {
        let error = TrustedProxies::new(["10.0.0.0/8", "intranet"]).unwrap_err();
        assert!(error.to_string().starts_with("`intranet` is neither"));
    }
}

//! The PROXY protocol: a balancer that passes connections on tells whose they are.
//!
//! ```text
//!   client ──TCP──▶ balancer ──TCP──▶ "PROXY TCP4 192.0.2.7 …\r\n" | TLS or HTTP, as the client sent it
//!                                     └── read here, to its last byte and no further
//! ```
//!
//! What belongs to the header is looked at in the socket first (`MSG_PEEK`), and then taken out. So
//! whatever comes behind it in the same segment is still in the socket, for TLS or HTTP to read, and
//! no stream has to stand in between for as long as the connection lives.

mod header;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use self::header::{Extent, FIRST_LOOK};
use crate::accept::Refusal;
use crate::error::{ServerError, ServerErrorKind};

#[cfg(fuzzing)]
pub(crate) use self::header::laws;
pub(crate) use self::header::{HeaderFault, looks_like_one};

/// The addresses whose connections begin with a header. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Senders {
    networks: Arc<[IpNet]>,
}

// ===== impl Senders =====

impl Senders {
    /// From what is written as `192.0.2.1` or `10.0.0.0/8`.
    pub(crate) fn parse(entries: &[String]) -> Result<Self, ServerError> {
        let refuse = |what| Err(ServerError::new(ServerErrorKind::Configuration, what));
        if entries.is_empty() {
            return refuse(
                "proxy_protocol trusts nobody to send a header: name the balancer's addresses"
                    .to_owned(),
            );
        }
        let mut networks = Vec::with_capacity(entries.len());
        for entry in entries {
            match parse_network(entry.trim()) {
                Some(network) => networks.push(network),
                None => {
                    return refuse(format!(
                        "proxy_protocol: `{entry}` is neither an IP address nor a network such as \
                         10.0.0.0/8"
                    ));
                }
            }
        }
        Ok(Self {
            networks: networks.into(),
        })
    }

    /// Whose connection this is, where that is for its sender to tell and it does: `None` for one
    /// that came by itself, and for one of the sender's own, such as a health check.
    ///
    /// What comes behind the header is left in the socket.
    pub(crate) async fn client(
        &self,
        stream: &mut TcpStream,
        peer: SocketAddr,
        deadline: Instant,
    ) -> io::Result<Option<SocketAddr>> {
        if !self.contains(peer.ip()) {
            return Ok(None);
        }
        let read = timeout_at(deadline, take(stream)).await;
        let header = read.map_err(|_| Refusal::ProxyHeader(HeaderFault::Late))??;
        Ok(header::client(&header).map_err(Refusal::ProxyHeader)?)
    }

    fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|n| n.contains(&address))
    }
}

/// An IPv4 network written as one that is mapped into IPv6 is not understood; nobody writes it.
fn parse_network(entry: &str) -> Option<IpNet> {
    let address = entry.parse::<IpAddr>().map(|a| a.to_canonical().into());
    address.ok().or_else(|| entry.parse().ok())
}

/// Takes a whole header out of the socket, however it comes in pieces, and nothing else.
async fn take(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut header = vec![0; FIRST_LOOK];
    let mut taken = 0;
    loop {
        let seen = stream.peek(&mut header[taken..]).await?;
        if seen == 0 {
            return Err(Refusal::ProxyHeader(HeaderFault::Closed).into());
        }
        let extent = header::extent(&header[..taken + seen]).map_err(Refusal::ProxyHeader)?;
        let belongs = match extent {
            Extent::Whole(size) => size,
            // All of it: a header that had ended would be whole.
            Extent::Beginning { .. } => taken + seen,
        };
        // It was seen, so this waits for nothing.
        stream.read_exact(&mut header[taken..belongs]).await?;
        taken = belongs;
        match extent {
            Extent::Whole(size) => {
                header.truncate(size);
                return Ok(header);
            }
            Extent::Beginning { most } => header.resize(most, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_are_addresses_and_networks() {
        let entries = [
            "10.0.0.0/8",
            " 192.0.2.1",
            "2001:db8::/32",
            "::ffff:192.0.2.9",
        ];
        let senders = Senders::parse(&entries.map(str::to_owned)).unwrap();
        for (address, expected) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("192.0.2.9", true),
            ("2001:db8::1", true),
            ("::1", false),
        ] {
            assert_eq!(senders.contains(address.parse().unwrap()), expected);
        }
    }

    #[test]
    fn what_names_nobody_is_refused() {
        #[track_caller]
        fn check(entries: &[&str], text: &str) {
            let entries: Vec<_> = entries.iter().map(|e| (*e).to_owned()).collect();
            let error = Senders::parse(&entries).unwrap_err();
            assert_eq!(error.kind(), ServerErrorKind::Configuration);
            assert!(error.to_string().contains(text), "{error}");
        }
        check(&[], "trusts nobody");
        check(&["10.0.0.1", "balancer"], "`balancer` is neither");
        check(&["10.0.0.0/33"], "`10.0.0.0/33` is neither");
    }
}

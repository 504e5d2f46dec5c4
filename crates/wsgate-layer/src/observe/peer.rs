use std::net::{Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// An `Option<SocketAddr>`, in less room: one is kept for each WebSocket.
#[derive(Debug)]
pub(super) enum Peer {
    Unknown,
    V4(SocketAddrV4),
    V6(Ipv6Addr, u16),
    /// With a scope or a flow label, which is rare.
    Scoped(Box<SocketAddrV6>),
}

// ===== impl Peer =====

impl Peer {
    pub(super) fn get(&self) -> Option<SocketAddr> {
        match self {
            Self::Unknown => None,
            Self::V4(addr) => Some((*addr).into()),
            Self::V6(ip, port) => Some((*ip, *port).into()),
            Self::Scoped(addr) => Some((**addr).into()),
        }
    }
}

impl From<Option<SocketAddr>> for Peer {
    fn from(addr: Option<SocketAddr>) -> Self {
        match addr {
            None => Self::Unknown,
            Some(SocketAddr::V4(addr)) => Self::V4(addr),
            Some(SocketAddr::V6(addr)) if addr.flowinfo() == 0 && addr.scope_id() == 0 => {
                Self::V6(*addr.ip(), addr.port())
            }
            Some(SocketAddr::V6(addr)) => Self::Scoped(Box::new(addr)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_what_it_was() {
        let scoped = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 1, 2, 3);
        let addrs = ["192.0.2.1:1", "[2001:db8::1]:2", "[::ffff:192.0.2.1]:3"];
        let addrs = addrs.map(|addr| addr.parse().unwrap());
        for addr in addrs.into_iter().chain([scoped.into()]) {
            assert_eq!(Peer::from(Some(addr)).get(), Some(addr));
        }
        assert_eq!(Peer::from(None).get(), None);
    }

    #[test]
    fn it_takes_less_room() {
        assert!(size_of::<Peer>() <= 24);
        assert!(size_of::<Option<SocketAddr>>() > 24);
    }
}

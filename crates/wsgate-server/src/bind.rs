//! The sockets that a server listens with.
//!
//! With workers each has a socket of its own on the same address (`SO_REUSEPORT`), and the kernel
//! chooses one for each connection by a hash of its two ends. The option has a price: a second
//! process of the same user may join in silently, and take its share of the connections. So the first
//! socket is bound *and listens* without it, which fails as ever where somebody listens already, and
//! gets it only then. Between two of our servers there is no moment at which both could succeed.
//! Against another program of the same user that sets the option from the beginning, and comes later,
//! nothing helps; other users are kept out by the kernel.

use std::io;
use std::net::{SocketAddr, TcpListener as Socket};

use tokio::net::TcpListener;
use tracing::info;

use crate::error::ServerError;

#[cfg(any(target_os = "linux", target_os = "android"))]
use self::reuse_port::beside;

/// Elsewhere the option exists, if at all, without the balance: macOS gives all connections to one of
/// the sockets.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use self::clones as beside;

/// Listens, with so many sockets, and tells with which port. They belong to no runtime yet.
pub(crate) async fn bind(
    asked: SocketAddr,
    count: usize,
) -> Result<(Vec<Socket>, SocketAddr), ServerError> {
    sockets(asked, count, beside)
        .await
        .map_err(|error| ServerError::listen(asked, error))
}

async fn sockets(
    asked: SocketAddr,
    count: usize,
    beside: fn(&Socket, usize) -> io::Result<Vec<Socket>>,
) -> io::Result<(Vec<Socket>, SocketAddr)> {
    let first = TcpListener::bind(asked).await?.into_std()?;
    // Port 0 is chosen once, for all.
    let address = first.local_addr()?;
    let mut others = match beside(&first, count - 1) {
        Ok(others) => others,
        Err(error) => {
            info!(%error, "the workers share one socket: connections may be spread unevenly");
            clones(&first, count - 1)?
        }
    };
    others.insert(0, first);
    Ok((others, address))
}

/// The same socket again: whoever of the workers is up first gets the connection.
fn clones(first: &Socket, count: usize) -> io::Result<Vec<Socket>> {
    (0..count).map(|_| first.try_clone()).collect()
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod reuse_port {
    use socket2::{Domain, Protocol, SockRef, Type};

    use super::*;

    /// Further sockets on the address of the first.
    pub(super) fn beside(first: &Socket, count: usize) -> io::Result<Vec<Socket>> {
        // tokio lets 128 connections wait, which a crowd that comes back exceeds at once.
        SockRef::from(first).listen(LONGEST_BACKLOG)?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let address = first.local_addr()?;
        SockRef::from(first).set_reuse_port(true)?;
        let others: io::Result<Vec<_>> = (0..count).map(|_| join(address)).collect();
        if others.is_err() {
            SockRef::from(first).set_reuse_port(false)?;
        }
        others
    }

    pub(super) fn join(address: SocketAddr) -> io::Result<Socket> {
        let domain = Domain::for_address(address);
        let socket = socket2::Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        // As the first has it: not to be kept out by what is left of a predecessor's connections.
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(LONGEST_BACKLOG)?;
        Ok(socket.into())
    }

    /// The kernel cuts it to `net.core.somaxconn`: 4096, unless somebody has set it.
    const LONGEST_BACKLOG: i32 = i32::MAX;
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::sync::{Arc, Barrier};
    use std::thread;

    use super::*;

    const ANYWHERE: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    #[tokio::test]
    async fn all_have_the_port_that_the_first_was_given() {
        for beside in [beside, clones] {
            let (sockets, address) = sockets(ANYWHERE, 3, beside).await.unwrap();
            assert_ne!(address.port(), 0);
            let ports = sockets.iter().map(|socket| socket.local_addr().unwrap());
            assert_eq!(ports.collect::<Vec<_>>(), [address; 3]);
        }
    }

    #[tokio::test]
    async fn those_that_cannot_be_had_are_made_up_for() {
        let refuse = |_: &Socket, _| Err(io::Error::other("by intent"));
        let (sockets, address) = sockets(ANYWHERE, 3, refuse).await.unwrap();
        assert_eq!(sockets.len(), 3);
        let _client = TcpStream::connect(address).unwrap();
        // Each is asked, as a worker would be that was woken.
        let accepted = sockets.iter().filter(|socket| socket.accept().is_ok());
        assert_eq!(accepted.count(), 1);
    }

    #[tokio::test]
    #[cfg(any(target_os = "linux", target_os = "android"))]
    async fn nobody_who_listens_is_joined() {
        let reuse_port = reuse_port::join(ANYWHERE).unwrap();
        let ordinary = Socket::bind(ANYWHERE).unwrap();
        let (ours, _) = bind(ANYWHERE, 2).await.unwrap();
        for other in [&reuse_port, &ordinary, &ours[0]] {
            for count in [1, 2] {
                let error = bind(other.local_addr().unwrap(), count).await.unwrap_err();
                assert_eq!(error.kind(), crate::ServerErrorKind::AddressInUse);
            }
        }
    }

    /// A connection that finds no place is not refused: its client tries again after a second.
    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn as_many_wait_to_be_accepted_as_the_kernel_lets() {
        const CROWD: usize = 200;
        let limit = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
        if limit.trim().parse::<usize>().unwrap() < CROWD {
            return;
        }
        let (_sockets, address) = bind(ANYWHERE, 1).await.unwrap();
        let patience = std::time::Duration::from_millis(900);
        let connect = |_| TcpStream::connect_timeout(&address, patience);
        let crowd: io::Result<Vec<_>> = (0..CROWD).map(connect).collect();
        assert_eq!(crowd.unwrap().len(), CROWD);
    }

    /// Two that start at the same moment, by mistake, do not come to share the port.
    #[test]
    fn of_two_at_once_one_has_the_port() {
        for _ in 0..2000 {
            let address = Socket::bind(ANYWHERE).unwrap().local_addr().unwrap();
            let start = Arc::new(Barrier::new(2));
            let racer = || {
                let start = Arc::clone(&start);
                thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()
                        .unwrap();
                    runtime.block_on(async {
                        start.wait();
                        bind(address, 2).await.ok()
                    })
                })
            };
            let racers = [racer(), racer()];
            // Held until both have tried.
            let bound = racers.map(|racer| racer.join().unwrap());
            assert_eq!(bound.iter().flatten().count(), 1);
        }
    }
}

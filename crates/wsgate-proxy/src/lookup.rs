//! Looking up the addresses of a name as the operating system does, with a bound on how many at once.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
};

use tokio::{sync::Semaphore, task};

/// The addresses of a name, in the order of the operating system's preference.
///
/// `getaddrinfo` blocks a thread, for many seconds when the name server is silent, and cannot be
/// cancelled. Left to itself, each handshake would queue one more of them, and none would come to an
/// end sooner. So only some run at once, the others wait here; and whoever gives up while it waits
/// leaves nothing behind.
///
/// # Cancel safety
///
/// A lookup that runs goes on, and counts until it has ended.
pub(crate) async fn lookup(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let host = host.to_owned();
    let lookup = move || Ok((&*host, port).to_socket_addrs()?.collect());
    bounded(&LOOKUPS, lookup).await
}

async fn bounded<T: Send + 'static>(
    permits: &'static Semaphore,
    lookup: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let permit = permits.acquire().await.map_err(io::Error::other)?;
    let running = task::spawn_blocking(move || {
        let found = lookup();
        // Here, and not where it is waited for: that may have been given up.
        drop(permit);
        found
    });
    running.await.map_err(io::Error::other)?
}

/// Of the process. An eighth of the threads that one runtime keeps for what blocks, by default.
static LOOKUPS: Semaphore = Semaphore::const_new(64);

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::net::{TcpListener, TcpStream};
    use tokio_test::{assert_pending, task::spawn};

    use super::*;

    #[tokio::test]
    async fn finds_every_address_of_a_name() {
        let found = lookup("localhost", 9000).await.unwrap();
        assert!(!found.is_empty());
        assert!(
            found
                .iter()
                .all(|a| a.ip().is_loopback() && a.port() == 9000)
        );

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let found = lookup("localhost", port).await.unwrap();
        // Whichever of the two families comes first.
        TcpStream::connect(&*found).await.unwrap();
    }

    #[tokio::test]
    async fn an_unknown_name_is_an_error() {
        lookup("no such name", 80).await.unwrap_err();
    }

    #[tokio::test]
    async fn one_that_was_given_up_counts_until_it_has_ended() {
        static ONE: Semaphore = Semaphore::const_new(1);
        let (go_on, stuck) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        let mut first = spawn(bounded(&ONE, move || {
            begun.send(()).unwrap();
            Ok(stuck.recv())
        }));
        assert_pending!(first.poll());
        has_begun.recv().unwrap();
        drop(first);
        assert_eq!(ONE.available_permits(), 0);

        let mut second = spawn(bounded(&ONE, || Ok(())));
        assert_pending!(second.poll());
        // Nor does one that gave up while it waited run later.
        let mut third = spawn(bounded(&ONE, || -> io::Result<()> {
            panic!("nobody waits for it")
        }));
        assert_pending!(third.poll());
        drop(third);

        go_on.send(()).unwrap();
        second.await.unwrap();
        assert_eq!(ONE.available_permits(), 1);
    }
}

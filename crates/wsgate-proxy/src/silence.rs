//! Hosts that are gone without a word, found by TCP.
//!
//! A connection to a host that was switched off ends only when something is sent, and then after some 15
//! retransmissions; a quiet one never. Two options of the socket change that. `SO_KEEPALIVE` has the
//! kernel ask a quiet host whether it is there; `TCP_USER_TIMEOUT` (RFC 5482) says how long anything may
//! stay unacknowledged, the answer to such a question included: with it the number of probes counts no
//! more.

use std::{io, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// How many probes a quiet host is sent within the time. It takes that many losses in a row to
/// lose a connection that is well.
const PROBES: u32 = 4;

/// What Linux takes for a number of seconds between probes.
const BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(32_767));

/// Has the kernel end the connection when its other host has acknowledged nothing for so long.
///
/// # Errors
///
/// Those of setting options.
pub(crate) fn end_when_silent(socket: &TcpStream, limit: Duration) -> io::Result<()> {
    let (shortest, longest) = BOUNDS;
    let pause = (limit / PROBES).clamp(shortest, longest);
    let probes = TcpKeepalive::new().with_time(pause).with_interval(pause);
    let socket = SockRef::from(socket);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_user_timeout(Some(limit))?;
    socket.set_tcp_keepalive(&probes)
}

#[cfg(test)]
#[cfg(any(target_os = "linux", target_os = "android"))]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::connect::{UpstreamStream, connect};

    #[track_caller]
    fn check(stream: &UpstreamStream, limit: Duration, pause: Duration) {
        let UpstreamStream::Tcp(socket) = stream else {
            panic!("the endpoint has no TLS");
        };
        stream.end_when_silent(limit);
        let socket = SockRef::from(socket);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), pause);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), pause);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(limit));
    }

    #[tokio::test]
    async fn a_quiet_host_is_asked_four_times_within_the_limit() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let stream = connect(&endpoint.parse().unwrap(), None).await.unwrap();
        let second = Duration::from_secs(1);
        check(&stream, second * 120, second * 30);
        // Less than a second between two probes cannot be said, and more than nine hours neither.
        check(&stream, second / 2, second);
        check(&stream, second * 1_000_000, second * 32_767);
    }
}

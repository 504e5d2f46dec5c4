//! What the gateway's own machine has no more of, when an endpoint cannot be connected to for that.
//!
//! It says nothing of the endpoint: none is ejected for it, and the client is told 503 to come back, and
//! not 502.

use std::{
    error::Error as StdError,
    fmt, io,
    net::{SocketAddr, UdpSocket},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// What there is no more of. `Display` ends the sentence "the gateway has ...".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exhausted {
    /// File descriptors, of the process or of the machine (EMFILE, ENFILE).
    Files,
    /// Local ports for connections to this address (EADDRNOTAVAIL).
    Ports,
}

/// Lets one message pass in each [`WINDOW`] and counts the rest: clients decide how many there are.
#[derive(Debug)]
struct Throttle(Mutex<State>);

#[derive(Debug)]
struct State {
    last: Option<Instant>,
    left_out: u64,
}

// ===== impl Exhausted =====

impl Exhausted {
    /// What an attempt to connect has failed for, if it is one of these.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        let told = error.get_ref().and_then(|cause| cause.downcast_ref());
        match error.raw_os_error() {
            Some(EMFILE | ENFILE) => Some(Self::Files),
            _ => told.copied(),
        }
    }

    /// Tells an address that has no port left from one that cannot be had from here at all, as an IPv6 one
    /// on a machine without IPv6: the system has the same error for both.
    pub(crate) fn explain(error: io::Error, address: SocketAddr) -> io::Error {
        match error.kind() {
            io::ErrorKind::AddrNotAvailable if has_way_to(address) => io::Error::other(Self::Ports),
            _ => error,
        }
    }

    /// Whether it is the same for all endpoints, so that asking the next one is in vain.
    pub(crate) const fn is_everywhere(self) -> bool {
        matches!(self, Self::Files)
    }

    /// Has it told to the operator, unless that has been done just now. `tell` gets what to do about it, and
    /// how many times it was not told since the last.
    pub(crate) fn tell(self, tell: impl FnOnce(&'static str, u64)) {
        let (throttle, advice) = match self {
            Self::Files => (
                &FILES,
                "raise the limit (`ulimit -n`, or LimitNOFILE= in the systemd unit), or lower \
                 --max-tunnels: each tunnel takes two",
            ),
            Self::Ports => (
                &PORTS,
                "each endpoint address has only as many as net.ipv4.ip_local_port_range: widen it, list \
                 further addresses of the endpoint, or use HTTP/2 or a Unix socket towards it",
            ),
        };
        if let Some(left_out) = throttle.admit(Instant::now()) {
            tell(advice, left_out);
        }
    }
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Files => "too many files open",
            Self::Ports => "no local port left for this address",
        })
    }
}

impl StdError for Exhausted {}

/// UDP has ports of its own, and connecting sends nothing.
fn has_way_to(address: SocketAddr) -> bool {
    let anywhere: SocketAddr = match address {
        SocketAddr::V4(_) => ([0; 4], 0).into(),
        SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    UdpSocket::bind(anywhere).is_ok_and(|socket| socket.connect(address).is_ok())
}

// ===== impl Throttle =====

impl Throttle {
    const fn new() -> Self {
        Self(Mutex::new(State {
            last: None,
            left_out: 0,
        }))
    }

    /// `Some(n)`: tell it, and that `n` were left out since the last. `None`: do not.
    fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now < last + WINDOW) {
            state.left_out += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.left_out))
    }
}

static FILES: Throttle = Throttle::new();

static PORTS: Throttle = Throttle::new();

const WINDOW: Duration = Duration::from_secs(10);

/// The process has as many files open as it may. The number is the same on every Unix.
const EMFILE: i32 = 24;

/// The machine has.
const ENFILE: i32 = 23;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_exhausted_is_told_by_the_error() {
        #[track_caller]
        fn check(error: &io::Error, expected: Option<Exhausted>) {
            assert_eq!(Exhausted::of(error), expected, "{error}");
        }
        check(
            &io::Error::from_raw_os_error(EMFILE),
            Some(Exhausted::Files),
        );
        check(
            &io::Error::from_raw_os_error(ENFILE),
            Some(Exhausted::Files),
        );
        check(&io::Error::other(Exhausted::Ports), Some(Exhausted::Ports));
        check(&io::ErrorKind::ConnectionRefused.into(), None);
        check(&io::ErrorKind::AddrNotAvailable.into(), None);
        check(&io::Error::other("another"), None);
    }

    #[test]
    fn an_address_that_cannot_be_had_from_here_has_not_run_out_of_ports() {
        let not_available = || io::Error::from(io::ErrorKind::AddrNotAvailable);
        let here = SocketAddr::from(([127, 0, 0, 1], 9));
        let error = Exhausted::explain(not_available(), here);
        assert_eq!(Exhausted::of(&error), Some(Exhausted::Ports));
        // Broadcasts have to be allowed first.
        let nowhere = SocketAddr::from(([255, 255, 255, 255], 9));
        let error = Exhausted::explain(not_available(), nowhere);
        assert_eq!(Exhausted::of(&error), None);
        let refused = Exhausted::explain(io::ErrorKind::ConnectionRefused.into(), here);
        assert_eq!(Exhausted::of(&refused), None);
    }

    #[test]
    fn it_is_told_now_and_then_with_the_number_of_the_others() {
        let throttle = Throttle::new();
        let start = Instant::now();
        assert_eq!(throttle.admit(start), Some(0));
        for _ in 0..5 {
            assert_eq!(throttle.admit(start + WINDOW / 2), None);
        }
        assert_eq!(throttle.admit(start + WINDOW), Some(5));
        assert_eq!(throttle.admit(start + WINDOW * 2), Some(0));
    }
}

//! How long a client may take before its first request is whole.

use std::time::Duration;

use crate::error::{ServerError, ServerErrorKind};

/// Time limits on everything that happens before a handler runs.
///
/// A client that opens a connection and then does nothing costs a socket, a task and some memory.
/// Each stage of a connection has a limit of its own, and all are on by default, because a stage
/// without one is where a slow client (by accident or by intent) stays for ever:
///
/// | stage | limit | default |
/// |---|---|---|
/// | TCP accepted, TLS not finished | [`tls_handshake`](Self::tls_handshake) | 10 s |
/// | TLS finished, first request not whole | [`first_request`](Self::first_request) | 30 s |
/// | HTTP/1.1: waiting for a request, or for the rest of its head | [`header_read`](Self::header_read) | 30 s |
/// | HTTP/2: the peer is gone without a word | [`http2_ping`](Self::http2_ping) | 20 s + 20 s |
///
/// None of them touches a connection that was upgraded: a WebSocket may live for days. Nor do
/// they bound the time a handler takes, or the time in which a request's body arrives; those
/// are the application's.
///
/// A limit may be anything from a millisecond to a day; the server refuses to start with
/// another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub(crate) tls_handshake: Duration,
    pub(crate) first_request: Duration,
    pub(crate) header_read: Duration,
    pub(crate) http2_ping_interval: Duration,
    pub(crate) http2_ping_timeout: Duration,
}

// ===== impl Limits =====

impl Limits {
    /// The defaults of the table above.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a client may take from the accepted TCP connection to the end of the TLS
    /// handshake. Default: 10 s, two or three lost packets on a slow mobile link. A client that
    /// needs longer starts again anyway.
    #[must_use]
    pub fn tls_handshake(mut self, limit: Duration) -> Self {
        self.tls_handshake = limit;
        self
    }

    /// How long a client may take from the end of the TLS handshake (or from the accepted
    /// connection, without TLS) to a whole first request head. Default: 30 s. Browsers open
    /// spare connections in advance; they open another one when a spare was closed, so the
    /// limit costs them one round trip.
    ///
    /// It is also the only limit on the reading that tells HTTP/1.1 from HTTP/2, and on an
    /// HTTP/2 client that sends its preface and nothing more.
    #[must_use]
    pub fn first_request(mut self, limit: Duration) -> Self {
        self.first_request = limit;
        self
    }

    /// How long an HTTP/1.1 client may take for a request's head, counted from the end of the
    /// answer before: the time an idle connection is kept alive. Default: 30 s, what hyper
    /// itself advises.
    #[must_use]
    pub fn header_read(mut self, limit: Duration) -> Self {
        self.header_read = limit;
        self
    }

    /// How often an HTTP/2 peer is asked whether it is still there, and how long it may take to
    /// answer. Default: 20 s each, so that a peer whose network vanished is noticed within
    /// 40 s, and a NAT or firewall on the way (which forgets idle connections after 30 s at the
    /// strictest) sees traffic in time.
    ///
    /// These pings concern the connection, all its streams together. Whether the program behind
    /// one WebSocket still lives is a question for WebSocket pings.
    #[must_use]
    pub fn http2_ping(mut self, interval: Duration, timeout: Duration) -> Self {
        self.http2_ping_interval = interval;
        self.http2_ping_timeout = timeout;
        self
    }

    pub(crate) fn check(&self) -> Result<(), ServerError> {
        for (name, limit) in [
            ("tls_handshake", self.tls_handshake),
            ("first_request", self.first_request),
            ("header_read", self.header_read),
            ("http2_ping interval", self.http2_ping_interval),
            ("http2_ping timeout", self.http2_ping_timeout),
        ] {
            if limit < SHORTEST || limit > LONGEST {
                return Err(ServerError::new(
                    ServerErrorKind::Configuration,
                    format!("the limit {name} is {limit:?}: choose 1 ms to 24 h"),
                ));
            }
        }
        Ok(())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tls_handshake: Duration::from_secs(10),
            first_request: Duration::from_secs(30),
            header_read: Duration::from_secs(30),
            http2_ping_interval: Duration::from_secs(20),
            http2_ping_timeout: Duration::from_secs(20),
        }
    }
}

/// Zero would cut every connection, and is more likely a mistake than a wish.
const SHORTEST: Duration = Duration::from_millis(1);

/// hyper adds the limit to the clock, which overflows for `Duration::MAX`.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_pass() {
        assert!(Limits::new().check().is_ok());
    }

    #[test]
    fn a_limit_out_of_range_is_named() {
        #[track_caller]
        fn check(limits: &Limits, name: &str) {
            let error = limits.check().unwrap_err();
            assert_eq!(error.kind(), ServerErrorKind::Configuration);
            assert!(error.to_string().contains(name), "{error}");
        }
        let second = Duration::from_secs(1);

        check(
            &Limits::new().tls_handshake(Duration::ZERO),
            "tls_handshake",
        );
        check(&Limits::new().first_request(Duration::MAX), "first_request");
        check(&Limits::new().header_read(Duration::ZERO), "header_read");
        check(&Limits::new().http2_ping(Duration::MAX, second), "interval");
        check(&Limits::new().http2_ping(second, Duration::ZERO), "timeout");
    }
}

//! How long a client may take before its first request is whole, and how long the request may be.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::error::{ServerError, ServerErrorKind};

/// Time limits on what a client is waited for, before a handler runs and while its answer is sent.
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
/// | HTTP/2: the peer is gone without a word, or stops within a frame | [`http2_ping`](Self::http2_ping) | 20 s + 20 s |
/// | HTTP/2: no request and no WebSocket is open | [`http2_idle`](Self::http2_idle) | 3 min |
/// | an answer is sent, and not read | [`send`](Self::send) | 60 s, and 240 bytes a second |
///
/// All of them end the connection without a word, as there is none that HTTP/1.1 would have; an HTTP/2
/// connection that is idle gets a GOAWAY. None of them begins anew with a byte: a client that dribbles is
/// cut as one that is silent.
///
/// None of them touches a connection that was upgraded: a WebSocket may live for days. Nor do
/// they bound the time a handler takes, or the time in which a request's body arrives; those
/// are the application's. A body that the handler does not take, hyper does not wait for either.
///
/// In the project's `docs/slow-peers.md` they stand beside those of the proxy and of the layers.
///
/// A limit may be anything from a millisecond to a day; the server refuses to start with
/// another one.
///
/// What a client may send in a request's head is bounded too, see
/// [`request_head`](Self::request_head).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub(crate) tls_handshake: Duration,
    pub(crate) first_request: Duration,
    pub(crate) header_read: Duration,
    pub(crate) http2_ping_interval: Duration,
    pub(crate) http2_ping_timeout: Duration,
    pub(crate) http2_idle: Duration,
    pub(crate) send: Duration,
    pub(crate) request_head: usize,
}

// ===== impl Limits =====

impl Limits {
    /// The default of [`tls_handshake`](Self::tls_handshake): 10 s.
    pub const DEFAULT_TLS_HANDSHAKE: Duration = Duration::from_secs(10);

    /// The default of [`first_request`](Self::first_request) and of
    /// [`header_read`](Self::header_read): 30 s.
    pub const DEFAULT_HEAD: Duration = Duration::from_secs(30);

    /// The default of [`http2_idle`](Self::http2_idle): 3 min.
    pub const DEFAULT_HTTP2_IDLE: Duration = Duration::from_secs(3 * 60);

    /// The default of [`send`](Self::send): 60 s.
    pub const DEFAULT_SEND: Duration = Duration::from_secs(60);

    /// How long the [head of a request](Self::request_head) may be by default: 32 KiB.
    pub const DEFAULT_REQUEST_HEAD: usize = 32 * 1024;

    /// The defaults of the table above.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a client may take from the accepted TCP connection to the end of the TLS
    /// handshake. Default: 10 s, two or three lost packets on a slow mobile link. A client that
    /// needs longer starts again anyway.
    ///
    /// A header of the [PROXY protocol](crate::Server::proxy_protocol), which comes first, has its part
    /// in it, and without TLS has it for itself.
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

    /// How long an HTTP/2 connection may be open without a stream: no request under way, and no
    /// WebSocket. Default: 3 min, as nginx had it for HTTP/2 (`http2_idle_timeout`); longer than
    /// [`header_read`](Self::header_read), because a page comes back to such a connection for all that it
    /// asks for, and because one costs its client more to open.
    ///
    /// Pings are no requests: a client could keep a connection with them for ever. The client is told
    /// GOAWAY, and opens another one when it has something to ask.
    #[must_use]
    pub fn http2_idle(mut self, limit: Duration) -> Self {
        self.http2_idle = limit;
        self
    }

    /// How long a client may keep an answer waiting that it does not read. Default: 60 s, nginx's
    /// `send_timeout`.
    ///
    /// The times add up, and each byte that it takes makes up for a 240th of a second. So a client that
    /// takes one now and then is cut as well, and no client that takes 240 bytes a second ever is (which is
    /// the rate that Kestrel asks for). What the socket's buffer takes counts as taken.
    ///
    /// Over HTTP/2 it is about the connection, WebSockets and all: about a client that leaves the socket
    /// unread, and does not even see pings. One that gives a single stream no room is not what it ends.
    #[must_use]
    pub fn send(mut self, limit: Duration) -> Self {
        self.send = limit;
        self
    }

    /// How many bytes the head of a request may have, its first line and all of its fields. Default:
    /// 32 KiB, what nginx takes. From 8 KiB to 1 MiB.
    ///
    /// A client that sends more gets 431 (414 for a target of more than 64 KiB), and over HTTP/1.1 the
    /// connection ends with it; so this is also the most that a connection holds of a head which
    /// never ends. (It is looked at when there is more to read, so that up to twice as much may pass if it
    /// comes at once.) HTTP/2 counts a head as it is before compression, with 32 bytes more for each
    /// field (RFC 9113 6.5.2), and ends the connection of a client that sends four times as much. Over
    /// HTTP/1.1 a head has 100 fields at most.
    ///
    /// Raise it for clients with very large cookies, or Kerberos tickets.
    #[must_use]
    pub fn request_head(mut self, bytes: usize) -> Self {
        self.request_head = bytes;
        self
    }

    pub(crate) fn check(&self) -> Result<(), ServerError> {
        for (name, limit) in [
            ("tls_handshake", self.tls_handshake),
            ("first_request", self.first_request),
            ("header_read", self.header_read),
            ("http2_ping interval", self.http2_ping_interval),
            ("http2_ping timeout", self.http2_ping_timeout),
            ("http2_idle", self.http2_idle),
            ("send", self.send),
        ] {
            if limit < SHORTEST || limit > LONGEST {
                return Err(ServerError::new(
                    ServerErrorKind::Configuration,
                    format!("the limit {name} is {limit:?}: choose 1 ms to 24 h"),
                ));
            }
        }
        if !REQUEST_HEADS.contains(&self.request_head) {
            let bytes = self.request_head;
            return Err(ServerError::new(
                ServerErrorKind::Configuration,
                format!("the limit request_head is {bytes} bytes: choose 8 KiB to 1 MiB"),
            ));
        }
        Ok(())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tls_handshake: Self::DEFAULT_TLS_HANDSHAKE,
            first_request: Self::DEFAULT_HEAD,
            header_read: Self::DEFAULT_HEAD,
            http2_ping_interval: Duration::from_secs(20),
            http2_ping_timeout: Duration::from_secs(20),
            http2_idle: Self::DEFAULT_HTTP2_IDLE,
            send: Self::DEFAULT_SEND,
            request_head: Self::DEFAULT_REQUEST_HEAD,
        }
    }
}

/// Zero would cut every connection, and is more likely a mistake than a wish.
const SHORTEST: Duration = Duration::from_millis(1);

/// hyper adds the limit to the clock, which overflows for `Duration::MAX`.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// hyper takes no less than 8 KiB; more than a MiB for each stranger is no limit.
const REQUEST_HEADS: RangeInclusive<usize> = 8 * 1024..=1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_pass() {
        assert!(Limits::new().check().is_ok());
    }

    /// As in the table: one that is off by default is one that hardly anybody has.
    #[test]
    fn all_are_on_by_default() {
        let seconds = Duration::from_secs;
        let table = Limits {
            tls_handshake: seconds(10),
            first_request: seconds(30),
            header_read: seconds(30),
            http2_ping_interval: seconds(20),
            http2_ping_timeout: seconds(20),
            http2_idle: seconds(180),
            send: seconds(60),
            request_head: 32 << 10,
        };
        assert_eq!(Limits::new(), table);
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
        check(&Limits::new().http2_idle(Duration::ZERO), "http2_idle");
        check(&Limits::new().send(Duration::MAX), "send");
        check(&Limits::new().request_head(8191), "request_head");
        check(&Limits::new().request_head(usize::MAX), "request_head");
    }
}

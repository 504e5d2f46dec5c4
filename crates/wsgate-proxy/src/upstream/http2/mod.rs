//! Tunnels over HTTP/2: extended CONNECT (RFC 8441), many on one connection to the endpoint.
//!
//! ```text
//!   handshake ─▶ Pool: a connection of this runtime with room   else a new one: ALPN, SETTINGS
//!             ─▶ Place: one stream, until the tunnel ends       else HTTP/1.1, which is remembered
//!             ─▶ CONNECT, :protocol websocket                   what the header layer made, translated
//!             ─▶ 2xx: Http2Stream                               told to the layer as the 101 it expects
//! ```
//!
//! A tunnel then costs the endpoint and us no socket of its own, no TLS handshake, and no state of
//! TLS. The price: tunnels on one connection share its fate. A lost packet holds all of them up, and a
//! lost connection ends all of them. So it has to be [asked for](Http2).
//!
//! # Who owns what
//!
//! A connection is moved by a task on the runtime that opened it, so the pool keeps the connections of
//! each runtime apart: a tunnel and its connection end with the same runtime, and no frame waits for
//! another thread. What keeps a connection open is who can use it: the pool, as long as it has one for
//! it, and each tunnel. With the last of them gone it says goodbye and ends, and its task with it.
//!
//! # What bounds the memory
//!
//! A tunnel whose client does not read holds [128 KiB](STREAM_WINDOW) of what the endpoint sent. The
//! connection's window has room for that on each of its streams, so no number of slow clients stops the
//! others. Towards the endpoint a tunnel has at most [32 KiB](SEND_BUFFER) under way in the gateway.

mod connection;
mod exchange;
mod pool;
mod stream;

use std::time::Duration;

pub(crate) use self::{
    exchange::RefusalBody,
    pool::{Pool, Route},
    stream::Http2Stream,
};

/// Whether tunnels to an endpoint go over HTTP/2 (RFC 8441), many on one connection.
///
/// Off by default, for `https://` too: few WebSocket servers offer it, and those behind them expect
/// that a connection that breaks takes one WebSocket along, and not a hundred. It pays where there
/// are many tunnels to few endpoints: a connection less for each, its handshake less, and the memory
/// and the ports of both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Http2 {
    /// HTTP/1.1, a connection for each tunnel.
    #[default]
    Off,
    /// HTTP/2 where TLS agrees on it (ALPN) and the endpoint's SETTINGS offer WebSockets, else
    /// HTTP/1.1. That an endpoint offers none is remembered for [five minutes](Self::MEMORY), after
    /// which the next handshake asks again.
    ///
    /// Without TLS there is nothing to agree by: `http://` and `unix:` endpoints get HTTP/1.1.
    Auto,
    /// HTTP/2 and nothing else. Without TLS by prior knowledge (RFC 9113 3.3). An endpoint that does
    /// not offer WebSockets over it has failed.
    Only,
}

// ===== impl Http2 =====

impl Http2 {
    /// The most tunnels on one connection: 100, or fewer where the endpoint allows fewer at once. More
    /// would save little, and make the loss of a connection worse.
    pub const MAX_TUNNELS: u32 = 100;

    /// How long a connection without a tunnel stays open: a minute at least. A connection is looked at
    /// [now and then](Self::PING_INTERVAL).
    pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

    /// How often a connection is pinged, idle or not: every 20 s. A gateway or a NAT in between that
    /// forgets quiet connections does so after a minute at the earliest, most of them.
    pub const PING_INTERVAL: Duration = Duration::from_secs(20);

    /// How long the answer to a ping may take: 10 s. Past it the connection is lost, and its tunnels
    /// with it.
    pub const PING_TIMEOUT: Duration = Duration::from_secs(10);

    /// How long [`Auto`](Self::Auto) remembers that an endpoint offers no WebSockets over HTTP/2: 5
    /// minutes. A new release of it is noticed within that time, and its handshakes do not each pay
    /// for asking.
    pub const MEMORY: Duration = Duration::from_secs(300);
}

/// What an endpoint may send of one tunnel before it is read. As much as Linux gives a fresh TCP
/// connection (`tcp_rmem`): 128 MB/s at a round trip of 1 ms.
const STREAM_WINDOW: u32 = 128 * 1024;

/// Every stream's window at once.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * (Http2::MAX_TUNNELS + 1);

/// What h2 keeps of one tunnel for the socket: two [writes](MAX_WRITE).
const SEND_BUFFER: usize = 2 * MAX_WRITE;

/// The most that is written at once. One DATA frame, as its size is limited by default (RFC 9113
/// 6.5.2).
pub(crate) const MAX_WRITE: usize = 16 * 1024;

/// h2 closes a connection on which too many small frames wait to be read, each charged with what it
/// lacks of 256 bytes: half of the connection's window by default. But clients decide how fast tunnels
/// are read, and one of them must not end the others. A stream takes its frames out of h2 also
/// [while nobody reads](Http2Stream), so what counts is only what comes in one go: 130,000 frames are
/// more than that.
const SMALL_FRAMES: usize = 32 * 1024 * 1024;

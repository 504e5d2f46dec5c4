//! What observers are told.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use http::{StatusCode, uri::Scheme};
use tracing::Span;
use wsgate_frame::{Close, CloseCode, Counts, Role};

use crate::{
    handshake::{AnswerError, Kind, Refusal},
    origin::OriginError,
    tunnel::{Cause, End, Tunnel},
};

/// A handshake, and the WebSocket that came of it.
///
/// What the client can choose is marked so. It is for logs; made a label of metrics, it would let
/// any client grow them without end.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Handshake<'a> {
    /// Its number in this process: one and the same in all that is told of it.
    pub id: u64,
    /// The route as axum's router knows it, `/rooms/{room}` for example, so that there are few;
    /// else [`UNMATCHED`](Self::UNMATCHED).
    pub route: &'a str,
    /// The client, behind proxies where those are
    /// [trusted](super::ObserveLayer::trusted_proxies). `None` where the server does not tell; see
    /// [`peer_addr`](crate::client::peer_addr).
    pub client: Option<IpAddr>,
    /// The other end of the connection: the client, or a proxy before it.
    pub peer: Option<SocketAddr>,
    /// How the client asked.
    pub protocol: Kind,
    /// `http` or `https`; over HTTP/2 the client's word if the server [does not
    /// tell](crate::client::scheme).
    pub scheme: &'a Scheme,
    /// The host that the client asked for, with the port if there was one. The client's word. `None`
    /// where it is longer than any host's name.
    pub host: Option<&'a str>,
    /// What its layers and its handler share: the upstream's name for one.
    pub tunnel: &'a Tunnel,
    /// The span in which it came, for the one of the WebSocket to be a child of;
    /// [none](Span::none) where there was none, and where the WebSocket's
    /// [lasts](super::Observer::span_lasts).
    pub parent: &'a Span,
}

/// A handshake was answered with a WebSocket.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Opened {
    /// 101, or over HTTP/2 mostly 200.
    pub status: StatusCode,
    /// How long it took from the request to the open stream.
    pub took: Duration,
}

/// No WebSocket came of a handshake.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Refused<'a> {
    /// With what it was refused. `None` where there was no answer, or nobody to take it.
    pub status: Option<StatusCode>,
    /// The reason, as far as it is known.
    pub why: Option<Why<'a>>,
    /// How long it took from the request to here.
    pub took: Duration,
}

/// Why no WebSocket came of a handshake. `Display` is the sentence for the log.
///
/// Who refuses can tell: an [`OriginError`], an [`AnswerError`], a [`Limit`](crate::tunnel::Limit) or a
/// [`Cause`] in the response's extensions arrives here, as those of our own layers do.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Why<'a> {
    /// The handshake breaks the rules.
    Handshake(Refusal),
    /// It came from a page that may not.
    Origin(&'a OriginError),
    /// The upstream answered it wrongly.
    Answer(&'a AnswerError),
    /// A layer does not take it: a limit is reached, the server is being drained.
    Layer(Cause),
    /// The service failed without an answer.
    Failed,
    /// Nobody waited for it any longer: the client left, or something further out gave up.
    Gone,
}

/// What has passed since the last time.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Traffic {
    /// From the client to the handler.
    pub from_client: Counts,
    /// From the handler to the client.
    pub to_client: Counts,
}

/// A ping was answered.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Ping {
    /// Who answered: the client, or the upstream.
    pub peer: Role,
    /// From the ping to the pong.
    pub round_trip: Duration,
}

/// A WebSocket has ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Closed<'a> {
    /// With what its handshake was answered.
    pub status: StatusCode,
    /// How long it was open.
    pub duration: Duration,
    /// All that came from the client.
    pub from_client: Counts,
    /// All that went to the client.
    pub to_client: Counts,
    /// The first Close that was seen. Its code and its reason are the sender's choice: see
    /// [`code`](Self::code).
    pub close: Option<&'a Close>,
    /// Who ended it.
    pub by: ClosedBy,
    /// What ended it, whatever came after.
    pub ended: Ended,
}

/// Who ended a WebSocket. `Display` is the word for log and label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClosedBy {
    /// The client.
    Client,
    /// The handler, or the upstream behind it.
    Server,
    /// One of our own layers.
    Gateway,
}

/// What ended a WebSocket. `Display` is the word for log and label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// A Close of the client or the handler.
    Close,
    /// The client's connection ended without a Close.
    Eof,
    /// The client's connection broke.
    Lost(io::ErrorKind),
    /// The handler let go of it without a Close, or panicked.
    Dropped,
    /// A layer.
    Layer(End),
}

// ===== impl Handshake =====

impl Handshake<'_> {
    /// The route of a request that matched none, or that came past no router.
    pub const UNMATCHED: &'static str = "unmatched";
}

// ===== impl Why =====

impl Why<'_> {
    /// One word out of few, for a label.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Handshake(_) => "handshake",
            Self::Origin(_) => "origin",
            Self::Answer(_) => "answer",
            Self::Layer(Cause::Limit(_)) => "limit",
            Self::Layer(Cause::Drain) => "drain",
            Self::Layer(_) => "layer",
            Self::Failed => "failed",
            Self::Gone => "gone",
        }
    }
}

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake(refusal) => refusal.fmt(f),
            Self::Origin(error) => error.fmt(f),
            Self::Answer(error) => error.fmt(f),
            Self::Layer(Cause::Limit(limit)) => write!(f, "the limit of {limit} is reached"),
            Self::Layer(cause) => cause.fmt(f),
            Self::Failed => f.write_str("the service failed without an answer"),
            Self::Gone => f.write_str("nobody waited for the answer"),
        }
    }
}

// ===== impl Traffic =====

impl Traffic {
    /// What has passed between two looks.
    pub(super) fn between(then: [Counts; 2], now: [Counts; 2]) -> Self {
        let [from_client, to_client] = [0, 1].map(|i| {
            let mut more = Counts::default();
            more.messages = now[i].messages - then[i].messages;
            more.data_frames = now[i].data_frames - then[i].data_frames;
            more.control_frames = now[i].control_frames - then[i].control_frames;
            more.payload_bytes = now[i].payload_bytes - then[i].payload_bytes;
            more.wire_bytes = now[i].wire_bytes - then[i].wire_bytes;
            more
        });
        Self {
            from_client,
            to_client,
        }
    }
}

// ===== impl Closed =====

impl Closed<'_> {
    /// Whether it ended without a Close of either side or of a layer. In browsers: 1006.
    #[must_use]
    pub const fn is_abrupt(&self) -> bool {
        matches!(self.ended, Ended::Eof | Ended::Lost(_) | Ended::Dropped)
    }

    /// The code, as RFC 6455 7.1.5 has it: that of the first Close, 1005 if it had none, 1006 if there
    /// was no Close. Where a layer ended it and its Close did not come past here, the layer's code.
    ///
    /// Any of 65,536 can come from a peer, those that must not be sent included.
    #[must_use]
    pub fn code(&self) -> CloseCode {
        match (self.close, self.ended) {
            (Some(close), _) => close.code().unwrap_or(CloseCode::NO_STATUS_RECEIVED),
            (None, Ended::Layer(end)) => end.code,
            (None, _) => CloseCode::ABNORMAL_CLOSURE,
        }
    }
}

// ===== impl ClosedBy =====

impl fmt::Display for ClosedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Gateway => "gateway",
        })
    }
}

// ===== impl Ended =====

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Close => "close",
            Self::Eof => "eof",
            Self::Lost(_) => "lost",
            Self::Dropped => "dropped",
            Self::Layer(end) => return end.cause.fmt(f),
        })
    }
}

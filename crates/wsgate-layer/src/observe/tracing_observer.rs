use std::{net::SocketAddr, time::Duration};

use http::uri::Authority;
use tracing::{Span, field};
use wsgate_frame::Role;

use super::{Closed, Ended, Handshake, Observer, Opened, Ping, Refused};
use crate::{handshake::Kind, tunnel::Limit};

/// Logs and traces: a span for each WebSocket, and events in it.
///
/// The span is called `websocket`, with level INFO, and lasts as long as the handshake; what the handler
/// logs while it answers that is in it too. What is told later stands in a span of the same name, with
/// the same fields and the same parent, that is made for it: one that lived as long as the WebSocket
/// would keep half a kilobyte in the memory of most subscribers. For traces, [it can
/// last](Self::lasting_spans). Events:
///
/// | event | level | when |
/// |---|---|---|
/// | `websocket closed` | INFO | once for each that was opened |
/// | `websocket refused` | INFO | once for each that was not |
/// | `websocket limit` | INFO | a limit was met |
/// | `websocket opened` | DEBUG | |
/// | `websocket ping` | TRACE | a peer has answered |
///
/// Span and events name their fields as OpenTelemetry's semantic conventions do: `client.address`,
/// `client.port`, `network.peer.address` (where a proxy stands between), `network.protocol.name` and
/// `.version`, `http.route`, `http.request.method`, `http.response.status_code`, `url.scheme`,
/// `server.address`, `server.port`, `error.type` (no WebSocket, or an end without a Close). What has
/// no name there is under `websocket.`:
///
/// - `websocket.closed_by`: [`client`, `server` or `gateway`](super::ClosedBy);
/// - `websocket.cause`: [what ended it](super::Ended), `close` or `pong timeout` for example;
/// - `websocket.close_code` ([as browsers report it](Closed::code)), `websocket.close_reason`
///   (escaped);
/// - `websocket.duration_ms`, and in each direction `websocket.from_client_bytes`, `_messages`,
///   `websocket.to_client_bytes`, `_messages`; bytes are those on the wire;
/// - `websocket.upstream`: its [name](crate::tunnel::Tunnel::upstream), if there is one.
///
/// As this logs every end, the other layers [need not](crate::tunnel::Tunnel::promise_to_tell).
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingObserver {
    lasting_spans: bool,
}

// ===== impl TracingObserver =====

impl TracingObserver {
    /// An observer that logs to whatever subscriber there is.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            lasting_spans: false,
        }
    }

    /// Has the span of each WebSocket last from the handshake to the end, as OpenTelemetry wants it: the
    /// span's duration is that of the WebSocket, and all events are in one span.
    #[must_use]
    pub const fn lasting_spans(mut self) -> Self {
        self.lasting_spans = true;
        self
    }
}

impl Observer for TracingObserver {
    fn span(&self, handshake: &Handshake<'_>) -> Span {
        let (method, version) = match handshake.protocol {
            Kind::Upgrade => ("GET", "1.1"),
            Kind::ExtendedConnect => ("CONNECT", "2"),
        };
        // The port is the client's only where the connection is.
        let peer = handshake.peer.map(canonical);
        let (direct, proxied) = match (handshake.client, peer) {
            (Some(client), Some(peer)) if peer.ip() != client => (None, Some(peer)),
            _ => (peer, None),
        };
        let host = handshake.host.and_then(|h| h.parse::<Authority>().ok());
        let route = handshake.route;
        tracing::info_span!(
            parent: handshake.parent,
            "websocket",
            "otel.kind" = "server",
            client.address = handshake.client.map(field::display),
            client.port = direct.map(|peer| peer.port()),
            network.peer.address = proxied.map(|peer| field::display(peer.ip())),
            network.peer.port = proxied.map(|peer| peer.port()),
            network.protocol.name = "http",
            network.protocol.version = version,
            http.request.method = method,
            http.route = (route != Handshake::UNMATCHED).then_some(route),
            http.response.status_code = field::Empty,
            url.scheme = handshake.scheme.as_str(),
            server.address = host.as_ref().map(Authority::host),
            server.port = host.as_ref().and_then(Authority::port_u16),
            "error.type" = field::Empty,
        )
    }

    fn span_lasts(&self) -> bool {
        self.lasting_spans
    }

    fn handshake(&self, handshake: &Handshake<'_>) {
        handshake.tunnel.promise_to_tell();
    }

    fn refused(&self, _: &Handshake<'_>, refused: &Refused<'_>) {
        let span = Span::current();
        if let Some(status) = refused.status {
            span.record("http.response.status_code", status.as_u16());
        }
        span.record(
            "error.type",
            refused.why.map_or("refused", |why| why.word()),
        );
        tracing::info!(
            error = refused.why.map(field::display),
            websocket.took_ms = millis(refused.took),
            "websocket refused"
        );
    }

    fn opened(&self, handshake: &Handshake<'_>, opened: &Opened) {
        Span::current().record("http.response.status_code", opened.status.as_u16());
        tracing::debug!(
            websocket.upstream = handshake.tunnel.upstream(),
            websocket.took_ms = millis(opened.took),
            "websocket opened"
        );
    }

    fn wants_traffic(&self) -> bool {
        false
    }

    fn ping(&self, _: &Handshake<'_>, ping: &Ping) {
        tracing::trace!(
            websocket.peer = match ping.peer {
                Role::Client => "client",
                Role::Server => "server",
            },
            websocket.round_trip_ms = millis(ping.round_trip),
            "websocket ping"
        );
    }

    fn limit(&self, _: &Handshake<'_>, limit: Limit) {
        tracing::info!(websocket.limit = %limit, "websocket limit");
    }

    fn closed(&self, handshake: &Handshake<'_>, closed: &Closed<'_>) {
        let span = Span::current();
        if !self.lasting_spans {
            span.record("http.response.status_code", closed.status.as_u16());
        }
        match closed.ended {
            Ended::Lost(kind) => {
                span.record("error.type", field::display(kind));
            }
            Ended::Eof | Ended::Dropped => {
                span.record("error.type", field::display(closed.ended));
            }
            Ended::Close | Ended::Layer(_) => {}
        }
        let reason = closed.close.map(|c| c.reason_bytes().escape_ascii());
        tracing::info!(
            websocket.upstream = handshake.tunnel.upstream(),
            websocket.duration_ms = millis(closed.duration),
            websocket.from_client_bytes = closed.from_client.wire_bytes,
            websocket.from_client_messages = closed.from_client.messages,
            websocket.to_client_bytes = closed.to_client.wire_bytes,
            websocket.to_client_messages = closed.to_client.messages,
            websocket.closed_by = %closed.by,
            websocket.cause = %closed.ended,
            websocket.close_code = closed.code().0,
            websocket.close_reason = reason.map(|r| r.to_string()),
            "websocket closed"
        );
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// An IPv4 address mapped into IPv6 as what it is, to be compared with a client's.
fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

//! How a tunnel ended, told in one event.

use std::{io, time::Duration};

use wsgate_frame::Role;

use super::direction::{Direction, End};

/// What came first, and from which side: the reason why a tunnel ended.
#[derive(Debug)]
pub(super) enum First {
    /// It sent a Close.
    Close(Role),
    /// It ended its connection without a Close.
    Eof(Role),
    /// Its connection broke.
    Lost(Role, String),
}

// ===== impl First =====

impl First {
    /// What has come first, if anything has yet.
    pub(super) fn of(from_client: &Direction, from_upstream: &Direction) -> Option<Self> {
        let directions = [(Role::Client, from_client), (Role::Server, from_upstream)];
        // A Close goes before the end that comes with it, even if both came at once.
        let closed = directions.iter().find(|(_, d)| d.tracker().is_closed());
        if let Some((source, _)) = closed {
            return Some(Self::Close(*source));
        }
        directions
            .iter()
            .find_map(|(source, direction)| match direction.end()? {
                End::Eof => Some(Self::Eof(*source)),
                End::SourceLost(error) => Some(Self::Lost(*source, words(error))),
                End::SinkLost(error) => Some(Self::Lost(other(*source), words(error))),
            })
    }

    const fn side(&self) -> Role {
        match self {
            Self::Close(side) | Self::Eof(side) | Self::Lost(side, _) => *side,
        }
    }

    const fn cause(&self) -> &'static str {
        match self {
            Self::Close(_) => "close",
            Self::Eof(_) => "connection ended without a close",
            Self::Lost(..) => "connection lost",
        }
    }
}

/// Logs the closing event, in the span of the tunnel. Bytes are those on the wire, frame headers
/// included, that the other side has taken.
pub(super) fn log(
    first: Option<&First>,
    duration: Duration,
    from_client: &Direction,
    from_upstream: &Direction,
) {
    let closer = match first.map(First::side) {
        Some(Role::Client) => Some(from_client),
        Some(Role::Server) => Some(from_upstream),
        None => None,
    };
    let close = closer.and_then(|d| d.tracker().close());
    let (client, upstream) = (
        from_client.tracker().counts(),
        from_upstream.tracker().counts(),
    );
    tracing::info!(
        duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        client_bytes = client.wire_bytes,
        client_messages = client.messages,
        upstream_bytes = upstream.wire_bytes,
        upstream_messages = upstream.messages,
        closed_by = first.map_or("gateway", |f| name(f.side())),
        cause = first.map_or("aborted", First::cause),
        error = match first {
            Some(First::Lost(_, error)) => Some(error.as_str()),
            _ => None,
        },
        close_code = close.and_then(|c| c.code()).map(|c| c.0),
        close_reason = close.map(|c| c.reason_bytes().escape_ascii().to_string()),
        client_violation = from_client.violation().map(|v| v.to_string()),
        upstream_violation = from_upstream.violation().map(|v| v.to_string()),
        "tunnel closed"
    );
}

/// The error in words fit for a log line. What rustls says of a peer that just vanished ends in a
/// link to its manual.
fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "ended without a TLS close_notify".to_owned(),
        _ => error.to_string(),
    }
}

const fn other(side: Role) -> Role {
    match side {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

const fn name(side: Role) -> &'static str {
    match side {
        Role::Client => "client",
        Role::Server => "upstream",
    }
}

//! How a tunnel ended, told in one event.

use std::{io, time::Duration};

use wsgate_frame::{CloseCode, Role};
use wsgate_layer::tunnel::{self, Tunnel};

use super::direction::{Direction, End};
use crate::upstream::Recall;

/// What came first, and from which side: the reason why a tunnel ended.
#[derive(Debug)]
pub(super) enum First {
    /// A layer ended the tunnel.
    Layer(tunnel::End),
    /// The group of its endpoint ended it.
    Recalled(Recall),
    /// It took nothing for too long of what the other one had sent.
    Stuck(Role),
    /// It sent a Close.
    Close(Role),
    /// It ended its connection without a Close.
    Eof(Role),
    /// Its connection broke.
    Lost(Role, String),
}

// ===== impl First =====

impl First {
    /// What has come first, if anything has yet. That a layer has ended the tunnel goes before what
    /// came of it here.
    pub(super) fn of(
        layers: Option<&Tunnel>,
        from_client: &Direction,
        from_upstream: &Direction,
    ) -> Option<Self> {
        if let Some(end) = layers.and_then(Tunnel::end) {
            return Some(Self::Layer(end));
        }
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

    /// Who did it; `None` for us.
    const fn side(&self) -> Option<Role> {
        match self {
            Self::Layer(_) | Self::Recalled(_) | Self::Stuck(_) => None,
            Self::Close(side) | Self::Eof(side) | Self::Lost(side, _) => Some(*side),
        }
    }

    fn cause(&self) -> String {
        match self {
            Self::Layer(end) => end.cause.to_string(),
            Self::Recalled(recall) => recall.to_string(),
            Self::Stuck(_) => "send timeout".to_owned(),
            Self::Close(_) => "close".to_owned(),
            Self::Eof(_) => "connection ended without a close".to_owned(),
            Self::Lost(..) => "connection lost".to_owned(),
        }
    }
}

/// Logs the closing event, in the span of the tunnel. Bytes are those on the wire, frame headers
/// included, that the other side has taken.
///
/// `refused` is how a layer ended the tunnel, also where that was not the first that happened.
pub(super) fn log(
    first: Option<&First>,
    refused: Option<tunnel::End>,
    duration: Duration,
    is_unanswered: bool,
    from_client: &Direction,
    from_upstream: &Direction,
) {
    let to_blame = match first {
        Some(First::Layer(end)) => Some(end.peer),
        Some(First::Stuck(side)) => Some(*side),
        // The Close is somebody's, and its answer would have been the other one's.
        Some(First::Close(side)) if is_unanswered => Some(other(*side)),
        _ => None,
    };
    let closer = match first.and_then(First::side) {
        Some(Role::Client) => Some(from_client),
        Some(Role::Server) => Some(from_upstream),
        None => None,
    };
    let close = closer.and_then(|d| d.tracker().close());
    let code = match first {
        Some(First::Layer(end)) => Some(end.code),
        Some(First::Recalled(_)) => Some(CloseCode::SERVICE_RESTART),
        Some(First::Stuck(Role::Server)) => Some(CloseCode::BAD_GATEWAY),
        Some(First::Stuck(Role::Client)) => Some(CloseCode::GOING_AWAY),
        _ => close.and_then(|c| c.code()),
    };
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
        closed_by = first.and_then(First::side).map_or("gateway", name),
        cause = first.map_or_else(|| "aborted".to_owned(), First::cause),
        // Which of the two gave no sign of life, took nothing, went beyond a limit, or left a Close
        // unanswered.
        side = to_blame.map(name),
        cut = is_unanswered.then_some("close timeout"),
        error = match first {
            Some(First::Lost(_, error)) => Some(error.as_str()),
            _ => None,
        },
        close_code = code.map(|c| c.0),
        close_reason = close.map(|c| c.reason_bytes().escape_ascii().to_string()),
        client_violation = violation(Role::Client, from_client, refused),
        upstream_violation = violation(Role::Server, from_upstream, refused),
        "tunnel closed"
    );
}

/// The first rule that a side broke. What a layer refused for it did not come here.
fn violation(side: Role, from: &Direction, refused: Option<tunnel::End>) -> Option<String> {
    let refused = refused.filter(|end| end.peer == side);
    let refused = refused.and_then(|end| end.cause.violation());
    refused.or(from.violation()).map(|v| v.to_string())
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

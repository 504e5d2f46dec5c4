//! The two upgraded connections, relayed to each other until both have ended.

mod direction;
mod outcome;
mod relay;
mod scratch;

#[cfg(test)]
mod tests;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tracing::Instrument;
use wsgate_layer::handshake::Kind;

use self::relay::Relay;
use crate::{Endpoint, forward::UpstreamParts};

/// What is known of a tunnel before its first byte.
#[derive(Debug)]
pub(crate) struct Facts {
    /// The client's address.
    pub(crate) client: String,
    pub(crate) route: String,
    pub(crate) kind: Kind,
    pub(crate) endpoint: Endpoint,
}

/// Relays on a task of its own, which the two connections own: it ends when they do. Until the
/// client's connection is upgraded, that connection alone ends it, as hyper then drops the
/// `OnUpgrade`.
pub(crate) fn spawn(client: OnUpgrade, upstream: UpstreamParts, facts: Facts) {
    let span = tracing::info_span!(
        "tunnel",
        client = facts.client,
        route = facts.route,
        endpoint = %facts.endpoint,
        protocol = match facts.kind {
            Kind::Upgrade => "HTTP/1.1",
            Kind::ExtendedConnect => "HTTP/2",
        },
    );
    tokio::spawn(run(client, upstream, facts).instrument(span));
}

async fn run(client: OnUpgrade, upstream: UpstreamParts, facts: Facts) {
    let client = match client.await {
        Ok(upgraded) => TokioIo::new(upgraded),
        Err(error) => {
            tracing::info!(%error, "the client left before its WebSocket was open");
            return;
        }
    };
    Relay::new(client, upstream.io.into_inner())
        .with_early_data(upstream.read_buf)
        .with_client_writes_of(max_write(facts.kind))
        .await;
}

/// hyper takes a write to an HTTP/2 stream whole, whatever its size and whether or not the client
/// reads: only small ones are held back by the client's window.
const fn max_write(kind: Kind) -> usize {
    match kind {
        Kind::Upgrade => usize::MAX,
        Kind::ExtendedConnect => 16 * 1024,
    }
}

//! The two upgraded connections, relayed to each other until both have ended.

mod direction;
mod outcome;
mod prefixed;
mod relay;
mod scratch;

#[cfg(test)]
mod tests;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tracing::Instrument;
use wsgate_frame::Role;
use wsgate_layer::{
    handshake::Kind,
    keepalive::{KeepaliveIo, KeepaliveLayer},
    map_upgrade::Upgrade,
    tunnel::Tunnel,
};

use self::{prefixed::Prefixed, relay::Relay};
use crate::{Endpoint, forward::UpstreamParts};

/// What is known of a tunnel before its first byte.
#[derive(Debug)]
pub(crate) struct Facts {
    /// The client's address.
    pub(crate) client: String,
    pub(crate) route: String,
    pub(crate) kind: Kind,
    pub(crate) endpoint: Endpoint,
    pub(crate) tunnel: Tunnel,
    /// Whether layers stand in the client's stream.
    pub(crate) is_layered: bool,
    pub(crate) upstream_keepalive: Option<KeepaliveLayer>,
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
    let tunnel = facts.tunnel;
    tunnel.promise_to_tell();
    let max_write = max_write(facts.kind);
    let (io, early) = (upstream.io.into_inner(), upstream.read_buf);
    if let Some(keepalive) = facts.upstream_keepalive {
        // It has to follow the frames from the first byte on.
        let io = Prefixed::new(early, io);
        let upgrade = Upgrade::new(tunnel.clone(), Kind::Upgrade);
        let io = KeepaliveIo::new(io, Role::Server, &keepalive, &upgrade);
        let relay = Relay::new(client, io).with_client_writes_of(max_write);
        relay.with_layers(tunnel).await;
    } else {
        let relay = Relay::new(client, io).with_client_writes_of(max_write);
        let relay = relay.with_early_data(early);
        match facts.is_layered {
            true => relay.with_layers(tunnel).await,
            false => relay.await,
        }
    }
}

/// hyper takes a write to an HTTP/2 stream whole, whatever its size and whether or not the client
/// reads: only small ones are held back by the client's window.
const fn max_write(kind: Kind) -> usize {
    match kind {
        Kind::Upgrade => usize::MAX,
        Kind::ExtendedConnect => 16 * 1024,
    }
}

//! The two upgraded connections, relayed to each other until both have ended.

mod direction;
mod labels;
mod last;
mod outcome;
mod patience;
mod prefixed;
mod relay;
mod scratch;
mod stall;

#[cfg(any(test, fuzzing))]
pub(crate) mod operations;
#[cfg(test)]
mod tests;

use hyper::upgrade::{OnUpgrade, Upgraded};
use wsgate_frame::Role;
use wsgate_layer::{
    handshake::Kind,
    keepalive::{KeepaliveIo, KeepaliveLayer},
    map_upgrade::Upgrade,
    tunnel::Tunnel,
    upgrade::ConnectionIo,
};

pub(crate) use self::{labels::Labels, patience::Patience};

use self::{prefixed::Prefixed, relay::Relay};
use crate::{forward::UpstreamParts, upstream};

/// What is known of a tunnel before its first byte.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) labels: Labels,
    pub(crate) tunnel: Tunnel,
    /// Whether layers stand in the client's stream.
    pub(crate) is_layered: bool,
    pub(crate) upstream_keepalive: Option<KeepaliveLayer>,
    pub(crate) patience: Patience,
}

/// Relays on a task of its own, which the two connections own: it ends when they do. Until the
/// client's connection is upgraded, that connection alone ends it, as hyper then drops the
/// `OnUpgrade`.
pub(crate) fn spawn(client: OnUpgrade, upstream: UpstreamParts, facts: Facts) {
    tokio::spawn(async move {
        match client.await {
            // On another task, which is as large as the relay and no larger: the relay will be here for
            // long.
            Ok(upgraded) => start(upgraded, upstream, facts),
            Err(error) => facts.labels.span().in_scope(|| {
                tracing::info!(%error, "the client left before its WebSocket was open");
            }),
        }
    });
}

/// Spawns the relay. A task of its own again: it lives long, and takes the room that it needs and
/// not what waiting for it needed.
fn start(upgraded: Upgraded, upstream: UpstreamParts, facts: Facts) {
    let Facts {
        labels,
        tunnel,
        is_layered,
        upstream_keepalive,
        patience,
    } = facts;
    tunnel.promise_to_tell();
    let max_write = max_write(labels.kind);
    let client = ConnectionIo::from(upgraded);
    let UpstreamParts {
        io,
        early_data: from_upstream,
    } = upstream;
    let is_shared = io.is_shared();
    if let Some(keepalive) = upstream_keepalive {
        // It has to follow the frames from the first byte on.
        let io = Prefixed::new(from_upstream, io);
        let upgrade = Upgrade::new(tunnel.clone(), Kind::Upgrade);
        let io = KeepaliveIo::new(io, Role::Server, &keepalive, &upgrade);
        let relay = Relay::new(client, io, labels)
            .with_patience(patience)
            .with_client_writes_of(max_write)
            .with_layers(tunnel);
        let relay = match is_shared {
            true => relay.with_shared_upstream(upstream::MAX_WRITE as u32),
            false => relay,
        };
        tokio::spawn(relay);
    } else {
        let relay = Relay::new(client, io, labels)
            .with_patience(patience)
            .with_client_writes_of(max_write)
            .with_early_data(from_upstream);
        let relay = match is_layered {
            true => relay.with_layers(tunnel),
            false => relay,
        };
        let relay = match is_shared {
            true => relay.with_shared_upstream(upstream::MAX_WRITE as u32),
            false => relay,
        };
        tokio::spawn(relay);
    }
}

/// hyper takes a write to an HTTP/2 stream whole, whatever its size and whether or not the client
/// reads: only small ones are held back by the client's window.
const fn max_write(kind: Kind) -> u32 {
    match kind {
        Kind::Upgrade => u32::MAX,
        Kind::ExtendedConnect => 16 * 1024,
    }
}

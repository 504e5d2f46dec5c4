//! The layers between the server and the routes.

use std::time::Duration;

use axum::Router;
use tower::util::option_layer;
use wsgate::layer::{
    Drain, IdleTimeoutLayer, KeepaliveLayer, LifetimeLayer, LimitLayer, ReadTimeoutLayer,
    client::TrustedProxies, drain::Draining,
};

use super::{PlanError, some_time};
use crate::args::{DrainArgs, GatewayArgs, LimitArgs, OrOff, TunnelArgs};

/// What every WebSocket has round it, whichever route it came by.
#[derive(Debug)]
pub(crate) struct Stack {
    /// With how long it may take.
    drain: Option<(Drain, Duration)>,
    limits: Option<LimitLayer>,
    read_timeout: Option<ReadTimeoutLayer>,
    keepalive: Option<KeepaliveLayer>,
    idle_timeout: Option<IdleTimeoutLayer>,
    lifetime: Option<LifetimeLayer>,
}

// ===== impl Stack =====

impl Stack {
    pub(super) fn new(args: &GatewayArgs, trusted: &TrustedProxies) -> Result<Self, PlanError> {
        let tunnels = &args.tunnels;
        let idle = some_time_or_off("--idle-timeout", tunnels.idle_timeout)?;
        let lifetime = some_time_or_off("--max-lifetime", tunnels.max_lifetime)?;
        let read = some_time_or_off("--read-timeout", tunnels.read_timeout)?;
        let DrainArgs {
            drain_timeout,
            drain_spread,
        } = args.drain;
        Ok(Self {
            drain: drain_timeout.on().map(|timeout| {
                let drain = Drain::new().spread(drain_spread.into());
                (drain, timeout.into())
            }),
            limits: limits(&args.limits, trusted)?,
            read_timeout: read.map(ReadTimeoutLayer::new),
            keepalive: keepalive(tunnels)?,
            idle_timeout: idle.map(IdleTimeoutLayer::new),
            lifetime: lifetime.map(LifetimeLayer::new),
        })
    }

    /// Puts the layers round a router, the innermost first.
    pub(super) fn around(&self, router: Router) -> Router {
        router
            .layer(option_layer(self.lifetime))
            .layer(option_layer(self.idle_timeout))
            .layer(option_layer(self.keepalive.clone()))
            // Outside the keepalive, so that a pong is a sign of life.
            .layer(option_layer(self.read_timeout))
            .layer(option_layer(self.limits.clone()))
            // Outside the limits, so that a gateway that stops says so and not that it is full.
            .layer(option_layer(
                self.drain.as_ref().map(|(drain, _)| drain.layer()),
            ))
    }

    /// The end of all WebSockets, from its first poll on; `None` where they are just cut.
    pub(super) fn draining(&self) -> Option<Draining> {
        let (drain, timeout) = self.drain.as_ref()?;
        Some(drain.within(*timeout))
    }
}

fn keepalive(args: &TunnelArgs) -> Result<Option<KeepaliveLayer>, PlanError> {
    let pong = args
        .pong_timeout
        .map(|time| some_time("--pong-timeout", time));
    let pong = pong.transpose()?;
    let Some(interval) = some_time_or_off("--keepalive", args.keepalive)? else {
        return match pong {
            Some(_) => Err(PlanError::PongsOfNoPings),
            None => Ok(None),
        };
    };
    let layer = KeepaliveLayer::every(interval);
    Ok(Some(match pong {
        Some(timeout) => layer.pong_timeout(timeout),
        None => layer,
    }))
}

/// None where nothing is limited: the layer would stand in each stream for nothing.
fn limits(args: &LimitArgs, trusted: &TrustedProxies) -> Result<Option<LimitLayer>, PlanError> {
    let tunnels = some("--max-tunnels", args.max_tunnels)?;
    let per_address = some("--max-tunnels-per-address", args.max_tunnels_per_address)?;
    let size = args.max_message_size.on();
    if tunnels.is_none() && per_address.is_none() && size.is_none() {
        return Ok(None);
    }
    let mut limits = LimitLayer::new().trusted_proxies(trusted.clone());
    if let Some(tunnels) = tunnels {
        limits = limits.tunnels(tunnels);
    }
    if let Some(tunnels) = per_address {
        limits = limits.tunnels_per_client(tunnels);
    }
    if let Some(size) = size {
        limits = limits.message_size(size.as_u64());
    }
    Ok(Some(limits))
}

/// A number of WebSockets. None at all would be a gateway that refuses everyone.
fn some(option: &'static str, number: OrOff<usize>) -> Result<Option<usize>, PlanError> {
    match number {
        OrOff::On(0) => Err(PlanError::NoTunnels(option)),
        number => Ok(number.on()),
    }
}

pub(super) fn some_time_or_off(
    option: &'static str,
    time: OrOff<humantime::Duration>,
) -> Result<Option<Duration>, PlanError> {
    time.on().map(|time| some_time(option, time)).transpose()
}

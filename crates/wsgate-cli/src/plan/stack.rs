//! The layers between the server and the routes.

use std::time::Duration;

use axum::Router;
use tower::util::option_layer;
use wsgate::layer::{
    Drain, IdleTimeoutLayer, KeepaliveLayer, LifetimeLayer, LimitLayer, MessageTimeoutLayer,
    ReadTimeoutLayer, StrictFramesLayer, client::TrustedProxies, drain::Draining, limit::Rate,
};

use super::{PlanError, some_time};
use crate::{
    args::{DrainArgs, Frames, GatewayArgs, LimitArgs, OrOff},
    files::OpenFiles,
};

/// What every WebSocket has round it, whichever route it came by.
#[derive(Debug)]
pub(crate) struct Stack {
    /// With how long it may take.
    drain: Option<(Drain, Duration)>,
    limits: Option<LimitLayer>,
    read_timeout: Option<ReadTimeoutLayer>,
    keepalive: Option<KeepaliveLayer>,
    frame_timeout: Option<MessageTimeoutLayer>,
    message_timeout: Option<MessageTimeoutLayer>,
    idle_timeout: Option<IdleTimeoutLayer>,
    lifetime: Option<LifetimeLayer>,
    strict: Option<StrictFramesLayer>,
}

// ===== impl Stack =====

impl Stack {
    pub(super) fn new(
        args: &GatewayArgs,
        trusted: &TrustedProxies,
        files: OpenFiles,
    ) -> Result<Self, PlanError> {
        let tunnels = &args.tunnels;
        let idle = some_time_or_off("--idle-timeout", tunnels.idle_timeout)?;
        let lifetime = some_time_or_off("--max-lifetime", tunnels.max_lifetime)?;
        let read = some_time_or_off("--read-timeout", tunnels.read_timeout)?;
        let frames = some_time_or_off("--frame-timeout", tunnels.frame_timeout)?;
        let messages = some_time_or_off("--message-timeout", tunnels.message_timeout)?;
        let DrainArgs {
            drain_timeout,
            drain_spread,
        } = args.drain;
        Ok(Self {
            drain: drain_timeout.on().map(|timeout| {
                let drain = Drain::new().spread(drain_spread.into());
                (drain, timeout.into())
            }),
            limits: limits(&args.limits, trusted, files)?,
            read_timeout: read.map(ReadTimeoutLayer::new),
            keepalive: keepalive(
                ("--keepalive", tunnels.keepalive),
                ("--pong-timeout", tunnels.pong_timeout),
            )?,
            frame_timeout: frames.map(MessageTimeoutLayer::of_frames),
            message_timeout: messages.map(MessageTimeoutLayer::new),
            idle_timeout: idle.map(IdleTimeoutLayer::new),
            lifetime: lifetime.map(LifetimeLayer::new),
            strict: (tunnels.frames == Frames::Strict).then(StrictFramesLayer::new),
        })
    }

    /// Puts the layers round a router, the innermost first.
    pub(super) fn around(&self, router: Router) -> Router {
        router
            .layer(option_layer(self.lifetime))
            .layer(option_layer(self.idle_timeout))
            .layer(option_layer(self.message_timeout))
            .layer(option_layer(self.frame_timeout))
            .layer(option_layer(self.keepalive.clone()))
            // Outside the keepalive, so that a pong is a sign of life.
            .layer(option_layer(self.read_timeout))
            // Outside whatever else looks at frames, which then sees none that break the rules.
            .layer(option_layer(self.strict))
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

/// The pings of one side, by two options and what was given for them.
pub(super) fn keepalive(
    (option, interval): (&'static str, OrOff<humantime::Duration>),
    (pong_option, pong): (&'static str, Option<humantime::Duration>),
) -> Result<Option<KeepaliveLayer>, PlanError> {
    let pong = pong.map(|time| some_time(pong_option, time)).transpose()?;
    let Some(interval) = some_time_or_off(option, interval)? else {
        return match pong {
            Some(_) => Err(PlanError::PongsOfNoPings {
                pong: pong_option,
                keepalive: option,
            }),
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
fn limits(
    args: &LimitArgs,
    trusted: &TrustedProxies,
    files: OpenFiles,
) -> Result<Option<LimitLayer>, PlanError> {
    let tunnels = match args.max_tunnels {
        Some(asked) => some("--max-tunnels", asked)?.inspect(|tunnels| files.check(*tunnels)),
        None => Some(files.default_tunnels()),
    };
    let pending = some("--max-pending-handshakes", args.max_pending_handshakes)?;
    let per_address = some("--max-tunnels-per-address", args.max_tunnels_per_address)?;
    let size = args.max_message_size.on();
    let frames = some("--max-frame-rate", args.max_frame_rate)?;
    if tunnels.is_none()
        && pending.is_none()
        && per_address.is_none()
        && size.is_none()
        && frames.is_none()
    {
        return Ok(None);
    }
    let mut limits = LimitLayer::new().trusted_proxies(trusted.clone());
    if let Some(tunnels) = tunnels {
        limits = limits.tunnels(tunnels);
    }
    if let Some(handshakes) = pending {
        limits = limits.pending_handshakes(handshakes);
    }
    if let Some(tunnels) = per_address {
        limits = limits.tunnels_per_client(tunnels);
    }
    if let Some(size) = size {
        limits = limits.message_size(size.as_u64());
    }
    if let Some(frames) = frames {
        limits = limits.frame_rate(Rate::per_second(frames));
    }
    Ok(Some(limits))
}

/// A number of WebSockets or frames. None at all would be a gateway that refuses everyone.
fn some<N>(option: &'static str, number: OrOff<N>) -> Result<Option<N>, PlanError>
where
    N: Default + PartialEq,
{
    match number.on() {
        Some(number) if number == N::default() => Err(PlanError::NoTunnels(option)),
        number => Ok(number),
    }
}

pub(super) fn some_time_or_off(
    option: &'static str,
    time: OrOff<humantime::Duration>,
) -> Result<Option<Duration>, PlanError> {
    time.on().map(|time| some_time(option, time)).transpose()
}

//! Each layer alone, and the stack that `docs/layers.md` recommends.

use std::{convert::Infallible, time::Duration};

use http::{Request, Response};
use tower_layer::{Identity, Layer};
use tower_service::Service;
use wsgate_layer::{
    Drain, IdleTimeoutLayer, KeepaliveLayer, LifetimeLayer, LimitLayer, ObserveLayer, OriginLayer,
    ReadTimeoutLayer, StrictFramesLayer, limit::Rate, observe::Observer,
};

use super::Handler;

/// One layer, or some of them.
pub(crate) trait Stack {
    fn around(handler: Handler) -> impl Handshakes;
}

/// A service that answers handshakes.
pub(crate) trait Handshakes:
    Service<Request<()>, Response = Response<String>, Error = Infallible>
{
}

impl<S> Handshakes for S where
    S: Service<Request<()>, Response = Response<String>, Error = Infallible>
{
}

/// No layer: what the others are compared with.
pub(crate) struct Bare;
pub(crate) struct Keepalive;
pub(crate) struct ReadTimeout;
pub(crate) struct IdleTimeout;
pub(crate) struct Lifetime;
pub(crate) struct Origin;
/// As it is in the recommended stack.
pub(crate) struct Limit;
/// With everything that can be limited.
pub(crate) struct LimitAll;
/// Both sides are held to the rules.
pub(crate) struct Strict;
/// Of a drain.
pub(crate) struct Drained;
/// With an observer that wants to know nothing.
pub(crate) struct Observe;
/// With the one that logs, and has a span for each handshake.
pub(crate) struct ObserveLog;
/// Keepalive, read timeout, and an observer that wants to know nothing.
pub(crate) struct Three;
/// The recommended stack, but for the log.
pub(crate) struct Recommended;
/// The recommended stack.
pub(crate) struct RecommendedLog;

impl Stack for Bare {
    fn around(handler: Handler) -> impl Handshakes {
        Identity::new().layer(handler)
    }
}

impl Stack for Keepalive {
    fn around(handler: Handler) -> impl Handshakes {
        KeepaliveLayer::default().layer(handler)
    }
}

impl Stack for ReadTimeout {
    fn around(handler: Handler) -> impl Handshakes {
        ReadTimeoutLayer::default().layer(handler)
    }
}

impl Stack for IdleTimeout {
    fn around(handler: Handler) -> impl Handshakes {
        IdleTimeoutLayer::new(HOUR).layer(handler)
    }
}

impl Stack for Lifetime {
    fn around(handler: Handler) -> impl Handshakes {
        LifetimeLayer::new(24 * HOUR).layer(handler)
    }
}

impl Stack for Origin {
    fn around(handler: Handler) -> impl Handshakes {
        OriginLayer::same_origin().layer(handler)
    }
}

impl Stack for Limit {
    fn around(handler: Handler) -> impl Handshakes {
        limits().layer(handler)
    }
}

impl Stack for LimitAll {
    fn around(handler: Handler) -> impl Handshakes {
        let plenty = Rate::per_second(1_000_000_000);
        let limits = limits()
            .tunnels(1_000_000)
            .handshake_rate(plenty)
            .message_rate(plenty)
            .frame_rate(plenty)
            .byte_rate(Rate::per_second(1_000_000_000_000));
        limits.layer(handler)
    }
}

impl Stack for Strict {
    fn around(handler: Handler) -> impl Handshakes {
        StrictFramesLayer::new().layer(handler)
    }
}

impl Stack for Drained {
    fn around(handler: Handler) -> impl Handshakes {
        Drain::new().layer().layer(handler)
    }
}

impl Stack for Observe {
    fn around(handler: Handler) -> impl Handshakes {
        ObserveLayer::new(Indifferent).layer(handler)
    }
}

impl Stack for Three {
    fn around(handler: Handler) -> impl Handshakes {
        let layers = (
            ObserveLayer::new(Indifferent),
            ReadTimeoutLayer::default(),
            KeepaliveLayer::default(),
        );
        layers.layer(handler)
    }
}

impl Stack for ObserveLog {
    fn around(handler: Handler) -> impl Handshakes {
        ObserveLayer::tracing().layer(handler)
    }
}

impl Stack for Recommended {
    fn around(handler: Handler) -> impl Handshakes {
        recommended().layer(handler)
    }
}

impl Stack for RecommendedLog {
    fn around(handler: Handler) -> impl Handshakes {
        (ObserveLayer::tracing(), recommended()).layer(handler)
    }
}

struct Indifferent;

impl Observer for Indifferent {
    fn wants_traffic(&self) -> bool {
        false
    }
}

/// The outermost first.
fn recommended<S>() -> impl Layer<S, Service: Handshakes>
where
    S: Handshakes + Clone,
{
    (
        Drain::new().layer(),
        OriginLayer::same_origin(),
        limits(),
        ReadTimeoutLayer::default(),
        KeepaliveLayer::default(),
    )
}

fn limits() -> LimitLayer {
    LimitLayer::new()
        .tunnels_per_client(100)
        .message_size(64 * 1024)
}

const HOUR: Duration = Duration::from_secs(60 * 60);

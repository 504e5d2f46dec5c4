//! One handshake, kept until its WebSocket has ended.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::extract::MatchedPath;
use http::{
    Request, Response, StatusCode,
    header::HOST,
    uri::{Authority, Scheme},
};
use tokio::time::Instant;
use tracing::Span;
use wsgate_frame::Role;

use super::{Handshake, Observer, Observers, Opened, Ping, Refused, Settings, Why};
use crate::{
    client,
    handshake::{self, Kind, Refusal, tokens},
    tunnel::{Cause, Limit, Tunnel, Watch},
};

/// What is known of a handshake, and who is told.
///
/// The tunnel holds it as a [`Watch`], so it must not hold the tunnel.
pub(super) struct Record {
    observers: Observers,
    id: u64,
    route: Option<MatchedPath>,
    peer: Option<SocketAddr>,
    /// The client, where that is not the peer. Boxed, so that only those behind proxies pay for it.
    behind: Option<Box<IpAddr>>,
    protocol: Kind,
    scheme: Scheme,
    /// A copy, as a `HeaderValue` would keep the whole head of the request in memory.
    host: Option<Box<str>>,
    /// Boxed, so that only those pay for one that have it.
    span: Option<Box<Span>>,
}

/// A handshake of which it is not known yet what comes of it. Dropped, it tells that nobody waited.
#[derive(Debug)]
pub(super) struct Unsettled {
    record: Arc<Record>,
    tunnel: Tunnel,
    came: Instant,
    /// What is wrong with it, if anything. It is the handler's to refuse it, though.
    refusal: Option<Refusal>,
    settled: bool,
}

/// No name is longer than 253 bytes in the DNS; with the dot at its end, and a port.
const MAX_HOST: usize = 254 + ":65535".len();

// ===== impl Record =====

impl Record {
    fn new<B>(settings: &Settings, protocol: Kind, req: &Request<B>, tunnel: &Tunnel) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let peer = client::peer_addr(req.extensions());
        let client = peer.map(|p| settings.trusted.client(p.ip(), req.headers()));
        let mut record = Self {
            observers: settings.observers.clone(),
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            route: req.extensions().get::<MatchedPath>().cloned(),
            peer,
            behind: client.filter(|c| Some(*c) != ip(peer)).map(Box::new),
            protocol,
            scheme: client::scheme(req),
            host: host(req),
            span: None,
        };
        let observers = record.observers.iter();
        let mut spans = observers.map(|o| o.span(&record.handshake(tunnel)));
        let span = spans.find(|span| !span.is_none());
        drop(spans);
        record.span = span.map(Box::new);
        record
    }

    /// Tells each observer.
    pub(super) fn tell(&self, tunnel: &Tunnel, what: impl Fn(&dyn Observer, &Handshake<'_>)) {
        let handshake = self.handshake(tunnel);
        let _in_span = self.span.as_ref().map(|span| span.enter());
        for observer in &*self.observers {
            what(&**observer, &handshake);
        }
    }

    /// Whether any observer wants to be told of traffic.
    pub(super) fn wants_traffic(&self) -> bool {
        self.observers.iter().any(|o| o.wants_traffic())
    }

    fn handshake<'a>(&'a self, tunnel: &'a Tunnel) -> Handshake<'a> {
        let route = self.route.as_ref().map(MatchedPath::as_str);
        Handshake {
            id: self.id,
            route: route.unwrap_or(Handshake::UNMATCHED),
            client: self.behind.as_deref().copied().or(ip(self.peer)),
            peer: self.peer,
            protocol: self.protocol,
            scheme: &self.scheme,
            host: self.host.as_deref(),
            tunnel,
        }
    }
}

impl Watch for Record {
    fn ping(&self, tunnel: &Tunnel, peer: Role, round_trip: Duration) {
        let ping = Ping { peer, round_trip };
        self.tell(tunnel, |observer, handshake| {
            observer.ping(handshake, &ping)
        });
    }

    fn limit(&self, tunnel: &Tunnel, limit: Limit) {
        self.tell(tunnel, |observer, handshake| {
            observer.limit(handshake, limit)
        });
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("id", &self.id)
            .field("route", &self.route)
            .finish_non_exhaustive()
    }
}

/// An address as [`TrustedProxies::client`](client::TrustedProxies::client) gives it.
fn ip(peer: Option<SocketAddr>) -> Option<IpAddr> {
    peer.map(|peer| peer.ip().to_canonical())
}

/// The host that the client asked for. An authority goes before the field (RFC 9112 3.2.2).
fn host<B>(req: &Request<B>) -> Option<Box<str>> {
    let authority = req.uri().authority().map(Authority::as_str);
    let field = || tokens::only(req.headers(), &HOST).and_then(|h| h.to_str().ok());
    let host = authority.or_else(field)?;
    // What stands before an `@` may be a password.
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    (host.len() <= MAX_HOST).then(|| host.into())
}

// ===== impl Unsettled =====

impl Unsettled {
    /// Takes a handshake in and tells that it came.
    pub(super) fn new<B>(settings: &Settings, protocol: Kind, req: &mut Request<B>) -> Self {
        let (tunnel, came) = (Tunnel::of(req.extensions_mut()), Instant::now());
        let record = Arc::new(Record::new(settings, protocol, req, &tunnel));
        let watch: Arc<dyn Watch> = record.clone();
        tunnel.watch(watch);
        record.tell(&tunnel, |observer, handshake| observer.handshake(handshake));
        Self {
            record,
            tunnel,
            came,
            refusal: handshake::check(req).err(),
            settled: false,
        }
    }

    pub(super) fn span(&self) -> Span {
        let span = self.record.span.as_deref();
        span.cloned().unwrap_or_else(Span::none)
    }

    /// It was answered, but not with a WebSocket.
    pub(super) fn refused<B>(mut self, res: &Response<B>) {
        let why = self.why(res);
        self.tell_refused(Some(res.status()), why);
    }

    /// The service failed.
    pub(super) fn failed(mut self) {
        self.tell_refused(None, Some(Why::Failed));
    }

    /// It was answered with a WebSocket, and here is its stream.
    pub(super) fn opened(mut self, status: StatusCode) -> (Arc<Record>, Tunnel) {
        self.settled = true;
        let took = self.came.elapsed();
        let opened = Opened { status, took };
        let tell = |observer: &dyn Observer, handshake: &Handshake<'_>| {
            observer.opened(handshake, &opened);
        };
        self.record.tell(&self.tunnel, tell);
        (Arc::clone(&self.record), self.tunnel.clone())
    }

    fn tell_refused(&mut self, status: Option<StatusCode>, why: Option<Why<'_>>) {
        self.settled = true;
        let took = self.came.elapsed();
        let refused = Refused { status, why, took };
        let tell = |observer: &dyn Observer, handshake: &Handshake<'_>| {
            observer.refused(handshake, &refused);
        };
        self.record.tell(&self.tunnel, tell);
    }

    /// What the refusal says of its reason, or gives away.
    fn why<'a, B>(&self, res: &'a Response<B>) -> Option<Why<'a>> {
        let told = res.extensions();
        let origin = || told.get().map(Why::Origin);
        let answer = || told.get().map(Why::Answer);
        let limit = || told.get().copied().map(Cause::Limit).map(Why::Layer);
        let layer = || told.get().copied().map(Why::Layer);
        let handshake = || {
            // Any other refusal would have come to a good handshake too.
            let is_about_it = matches!(res.status().as_u16(), 400 | 405 | 426);
            self.refusal.filter(|_| is_about_it).map(Why::Handshake)
        };
        origin()
            .or_else(answer)
            .or_else(limit)
            .or_else(layer)
            .or_else(handshake)
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        if !self.settled {
            self.tell_refused(None, Some(Why::Gone));
        }
    }
}

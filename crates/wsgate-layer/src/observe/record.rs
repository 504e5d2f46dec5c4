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
use http::{Request, Response, StatusCode};
use tokio::time::Instant;
use tracing::Span;
use wsgate_frame::Role;

use super::{
    Handshake, Observer, Opened, Ping, Refused, Settings, SpanParent, Why, common::Common,
    peer::Peer,
};
use crate::{
    client,
    handshake::{self, Kind, Refusal},
    tunnel::{Cause, Limit, Tunnel, Watch},
};

/// What is known of a handshake, and who is told.
///
/// The tunnel holds it as a [`Watch`], so it must not hold the tunnel.
pub(super) struct Record {
    id: u64,
    common: Arc<Common>,
    peer: Peer,
    /// The client, where that is not the peer. Boxed, so that only those behind proxies pay for it.
    behind: Option<Box<IpAddr>>,
    /// Boxed, so that only those pay for one that have it.
    span: Option<Box<Kept>>,
}

/// A span that is kept as long as a WebSocket.
enum Kept {
    /// Its own, which lasts.
    Own(Span),
    /// The one in which the handshake came, for those of its own that do not last.
    Parent(Span),
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
    /// In which all is told until it is settled.
    span: Span,
}

static NONE: Span = Span::none();

// ===== impl Record =====

impl Record {
    /// Also gives the span of the handshake.
    fn new<B>(
        settings: &Settings,
        protocol: Kind,
        req: &Request<B>,
        tunnel: &Tunnel,
    ) -> (Self, Span) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let peer = client::peer_addr(req.extensions());
        let client = peer.map(|p| settings.trusted.client(p.ip(), req.headers()));
        let mut record = Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            common: settings.recent.common(&settings.observers, protocol, req),
            peer: peer.into(),
            behind: client.filter(|c| Some(*c) != ip(peer)).map(Box::new),
            span: None,
        };
        let parent = Span::current();
        let Some((span, lasts)) = record.make_span(tunnel, &parent) else {
            return (record, Span::none());
        };
        record.span = match lasts {
            true => Some(Box::new(Kept::Own(span.clone()))),
            false if parent.is_disabled() => None,
            false => Some(Box::new(Kept::Parent(parent))),
        };
        (record, span)
    }

    /// The first span that an observer gives, and whether it is to last.
    fn make_span(&self, tunnel: &Tunnel, parent: &Span) -> Option<(Span, bool)> {
        let handshake = self.handshake(tunnel, parent);
        let observers = self.common.observers.iter();
        let mut spans = observers.map(|o| (o.span(&handshake), o.span_lasts()));
        spans.find(|(span, _)| !span.is_disabled())
    }

    /// Tells each observer.
    pub(super) fn tell(&self, tunnel: &Tunnel, what: impl Fn(&dyn Observer, &Handshake<'_>)) {
        match self.span.as_deref() {
            Some(Kept::Own(span)) => self.tell_in(span, tunnel, what),
            _ => {
                let span = self.make_span(tunnel, self.parent());
                let span = span.map_or_else(Span::none, |(span, _)| span);
                self.tell_in(&span, tunnel, what);
            }
        }
    }

    fn tell_in(&self, span: &Span, tunnel: &Tunnel, what: impl Fn(&dyn Observer, &Handshake<'_>)) {
        let handshake = self.handshake(tunnel, self.parent());
        let _in_span = span.enter();
        for observer in &**self.common.observers {
            what(&**observer, &handshake);
        }
    }

    /// Whether any observer wants to be told of traffic.
    pub(super) fn wants_traffic(&self) -> bool {
        self.common.observers.iter().any(|o| o.wants_traffic())
    }

    fn parent(&self) -> &Span {
        match self.span.as_deref() {
            Some(Kept::Parent(span)) => span,
            Some(Kept::Own(_)) | None => &NONE,
        }
    }

    fn handshake<'a>(&'a self, tunnel: &'a Tunnel, parent: &'a Span) -> Handshake<'a> {
        let Common {
            protocol,
            route,
            scheme,
            host,
            ..
        } = &*self.common;
        let route = route.as_ref().map(MatchedPath::as_str);
        let peer = self.peer.get();
        Handshake {
            id: self.id,
            route: route.unwrap_or(Handshake::UNMATCHED),
            client: self.behind.as_deref().copied().or(ip(peer)),
            peer,
            protocol: *protocol,
            scheme,
            host: host.as_deref(),
            tunnel,
            parent,
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
            .field("route", &self.common.route)
            .finish_non_exhaustive()
    }
}

/// An address as [`TrustedProxies::client`](client::TrustedProxies::client) gives it.
fn ip(peer: Option<SocketAddr>) -> Option<IpAddr> {
    peer.map(|peer| peer.ip().to_canonical())
}

// ===== impl Unsettled =====

impl Unsettled {
    /// Takes a handshake in and tells that it came.
    pub(super) fn new<B>(settings: &Settings, protocol: Kind, req: &mut Request<B>) -> Self {
        let (tunnel, came) = (Tunnel::of(req.extensions_mut()), Instant::now());
        let (record, span) = Record::new(settings, protocol, req, &tunnel);
        let lasts = matches!(record.span.as_deref(), Some(Kept::Own(_)));
        if !span.is_disabled() && !lasts {
            let parent = SpanParent::new(record.parent().clone());
            req.extensions_mut().insert(parent);
        }
        let record = Arc::new(record);
        let watch: Arc<dyn Watch> = record.clone();
        tunnel.watch(watch);
        record.tell_in(&span, &tunnel, |observer, handshake| {
            observer.handshake(handshake);
        });
        Self {
            record,
            tunnel,
            came,
            refusal: handshake::check(req).err(),
            settled: false,
            span,
        }
    }

    pub(super) fn span(&self) -> Span {
        self.span.clone()
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
    pub(super) fn opened(mut self, status: StatusCode) -> Arc<Record> {
        self.settled = true;
        let took = self.came.elapsed();
        let opened = Opened { status, took };
        let tell = |observer: &dyn Observer, handshake: &Handshake<'_>| {
            observer.opened(handshake, &opened);
        };
        self.record.tell_in(&self.span, &self.tunnel, tell);
        Arc::clone(&self.record)
    }

    fn tell_refused(&mut self, status: Option<StatusCode>, why: Option<Why<'_>>) {
        self.settled = true;
        let took = self.came.elapsed();
        let refused = Refused { status, why, took };
        let tell = |observer: &dyn Observer, handshake: &Handshake<'_>| {
            observer.refused(handshake, &refused);
        };
        self.record.tell_in(&self.span, &self.tunnel, tell);
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

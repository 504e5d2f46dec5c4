use std::{
    collections::HashMap,
    fmt, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use rustls::ClientConfig;
use tokio::{
    runtime::{Handle, Id},
    time::Instant,
};

use super::{
    Http2,
    connection::{Connection, Opened, Place},
};
use crate::{
    Endpoint, UpstreamTls,
    connect::{UpstreamStream, connect_with},
    error::UpstreamFailure,
};

/// The connections over HTTP/2 to one endpoint.
pub(crate) struct Pool {
    pub(super) target: Arc<Target>,
    state: Mutex<State>,
    /// How many streams the endpoint took at once when it was last asked: what a connection that is
    /// not there yet is good for.
    expected: AtomicU32,
}

/// Where a handshake goes.
pub(crate) enum Route {
    /// Over HTTP/1.1, on a connection that is to be opened, or has just been for finding that out.
    Http1(Option<UpstreamStream>),
    Http2(Place),
}

/// What a connection is made to, and how.
pub(super) struct Target {
    endpoint: Endpoint,
    /// With the protocols to offer by ALPN.
    tls: Option<(UpstreamTls, Arc<ClientConfig>)>,
    pub(super) must: bool,
}

#[derive(Default)]
struct State {
    /// In the order in which they were opened: the oldest with room is used first, so that the
    /// youngest run empty and end.
    connections: HashMap<Id, Vec<Arc<Connection>>>,
    /// The endpoint gets HTTP/1.1 until then.
    http1_until: Option<Instant>,
}

// ===== impl Pool =====

impl Pool {
    /// `None` where tunnels go over HTTP/1.1 whatever the endpoint offers.
    pub(crate) fn new(
        http2: Http2,
        endpoint: &Endpoint,
        tls: Option<&UpstreamTls>,
    ) -> Option<Arc<Self>> {
        let tls = tls.filter(|_| endpoint.is_tls());
        let protocols: &[&[u8]] = match (http2, tls) {
            (Http2::Off, _) | (Http2::Auto, None) => return None,
            (Http2::Auto, Some(_)) => &[b"h2", b"http/1.1"],
            (Http2::Only, _) => &[b"h2"],
        };
        let target = Target {
            endpoint: endpoint.clone(),
            tls: tls.map(|tls| (tls.clone(), tls.config_offering(protocols))),
            must: http2 == Http2::Only,
        };
        Some(Arc::new(Self {
            target: Arc::new(target),
            state: Mutex::default(),
            expected: Http2::MAX_TUNNELS.into(),
        }))
    }

    /// A place on a connection, one that is opened for it if need be; or the news that there is none,
    /// and HTTP/1.1 it has to be. Opening one takes no longer than this.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it gives its place back. A connection that it has begun to open is finished for others.
    pub(crate) async fn route(self: &Arc<Self>, limit: Duration) -> Result<Route, UpstreamFailure> {
        for _ in 0..ROUNDS {
            let Some(place) = self.place(limit) else {
                return Ok(Route::Http1(None));
            };
            match place.opened().await {
                Opened::Http2 if place.is_within_limit() => return Ok(Route::Http2(place)),
                Opened::Http2 => {}
                Opened::Http1(stream) => return Ok(Route::Http1(stream)),
                Opened::Failed(failure) => return Err(failure),
            }
        }
        let closes = io::Error::from(io::ErrorKind::ConnectionAborted);
        Err(UpstreamFailure::broke_off(closes))
    }

    /// `None` while the endpoint gets HTTP/1.1.
    fn place(self: &Arc<Self>, limit: Duration) -> Option<Place> {
        let mut state = self.state();
        if state
            .http1_until
            .is_some_and(|until| Instant::now() < until)
        {
            return None;
        }
        state.http1_until = None;
        let runtime = Handle::current().id();
        let connections = state.connections.entry(runtime).or_default();
        let expected = self.expected.load(Ordering::Relaxed);
        let place = connections.iter().find_map(|c| c.take(expected));
        place.or_else(|| {
            let target = Arc::clone(&self.target);
            let connection = Connection::open(target, limit, Arc::downgrade(self));
            let place = connection.take(expected);
            connections.push(connection);
            place
        })
    }

    /// The endpoint allows so many streams at once.
    pub(super) fn expect(&self, streams: u32) {
        self.expected.store(streams.max(1), Ordering::Relaxed);
    }

    /// The endpoint offers no WebSockets over HTTP/2.
    pub(super) fn remember_http1(&self) {
        self.state().http1_until = Some(Instant::now() + Http2::MEMORY);
    }

    /// Lets go of a connection that has ended.
    pub(super) fn forget(&self, connection: &Weak<Connection>) {
        self.remove_if(connection, |_| true);
    }

    /// Lets go of a connection if nobody uses it, which ends it.
    pub(super) fn forget_idle(&self, connection: &Weak<Connection>) {
        // Places are given under the same lock, so none can be between the question and the answer.
        self.remove_if(connection, Connection::is_idle);
    }

    fn remove_if(&self, connection: &Weak<Connection>, condition: impl Fn(&Connection) -> bool) {
        let goes =
            |c: &Arc<Connection>| std::ptr::eq(Arc::as_ptr(c), connection.as_ptr()) && condition(c);
        self.state().connections.retain(|_, connections| {
            connections.retain(|c| !goes(c));
            !connections.is_empty()
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn put(&self, connection: Arc<Connection>) {
        let mut state = self.state();
        let connections = state.connections.entry(Handle::current().id());
        connections.or_default().push(connection);
    }

    /// How many connections there are, on every runtime.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.state().connections.values().map(Vec::len).sum()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("endpoint", &self.target.endpoint)
            .finish_non_exhaustive()
    }
}

/// How often a place is looked for. A second time where the endpoint allows fewer streams than were
/// counted on; more often only where connections go away as soon as they are open.
const ROUNDS: usize = 3;

// ===== impl Target =====

impl Target {
    pub(super) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) async fn connect(&self) -> io::Result<UpstreamStream> {
        let tls = self.tls.as_ref().map(|(tls, config)| (tls, config));
        connect_with(&self.endpoint, tls).await
    }

    /// Whether the connection speaks HTTP/2: as agreed, or because it was said to.
    pub(super) fn is_http2(&self, stream: &UpstreamStream) -> bool {
        self.tls.is_none() || stream.alpn() == Some(b"h2")
    }
}

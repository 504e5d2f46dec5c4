use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, handler::Handler};
use http::{HeaderValue, Request, Response};
use http_body_util::Empty;
use tower_service::Service;
use wsgate_layer::{KeepaliveLayer, OriginPolicy, client::TrustedProxies};

use crate::{
    EndpointError, PathError, UpstreamTls,
    answer::answer,
    config::{Config, Host},
    path::PathRule,
    upstream::{EndpointSettings, Upstream},
};

/// Proxies WebSockets to an upstream. Both an axum [`Handler`] and a tower [`Service`]; cheap to
/// clone.
///
/// A tunnel belongs to its two connections: it ends when they do, whatever becomes of the proxy
/// that opened it.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use axum::{Router, routing::any};
/// use wsgate_proxy::WebSocketProxy;
///
/// let proxy = WebSocketProxy::to("http://127.0.0.1:9000")?
///     .replace_prefix("/websocket/", "/")?
///     .handshake_timeout(Duration::from_secs(3));
///
/// let app: Router = Router::new()
///     .route("/websocket/{*path}", any(proxy.clone()))
///     // The same as a service.
///     .route_service("/live/websocket/{*path}", proxy);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct WebSocketProxy {
    config: Arc<Config>,
}

/// The future of [`WebSocketProxy`].
pub struct ProxyFuture {
    inner: Pin<Box<dyn Future<Output = Response<Body>> + Send>>,
}

// ===== impl WebSocketProxy =====

impl WebSocketProxy {
    /// How long a [connection](Self::connect_timeout) may take by default: 5 s, longer than any over
    /// a healthy network takes, two lost SYNs included.
    pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

    /// How long the upstream may take to [answer](Self::handshake_timeout) by default: 10 s, as it may
    /// look up a session or a database first.
    pub const DEFAULT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

    /// How long the body of an answer that opens no WebSocket [may take](Self::refusal_timeout) by
    /// default: 30 s, in which a page of a MiB passes over a slow mobile network.
    pub const DEFAULT_REFUSAL_TIMEOUT: Duration = Duration::from_secs(30);

    /// How long a Close may be [left unanswered](Self::close_timeout) by default: 10 s, what Python's
    /// `websockets` waits, and less than the 30 s of Node's `ws`, so that the tunnel has its end before
    /// the other side gives up by itself.
    pub const DEFAULT_CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

    /// How long a side may take [nothing](Self::send_timeout) by default: 60 s, as with nginx's
    /// `send_timeout` and `proxy_send_timeout`.
    pub const DEFAULT_SEND_TIMEOUT: Duration = Duration::from_secs(60);

    /// How long the upstream's host may be [silent](Self::tcp_timeout) by default: 2 minutes. A switch
    /// that starts again or a virtual machine that moves takes less, and TCP by itself gives up after a
    /// quarter of an hour, or never.
    pub const DEFAULT_TCP_TIMEOUT: Duration = Duration::from_secs(120);

    /// Proxies to this endpoint: `http://` or `ws://`, `https://` or `wss://`, or `unix:`.
    ///
    /// An `https://` endpoint is checked with the operating system's roots;
    /// [`to_with_tls`](Self::to_with_tls) can name others. Nothing connects before the first
    /// handshake.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] if it is none of these, has a path, or no roots can be had.
    pub fn to(endpoint: &str) -> Result<Self, EndpointError> {
        Self::to_endpoint(EndpointSettings::new(endpoint)?)
    }

    /// Proxies to this `https://` or `wss://` endpoint, checked with these roots, and perhaps shown
    /// a certificate of ours. For an endpoint without TLS they mean nothing.
    ///
    /// # Errors
    ///
    /// As for [`to`](Self::to).
    pub fn to_with_tls(endpoint: &str, tls: UpstreamTls) -> Result<Self, EndpointError> {
        Self::to_endpoint(EndpointSettings::new(endpoint)?.tls(tls))
    }

    /// Proxies to one endpoint with settings of its own: a limit of tunnels, TLS, HTTP/2.
    ///
    /// # Errors
    ///
    /// As for [`to`](Self::to).
    pub fn to_endpoint(endpoint: impl Into<EndpointSettings>) -> Result<Self, EndpointError> {
        Ok(Self::to_upstream(Upstream::single(endpoint.into())?))
    }

    /// Proxies to a group of endpoints, of which each WebSocket gets one. Several proxies may have
    /// the same group: its tunnels are counted together.
    #[must_use]
    pub fn to_upstream(upstream: Upstream) -> Self {
        Self {
            config: Arc::new(Config::new(upstream)),
        }
    }

    /// How long a connection may take: looking up the name, TCP and TLS. Past it the client gets
    /// 504. Default: [5 s](Self::DEFAULT_CONNECT_TIMEOUT).
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.edit().connect_timeout = timeout;
        self
    }

    /// How long the upstream may take to answer the handshake, from the connection on. Past it the
    /// client gets 504. Default: [10 s](Self::DEFAULT_HANDSHAKE_TIMEOUT).
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.edit().handshake_timeout = timeout;
        self
    }

    /// How long an answer that opens no WebSocket may take, from its head to the last byte of its body,
    /// whoever is the slow one: the upstream that sends it, or the client that reads it. Past it the
    /// connection to the upstream is closed, and the client's answer breaks off. Default:
    /// [30 s](Self::DEFAULT_REFUSAL_TIMEOUT).
    ///
    /// It is one time for all and not one between two reads, so that a byte now and then does not make
    /// it longer. These are answers to handshakes, such as 401 or 503, and short.
    #[must_use]
    pub fn refusal_timeout(mut self, timeout: Duration) -> Self {
        self.edit().refusal_timeout = timeout;
        self
    }

    /// How long a Close may be left unanswered, by whichever side (RFC 6455 7.1.1 asks both to end
    /// "cleanly", and allows to close the connection at any time). Past it both connections are closed,
    /// whatever else still comes. Default: [10 s](Self::DEFAULT_CLOSE_TIMEOUT).
    ///
    /// With the second Close the two have 5 s to end their connections. A side that sends a lot, and has
    /// to have it all read before it can read the Close, needs a longer time.
    #[must_use]
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.edit().close_timeout = timeout;
        self
    }

    /// How long a side may take nothing at all of what the other one has sent. Past it, and at most a
    /// quarter later, the tunnel ends: the other side gets a Close, 1014 if it is the client and 1001 if it
    /// is the upstream. Default: [60 s](Self::DEFAULT_SEND_TIMEOUT).
    ///
    /// As long as something is taken now and then, it does not matter how little. Where the
    /// [keepalive](wsgate_layer::keepalive) of the client's side, or of
    /// [the upstream's](Self::upstream_keepalive), is shorter, that is the one that ends it.
    #[must_use]
    pub fn send_timeout(mut self, timeout: Duration) -> Self {
        self.edit().send_timeout = timeout;
        self
    }

    /// How long the upstream's host may leave unanswered what TCP sends it. Past it the tunnel has lost
    /// its upstream, and the client gets Close 1014. Default: [2 minutes](Self::DEFAULT_TCP_TIMEOUT);
    /// `None` leaves it to the system.
    ///
    /// It finds hosts that are gone without a word: switched off, cut off, forgotten by a firewall. Where a
    /// tunnel is quiet the kernel asks four times within the time (`SO_KEEPALIVE`), which a live host
    /// answers however busy the process is; what the tunnel sends has to be acknowledged within the time
    /// (`TCP_USER_TIMEOUT`, on Linux and Android). Linux cannot tell one thing apart: an upstream whose
    /// process takes nothing out of a full connection for all that time loses it as well. nginx gives
    /// both 60 s by its `proxy_read_timeout` and `proxy_send_timeout`, and then cuts those too that are
    /// well and quiet.
    ///
    /// The kernel counts in seconds; less than four are four quarters of one at least. Processes that hang
    /// are a question for [`upstream_keepalive`](Self::upstream_keepalive). Tunnels over HTTP/2 do
    /// without, as their connection [is pinged](crate::Http2::PING_INTERVAL).
    #[must_use]
    pub fn tcp_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.edit().tcp_timeout = timeout.into();
        self
    }

    /// Replaces the beginning of the path, as nginx's `location FROM { proxy_pass http://upstream
    /// TO; }` does: letter by letter. Default: the path passes unchanged, as with a `proxy_pass`
    /// without a path.
    ///
    /// | `from` | `to` | request | upstream gets |
    /// |---|---|---|---|
    /// | `/websocket/` | `/` | `/websocket/a?b=c` | `/a?b=c` |
    /// | `/websocket` | `/app` | `/websocket/a` | `/app/a` |
    /// | `/websocket` | `/` | `/websocket?b=c` | `/?b=c` |
    /// | `/websocket` | `/app/` | `/websocket/a` | `/app//a` |
    /// | `/websocket/` | `/app` | `/websocket/a` | `/appa` |
    /// | `/` | `/app/` | `/a` | `/app/a` |
    ///
    /// The rest of the path stays as the client wrote it; nginx decodes `%2F`, and makes one slash
    /// of two.
    ///
    /// The path is the one that the client asked for, also where the proxy is mounted in a nested
    /// router. One that does not begin with `from` gets 500, as the two were mounted apart; one with
    /// `.` or `..` segments 400, as it could leave the prefix.
    ///
    /// # Errors
    ///
    /// [`PathError`] if one of the two is no path that begins with `/`.
    pub fn replace_prefix(mut self, from: &str, to: &str) -> Result<Self, PathError> {
        self.edit().path = PathRule::replace(from, to)?;
        Ok(self)
    }

    /// Sends this `Host` to the upstream. Default: the client's own, unchanged, as the upstream may
    /// tell virtual hosts apart by it, or check the `Origin` against it.
    #[must_use]
    pub fn host(mut self, host: HeaderValue) -> Self {
        self.edit().host = Host::Fixed(host);
        self
    }

    /// Sends the endpoint's own host and port as `Host`, as nginx does by default. Third-party
    /// services often ask for it.
    #[must_use]
    pub fn endpoint_host(mut self) -> Self {
        self.edit().host = Host::Endpoint;
        self
    }

    /// Which web pages may open a WebSocket here. Default: those of the same origin
    /// ([`OriginPolicy::same_origin`]).
    #[must_use]
    pub fn origin(mut self, policy: OriginPolicy) -> Self {
        self.edit().origin = policy;
        self
    }

    /// Believes the `X-Forwarded-*` and `Forwarded` fields that come from these addresses. Default:
    /// nobody's.
    #[must_use]
    pub fn trusted_proxies(mut self, trusted: TrustedProxies) -> Self {
        self.edit().trusted = trusted;
        self
    }

    /// Keeps the upstream's side alive too: pings to it, and an end to the tunnel when it gives no
    /// sign of life. Default: none, as the upstream need not know pings, and TCP finds hosts that are gone.
    ///
    /// Set it where clients should learn soon of an upstream that hangs, or sooner of one whose host is gone
    /// than the [TCP timeout](Self::tcp_timeout) tells. The client's side has the layer of the same name.
    #[must_use]
    pub fn upstream_keepalive(mut self, keepalive: KeepaliveLayer) -> Self {
        self.edit().upstream_keepalive = Some(keepalive);
        self
    }

    /// Where this proxies to.
    #[must_use]
    pub fn upstream(&self) -> &Upstream {
        &self.config.upstream
    }

    fn edit(&mut self) -> &mut Config {
        Arc::make_mut(&mut self.config)
    }

    fn proxy<B>(&self, req: Request<B>) -> ProxyFuture {
        let config = Arc::clone(&self.config);
        // A handshake has no body: one that has is refused for its header.
        let inner = Box::pin(answer(config, req.map(|_| Empty::new())));
        ProxyFuture { inner }
    }
}

impl<B> Service<Request<B>> for WebSocketProxy {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ProxyFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Request<B>) -> ProxyFuture {
        self.proxy(req)
    }
}

impl<S> Handler<(), S> for WebSocketProxy {
    type Future = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

    fn call(self, req: Request<Body>, _: S) -> Self::Future {
        self.proxy(req).inner
    }
}

// ===== impl ProxyFuture =====

impl Future for ProxyFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.inner.as_mut().poll(cx).map(Ok)
    }
}

impl fmt::Debug for ProxyFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyFuture").finish_non_exhaustive()
    }
}

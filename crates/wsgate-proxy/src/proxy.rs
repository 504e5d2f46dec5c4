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
    /// sign of life. Default: none, as a connection within one network breaks where it breaks.
    ///
    /// Set it where something between here and the upstream forgets quiet connections, or where
    /// clients should learn soon of an upstream whose machine is gone. The client's side has the
    /// layer of the same name.
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

//! What to do: made from the command line in one place, and right from then on.

mod stack;
mod time;
mod tls;
mod upstream;

use std::{collections::HashSet, error::Error, net::SocketAddr, num::NonZeroUsize};

use axum::{
    Router,
    http::{HeaderValue, uri::Authority},
};
use humantime::Duration;
use wsgate::{
    Server,
    layer::{
        OriginPolicy,
        client::{TrustedProxies, TrustedProxyError},
        origin::OriginPatternError,
    },
    proxy::{UpstreamTlsError, WebSocketProxy},
    server::{DevelopmentCa, Hsts, Limits, Pem, ServerError, Tls},
};

use self::{
    stack::{Stack, keepalive, some_time_or_off},
    tls::{given_tls, upstream_tls},
    upstream::Grouping,
};
use crate::{
    app,
    args::{AccessArgs, Args, Command, GatewayArgs, ServeArgs},
    files::OpenFiles,
    route::RouteSpec,
};

/// A gateway that can be started. What only the operating system knows, such as whether a port is
/// free, and the server's own certificates are checked when it starts.
#[derive(Debug)]
pub(crate) struct Plan {
    listen: SocketAddr,
    front: Front,
    /// Who sends headers of the PROXY protocol. None for nobody.
    proxy_protocol: Vec<String>,
    /// Never empty, and no two with the same path.
    routes: Vec<Route>,
    stack: Stack,
    limits: Limits,
    /// `None` for one a core.
    workers: Option<NonZeroUsize>,
}

/// How clients are met.
#[derive(Debug)]
enum Front {
    Https {
        tls: Tls,
        redirect_http: Option<SocketAddr>,
        hsts: Option<Hsts>,
    },
    Development(DevelopmentCa),
    Plain,
}

#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) path: String,
    /// As it was written.
    pub(crate) upstream: String,
    proxy: WebSocketProxy,
}

/// Which Host the upstreams are sent.
#[derive(Debug, PartialEq, Eq)]
enum UpstreamHost {
    Client,
    Endpoint,
    Name(HeaderValue),
}

/// A command line that makes no gateway.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error("nothing says where to listen: add --listen, as in --listen 127.0.0.1:8443")]
    NoListen,
    #[error(
        "there is no certificate: name one with --cert and its key with --key, or try out with \
         `wsgate dev`, which makes one for localhost, or serve plain HTTP with --plain behind \
         something else that ends TLS"
    )]
    NoCertificate,
    #[error(
        "there are {certificates} --cert and {keys} --key: each certificate needs its key, in the \
         same order"
    )]
    Unpaired { certificates: usize, keys: usize },
    #[error("--listen and --redirect-http are both {0}: https and http need a port each")]
    OnePort(SocketAddr),
    #[error("nothing says where to: add --route, as in --route /websocket=http://127.0.0.1:9000")]
    NoRoute,
    #[error("--route {route}")]
    Route {
        route: String,
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("there are two --route for {0}")]
    TwoRoutes(String),
    #[error("--allow-origin")]
    Origin(#[from] OriginPatternError),
    #[error("--allow-origin * lets every page in, and stands alone: leave out the others, or it")]
    AnyOriginAndOthers,
    #[error("--trusted-proxy")]
    TrustedProxy(#[from] TrustedProxyError),
    #[error("--proxy-protocol")]
    ProxyProtocol(#[source] TrustedProxyError),
    #[error("{0} is no time at all: nothing could ever be in time")]
    NoTime(&'static str),
    #[error("{0} of none would refuse everyone: leave it out for no limit")]
    NoTunnels(&'static str),
    #[error("{pong} is about pings, and {keepalive} is off")]
    PongsOfNoPings {
        pong: &'static str,
        keepalive: &'static str,
    },
    #[error("--upstream-host {0} is neither `client`, `endpoint` nor a name to send")]
    UpstreamHost(String),
    #[error("{option}")]
    UpstreamTls {
        option: String,
        source: UpstreamTlsError,
    },
    #[error("{0} is about TLS, and no route leads to https:// or wss://")]
    NoUpstreamTls(&'static str),
    #[error(
        "{0} is about routes with several endpoints, and there is none: write --route PATH=URL,URL, or \
         PATH=dns:URL"
    )]
    NoGroup(&'static str),
    #[error("--sticky-key is the key of --balance sticky-cookie, and that is not there")]
    KeyOfNoCookie,
    #[error("--sticky-key {file}")]
    StickyKey {
        file: String,
        source: Box<dyn Error + Send + Sync>,
    },
    #[error(transparent)]
    DevelopmentCa(#[from] ServerError),
}

// ===== impl Plan =====

impl Plan {
    /// Checks everything that was written. Reads the files about upstreams.
    pub(crate) fn new(args: Args, files: OpenFiles) -> Result<Self, PlanError> {
        let proxy_protocol = match args.command {
            Some(Command::Dev(_)) => Vec::new(),
            None => args.serve.proxy_protocol.clone(),
        };
        TrustedProxies::new(&proxy_protocol).map_err(PlanError::ProxyProtocol)?;
        let (listen, front, gateway) = match args.command {
            Some(Command::Dev(dev)) => (dev.listen, Front::Development(dev.ca()?), dev.gateway),
            None => {
                let listen = args.serve.listen.ok_or(PlanError::NoListen)?;
                (listen, Front::new(&args.serve, listen)?, args.serve.gateway)
            }
        };
        let trusted = TrustedProxies::new(&gateway.access.trusted_proxies)?;
        Ok(Self {
            listen,
            front,
            proxy_protocol,
            routes: routes(&gateway, &trusted)?,
            stack: Stack::new(&gateway, &trusted, files)?,
            limits: time::limits(&gateway)?,
            workers: gateway.threads.workers,
        })
    }

    pub(crate) fn server(&self) -> Server {
        let server = Server::bind(self.listen)
            .limits(self.limits.clone())
            .reload_on_hangup();
        let mut server = match self.workers {
            Some(count) => server.workers(count.get()),
            None => server.worker_per_core(),
        };
        if !self.proxy_protocol.is_empty() {
            server = server.proxy_protocol(&self.proxy_protocol);
        }
        if let Some(draining) = self.stack.draining() {
            server = server.drain(draining);
        }
        match &self.front {
            Front::Https {
                tls,
                redirect_http,
                hsts,
            } => {
                let mut server = server.tls(tls.clone());
                if let Some(address) = redirect_http {
                    server = server.redirect_http(*address);
                }
                if let Some(hsts) = hsts {
                    server = server.hsts(hsts.clone());
                }
                server
            }
            Front::Development(ca) => server.tls(Tls::development_with(ca.clone())),
            Front::Plain => server,
        }
    }

    pub(crate) fn app(&self) -> Router {
        let routes = self.routes.iter();
        let router = app::router(routes.map(|route| (route.path.clone(), route.proxy.clone())));
        self.stack.around(router)
    }

    pub(crate) fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The CA of the development certificate, where that is served.
    pub(crate) const fn development(&self) -> Option<&DevelopmentCa> {
        match &self.front {
            Front::Development(ca) => Some(ca),
            Front::Https { .. } | Front::Plain => None,
        }
    }
}

// ===== impl Front =====

impl Front {
    fn new(args: &ServeArgs, listen: SocketAddr) -> Result<Self, PlanError> {
        if args.plain {
            return Ok(Self::Plain);
        }
        if args.certificates.len() != args.keys.len() {
            return Err(PlanError::Unpaired {
                certificates: args.certificates.len(),
                keys: args.keys.len(),
            });
        }
        let mut pairs = args.certificates.iter().zip(&args.keys);
        let (certificate, key) = pairs.next().ok_or(PlanError::NoCertificate)?;
        let tls = pairs.fold(Tls::pem_files(certificate, key), |tls, (chain, key)| {
            tls.and_pem_files(chain, key)
        });
        let tls = match &args.client_ca {
            Some(file) => tls.require_client_certificate(Pem::file(file)),
            None => tls,
        };
        let tls = match some_time_or_off("--cert-check", args.cert_check)? {
            Some(interval) => tls.watch_every(interval),
            None => tls.without_watching(),
        };
        if args.redirect_http == Some(listen) && listen.port() != 0 {
            return Err(PlanError::OnePort(listen));
        }
        Ok(Self::Https {
            tls,
            redirect_http: args.redirect_http,
            hsts: args.hsts.map(|age| Hsts::max_age(age.into())),
        })
    }
}

// ===== impl UpstreamHost =====

impl UpstreamHost {
    fn parse(host: &str) -> Result<Self, PlanError> {
        let refused = || PlanError::UpstreamHost(host.to_owned());
        match host {
            "client" => Ok(Self::Client),
            "endpoint" => Ok(Self::Endpoint),
            name => {
                let authority = name.parse::<Authority>().ok();
                let is_host =
                    authority.is_some_and(|a| !a.host().is_empty() && !name.contains('@'));
                let value = HeaderValue::from_str(name).ok().filter(|_| is_host);
                value.map(Self::Name).ok_or_else(refused)
            }
        }
    }
}

// ===== routes =====

fn routes(args: &GatewayArgs, trusted: &TrustedProxies) -> Result<Vec<Route>, PlanError> {
    let written = &args.routing.routes;
    if written.is_empty() {
        return Err(PlanError::NoRoute);
    }
    let parse = |route: &String| RouteSpec::parse(route).map_err(|e| refused(route, e));
    let specs = written.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let mut paths = HashSet::new();
    if let Some(twice) = specs.iter().find(|spec| !paths.insert(&spec.path)) {
        return Err(PlanError::TwoRoutes(twice.path.clone()));
    }

    let grouping = Grouping::new(args, &specs)?;
    let given = given_tls(&args.upstream);
    let may_have_tls = specs.iter().any(RouteSpec::has_file) && given.is_some();
    let tls = match (specs.iter().any(RouteSpec::has_tls), given) {
        (true, _) => Some(upstream_tls(&args.upstream)?),
        (false, Some(_)) if may_have_tls => Some(upstream_tls(&args.upstream)?),
        (false, Some(option)) => return Err(PlanError::NoUpstreamTls(option)),
        (false, None) => None,
    };
    let origin = origin(&args.access)?;
    let keepalive = keepalive(
        ("--upstream-keepalive", args.tunnels.upstream_keepalive),
        (
            "--upstream-pong-timeout",
            args.tunnels.upstream_pong_timeout,
        ),
    )?;
    let connect = some_time("--connect-timeout", args.upstream.connect_timeout)?;
    let handshake = some_time("--handshake-timeout", args.upstream.handshake_timeout)?;
    let refusal = some_time("--refusal-timeout", args.upstream.refusal_timeout)?;
    let close = some_time("--close-timeout", args.tunnels.close_timeout)?;
    let send = some_time("--send-timeout", args.time.send_timeout)?;
    let silence = some_time_or_off("--upstream-tcp-timeout", args.upstream.tcp_timeout)?;
    let host = UpstreamHost::parse(&args.upstream.host)?;

    let route = |(written, spec): (&String, RouteSpec)| {
        let proxy = grouping.proxy(&spec, tls.as_ref());
        let proxy = proxy.map_err(|error| refused(written, error))?;
        // Replaced by itself where nothing is to change, as then a path with `..` is refused: an upstream
        // that resolves it would answer for more than the route lets out.
        let replacement = spec.replacement.as_ref().unwrap_or(&spec.path);
        let proxy = proxy
            .replace_prefix(&spec.path, replacement)
            .map_err(|error| refused(written, error))?
            .origin(origin.clone())
            .trusted_proxies(trusted.clone())
            .connect_timeout(connect)
            .handshake_timeout(handshake)
            .refusal_timeout(refusal)
            .close_timeout(close)
            .send_timeout(send)
            .tcp_timeout(silence);
        let proxy = match &keepalive {
            Some(keepalive) => proxy.upstream_keepalive(keepalive.clone()),
            None => proxy,
        };
        let proxy = match &host {
            UpstreamHost::Client => proxy,
            UpstreamHost::Endpoint => proxy.endpoint_host(),
            UpstreamHost::Name(name) => proxy.host(name.clone()),
        };
        Ok(Route {
            path: spec.path,
            upstream: spec.url,
            proxy,
        })
    };
    written.iter().zip(specs).map(route).collect()
}

fn refused(route: &str, source: impl Into<Box<dyn Error + Send + Sync>>) -> PlanError {
    PlanError::Route {
        route: route.to_owned(),
        source: source.into(),
    }
}

// ===== what all routes share =====

fn origin(args: &AccessArgs) -> Result<OriginPolicy, PlanError> {
    let allowed = &args.allowed_origins;
    match allowed.iter().any(|origin| origin == "*") {
        true if allowed.len() == 1 => Ok(OriginPolicy::any()),
        true => Err(PlanError::AnyOriginAndOthers),
        false => Ok(OriginPolicy::same_origin().and_allow(allowed)?),
    }
}

fn some_time(option: &'static str, time: Duration) -> Result<std::time::Duration, PlanError> {
    match time.is_zero() {
        true => Err(PlanError::NoTime(option)),
        false => Ok(time.into()),
    }
}

#[cfg(test)]
mod tests;

//! The same client and the same upstream, with the real nginx between them and with wsgate.
//!
//! `docs/nginx.md` tells users what differs. Each row there names the test here that shows it.

mod answers;
mod ends;
mod limits;
mod page;
mod paths;
mod requests;
mod silence;
mod tunnels;
mod upstreams;

use std::net::SocketAddr;

use axum::Router;
use tokio::sync::mpsc;
use wsgate::WebSocketProxy;
use wsgate_tests::certs::TestCa;
use wsgate_tests::client::{Handshake, Target};
use wsgate_tests::gateway::Gateway;
use wsgate_tests::nginx::{Config, Nginx, classic_location};
use wsgate_tests::upstream::script::{self, Accept};
use wsgate_tests::upstream::{Script, Seen, Upstream};
use wsgate_tests::{Tunnel, within};

/// What stands on each side of the gateway, whichever it is, and how each is told of the upstream.
struct Scene<'a> {
    script: Script,
    /// nginx's `server` block, given the upstream.
    locations: Box<dyn Fn(SocketAddr) -> String + 'a>,
    /// wsgate's proxy, and the path that it is mounted at.
    proxy: Box<dyn Fn(SocketAddr) -> WebSocketProxy + 'a>,
    mounted_at: &'a str,
}

/// What a scene was like with each of the two gateways.
struct Both<T> {
    nginx: Played<T>,
    wsgate: Played<T>,
}

/// What the client came back with, and what the upstream saw.
#[derive(Debug)]
struct Played<T> {
    client: T,
    upstream: Vec<Seen>,
}

/// An upstream that both gateways pass the WebSockets at `/websocket` on to, and whose end of each
/// the test holds, as it holds the client's.
struct Backstage {
    upstream: Upstream,
    handed_over: mpsc::Receiver<Tunnel>,
}

/// A tunnel through a gateway.
struct Ends {
    client: Tunnel,
    upstream: Tunnel,
}

// ===== impl Scene =====

impl<'a> Scene<'a> {
    /// The classic block at `/websocket` and a proxy as it comes.
    fn new(script: Script) -> Self {
        Self {
            script,
            locations: Box::new(|upstream| classic_with(upstream, "")),
            proxy: Box::new(proxy_to),
            mounted_at: "/websocket",
        }
    }

    /// With other locations.
    fn locations(mut self, locations: impl Fn(SocketAddr) -> String + 'a) -> Self {
        self.locations = Box::new(locations);
        self
    }

    /// With another proxy.
    fn proxy(mut self, proxy: impl Fn(SocketAddr) -> WebSocketProxy + 'a) -> Self {
        self.proxy = Box::new(proxy);
        self
    }

    /// With the proxy at another path, and at all paths beneath it.
    fn mounted_at(mut self, path: &'a str) -> Self {
        self.mounted_at = path;
        self
    }

    /// Plays the client's part with each gateway, each before an upstream of its own.
    async fn play<T>(self, client: impl AsyncFn(Target) -> T) -> Both<T> {
        let upstream = Upstream::tcp(self.script.clone()).await;
        let (nginx, target) = start_nginx(&(self.locations)(upstream.addr())).await;
        let through_nginx = client(target).await;
        let nginx_passed = upstream.join().await;
        nginx.stop().await;

        let upstream = Upstream::tcp(self.script).await;
        let gateway = start_wsgate(self.mounted_at, (self.proxy)(upstream.addr())).await;
        let through_wsgate = client(gateway.target()).await;
        let wsgate_passed = upstream.join().await;
        gateway.join().await;

        Both {
            nginx: Played {
                client: through_nginx,
                upstream: nginx_passed,
            },
            wsgate: Played {
                client: through_wsgate,
                upstream: wsgate_passed,
            },
        }
    }
}

// ===== impl Played =====

impl<T> Played<T> {
    /// The one connection that the upstream saw.
    #[track_caller]
    fn seen(&self) -> &Seen {
        let [one] = &self.upstream[..] else {
            panic!("exactly one connection: {:?}", self.upstream);
        };
        one
    }
}

// ===== impl Backstage =====

impl Backstage {
    async fn new() -> Self {
        let (script, handed_over) = script::handing_over(Accept::default());
        Self {
            upstream: Upstream::tcp(script).await,
            handed_over,
        }
    }

    /// nginx's block, with more lines in it.
    fn location_with(&self, lines: &str) -> String {
        classic_with(self.upstream.addr(), lines)
    }

    /// A proxy as it comes.
    fn proxy(&self) -> WebSocketProxy {
        proxy_to(self.upstream.addr())
    }

    async fn open(&mut self, target: &Target) -> Ends {
        let client = target.tunnel(Handshake::of("/websocket")).await;
        let upstream = within("the upstream's end", self.handed_over.recv()).await;
        Ends {
            client,
            upstream: upstream.expect("the upstream's script keeps a sender"),
        }
    }
}

// ===== the two gateways =====

async fn start_nginx(locations: &str) -> (Nginx, Target) {
    let config = Config {
        server: locations,
        ..Config::default()
    };
    start_nginx_with(&config).await
}

async fn start_nginx_with(config: &Config<'_>) -> (Nginx, Target) {
    let ca = TestCa::new();
    let nginx = Nginx::configured(&ca.leaf(&["localhost"]), config).await;
    let target = Target::tls(nginx.addr(), &ca);
    (nginx, target)
}

async fn start_wsgate(path: &str, proxy: WebSocketProxy) -> Gateway {
    Gateway::serving(mounted_at(path, proxy)).await
}

/// Mounted where the `location` of the same path applies: at the path and at all beneath it.
fn mounted_at(path: &str, proxy: WebSocketProxy) -> Router {
    match path {
        "/" => Router::new().fallback_service(proxy),
        _ if path.ends_with('/') => Router::new()
            .route_service(path, proxy.clone())
            .route_service(&format!("{path}{{*rest}}"), proxy),
        _ => Router::new().nest_service(path, proxy),
    }
}

fn proxy_to(upstream: SocketAddr) -> WebSocketProxy {
    WebSocketProxy::to(&format!("http://{upstream}")).unwrap()
}

/// The classic block with more lines in it.
fn classic_with(upstream: SocketAddr, lines: &str) -> String {
    with_lines(
        &classic_location("/websocket", &format!("http://{upstream}")),
        lines,
    )
}

/// A location with more lines in it.
fn with_lines(location: &str, lines: &str) -> String {
    location.replacen("{\n", &format!("{{\n{lines}\n"), 1)
}

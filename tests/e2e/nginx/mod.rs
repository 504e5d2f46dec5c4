//! The same client and the same upstream, with the real nginx between them and with wsgate.
//!
//! `docs/nginx.md` tells users what differs. Each row there names the test here that shows it.

mod answers;
mod page;
mod paths;
mod requests;
mod tunnels;
mod upstreams;

use std::net::SocketAddr;

use axum::Router;
use wsgate::WebSocketProxy;
use wsgate_tests::certs::TestCa;
use wsgate_tests::client::Target;
use wsgate_tests::gateway::Gateway;
use wsgate_tests::nginx::{Nginx, classic_location};
use wsgate_tests::upstream::{Script, Seen, Upstream};

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

// ===== the two gateways =====

async fn start_nginx(locations: &str) -> (Nginx, Target) {
    let ca = TestCa::new();
    let nginx = Nginx::start(&ca.leaf(&["localhost"]), locations).await;
    let target = Target::tls(nginx.addr(), &ca);
    (nginx, target)
}

/// Mounted where the `location` of the same path applies: at the path and at all beneath it.
async fn start_wsgate(path: &str, proxy: WebSocketProxy) -> Gateway {
    let app = match path {
        "/" => Router::new().fallback_service(proxy),
        _ if path.ends_with('/') => Router::new()
            .route_service(path, proxy.clone())
            .route_service(&format!("{path}{{*rest}}"), proxy),
        _ => Router::new().nest_service(path, proxy),
    };
    Gateway::serving(app).await
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

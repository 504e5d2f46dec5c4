//! All that a scenario has on it: hosts, the gateway, upstreams and clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use wsgate_tests::certs::TestCa;
use wsgate_tests::client::{H2, Handshake, Protocol, Refused, Target};
use wsgate_tests::upstream::http2::{Http2Upstream, Offer};
use wsgate_tests::upstream::{Script, Upstream, script, switching};
use wsgate_tests::{Role, Tunnel};

use crate::book::Book;
use crate::gateway::Gateway;
use crate::net::{Host, World};
use crate::peer::{Part, Peer};

/// What a scenario plays on. Dropped, everything ends.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) gateway: Gateway,
    /// What the clients saw.
    pub(crate) clients: Book,
    /// What the upstreams saw, both.
    pub(crate) upstreams: Book,
    /// How many tunnels the second one was given.
    on_spare: Arc<AtomicUsize>,
    /// How many files the gateway had open before anybody came.
    pub(crate) idle_files: usize,
    /// Handshakes that an upstream is asked to leave unanswered are told here.
    pub(crate) held: CancellationToken,
    target: Target,
    tunnels: Vec<AbortOnDropHandle<()>>,
    connections: Vec<H2>,
    stop: CancellationToken,
    servers: Vec<Upstream>,
    _http2: AbortOnDropHandle<()>,
    _files: TempDir,
    /// The last to go: everything else is on it.
    pub(crate) world: World,
}

// ===== impl Stage =====

impl Stage {
    /// Starts upstreams on two hosts, and the gateway before the first of them, with these further
    /// arguments, words with a space between.
    pub(crate) async fn set(args: &str) -> Self {
        Self::with_route(&format!("http://{}:{PORT}", World::UPSTREAM), args).await
    }

    /// The same before one that speaks HTTP/2 alone.
    pub(crate) async fn set_http2(args: &str) -> Self {
        let args = format!("--upstream-http2 only {args}");
        Self::with_route(&format!("http://{}:{HTTP2_PORT}", World::UPSTREAM), &args).await
    }

    /// The same before both, as a group.
    pub(crate) async fn set_for_both(args: &str) -> Self {
        let urls = [World::UPSTREAM, World::SPARE].map(|host| format!("http://{host}:{PORT}"));
        Self::with_route(&urls.join(","), args).await
    }

    async fn with_route(upstreams: &str, args: &str) -> Self {
        let world = World::new().await;
        let (seen, held) = (Book::default(), CancellationToken::new());
        let mut servers = Vec::new();
        let counts = <[Arc<AtomicUsize>; 2]>::default();
        let hosts = [
            (&world.upstream, World::UPSTREAM),
            (&world.spare, World::SPARE),
        ];
        for ((host, address), count) in hosts.into_iter().zip(&counts) {
            let address = format!("{address}:{PORT}").parse().expect("an address");
            let script = play(&seen, &held, count);
            servers.push(
                host.run(async move { Upstream::at(address, script).await })
                    .await,
            );
        }
        let address = format!("{}:{HTTP2_PORT}", World::UPSTREAM)
            .parse()
            .expect("an address");
        let http2 = async move { Http2Upstream::at(address, Offer::default()).await };
        let http2 = world.upstream.run(http2).await;
        let http2 = world.upstream.start(play_http2(http2, seen.clone()));
        let [_, on_spare] = counts;
        let files = tempfile::tempdir().expect("a folder");
        let ca = TestCa::new();
        let (cert, key) = ca.leaf(&["localhost"]).write(files.path(), "gateway");
        let address = format!("{}:{PORT}", World::CLIENT_SIDE);
        let (cert, key) = (cert.display(), key.display());
        let ours = format!("--listen {address} --cert {cert} --key {key} --route /={upstreams}");
        let words = ours.split(' ').chain(args.split_whitespace());
        let words: Vec<_> = words.map(ToOwned::to_owned).collect();
        let gateway = Gateway::start(&world.gateway, &words).await;
        Self {
            idle_files: gateway.files(),
            gateway,
            clients: Book::default(),
            upstreams: seen,
            on_spare,
            held,
            target: Target::tls(address.parse().expect("an address"), &ca),
            tunnels: Vec::new(),
            connections: Vec::new(),
            stop: CancellationToken::new(),
            servers,
            _http2: http2,
            _files: files,
            world,
        }
    }

    /// Opens so many tunnels whose clients play this part, over HTTP/2 all on one connection. `path` says
    /// what the upstream does: `/echo`, `/flood` or `/listen`.
    pub(crate) async fn open(&mut self, protocol: Protocol, path: &str, count: usize, part: Part) {
        let target = self.target.clone();
        let word = if protocol == Protocol::Http2 {
            "h2"
        } else {
            "h1"
        };
        let first = self.tunnels.len();
        let names: Vec<_> = (first..first + count)
            .map(|n| format!("{path}/{word}-{n}"))
            .collect();
        let paths = names.clone();
        let opened = self.world.client.run(async move {
            let mut connection = match protocol {
                Protocol::Http1 => None,
                Protocol::Http2 => Some(target.h2().await),
            };
            let mut tunnels: Vec<Tunnel> = Vec::new();
            for path in &paths {
                let handshake = Handshake::of(path);
                tunnels.push(match &mut connection {
                    None => target.tunnel(handshake).await,
                    Some(connection) => connection.tunnel(handshake).await,
                });
            }
            (connection, tunnels)
        });
        let (connection, tunnels) = opened.await;
        self.connections.extend(connection);
        for (name, tunnel) in names.iter().zip(tunnels) {
            let peer = Peer::new(name, part, &self.clients);
            let play = peer.play(tunnel, Role::Client, self.stop.clone());
            self.tunnels.push(self.world.client.start(play));
        }
    }

    /// A handshake that is refused, whenever the answer comes.
    pub(crate) fn refused(&self, path: &str) -> AbortOnDropHandle<Refused> {
        let (target, handshake) = (self.target.clone(), Handshake::of(path));
        self.world
            .client
            .start(async move { target.refused(handshake).await })
    }

    /// Has the clients close their tunnels, and waits until all have ended, everywhere.
    ///
    /// # Panics
    ///
    /// When one has not.
    pub(crate) async fn close(&self, limit: Duration) {
        self.close_but(0, limit).await;
    }

    /// The same where so many upstreams were not told of the end.
    ///
    /// # Panics
    ///
    /// As [`Stage::close`].
    pub(crate) async fn close_but(&self, untold: usize, limit: Duration) {
        let count = self.tunnels.len();
        self.stop.cancel();
        self.clients.ended(count, limit).await;
        self.upstreams.ended(count - untold, limit).await;
        self.gateway.logs("tunnel closed", count, limit).await;
    }

    /// The process of the upstream ends: its kernel says so to the gateway.
    pub(crate) fn kill_upstream(&mut self) {
        drop(self.servers.remove(0));
    }

    /// How many tunnels the second upstream was given.
    pub(crate) fn on_spare(&self) -> usize {
        self.on_spare.load(Ordering::Relaxed)
    }

    /// A host, for what no tunnel can do.
    pub(crate) const fn client(&self) -> &Host {
        &self.world.client
    }
}

/// What the upstreams do, by the path of the handshake.
fn play(seen: &Book, held: &CancellationToken, count: &Arc<AtomicUsize>) -> Script {
    let (seen, held, count) = (seen.clone(), held.clone(), Arc::clone(count));
    script::script(move |mut connection| {
        let (seen, held, count) = (seen.clone(), held.clone(), Arc::clone(&count));
        async move {
            // A health check by TCP sends none.
            let Some(request) = connection.request().await else {
                return;
            };
            let path = request.target.clone();
            let Some(part) = part(&path) else {
                held.cancel();
                return connection.drain().await;
            };
            count.fetch_add(1, Ordering::Relaxed);
            let (stopped, stop) = (connection.stopped(), CancellationToken::new());
            connection.write(switching(&request, "")).await;
            let peer = Peer::new(&path, part, &seen);
            tokio::select! {
                () = peer.play(connection.into_tunnel(), Role::Server, stop) => {}
                () = stopped => {}
            }
        }
    })
}

/// The same over HTTP/2, where every handshake is accepted.
async fn play_http2(mut upstream: Http2Upstream, seen: Book) {
    let mut tunnels = JoinSet::new();
    while let Some(asked) = upstream.next().await {
        let path = asked.uri().path().to_owned();
        let peer = Peer::new(&path, part(&path).unwrap_or(Part::Listen), &seen);
        tunnels.spawn(peer.play(asked.accept(), Role::Server, CancellationToken::new()));
    }
}

/// What an upstream does with a tunnel; nothing where it leaves the handshake unanswered.
fn part(path: &str) -> Option<Part> {
    match path.split('/').nth(1) {
        Some("echo") => Some(Part::Echo),
        Some("flood") => Some(Part::Flood),
        Some("listen") => Some(Part::Listen),
        _ => None,
    }
}

/// Where upstreams and gateway listen, each on a host of its own.
pub(crate) const PORT: u16 = 4000;

/// Where the first upstream's host listens for HTTP/2 as well.
const HTTP2_PORT: u16 = 4001;

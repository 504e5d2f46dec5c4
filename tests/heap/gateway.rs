//! The process that is profiled, seen from inside and from outside.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{self, Stdio};

use axum::Router;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use wsgate::WebSocketProxy;
use wsgate::layer::{KeepaliveLayer, ObserveLayer, ReadTimeoutLayer};
use wsgate::proxy::{EndpointSettings, Http2, Upstream};
use wsgate::server::{Server, Tls};
use wsgate_tests::certs::TestCa;
use wsgate_tests::client::Target;
use wsgate_tests::{gateway, within};

/// The gateway in a process of its own.
pub(crate) struct Gateway {
    child: Child,
    addr: SocketAddr,
    ca: TestCa,
    /// Holds the certificate.
    _dir: TempDir,
}

/// What stands in that process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bare,
    /// With a keepalive, a read timeout and an observer.
    Layered,
    /// Its tunnels share connections over HTTP/2 to the upstream.
    Shared,
}

// ===== impl Kind =====

impl Kind {
    pub(crate) fn named(name: &str) -> Option<Self> {
        let all = [Self::Bare, Self::Layered, Self::Shared];
        all.into_iter().find(|kind| kind.name() == name)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Layered => "layered",
            Self::Shared => "shared",
        }
    }
}

/// What that process does: serves until its stdin ends, then leaves everything as it is.
pub(crate) async fn serve(kind: Kind, upstream: &str, dir: &Path) {
    // Logs as the program does into a file, but to nowhere: a tunnel has a span.
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(io::sink)
        .init();
    let endpoint = EndpointSettings::new(upstream).expect("an endpoint");
    let endpoint = match kind {
        Kind::Shared => endpoint.http2(Http2::Only),
        Kind::Bare | Kind::Layered => endpoint,
    };
    let upstream = Upstream::builder("upstream").endpoint(endpoint).build();
    let proxy = WebSocketProxy::to_upstream(upstream.expect("a group"));
    let mut app: Router = gateway::app(proxy);
    if kind == Kind::Layered {
        app = app
            .layer(KeepaliveLayer::default())
            .layer(ReadTimeoutLayer::default())
            .layer(ObserveLayer::tracing());
    }
    let tls = Tls::pem_files(dir.join("gateway.pem"), dir.join("gateway.key"));
    let server = Server::bind(([127, 0, 0, 1], 0)).tls(tls).start(app).await;
    let server = server.expect("the gateway starts");
    #[expect(clippy::print_stdout, reason = "the other process reads it")]
    {
        println!("{}", server.local_addr());
    }
    let stdin = tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new()));
    stdin
        .await
        .expect("reading does not panic")
        .expect("a pipe can be read");
    // No destructor runs: what is live now is what the profile tells of.
    process::exit(0);
}

// ===== impl Gateway =====

impl Gateway {
    /// Starts the process, under DHAT where there is a file for the profile.
    pub(crate) async fn start(kind: Kind, upstream: SocketAddr, profile: Option<&Path>) -> Self {
        let ca = TestCa::new();
        let dir = tempfile::tempdir().expect("a folder");
        ca.leaf(&["localhost"]).write(dir.path(), "gateway");
        let program = std::env::current_exe().expect("a running program has a file");
        let mut command = match profile {
            Some(profile) => under_dhat(&program, profile),
            None => Command::new(program),
        };
        command
            .args(["gateway", kind.name()])
            .arg(format!("http://{upstream}"))
            .arg(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .expect("valgrind is installed: `cargo xtask setup`");
        let stdout = child.stdout.take().expect("it is a pipe");
        let mut lines = BufReader::new(stdout).lines();
        let line = within("the gateway starts", lines.next_line()).await;
        let line = line.expect("a pipe can be read").expect("an address");
        Self {
            child,
            addr: line.parse().expect("an address"),
            ca,
            _dir: dir,
        }
    }

    pub(crate) fn target(&self) -> Target {
        Target::tls(self.addr, &self.ca)
    }

    /// Tells it to leave, with all tunnels open.
    pub(crate) async fn leave(mut self) {
        drop(self.child.stdin.take());
        let status = within("the gateway leaves", self.child.wait()).await;
        let status = status.expect("a child can be waited for");
        assert!(status.success(), "the gateway ended with {status}");
    }
}

fn under_dhat(program: &Path, profile: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command
        .args(["--quiet", "--tool=dhat", "--read-inline-info=yes"])
        // Threads take turns. Left to itself, valgrind may keep one waiting for half a minute.
        .arg("--fair-sched=try")
        // Deep enough for whoever called the allocator from within rustls or hyper.
        .arg("--num-callers=80")
        .arg(format!("--dhat-out-file={}", profile.display()))
        .arg(program);
    command
}

//! Run with
//!
//! ```text
//! cargo run -p example-chat
//! ```
//!
//! and open <https://localhost:8443> in two windows.
//!
//! ```text
//! browser ──wss: HTTP/2 or 1.1──► site: / /api/.. /websocket ──ws: HTTP/1.1──► chat service
//!                                 src/site.rs     WebSocketProxy               src/service/
//! ```
//!
//! The site is an axum app like any other; one route of it holds the proxy. The service is a chat
//! that knows nothing of any of this. To see that there is nothing more between them, run the two
//! in two terminals:
//!
//! ```text
//! cargo run -p example-chat -- --serve-backend 127.0.0.1:9000
//! cargo run -p example-chat -- --backend http://127.0.0.1:9000
//! ```

mod service;
mod site;

use std::{
    error::Error,
    io::{self, IsTerminal},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use axum::routing::any;
use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;
use wsgate::{
    layer::{Drain, KeepaliveLayer, LimitLayer, ReadTimeoutLayer},
    proxy::WebSocketProxy,
    server::{DevelopmentCa, Server, Tls},
};

use crate::service::{Hub, Limits, Service};

/// A chat whose WebSockets come in over HTTPS and go on, through wsgate, to a plain service.
#[derive(Debug, Parser)]
struct Args {
    /// Where the site listens; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,

    /// A chat service to put behind /websocket in place of the built-in one.
    #[arg(long, value_name = "URL")]
    backend: Option<String>,

    /// Offer HTTP/1.1 only.
    #[arg(long)]
    without_http2: bool,

    /// Where the development CA is kept. Default: the user's data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Say how browsers and other programs come to trust the development CA, and do nothing else.
    #[arg(long)]
    how_to_trust: bool,

    /// Run only the chat service, over plain ws at this address.
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["listen", "backend", "without_http2"])]
    serve_backend: Option<SocketAddr>,
}

/// The signals that end the program.
#[derive(Debug)]
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();

    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("example-chat: {}", with_causes(&*error));
            ExitCode::from(2)
        }
    }
}

async fn run(args: Args) -> Result<(), Box<dyn Error>> {
    // Before anything is announced: a signal that comes right then is not to be lost.
    let stop = Stop::listen()?;
    match args.serve_backend {
        Some(addr) => run_service(addr, stop).await,
        None => run_site(args, stop).await,
    }
}

/// The chat service by itself.
async fn run_service(addr: SocketAddr, stop: Stop) -> Result<(), Box<dyn Error>> {
    let service = start_service(addr, Hub::new(Limits::default())).await?;
    say(&format!("chat service  http://{}", service.local_addr()));
    stop.asked().await;
    service.stop().await?;
    Ok(())
}

/// The site, and behind it the built-in chat service or another.
async fn run_site(args: Args, stop: Stop) -> Result<(), Box<dyn Error>> {
    let ca = match args.data_dir {
        Some(directory) => DevelopmentCa::in_directory(directory),
        None => DevelopmentCa::new()?,
    };
    if args.how_to_trust {
        say(&ca.trust_instructions());
        return Ok(());
    }

    let hub = Hub::new(Limits::default());
    let (service, backend) = match args.backend {
        Some(backend) => (None, backend),
        None => {
            let loopback = (Ipv4Addr::LOCALHOST, 0).into();
            let service = start_service(loopback, hub.clone()).await?;
            let backend = format!("http://{}", service.local_addr());
            (Some(service), backend)
        }
    };
    let proxy = WebSocketProxy::to(&backend)?;
    let drain = Drain::new();
    let app = site::router(
        any(proxy),
        backend.clone(),
        service.is_some().then_some(hub),
    )
    // The last one is the outermost: the read timeout counts the pongs that the keepalive asks for.
    .layer(KeepaliveLayer::default())
    .layer(ReadTimeoutLayer::default())
    .layer(
        LimitLayer::new()
            .tunnels_per_client(50)
            .message_size(MAX_MESSAGE),
    )
    .layer(drain.layer());

    let mut tls = Tls::development_with(ca.clone());
    if args.without_http2 {
        tls = tls.without_http2();
    }
    let server = Server::bind(args.listen)
        .tls(tls)
        .drain(drain.within(DRAIN));
    let mut site = server.start(app).await?;
    say(&format!("chat          {}", site.url()));
    say(&format!("chat service  {backend}"));
    say(&how_to_trust(&ca));

    tokio::select! {
        ended = site.wait() => ended?,
        () = stop.asked() => {}
    }
    // The site first: it closes the WebSockets, so that the service sees everyone leave.
    site.shutdown(GRACE).await?;
    if let Some(service) = service {
        service.stop().await?;
    }
    Ok(())
}

async fn start_service(addr: SocketAddr, hub: Hub) -> Result<Service, String> {
    Service::start(addr, hub)
        .await
        .map_err(|error| format!("the chat service cannot listen on {addr}: {error}"))
}

// ===== impl Stop =====

impl Stop {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn asked(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

// ===== helpers =====

/// The file to trust, and the command for the browser that most will come with.
fn how_to_trust(ca: &DevelopmentCa) -> String {
    format!(
        "certificate   from a CA of your own, {}\n\
         \x20             Browsers warn until they trust it: go past the warning, or\n\
         \x20             {}\n\
         \x20             (--how-to-trust tells more)",
        ca.location().display(),
        ca.trust_command(),
    )
}

/// An error and what led to it, in one line.
fn with_causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}

#[expect(
    clippy::print_stdout,
    reason = "what the program has to say to its user; the log goes to stderr"
)]
fn say(text: &str) {
    println!("{text}");
}

/// How long browsers have to answer the Close that they get when the program is asked to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// More than the service takes, in bytes: it is the one to say what is too long.
const MAX_MESSAGE: u64 = 64 * 1024;

/// How long requests under way may take when the program is asked to stop.
const GRACE: Duration = Duration::from_secs(5);

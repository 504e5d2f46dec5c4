//! Our library in somebody's axum app: `WebSocketProxy` as the fallback of a router, served by our
//! `Server` on tokio's runtime with two workers. With `--layers`, three layers round it.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use clap::Parser;
use tokio::runtime;
use tower::util::option_layer;
use wsgate::layer::{KeepaliveLayer, ObserveLayer, ReadTimeoutLayer};
use wsgate::server::Tls;
use wsgate::{Server, WebSocketProxy};

#[derive(Parser)]
struct Args {
    /// Where to listen
    #[arg(long)]
    listen: SocketAddr,
    /// Where WebSockets go
    #[arg(long)]
    upstream: SocketAddr,
    /// The certificate chain, as a PEM file
    #[arg(long)]
    cert: PathBuf,
    /// Its private key, as a PEM file
    #[arg(long)]
    key: PathBuf,
    /// Keep WebSockets alive, end those that are silent, and observe all
    #[arg(long)]
    layers: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let mut runtime = runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build()?;
    runtime.block_on(serve(args))
}

async fn serve(args: Args) -> Result<(), Box<dyn Error>> {
    let proxy = WebSocketProxy::to(&format!("http://{}", args.upstream))?;
    let keepalive = || KeepaliveLayer::every(Duration::from_secs(25));
    let read_timeout = || ReadTimeoutLayer::new(Duration::from_secs(60));
    let app = Router::new()
        .route("/health", get(async || "well\n"))
        .fallback(proxy)
        .layer(option_layer(args.layers.then(keepalive)))
        .layer(option_layer(args.layers.then(read_timeout)))
        .layer(option_layer(args.layers.then(ObserveLayer::tracing)));
    Server::bind(args.listen)
        .tls(Tls::pem_files(args.cert, args.key))
        .serve(app)
        .await?;
    Ok(())
}

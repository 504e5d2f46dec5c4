//! axum-reverse-proxy as its documentation mounts it, served by axum-server with rustls and aws-lc-rs
//! on tokio's runtime with two workers.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;

use axum::Router;
use axum_reverse_proxy::ReverseProxy;
use axum_server::tls_rustls::RustlsConfig;
use clap::Parser;
use rustls::crypto::aws_lc_rs;
use tokio::runtime;

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
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    // The proxy's own TLS client pulls in a second provider, and rustls then wants to be told which.
    let _ = aws_lc_rs::default_provider().install_default();
    let mut runtime = runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build()?;
    runtime.block_on(serve(args))
}

async fn serve(args: Args) -> Result<(), Box<dyn Error>> {
    let app: Router = ReverseProxy::new("/", format!("http://{}", args.upstream)).into();
    let tls = RustlsConfig::from_pem_file(args.cert, args.key).await?;
    let mut server = axum_server::bind_rustls(args.listen, tls);
    // Without it hyper refuses extended CONNECT before the proxy sees it.
    server.http_builder().http2().enable_connect_protocol();
    server.serve(app.into_make_service()).await?;
    Ok(())
}

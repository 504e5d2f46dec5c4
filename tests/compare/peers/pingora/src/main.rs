//! pingora as its own quick start builds a proxy: two threads that steal work from each other,
//! HTTP/1.1 and HTTP/2 over TLS by OpenSSL, one upstream.

use std::net::SocketAddr;

use async_trait::async_trait;
use clap::Parser;
use pingora::listeners::tls::TlsSettings;
use pingora::prelude::{HttpPeer, ProxyHttp, Result, Server, Session, http_proxy_service};
use pingora::server::configuration::ServerConf;

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
    cert: String,
    /// Its private key, as a PEM file
    #[arg(long)]
    key: String,
}

/// Everything goes to one place.
struct Proxy {
    upstream: SocketAddr,
}

// ===== impl Proxy =====

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn upstream_peer(&self, _: &mut Session, _: &mut Self::CTX) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.upstream, false, String::new())))
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    let conf = ServerConf {
        threads: 2,
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();

    let upstream = args.upstream;
    let mut proxy = http_proxy_service(&server.configuration, Proxy { upstream });
    let mut tls = TlsSettings::intermediate(&args.cert, &args.key)?;
    tls.enable_h2();
    proxy.add_tls_with_settings(&args.listen.to_string(), None, tls);
    server.add_service(proxy);
    server.run_forever()
}

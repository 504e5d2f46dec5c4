//! Certificates, clients and a captured log.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;
use wsgate_server::{Pem, Running, Server, Tls, rustls};

pub(crate) const LOOPBACK: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// Nothing here takes this long, on a loaded machine either.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A self-signed certificate with its key.
pub(crate) struct Identity {
    pub(crate) chain: String,
    pub(crate) key: String,
    pub(crate) der: CertificateDer<'static>,
}

impl Identity {
    pub(crate) fn new(names: &[&str]) -> Self {
        Self::with(names, |_| {})
    }

    pub(crate) fn with(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Self {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            chain: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().clone(),
        }
    }

    pub(crate) fn chain(&self) -> Pem {
        Pem::bytes(self.chain.as_str())
    }

    pub(crate) fn key(&self) -> Pem {
        Pem::bytes(self.key.as_str())
    }

    pub(crate) fn tls(&self) -> Tls {
        by(Tls::pem(self.chain(), self.key()))
    }
}

/// These tests are compiled again to run over tokio-rustls.
pub(crate) const BY_TOKIO_RUSTLS: bool = matches!(
    env!("CARGO_CRATE_NAME").as_bytes(),
    b"server_by_tokio_rustls"
);

/// And again to run on workers.
pub(crate) const BY_WORKERS: bool =
    matches!(env!("CARGO_CRATE_NAME").as_bytes(), b"server_by_workers");

/// A server that serves as it is tested.
pub(crate) fn bind(address: impl Into<SocketAddr>) -> Server {
    let server = Server::bind(address);
    if BY_WORKERS {
        server.workers(2)
    } else {
        server
    }
}

/// Has the connections carried by the stream that is tested.
pub(crate) fn by(tls: Tls) -> Tls {
    if BY_TOKIO_RUSTLS {
        tls.with_tokio_rustls()
    } else {
        tls
    }
}

/// A server on loopback for `localhost`, and a client configuration that trusts it.
pub(crate) async fn localhost(
    app: Router,
    change: impl FnOnce(Server) -> Server,
) -> (Running, ClientConfig) {
    let identity = Identity::new(&["localhost"]);
    let server = change(bind(LOOPBACK).tls(identity.tls()));
    let running = server.start(app).await.unwrap();
    (running, trusting(&[&identity.der]))
}

/// Waits until nobody listens there any more.
pub(crate) async fn free(address: SocketAddr) {
    let freed = async {
        while TcpListener::bind(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, freed)
        .await
        .expect("a free port");
}

/// Writes a file that only its owner may read, as keys are.
pub(crate) fn secret(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;

        let owner = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(path, owner).unwrap();
    }
}

/// An app whose `/` says hello.
pub(crate) fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

/// An app whose `/` tells that it was asked, and answers when it is let.
pub(crate) fn held() -> (Router, oneshot::Receiver<()>, oneshot::Sender<()>) {
    let (asked, was_asked) = oneshot::channel();
    let (release, released) = oneshot::channel::<()>();
    let once = Arc::new(Mutex::new(Some((asked, released))));
    let handler = move || {
        let (asked, released) = once.lock().unwrap().take().unwrap();
        async move {
            asked.send(()).unwrap();
            let _ = released.await;
            "finished"
        }
    };
    (Router::new().route("/", get(handler)), was_asked, release)
}

pub(crate) fn trusting(roots: &[&CertificateDer<'static>]) -> ClientConfig {
    trusting_by(roots, rustls::DEFAULT_VERSIONS)
}

/// The same client, with these versions of TLS.
pub(crate) fn trusting_by(
    roots: &[&CertificateDer<'static>],
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add((*root).clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(store)
        .with_no_client_auth()
}

/// The same client, asking for these protocols.
pub(crate) fn alpn(mut config: ClientConfig, protocols: &[&str]) -> ClientConfig {
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    config
}

pub(crate) async fn connect(
    address: SocketAddr,
    name: &str,
    config: &ClientConfig,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config.clone()))
        .connect(name, stream)
        .await
}

/// Sends a request, with `connection: close`, and returns the whole answer.
pub(crate) async fn request<T>(mut stream: T, head: &str) -> io::Result<String>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let head = head.replace('\n', "\r\n");
    stream
        .write_all(format!("{head}connection: close\r\n\r\n").as_bytes())
        .await?;
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer))
        .await
        .expect("an answer")?;
    Ok(answer)
}

/// `GET /` over TLS.
pub(crate) async fn get_root(running: &Running, config: &ClientConfig) -> io::Result<String> {
    let stream = connect(running.local_addr(), "localhost", config).await?;
    request(stream, "GET / HTTP/1.1\nhost: localhost\n").await
}

/// What is logged on this thread, until it is dropped; shown when the test fails.
pub(crate) struct Log {
    text: Captured,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn capture() -> Self {
        let text = Captured::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(text.clone())
            .finish();
        Self {
            text,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    /// The first line with all of these words, as soon as there is one.
    pub(crate) async fn line(&self, words: &[&str]) -> String {
        let found = || {
            let text = self.text();
            let has = |line: &&str| words.iter().all(|word| line.contains(word));
            text.lines().find(has).map(str::to_owned)
        };
        let wait = async {
            loop {
                match found() {
                    Some(line) => return line,
                    None => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .unwrap_or_else(|_| panic!("no line with {words:?}"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.text.0.lock().unwrap().clone()).unwrap()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.text());
        }
    }
}

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

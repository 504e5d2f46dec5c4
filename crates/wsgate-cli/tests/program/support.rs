//! An upstream, a client, and what they need.

use std::{
    io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, ServerName},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async, client_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        handshake::server::{ErrorResponse, Request, Response},
    },
};

/// Nothing here takes this long, on a loaded machine either.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A port of the system's choice.
pub(crate) const ANYWHERE: &str = "127.0.0.1:0";

// ===== certificates =====

/// A self-signed certificate with its key, in files.
pub(crate) struct Identity {
    directory: tempfile::TempDir,
    pub(crate) der: CertificateDer<'static>,
    pub(crate) key: rcgen::KeyPair,
}

impl Identity {
    pub(crate) fn new(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("chain.pem"), made.cert.pem()).unwrap();
        let key = made.signing_key.serialize_pem();
        secret(&directory.path().join("key.pem"), &key);
        Self {
            directory,
            der: made.cert.der().clone(),
            key: made.signing_key,
        }
    }

    pub(crate) fn chain(&self) -> PathBuf {
        self.directory.path().join("chain.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.directory.path().join("key.pem")
    }

    /// As the program is told about it.
    pub(crate) fn args(&self) -> String {
        format!(
            "--cert {} --key {}",
            self.chain().display(),
            self.key().display()
        )
    }
}

/// Writes a file that only its owner may read, as keys are.
pub(crate) fn secret(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    let owner = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, owner).unwrap();
}

pub(crate) fn roots(certificate: &CertificateDer<'static>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    roots
}

// ===== upstreams =====

/// A WebSocket server. It says first what it was asked for, `path host`, and then repeats what it
/// hears.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    _accepting: JoinSet<()>,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(ANYWHERE).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(echo(stream));
            }
        });
        Self {
            address,
            _accepting: accepting,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

pub(crate) async fn echo<T>(stream: T)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut asked = String::new();
    #[expect(clippy::result_large_err, reason = "the type is tungstenite's")]
    let note = |req: &Request, res: Response| -> Result<Response, ErrorResponse> {
        let host = req.headers()["host"].to_str().unwrap();
        asked = format!("{} {host}", req.uri());
        Ok(res)
    };
    let mut socket = accept_hdr_async(stream, note).await.unwrap();
    let mut answer = Message::text(asked);
    // A client that leaves without a word is one that a test has no more use for.
    while socket.send(answer).await.is_ok() {
        match socket.next().await {
            Some(Ok(message)) if message.is_text() || message.is_binary() => answer = message,
            _ => break,
        }
    }
}

// ===== clients =====

/// Someone who knows one certificate and the name that it is for.
pub(crate) struct Client {
    address: SocketAddr,
    name: String,
    tls: TlsConnector,
}

pub(crate) type Socket = WebSocketStream<TlsStream<TcpStream>>;

impl Client {
    pub(crate) fn new(
        address: SocketAddr,
        name: &str,
        certificate: &CertificateDer<'static>,
    ) -> Self {
        let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots(certificate))
            .with_no_client_auth();
        Self {
            address,
            name: name.to_owned(),
            tls: TlsConnector::from(Arc::new(tls)),
        }
    }

    pub(crate) async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from(self.name.clone()).unwrap();
        self.tls.connect(name, stream).await
    }

    /// Opens a WebSocket, from a page of `origin` if one is named.
    pub(crate) async fn open(
        &self,
        path: &str,
        origin: Option<&str>,
    ) -> Result<Socket, Box<Error>> {
        let stream = self.connect().await.unwrap();
        let url = format!("wss://{}:{}{path}", self.name, self.address.port());
        let mut req = url.into_client_request().unwrap();
        if let Some(origin) = origin {
            req.headers_mut().insert("origin", origin.parse().unwrap());
        }
        let opened = timeout(PATIENCE, client_async(req, stream)).await;
        let (socket, _) = opened.expect("an answer to the handshake")?;
        Ok(socket)
    }

    /// What the upstream of a route was asked for, as far as an echo shows that it is reached.
    pub(crate) async fn reaches(&self, path: &str) -> String {
        let mut socket = self.open(path, None).await.unwrap();
        let asked = hear(&mut socket).await;
        socket.send(Message::text("hello")).await.unwrap();
        assert_eq!(hear(&mut socket).await, "hello");
        asked
    }

    /// The status that a handshake is refused with.
    pub(crate) async fn refused(&self, path: &str, origin: Option<&str>) -> u16 {
        match self.open(path, origin).await.map_err(|error| *error) {
            Err(Error::Http(res)) => res.status().as_u16(),
            other => panic!("{other:?}"),
        }
    }

    /// The answer to an ordinary request.
    pub(crate) async fn get(&self, path: &str) -> String {
        let stream = self.connect().await.unwrap();
        get(stream, &self.name, path).await
    }
}

/// The next message, a text.
pub(crate) async fn hear<T>(socket: &mut WebSocketStream<T>) -> String
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let message = timeout(PATIENCE, socket.next()).await.expect("a message");
    message.unwrap().unwrap().into_text().unwrap().to_string()
}

/// The Close that comes, whatever comes before it.
pub(crate) async fn closed<T>(socket: &mut WebSocketStream<T>) -> (u16, String)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let close = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(Some(close)))) => return close,
                Some(Ok(_)) => {}
                other => panic!("no Close but {other:?}"),
            }
        }
    };
    let close = timeout(PATIENCE, close).await.expect("a Close");
    (close.code.into(), close.reason.to_string())
}

/// The whole answer to an ordinary request.
pub(crate) async fn get<T>(mut stream: T, host: &str, path: &str) -> String
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let head = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
    read.expect("an answer").unwrap();
    answer
}

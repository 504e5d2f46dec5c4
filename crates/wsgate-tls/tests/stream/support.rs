//! The two implementations, certificates, and a client to be stepped by hand.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::task::Poll;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, SupportedProtocolVersion,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_test::task;
use wsgate_tls::{TlsStream, rustls};

use crate::wire::Wire;

/// Whose stream it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    TlsStream,
    TokioRustls,
}

pub(crate) const KINDS: [Kind; 2] = [Kind::TlsStream, Kind::TokioRustls];

pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

/// One end, the server's in most tests.
pub(crate) type Served = Box<dyn Duplex>;

/// A server, clients that trust it, and a CA for those that show who they are.
pub(crate) struct House {
    pub(crate) ca_pem: String,
    pub(crate) roots: Arc<RootCertStore>,
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) key_pem: String,
    pub(crate) leaf_pem: String,
}

/// The client's end of a [`Wire`].
pub(crate) struct Peer {
    pub(crate) tls: ClientConnection,
    pub(crate) wire: Wire,
    /// What came by the server's records.
    pub(crate) received: Vec<u8>,
}

// ===== impl Kind =====

impl Kind {
    pub(crate) async fn accept<IO>(self, io: IO, config: Arc<ServerConfig>) -> io::Result<Served>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Ok(match self {
            Self::TlsStream => Box::new(TlsStream::accept(io, config).await?),
            Self::TokioRustls => Box::new(TlsAcceptor::from(config).accept(io).await?),
        })
    }

    /// The client's end, to a server that is to be `localhost`.
    pub(crate) async fn connect<IO>(self, io: IO, config: Arc<ClientConfig>) -> io::Result<Served>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let name = "localhost".try_into().unwrap();
        Ok(match self {
            Self::TlsStream => Box::new(TlsStream::connect(io, config, name).await?),
            Self::TokioRustls => Box::new(TlsConnector::from(config).connect(name, io).await?),
        })
    }
}

impl<T> Duplex for T where T: AsyncRead + AsyncWrite + Unpin + Send {}

// ===== impl House =====

impl House {
    /// Its one certificate is good for `localhost`, and as a client's too.
    pub(crate) fn new() -> Self {
        Self::of_ca("A CA")
    }

    /// Where the same is of another CA.
    pub(crate) fn stranger() -> Self {
        Self::of_ca("Another CA")
    }

    fn of_ca(name: &str) -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name.push(DnType::CommonName, name);
        let ca_certificate = ca.self_signed(&ca_key).unwrap();
        let issuer = Issuer::new(ca, ca_key);
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        let leaf = params.signed_by(&key, &issuer).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(ca_certificate.der().clone()).unwrap();
        Self {
            ca_pem: ca_certificate.pem(),
            roots: Arc::new(roots),
            leaf_pem: leaf.pem(),
            key_pem: key.serialize_pem(),
            chain: vec![leaf.der().clone()],
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }

    pub(crate) fn server(&self) -> ServerConfig {
        self.server_by(default_provider())
    }

    pub(crate) fn server_by(&self, provider: CryptoProvider) -> ServerConfig {
        ServerConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .unwrap()
    }

    /// A server that asks clients who they are.
    pub(crate) fn asking(&self, required: bool) -> ServerConfig {
        let provider = Arc::new(default_provider());
        let roots = Arc::clone(&self.roots);
        let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
        let builder = if required {
            builder
        } else {
            builder.allow_unauthenticated()
        };
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(builder.build().unwrap())
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .unwrap()
    }

    pub(crate) fn client(&self) -> ClientConfig {
        self.client_of(&TLS13)
    }

    pub(crate) fn client_of(&self, version: &'static SupportedProtocolVersion) -> ClientConfig {
        ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(Arc::clone(&self.roots))
            .with_no_client_auth()
    }

    /// A client that shows who it is by these certificates.
    pub(crate) fn identified(
        &self,
        version: &'static SupportedProtocolVersion,
        chain: Vec<CertificateDer<'static>>,
    ) -> ClientConfig {
        ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(Arc::clone(&self.roots))
            .with_client_auth_cert(chain, self.key.clone_key())
            .unwrap()
    }
}

// ===== impl Peer =====

impl Peer {
    pub(crate) fn new(config: ClientConfig, wire: Wire) -> Self {
        let name = "localhost".try_into().unwrap();
        Self {
            tls: ClientConnection::new(Arc::new(config), name).unwrap(),
            wire,
            received: Vec::new(),
        }
    }

    /// Records of `plain`, and whatever else is to be sent; nothing has gone out yet.
    pub(crate) fn records(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut records = Vec::new();
        for part in plain.chunks(0x4000) {
            self.tls.writer().write_all(part).unwrap();
            while self.tls.wants_write() {
                self.tls.write_tls(&mut records).unwrap();
            }
        }
        while self.tls.wants_write() {
            self.tls.write_tls(&mut records).unwrap();
        }
        records
    }

    pub(crate) fn send(&mut self, plain: &[u8]) {
        let records = self.records(plain);
        self.wire.bring(&records);
    }

    pub(crate) fn close(&mut self) {
        self.tls.send_close_notify();
        self.send(b"");
    }

    /// Takes in what the server has sent.
    pub(crate) fn listen(&mut self) -> Result<(), rustls::Error> {
        let sent = self.wire.take_sent();
        let mut rest = &sent[..];
        while self.tls.read_tls(&mut rest).unwrap() > 0 {
            let processed = self.tls.process_new_packets();
            // An end is for `has_closed` to tell.
            let _ = self.tls.reader().read_to_end(&mut self.received);
            processed?;
        }
        Ok(())
    }

    /// Whether the server has said that no more will come.
    pub(crate) fn has_closed(&mut self) -> bool {
        self.tls.process_new_packets().unwrap().peer_has_closed()
    }

    /// Goes through a handshake with the server, as far as it goes.
    pub(crate) async fn shake(&mut self, kind: Kind, config: ServerConfig) -> io::Result<Served> {
        let accepting = kind.accept(self.wire.clone(), Arc::new(config));
        let mut accepting = task::spawn(accepting);
        // Three round trips at most.
        for _ in 0..10 {
            self.send(b"");
            if let Poll::Ready(result) = accepting.poll() {
                return result;
            }
            // The client's error makes an alert, which goes out at the next turn.
            let _ = self.listen();
        }
        panic!("the handshake does not come to an end")
    }
}

/// A connection that is up, over a [`Wire`].
pub(crate) async fn connected(kind: Kind, house: &House, client: ClientConfig) -> (Served, Peer) {
    let mut peer = Peer::new(client, Wire::default());
    let served = peer.shake(kind, house.server()).await.unwrap();
    peer.listen().unwrap();
    (served, peer)
}

/// Bytes that tell when one of them is missing, twice there, or in another's place.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + at / 251) as u8).collect()
}

/// The rustls error inside of an I/O error.
#[track_caller]
pub(crate) fn tls_error(error: &io::Error) -> &rustls::Error {
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    let inner = error.get_ref().expect("an error inside");
    inner.downcast_ref().expect("an error of rustls")
}

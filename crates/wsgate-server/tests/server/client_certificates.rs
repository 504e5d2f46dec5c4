//! Clients that show who they are.

use std::sync::Arc;

use axum::routing::get;
use axum::{Extension, Router};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use wsgate_server::{Pem, Running, Tls, TlsInfo, rustls};

use crate::support::{Identity, LOOPBACK, Log, bind, get_root, trusting};

/// A CA for clients, and a certificate that it signed.
pub(crate) struct Clients {
    ca: Pem,
    pub(crate) ca_pem: String,
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Clients {
    pub(crate) fn new() -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_certificate = ca.self_signed(&ca_key).unwrap();
        let issuer = Issuer::new(ca, ca_key);
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["client.test".to_owned()]).unwrap();
        Self {
            ca: Pem::bytes(ca_certificate.pem()),
            ca_pem: ca_certificate.pem(),
            certificate: params.signed_by(&key, &issuer).unwrap().der().clone(),
            key: key.serialize_der(),
        }
    }

    fn identify(&self, server: &Identity) -> ClientConfig {
        self.identify_by(server, rustls::DEFAULT_VERSIONS)
    }

    /// A client that trusts this server, shows its certificate, and knows these versions of TLS.
    pub(crate) fn identify_by(
        &self,
        server: &Identity,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut store = RootCertStore::empty();
        store.add(server.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(store)
            .with_client_auth_cert(
                vec![self.certificate.clone()],
                PrivateKeyDer::try_from(self.key.clone()).unwrap(),
            )
            .unwrap()
    }
}

/// Says how many certificates the client brought.
pub(crate) fn counting() -> Router {
    let count = |Extension(tls): Extension<Arc<TlsInfo>>| async move {
        format!("certificates: {}", tls.peer_certificates.len())
    };
    Router::new().route("/", get(count))
}

/// The server, and a client that trusts it and brings nothing.
async fn start(identity: &Identity, tls: Tls) -> (Running, ClientConfig) {
    let server = bind(LOOPBACK).tls(tls);
    let running = server.start(counting()).await.unwrap();
    (running, trusting(&[&identity.der]))
}

#[tokio::test]
async fn without_one_a_client_is_turned_away_where_it_is_required() {
    let log = Log::capture();
    let clients = Clients::new();
    let identity = Identity::new(&["localhost"]);
    let tls = identity
        .tls()
        .require_client_certificate(clients.ca.clone());
    let (running, anonymous) = start(&identity, tls).await;

    let answer = get_root(&running, &clients.identify(&identity))
        .await
        .unwrap();
    assert!(answer.ends_with("certificates: 1"), "{answer}");

    get_root(&running, &anonymous).await.unwrap_err();
    log.line(&["WARN", "brought no certificate"]).await;

    let strangers = Clients::new();
    get_root(&running, &strangers.identify(&identity))
        .await
        .unwrap_err();
    log.line(&["WARN", "signed by the CA that is set for clients"])
        .await;
}

#[tokio::test]
async fn where_it_is_allowed_a_client_comes_with_or_without() {
    let _log = Log::capture();
    let clients = Clients::new();
    let identity = Identity::new(&["localhost"]);
    let tls = identity.tls().allow_client_certificate(clients.ca.clone());
    let (running, anonymous) = start(&identity, tls).await;

    let answer = get_root(&running, &clients.identify(&identity))
        .await
        .unwrap();
    assert!(answer.ends_with("certificates: 1"), "{answer}");

    let answer = get_root(&running, &anonymous).await.unwrap();
    assert!(answer.ends_with("certificates: 0"), "{answer}");

    get_root(&running, &Clients::new().identify(&identity))
        .await
        .unwrap_err();
}

//! A certificate authority in memory, and what it signs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// An authority that no machine trusts, made for one test.
#[derive(Debug)]
pub struct TestCa {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, signed by a [`TestCa`], for a server or a client.
#[derive(Debug)]
pub struct Leaf {
    /// The certificate in PEM.
    pub cert_pem: String,
    /// The private key in PEM.
    pub key_pem: String,
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

// ===== impl TestCa =====

impl Default for TestCa {
    fn default() -> Self {
        Self::new()
    }
}

impl TestCa {
    /// A new authority with a key of its own.
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key can be made");
        // Two authorities of one name would be told apart by their signatures only, and the errors
        // would speak of those.
        let id: String = key
            .public_key_raw()
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let mut params = CertificateParams::default();
        let name = format!("wsgate test CA {id}");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).expect("a CA can sign itself");
        Self {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    /// The certificate of the authority, to be trusted.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Writes [`TestCa::pem`] to `ca.pem` in `dir`.
    pub fn write(&self, dir: &Path) -> PathBuf {
        write(dir, "ca.pem", &self.pem())
    }

    /// A certificate for these DNS names and IP addresses.
    pub fn leaf(&self, names: &[&str]) -> Leaf {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names that fit in a certificate");
        params
            .distinguished_name
            .push(DnType::CommonName, "wsgate test");
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params
            .signed_by(&key, &self.issuer)
            .expect("the CA can sign");
        Leaf {
            cert_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
        }
    }

    /// A server for these names, with the given ALPN protocols, best first.
    pub fn server(&self, names: &[&str], alpn: &[&str]) -> Arc<ServerConfig> {
        let leaf = self.leaf(names);
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions")
            .with_no_client_auth()
            .with_single_cert(vec![leaf.certificate.clone()], leaf.private_key());
        with_server_alpn(config.expect("the key fits the certificate"), alpn)
    }

    /// The same for a server that asks its clients for a certificate of this authority.
    pub fn server_that_verifies(&self, names: &[&str], alpn: &[&str]) -> Arc<ServerConfig> {
        let leaf = self.leaf(names);
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()), provider());
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions")
            .with_client_cert_verifier(verifier.build().expect("a root to verify with"))
            .with_single_cert(vec![leaf.certificate.clone()], leaf.private_key());
        with_server_alpn(config.expect("the key fits the certificate"), alpn)
    }

    /// A client that trusts this authority alone and offers these ALPN protocols.
    pub fn client(&self, alpn: &[&str]) -> Arc<ClientConfig> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions")
            .with_root_certificates(self.roots())
            .with_no_client_auth();
        config.alpn_protocols = protocols(alpn);
        Arc::new(config)
    }

    /// The same with a certificate of its own, for servers that ask for one.
    pub fn client_with(&self, leaf: &Leaf) -> Arc<ClientConfig> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions")
            .with_root_certificates(self.roots())
            .with_client_auth_cert(vec![leaf.certificate.clone()], leaf.private_key());
        Arc::new(config.expect("the key fits the certificate"))
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.certificate.der().clone())
            .expect("our own certificate");
        roots
    }
}

// ===== impl Leaf =====

impl Leaf {
    /// Writes `<name>.pem` and `<name>.key` to `dir` and returns the two paths.
    pub fn write(&self, dir: &Path, name: &str) -> (PathBuf, PathBuf) {
        let certificate = write(dir, &format!("{name}.pem"), &self.cert_pem);
        let key = write(dir, &format!("{name}.key"), &self.key_pem);
        // As keys are; else wsgate warns.
        let owner = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&key, owner).expect("the mode of a file of ours can be set");
        (certificate, key)
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }
}

fn write(dir: &Path, name: &str, pem: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, pem)
        .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    path
}

fn with_server_alpn(mut config: ServerConfig, alpn: &[&str]) -> Arc<ServerConfig> {
    config.alpn_protocols = protocols(alpn);
    Arc::new(config)
}

fn protocols(alpn: &[&str]) -> Vec<Vec<u8>> {
    alpn.iter()
        .map(|protocol| protocol.as_bytes().to_vec())
        .collect()
}

/// Named, because a process without a default provider would panic, and which is the default depends
/// on what else was compiled in.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

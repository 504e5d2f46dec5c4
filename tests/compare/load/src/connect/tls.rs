//! What the client offers: the same to every server, and nothing to choose from.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// TLS 1.3 with AES-128-GCM and X25519, since servers would choose differently among more.
///
/// # Errors
///
/// When the file holds no certificates.
pub(crate) fn client_config(ca: &Path, alpn: &str, resume: bool) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(ca);
    for certificate in certificates.with_context(|| format!("cannot read {}", ca.display()))? {
        let certificate = certificate.with_context(|| format!("in {}", ca.display()))?;
        roots.add(certificate)?;
    }
    let provider = CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.into()];
    config.resumption = if resume {
        Resumption::in_memory_sessions(8)
    } else {
        Resumption::disabled()
    };
    Ok(Arc::new(config))
}

/// What was agreed: `TLSv1.3 TLS13_AES_128_GCM_SHA256 X25519`.
pub(crate) fn describe(state: &ClientConnection) -> String {
    let version = state.protocol_version().and_then(|v| v.as_str());
    let suite = state.negotiated_cipher_suite().map(|suite| suite.suite());
    let group = state
        .negotiated_key_exchange_group()
        .map(|group| group.name());
    [
        version,
        suite.as_ref().and_then(|suite| suite.as_str()),
        group.as_ref().and_then(|group| group.as_str()),
    ]
    .map(|part| part.unwrap_or("?").replace("TLSv1_3", "TLSv1.3"))
    .join(" ")
}

use std::{fmt, io, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use wsgate_tls::loose_permissions;

/// How TLS to an `https://` or `wss://` endpoint is checked, and who we say we are. Cheap to clone.
///
/// # Example
///
/// An upstream with a certificate of one's own CA, reached by its address:
///
/// ```
/// use wsgate_proxy::{UpstreamTls, WebSocketProxy};
///
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let tls = UpstreamTls::ca_file("internal-ca.pem")?.server_name("backend.internal")?;
/// let proxy = WebSocketProxy::to_with_tls("https://10.0.0.5:9443", tls)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct UpstreamTls {
    roots: Arc<RootCertStore>,
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

/// TLS settings that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamTlsError {
    /// The operating system's certificate store is empty or unreadable.
    #[error(
        "the system's certificate store has no usable root: install the distribution's \
         ca-certificates, or name a CA file"
    )]
    NoSystemRoots(#[source] Option<rustls_native_certs::Error>),
    /// A PEM file or text could not be read.
    #[error("cannot read {what} from {from}")]
    Pem {
        /// What was looked for.
        what: &'static str,
        /// The file, or `memory`.
        from: String,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// A PEM file or text has no certificate.
    #[error("{0} holds no certificate")]
    NoCertificate(String),
    /// rustls does not accept a certificate or key: the key may be another certificate's.
    #[error("the certificate or key cannot be used")]
    Rejected(#[from] rustls::Error),
    /// Neither a DNS name nor an IP address.
    #[error("`{0}` is neither a DNS name nor an IP address")]
    ServerName(String),
}

// ===== impl UpstreamTls =====

impl UpstreamTls {
    /// Trusts what the operating system trusts: the default for `https://` and `wss://`.
    ///
    /// Reads the system's store each time, so keep and clone what you have.
    ///
    /// # Errors
    ///
    /// [`NoSystemRoots`](UpstreamTlsError::NoSystemRoots) where not one root can be used.
    pub fn system_roots() -> Result<Self, UpstreamTlsError> {
        let mut loaded = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(loaded.certs);
        match added {
            0 => Err(UpstreamTlsError::NoSystemRoots(loaded.errors.pop())),
            _ => Self::with_roots(roots),
        }
    }

    /// Trusts the certificates of this PEM file only: a private CA, or one server's own certificate.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, holds no certificate, or one that is no root.
    pub fn ca_file(path: impl AsRef<Path>) -> Result<Self, UpstreamTlsError> {
        let path = path.as_ref();
        Self::ca(CertificateDer::pem_file_iter(path), &path.display())
    }

    /// Trusts the certificates in this PEM text only.
    ///
    /// # Errors
    ///
    /// As for [`ca_file`](Self::ca_file).
    pub fn ca_pem(pem: impl AsRef<[u8]>) -> Result<Self, UpstreamTlsError> {
        Self::ca(Ok(CertificateDer::pem_slice_iter(pem.as_ref())), &"memory")
    }

    fn ca<'a, I>(
        certificates: Result<I, rustls::pki_types::pem::Error>,
        from: &dyn fmt::Display,
    ) -> Result<Self, UpstreamTlsError>
    where
        I: Iterator<Item = Result<CertificateDer<'a>, rustls::pki_types::pem::Error>>,
    {
        let mut roots = RootCertStore::empty();
        for certificate in read("a CA certificate", from, certificates)? {
            roots.add(certificate)?;
        }
        Self::with_roots(roots)
    }

    fn with_roots(roots: RootCertStore) -> Result<Self, UpstreamTlsError> {
        let roots = Arc::new(roots);
        let config = client_config(&roots, None)?;
        Ok(Self {
            roots,
            config,
            server_name: None,
        })
    }

    /// Shows the upstream this certificate chain, for which it holds this key (mutual TLS). A key file that
    /// others may read is warned of.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, holds nothing, or the key is not the certificate's.
    pub fn client_certificate_files(
        self,
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, UpstreamTlsError> {
        let (certificate, key) = (certificate.as_ref(), key.as_ref());
        let chain = CertificateDer::pem_file_iter(certificate);
        let chain = read("a client certificate", &certificate.display(), chain)?;
        if let Some(loose) = loose_permissions(key) {
            tracing::warn!("{loose}");
        }
        let key_file = key.display();
        let key = PrivateKeyDer::from_pem_file(key);
        self.client_certificate(chain, key, &key_file)
    }

    /// As [`client_certificate_files`](Self::client_certificate_files), from PEM text.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn client_certificate_pem(
        self,
        certificate: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Result<Self, UpstreamTlsError> {
        let chain = Ok(CertificateDer::pem_slice_iter(certificate.as_ref()));
        let chain = read("a client certificate", &"memory", chain)?;
        let key = PrivateKeyDer::from_pem_slice(key.as_ref());
        self.client_certificate(chain, key, &"memory")
    }

    fn client_certificate(
        mut self,
        chain: Vec<CertificateDer<'static>>,
        key: Result<PrivateKeyDer<'static>, rustls::pki_types::pem::Error>,
        from: &dyn fmt::Display,
    ) -> Result<Self, UpstreamTlsError> {
        let key = key.map_err(|source| pem_error("a private key", from, source))?;
        self.config = client_config(&self.roots, Some((chain, key)))?;
        Ok(self)
    }

    /// Asks for this name (SNI), and expects the certificate to be for it. Default: the endpoint's
    /// host.
    ///
    /// # Errors
    ///
    /// [`ServerName`](UpstreamTlsError::ServerName) if it is neither a DNS name nor an address.
    pub fn server_name(mut self, name: &str) -> Result<Self, UpstreamTlsError> {
        self.server_name = Some(parse_server_name(name)?);
        Ok(self)
    }

    pub(crate) const fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// The same configuration, which offers these protocols (ALPN) instead of HTTP/1.1.
    pub(crate) fn config_offering(&self, protocols: &[&[u8]]) -> Arc<ClientConfig> {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
        Arc::new(config)
    }

    /// The name to ask an endpoint on this host for.
    pub(crate) fn name_for(&self, host: &str) -> Result<ServerName<'static>, UpstreamTlsError> {
        let own = self.server_name.clone();
        own.map_or_else(|| parse_server_name(host), Ok)
    }
}

impl fmt::Debug for UpstreamTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamTls")
            .field("roots", &self.roots.len())
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

fn client_config(
    roots: &Arc<RootCertStore>,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> Result<Arc<ClientConfig>, UpstreamTlsError> {
    // Named here, so that nobody has to install a provider for the process.
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(Arc::clone(roots));
    let mut config = match identity {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn read<'a, I>(
    what: &'static str,
    from: &dyn fmt::Display,
    certificates: Result<I, rustls::pki_types::pem::Error>,
) -> Result<Vec<CertificateDer<'static>>, UpstreamTlsError>
where
    I: Iterator<Item = Result<CertificateDer<'a>, rustls::pki_types::pem::Error>>,
{
    let certificates: Result<Vec<_>, _> = certificates.and_then(Iterator::collect);
    let certificates = certificates.map_err(|source| pem_error(what, from, source))?;
    match certificates.is_empty() {
        true => Err(UpstreamTlsError::NoCertificate(from.to_string())),
        false => Ok(certificates
            .into_iter()
            .map(CertificateDer::into_owned)
            .collect()),
    }
}

fn pem_error(
    what: &'static str,
    from: &dyn fmt::Display,
    source: rustls::pki_types::pem::Error,
) -> UpstreamTlsError {
    UpstreamTlsError::Pem {
        what,
        from: from.to_string(),
        source,
    }
}

fn parse_server_name(name: &str) -> Result<ServerName<'static>, UpstreamTlsError> {
    let parsed = ServerName::try_from(name.to_owned());
    parsed.map_err(|_| UpstreamTlsError::ServerName(name.to_owned()))
}

// A failed TLS handshake comes out of tokio as an I/O error that hides the reason.
pub(crate) fn is_tls_error(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|e| e.is::<rustls::Error>())
}
